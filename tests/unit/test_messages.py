from __future__ import annotations

import importlib
import pkgutil
from dataclasses import fields

import pytest

import easeml_ray
from easeml_ray import messages
from easeml_ray.errors import InvalidArgument, TooLarge
from easeml_ray.items import Label
from easeml_ray.messages import Gain, Option, action_id, decoder, encode, kind_of, message
from easeml_ray.oracle.messages import Asked, Kind, Opened, OpenRequests
from easeml_ray.runtime.states import STATES

for module in pkgutil.walk_packages(easeml_ray.__path__, "easeml_ray."):
    if module.name.endswith("messages"):
        importlib.import_module(module.name)

_ALIKE = {
    # A table of rows each: the one that was offered, and the one that people labelled.
    ("market.MakeOffer", "market.CompleteLabels"),
    ("market.Purchased", "market.CompleteLabels"),
    # Its version is a number, and the chain of payments hashes its own fields.
    ("market.Purchased", "market.Buy"),
    ("market.Purchased", "market.Settle"),
}


def opened(items: int = 1, size: int = 3) -> Opened:
    asked = tuple(
        Asked(item=Label(pillar="train", row_id=i, given="x" * size), cost_cents=1.5) for i in range(items)
    )
    asking = OpenRequests(
        kind=Kind.RELABEL,
        batch="b",
        asker="process",
        title="?",
        items=asked,
        choices=("0", "1"),
        gain=Gain(0.1, 0.0, 0.2),
        deadline=5.0,
        answers_per_item=1,
    )
    return Opened(command=asking, first=1)


def test_a_body_survives_the_codec() -> None:
    body = opened(3)
    assert decoder(kind_of(body))(encode(body)) == body


def test_a_body_over_64_kib_is_refused_with_its_size() -> None:
    with pytest.raises(TooLarge) as caught:
        encode(opened(300, 400))
    assert caught.value.limit == 64 * 1024 < caught.value.size


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"oracle\.Nonsense"):
        decoder("oracle.Nonsense")


def test_every_message_is_frozen_keyword_only_slotted_and_documented() -> None:
    ours = {kind: cls for kind, cls in messages._bodies.items() if cls.__module__.startswith("easeml_ray.")}
    assert len(ours) > 100
    for kind, cls in ours.items():
        assert cls.__dataclass_params__.frozen, kind
        assert all(field.kw_only for field in fields(cls)), kind
        assert "__slots__" in cls.__dict__, kind
        assert cls.__doc__, kind
        assert kind.partition(".")[0] in (*STATES, "component"), kind


def test_no_message_repeats_all_fields_of_another() -> None:
    """An event holds what it answers, as a whole; so does work that carries a request out."""
    names = {kind: {field.name for field in fields(cls)} for kind, cls in messages._bodies.items()}
    for kind, mine in names.items():
        for other, theirs in names.items():
            if kind != other and kind.partition(".")[0] == other.partition(".")[0] and len(theirs) > 2:
                assert not theirs <= mine or (kind, other) in _ALIKE, (kind, other)


def test_a_kind_stays_when_its_class_moves_or_is_renamed() -> None:
    """Stores hold kinds for ever: they are what is written, not where it stands."""
    moved = type("Elsewhere", (), {"__annotations__": {"text": str}, "__module__": "somewhere.else.entirely"})
    body = message("test.Moved")(moved)
    assert kind_of(body(text="x")) == "test.Moved"
    assert decoder("test.Moved")('{"text": "x"}') == body(text="x")
    with pytest.raises(TypeError, match=r"two messages of kind test\.Moved"):
        message("test.Moved")(type("Another", (), {}))


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
