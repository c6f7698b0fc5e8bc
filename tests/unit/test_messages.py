from __future__ import annotations

import importlib
import pkgutil

import pytest

import easeml_ray
from easeml_ray import messages
from easeml_ray.errors import InvalidArgument, TooLarge
from easeml_ray.messages import Gain, Option, action_id, dump, kind_of, load
from easeml_ray.oracle.messages import Asked, Kind, Opened

for module in pkgutil.walk_packages(easeml_ray.__path__, "easeml_ray."):
    if module.name.endswith(".messages"):
        importlib.import_module(module.name)


def opened(items: int = 1, size: int = 3) -> Opened:
    asked = tuple(
        Asked(key=f"k{i}", payload={"row_id": i, "text": "x" * size}, cost_cents=1.5) for i in range(items)
    )
    return Opened(
        kind=Kind.RELABEL,
        batch="b",
        asker="process",
        title="?",
        items=asked,
        choices=("0", "1"),
        gain=Gain(0.1, 0.0, 0.2),
        deadline=5.0,
        answers_per_item=1,
        first=1,
    )


def test_a_body_survives_the_codec() -> None:
    body = opened(3)
    assert load(kind_of(body), dump(body)) == body


def test_a_body_over_64_kib_is_refused_with_its_size() -> None:
    with pytest.raises(TooLarge) as caught:
        dump(opened(300, 400))
    assert caught.value.limit == 64 * 1024 < caught.value.size


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"oracle\.Nonsense"):
        load("oracle.Nonsense", {})


def test_every_message_is_frozen_and_slotted_and_documented() -> None:
    assert len(messages._kinds) > 100
    for kind, cls in messages._kinds.items():
        if not cls.__module__.startswith("easeml_ray."):
            continue
        assert cls.__dataclass_params__.frozen, kind
        assert "__slots__" in cls.__dict__, kind
        assert cls.__doc__, kind


def test_an_action_id_depends_on_what_made_it_due_and_not_on_the_form_of_its_body() -> None:
    base = action_id("process", "oracle/p", 3, "oracle.Opened", 0)
    assert base == action_id("process", "oracle/p", 3, "oracle.Opened", 0)
    others = [
        action_id("process", "oracle/q", 3, "oracle.Opened", 0),
        action_id("process", "oracle/p", 4, "oracle.Opened", 0),
        action_id("process", "oracle/p", 3, "oracle.Expire", 0),
        action_id("process", "oracle/p", 3, "oracle.Opened", 1),
        action_id("oracle", "oracle/p", 3, "oracle.Opened", 0),
    ]
    assert len({base, *others}) == 6


def test_a_gain_outside_its_interval_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="outside its interval"):
        Gain(0.5, 0.6, 0.7)


def test_options_are_ranked_by_gain_per_cent() -> None:
    cheap = Option("a", "CLEAN_CELL", "", Gain(0.01, 0, 0.02), 5)
    dear = Option("b", "RELABEL", "", Gain(0.1, 0, 0.2), 100)
    assert cheap.gain_per_cent > dear.gain_per_cent
