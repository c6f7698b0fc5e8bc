from __future__ import annotations

import pickle
import re

import pytest

from easeml_ray import errors
from easeml_ray.errors import EasemlError

CLASSES = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_every_error_survives_a_pickle_round_trip_with_its_fields(cls: type[EasemlError]) -> None:
    fields = {name: f"value of {name}" for name in cls.declared}
    made = cls("what is wrong", hint="what to do", **fields)
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is cls
    assert again == made
    assert str(again) == "what is wrong\nHint: what to do"
    for name, value in fields.items():
        assert getattr(again, name) == value


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_every_error_survives_its_plain_form(cls: type[EasemlError]) -> None:
    made = cls("what is wrong")
    assert EasemlError.from_dict(made.to_dict()) == made


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    assert sorted([*drawn, "EasemlError"]) == sorted(errors.__all__)


def test_a_field_that_is_not_declared_is_refused() -> None:
    with pytest.raises(TypeError, match="declares no field"):
        errors.NoModel("no", colour="red")


def test_a_field_that_was_not_given_is_none_and_an_unknown_name_is_an_attribute_error() -> None:
    error = errors.NoModel("no")
    assert error.project is None
    with pytest.raises(AttributeError):
        _ = error.colour


def test_exit_codes_and_statuses_mean_something() -> None:
    assert errors.BadInput("x").exit_code == 2
    assert errors.Unauthenticated("x").status == 401
    assert errors.NoModel("x").status == 503
    assert errors.TooFewTestRows("x").status == 400
    assert errors.RequestClosed("x").status == 409
    assert errors.DeadlineExceeded("x").status == 504
