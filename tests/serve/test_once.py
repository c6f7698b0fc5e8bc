"""Idempotency keys: a command that is sent again happens once."""

from __future__ import annotations

import pytest
from harness import asked

from easeml_ray.errors import AlreadyExists, Conflict, InvalidArgument
from easeml_ray.messages import Principal, Role
from easeml_ray.oracle.messages import Kind, OpenRequests
from tests.serve.house import TASK, House, table


def test_a_repeated_command_is_answered_alike_and_writes_nothing(house: House) -> None:
    ida = house.new("ida")
    first = ida.create_project("once", TASK, key="k1")
    before = house.events
    assert ida.create_project("once", TASK, key="k1") == first
    assert house.events == before
    with pytest.raises(AlreadyExists):
        ida.create_project("once", TASK, key="k2")
    with pytest.raises(AlreadyExists):
        ida.create_project("once", TASK)


def test_an_upload_whose_answer_was_lost_can_be_sent_again(house: House) -> None:
    ida = house.new("ida")
    ida.create_project("twice", {**TASK, "target_accuracy": 0.99, "when_undecided": "ask"})
    data = table(160, seed=5, noise=0.3)
    first = ida.upload("twice", data, key="up")
    before = house.events
    assert ida.upload("twice", data, key="up") == first
    assert house.events == before
    with pytest.raises(AlreadyExists):
        ida.upload("twice", data, key="other")


def test_a_key_belongs_to_its_tenant_its_person_and_its_route(house: House) -> None:
    ida, jon = house.new("ida"), house.new("jon")
    ida.create_project("ida-1", TASK, key="same")
    assert jon.create_project("jon-1", TASK, key="same")["project"] == "jon-1"
    assert ida.control("ida-1", "pause", key="same") == {"control": "PAUSED"}
    root = Principal("ida", Role.SYSTEM, "tests")
    items = tuple(asked(f"row-{i}") for i in range(2))
    body = OpenRequests(
        kind=Kind.LABEL_ROW,
        batch="b",
        asker="tests",
        title="Which?",
        items=items,
        choices=("x", "y"),
        gain=None,
        deadline=4e9,
        answers_per_item=1,
    )
    house.run(house.system.handle("oracle", "ida-1", root, body))
    one, two = (house.new("ida", "annotator", name) for name in ("one", "two"))
    leased = [c.lease("ida-1", limit=1, key="1")["requests"][0]["id"] for c in (one, two)]
    assert leased[0] != leased[1]
    assert one.lease("ida-1", limit=1, key="1")["requests"][0]["id"] == leased[0]


def test_a_token_is_not_made_up_for_a_repeated_key(house: House) -> None:
    house.admin.create_tenant("kim", key="make")
    before = house.events
    with pytest.raises(Conflict, match="shown only once"):
        house.admin.create_tenant("kim", key="make")
    assert house.events == before


def test_a_key_has_bounds(house: House) -> None:
    with pytest.raises(InvalidArgument):
        house.new("ida").create_project("long-key", TASK, key="k" * 201)
