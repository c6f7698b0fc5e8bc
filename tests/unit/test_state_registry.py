"""DataRegistry's versions: contiguous, made of the latest, with nothing lost that was released."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from harness import Driven, parts, seal, version

from easeml_ray.errors import AlreadyExists, CapabilityDenied, Conflict, NotFound
from easeml_ray.messages import Pillar
from easeml_ray.registry.capability import mint
from easeml_ray.registry.messages import (
    Absorb,
    AddTestSet,
    AddVersion,
    Augment,
    Augmented,
    Correction,
    FindLatest,
    FindParts,
    KeepVersion,
    RepairAlternatives,
    Revise,
    ReviseVersion,
    ShowVersions,
    VersionAdded,
)
from easeml_ray.registry.state import RegistryState

FIX = Correction(pillar="train", row_id=3, column=None, value="yes", evidence="batch")


@pytest.fixture
def registry() -> Iterator[Driven]:
    driven = Driven(RegistryState)
    driven.tell(seal())
    yield driven
    driven.check_replay()


def revise(registry: Driven, number: int, *purchases: str, reason: str = "answers") -> None:
    registry.tell(
        Revise(number=number, corrections=() if purchases else (FIX,), purchases=purchases, reason=reason)
    )


def made(number: int, reason: str = "answers", added: int = 0) -> AddVersion:
    return AddVersion(
        version=version(number),
        train=parts(number),
        development=parts(number),
        reason=reason,
        counts={"added": float(added)},
    )


def finish(registry: Driven, number: int, reason: str = "answers", added: int = 0) -> ReviseVersion:
    """End the work on a version; return what it was asked to do."""
    (work,) = registry.due(ReviseVersion)
    registry.report(work, made(number, reason, added))
    return work.body


def shown(registry: Driven) -> dict:
    return registry.ask(ShowVersions())


def test_set(registry: Driven, number: int) -> AddTestSet:
    """Return a test set of 900 rows that was checked against all that came."""
    return AddTestSet(
        upload=f"u{number}",
        stable=f"stable-{number}",
        stable_rows=900,
        held_out=f"held-out-{number}",
        checked=latest(registry)["came"],
    )


test_set.__test__ = False  # type: ignore[attr-defined]


def latest(registry: Driven) -> dict:
    return registry.ask(FindLatest())


def test_a_project_is_uploaded_once(registry: Driven) -> None:
    error = registry.refused(AlreadyExists, seal())
    assert (error.what, error.name) == ("data", "p")
    reply = registry.tell(seal("q"), project="q")
    assert reply == {"rows": 500, "train": 100, "development": 100, "stable": 1000, "classes": 2}


def test_without_data_there_is_nothing_to_do(registry: Driven) -> None:
    for body in (
        Augment(number=1),
        Revise(number=1, corrections=(FIX,), purchases=(), reason="answers"),
        Absorb(source="era:1", digest="d", rows=3),
    ):
        registry.refused(NotFound, body, project="empty")
    registry.refused(
        NotFound, AddTestSet(upload="u", stable="s", stable_rows=9, held_out="h", checked=0), project="empty"
    )
    with pytest.raises(NotFound):
        registry.ask(ShowVersions(), project="empty")


def test_augmentation_makes_a_version_or_keeps_it(registry: Driven) -> None:
    registry.tell(Augment(number=1))
    registry.refused(Conflict, Augment(number=1))
    registry.refused(Conflict, Revise(number=1, corrections=(FIX,), purchases=(), reason="answers"))
    assert shown(registry)["busy"] == "augmentation"
    (work,) = registry.due(RepairAlternatives)
    assert work.body.version == version(1)
    registry.report(work, made(2, "augmentation"))
    assert [type(body) for body in registry.told(Augmented)] == [Augmented]
    registry.tell(Augment(number=2))
    registry.report(registry.due(RepairAlternatives)[0], KeepVersion(number=2))
    assert [v["number"] for v in shown(registry)["versions"]] == [1, 2]
    assert registry.told(Augmented)[-1].version.number == 2
    assert shown(registry)["busy"] is None


def test_versions_are_contiguous_with_their_parents_and_reasons(registry: Driven) -> None:
    for number, reason in ((2, "answers"), (3, "purchase"), (4, "answers")):
        revise(registry, number - 1, reason=reason)
        finish(registry, number, reason)
    versions = shown(registry)["versions"]
    assert [v["number"] for v in versions] == [1, 2, 3, 4]
    assert [v["parent"] for v in versions] == [0, 1, 2, 3]
    assert [v["reason"] for v in versions] == ["upload", "answers", "purchase", "answers"]


def test_only_the_latest_version_becomes_another_one(registry: Driven) -> None:
    revise(registry, 1)
    finish(registry, 2)
    assert (
        "not the latest"
        in registry.refused(
            Conflict, Revise(number=1, corrections=(FIX,), purchases=(), reason="late")
        ).message
    )
    # Augmenting an older one would have put its result in the place of version 2.
    assert "not the latest" in registry.refused(Conflict, Augment(number=1)).message
    registry.refused(NotFound, Augment(number=9))
    registry.refused(NotFound, Revise(number=9, corrections=(FIX,), purchases=(), reason="early"))


def test_rows_that_are_released_during_a_revision_wait_for_the_next_one(registry: Driven) -> None:
    registry.tell(Absorb(source="era:1", digest="rows-1", rows=30))
    revise(registry, 1)
    registry.tell(Absorb(source="window:1", digest="rows-2", rows=5))
    assert shown(registry)["waiting_rows"] == 35
    assert finish(registry, 2, added=30).absorbed == ("rows-1",)
    assert shown(registry)["waiting_rows"] == 5
    revise(registry, 2)
    assert finish(registry, 3, added=5).absorbed == ("rows-2",)
    assert shown(registry)["waiting_rows"] == 0


def test_released_rows_of_a_revision_that_failed_join_the_next_one(registry: Driven) -> None:
    registry.tell(Absorb(source="era:1", digest="rows-1", rows=30))
    revise(registry, 1)
    registry.fail(registry.due(ReviseVersion)[0])
    assert shown(registry)["busy"] is None
    revise(registry, 1)
    assert finish(registry, 2, added=30).absorbed == ("rows-1",)


def test_a_version_takes_as_many_released_blobs_as_a_message_can_name(registry: Driven) -> None:
    for number in range(1, 1501):
        registry.tell(Absorb(source=f"window:{number}", digest=f"{number:064d}", rows=1))
    revise(registry, 1)
    first = finish(registry, 2).absorbed
    revise(registry, 2)
    second = finish(registry, 3).absorbed
    assert len(first) == len(second) == 200
    assert int(second[0]) == 201
    assert shown(registry)["waiting_rows"] == 1100


def test_row_ids_are_never_given_twice(registry: Driven) -> None:
    next_ids = []
    for number, added in ((2, 7), (3, 0), (4, 11)):
        revise(registry, number - 1, "offer")
        next_ids.append(finish(registry, number, "purchase", added).next_row_id)
    revise(registry, 4)
    assert [*next_ids, finish(registry, 5).next_row_id] == [500, 507, 507, 518]


def test_fresh_test_sets_are_held_out_from_later_versions(registry: Driven) -> None:
    assert registry.tell(test_set(registry, 2)) == {"stable_rows": 900}
    revise(registry, 1)
    assert finish(registry, 2).held_out == ("held-out-1", "held-out-2")
    assert shown(registry)["stable_rows"] == [1000, 900]
    assert latest(registry)["held_out"] == ["held-out-1", "held-out-2"]


def test_a_released_set_is_held_out_no_more_and_is_known_for_ever(registry: Driven) -> None:
    registry.tell(test_set(registry, 2))
    came = latest(registry)["came"]
    registry.tell(Absorb(source="era:1", digest="rows-1", rows=30, sealed="stable-1"))
    assert latest(registry)["held_out"] == ["held-out-1", "held-out-2"]  # the first is of development
    registry.tell(
        Absorb(source="era:2", digest="rows-2", rows=0, sealed="stable-2")
    )  # nobody labelled any of its rows
    found = latest(registry)
    assert found["held_out"] == ["held-out-1"]
    assert found["known"] == ["held-out-1", "held-out-2"]
    assert (found["came"], found["waiting"]) == (came, [])  # its rows are known already
    told = shown(registry)
    assert told["stable_rows"] == []
    assert told["test_sets"] == [{"rows": 1000, "sealed": False}, {"rows": 900, "sealed": False}]
    assert told["waiting_rows"] == 30
    revise(registry, 1)
    work = finish(registry, 2, added=30)
    assert (work.absorbed, work.held_out) == (("rows-1",), ("held-out-1",))


def test_all_that_came_is_known_in_its_order(registry: Driven) -> None:
    registry.tell(
        replace(seal("q"), stable_held_out="held-out-stable", known="train-as-it-came"), project="q"
    )
    assert registry.ask(FindLatest(), "q")["known"] == ["held-out-1", "held-out-stable", "train-as-it-came"]
    registry.tell(Absorb(source="window:1", digest="rows-1", rows=5))
    assert latest(registry)["waiting"] == ["rows-1"]
    revise(registry, 1)
    registry.report(registry.due(ReviseVersion)[0], replace(made(2, added=5), known="joined"))
    assert latest(registry)["known"] == ["held-out-1", "joined"]
    assert latest(registry)["waiting"] == []


def test_a_test_set_is_checked_against_all_that_came(registry: Driven) -> None:
    old = test_set(registry, 2)
    registry.tell(test_set(registry, 3))
    error = registry.refused(Conflict, old)
    assert "Try again" in error.hint
    old = test_set(registry, 2)
    registry.tell(Absorb(source="window:1", digest="rows-1", rows=5))
    registry.refused(Conflict, old)
    registry.tell(test_set(registry, 2))
    assert [rows["rows"] for rows in shown(registry)["test_sets"]] == [1000, 900, 900]


def test_no_test_set_comes_while_rows_may_be_joining(registry: Driven) -> None:
    revise(registry, 1, "offer")
    assert "Try again" in registry.refused(Conflict, test_set(registry, 2)).hint
    old = test_set(registry, 2)
    (work,) = registry.due(ReviseVersion)
    registry.report(work, replace(made(2, added=5), known="joined"))
    registry.refused(Conflict, old)  # its rows were not looked up among those that joined
    registry.tell(Augment(number=2))
    registry.tell(test_set(registry, 2))  # augmentation adds no rows


def test_rows_that_may_only_join_train_are_named_to_the_work(registry: Driven) -> None:
    registry.tell(Absorb(source="era:1", digest="rows-1", rows=30, sealed="stable-1", train_only=True))
    registry.tell(Absorb(source="window:1", digest="rows-2", rows=5))
    revise(registry, 1)
    work = finish(registry, 2, added=35)
    assert (work.absorbed, work.train_only) == (("rows-1", "rows-2"), ("rows-1",))


def test_parts_are_found_with_a_capability_of_just_this_pillar(registry: Driven) -> None:
    train = version(1).train
    right = mint("p", Pillar.TRAIN, "cleaning").to_dict()
    found = registry.ask(FindParts(ref=train, capability=right))
    assert found == {"tenant": "lab", "parts": [part.digest for part in parts(1)]}
    with pytest.raises(CapabilityDenied):
        registry.ask(FindParts(ref=version(1).development, capability=right))
    with pytest.raises(CapabilityDenied):
        registry.ask(FindParts(ref=train, capability=right, verb="write"))
    with pytest.raises(CapabilityDenied):
        registry.ask(FindParts(ref=train, capability={**right, "holder": "gate"}))
    with pytest.raises(NotFound):
        registry.ask(FindParts(ref=replace(train, version=7), capability=right))


def test_every_version_is_an_event_that_is_its_manifest(registry: Driven) -> None:
    revise(registry, 1)
    finish(registry, 2)
    (event,) = registry.told(VersionAdded)
    assert (event.command.version, event.command.train, event.command.development) == (
        version(2),
        parts(2),
        parts(2),
    )


def test_what_is_no_command_or_query_is_a_fault_of_the_caller(registry: Driven) -> None:
    with pytest.raises(TypeError, match="no command"):
        registry.tell(ShowVersions())
    with pytest.raises(TypeError, match="no query"):
        registry.ask(Augment(number=1))
