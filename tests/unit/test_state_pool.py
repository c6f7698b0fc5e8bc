"""ModelPool: who is admitted to the gate, who is deployed, and windows that always come to an end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from harness import HOUR, Driven, digest

from easeml_ray.errors import Conflict, IllegalTransition, NotFound
from easeml_ray.messages import encode
from easeml_ray.pool.messages import (
    AddModel,
    AskedRow,
    BatchAdmitted,
    CloseIntake,
    CollectWindow,
    Deployed,
    FindSegments,
    FinishRound,
    IntakeClosed,
    LabelledRow,
    LabelsObserved,
    ObserveLabels,
    PickRound,
    RecordVerdict,
    ReleaseWindow,
    SegmentStored,
    ShowDeployments,
    ShowPool,
    StoreSegment,
    TakeIntoGate,
    WindowClosed,
    WindowDecided,
    WindowReleased,
)
from easeml_ray.pool.state import PoolState
from easeml_ray.pool.windows import MOST_SEGMENTS, Window

GAIN = 0.05
DAY = 24 * HOUR


@pytest.fixture
def pool() -> Iterator[Driven]:
    driven = Driven(PoolState)
    yield driven
    driven.check_replay()


def add(
    pool: Driven,
    model: str,
    lower: float,
    *,
    version: int = 1,
    floor: bool = False,
    immediate: bool = False,
    a_day: int = 16,
) -> None:
    pool.tell(
        AddModel(
            model=model,
            arm="arm",
            version=version,
            floor=floor,
            development_accuracy=lower + 0.05,
            development_lower=lower,
            minimum_gain=GAIN,
            gates_a_day=a_day,
            immediate=immediate,
        )
    )


def close(pool: Driven, *, steps: int = 4, version: int = 1, a_day: int = 16) -> list[str]:
    return pool.tell(CloseIntake(version=version, minimum_gain=GAIN, gates_a_day=a_day, steps=steps))[
        "admitted"
    ]


def serve(pool: Driven, *lowers: float) -> list[str]:
    """Have models pass one after another, the first of them deployed; return their names."""
    names = [f"m{number}" for number in range(len(lowers))]
    for name, lower in zip(names, lowers, strict=True):
        passes(pool, name, lower)
    return names


def passes(pool: Driven, name: str, lower: float) -> None:
    add(pool, name, lower, immediate=True, a_day=1000)
    pool.tell(TakeIntoGate(models=(name,)))
    pool.tell(RecordVerdict(model=name, passed=True))


def states(pool: Driven) -> dict[str, str]:
    return {m["model"]: m["state"] for m in pool.ask(ShowPool())["models"]}


def deployed(pool: Driven) -> str | None:
    found = pool.ask(ShowPool())["deployed"]
    return found["model"] if found else None


def window(pool: Driven, number: int) -> dict[str, Any]:
    return next(w for w in pool.ask(ShowPool())["windows"] if w["window"] == number)


# -- admission --------------------------------------------------------------------------------


def test_a_version_admits_the_best_chain_in_which_each_beats_the_one_before(pool: Driven) -> None:
    for name, lower in (("a", 0.50), ("b", 0.61), ("c", 0.63), ("d", 0.70), ("e", 0.72)):
        add(pool, name, lower)
    # From the best down: e; d is too near to it; c; b is too near to c; a.
    assert close(pool) == ["a", "c", "e"]
    assert states(pool) == {"a": "ADMITTED", "b": "RETIRED", "c": "ADMITTED", "d": "RETIRED", "e": "ADMITTED"}
    assert pool.told(BatchAdmitted)[0].models == ("a", "c", "e")


def test_the_outcome_does_not_depend_on_the_order_in_which_arms_finish() -> None:
    admitted = set()
    lowers = {"a": 0.50, "b": 0.61, "c": 0.63, "d": 0.70}
    for order in ("abcd", "dcba", "bdac"):
        pool = Driven(PoolState)
        for name in order:
            add(pool, name, lowers[name])
        admitted.add(tuple(close(pool)))
    assert admitted == {("a", "c", "d")}


def test_at_most_as_many_as_the_era_has_steps_and_the_best_of_them(pool: Driven) -> None:
    for name, lower in (("a", 0.4), ("b", 0.5), ("c", 0.6), ("d", 0.7)):
        add(pool, name, lower)
    assert close(pool, steps=2) == ["c", "d"]


def test_later_versions_must_beat_the_last_admitted_model(pool: Driven) -> None:
    add(pool, "a", 0.7)
    assert close(pool) == ["a"]
    add(pool, "b", 0.74, version=2)
    assert close(pool, version=2) == []
    add(pool, "c", 0.76, version=3)
    assert close(pool, version=3) == ["c"]
    assert states(pool) == {"a": "ADMITTED", "b": "RETIRED", "c": "ADMITTED"}
    assert [e.command.version for e in pool.told(IntakeClosed)] == [1, 2, 3]


def test_a_day_admits_so_many_and_the_next_day_as_many_again(pool: Driven) -> None:
    for name, lower in (("a", 0.4), ("b", 0.5), ("c", 0.6)):
        add(pool, name, lower)
    assert close(pool, a_day=2) == ["b", "c"]
    add(pool, "d", 0.7, version=2)
    assert close(pool, version=2, a_day=2) == []
    pool.now += DAY + 1
    add(pool, "e", 0.7, version=3)
    assert close(pool, version=3, a_day=2) == ["e"]


def test_the_floor_is_never_admitted(pool: Driven) -> None:
    add(pool, "floor", 0.9, floor=True)
    add(pool, "floor-2", 0.9, version=2, floor=True, immediate=True)
    assert close(pool) == []
    assert states(pool) == {"floor": "TRAINED", "floor-2": "TRAINED"}


def test_a_model_is_added_once(pool: Driven) -> None:
    add(pool, "a", 0.5)
    pool.refused(
        Conflict,
        AddModel(
            model="a",
            arm="arm",
            version=1,
            floor=False,
            development_accuracy=0.6,
            development_lower=0.5,
            minimum_gain=GAIN,
            gates_a_day=16,
            immediate=False,
        ),
    )


def test_one_by_one_a_model_is_admitted_or_retired_at_once(pool: Driven) -> None:
    add(pool, "a", 0.6, immediate=True)
    add(pool, "b", 0.64, immediate=True)
    add(pool, "c", 0.66, immediate=True)
    add(pool, "d", 0.9, immediate=True, a_day=2)
    assert states(pool) == {"a": "ADMITTED", "b": "RETIRED", "c": "ADMITTED", "d": "RETIRED"}
    assert [b.models for b in pool.told(BatchAdmitted)] == [("a",), ("c",)]


@pytest.mark.parametrize("immediate", [False, True])
def test_what_comes_after_its_version_closed_is_retired(pool: Driven, immediate: bool) -> None:
    add(pool, "early", 0.5)
    assert close(pool, steps=0) == []
    add(pool, "late", 0.9, immediate=immediate)
    assert states(pool) == {"early": "RETIRED", "late": "RETIRED"}


# -- verdicts and deployment ------------------------------------------------------------------


def test_the_first_model_to_pass_is_deployed_and_a_better_one_replaces_it(pool: Driven) -> None:
    serve(pool, 0.5, 0.6)
    assert states(pool) == {"m0": "CANDIDATE", "m1": "DEPLOYED"}
    assert [(d.model, d.deployment, d.because) for d in pool.told(Deployed)] == [
        ("m0", 1, "first to pass"),
        ("m1", 2, "passed"),
    ]
    assert pool.ask(ShowDeployments())["p"]["deployment"] == 2


def test_a_failed_model_is_not_served(pool: Driven) -> None:
    add(pool, "a", 0.5)
    close(pool)
    pool.refused(IllegalTransition, RecordVerdict(model="a", passed=True))  # not before the gate has it
    pool.tell(TakeIntoGate(models=("a",)))
    pool.tell(RecordVerdict(model="a", passed=False))
    assert (states(pool), deployed(pool)) == ({"a": "FAILED"}, None)
    pool.refused(IllegalTransition, RecordVerdict(model="a", passed=True))
    assert pool.refused(NotFound, RecordVerdict(model="b", passed=True)).what == "model"
    pool.refused(NotFound, TakeIntoGate(models=("b",)))
    assert pool.ask(ShowDeployments()) == {}


def test_a_model_that_comes_to_a_second_era_is_in_the_gate_already(pool: Driven) -> None:
    for name, lower in (("a", 0.5), ("b", 0.6)):
        add(pool, name, lower)
    close(pool)
    pool.tell(TakeIntoGate(models=("a",)))
    pool.tell(TakeIntoGate(models=("a", "b")))
    assert states(pool) == {"a": "GATING", "b": "GATING"}
    pool.refused(IllegalTransition, TakeIntoGate(models=("a", "b")))


def test_models_that_pass_while_a_window_picks_wait_for_it(pool: Driven) -> None:
    serve(pool, 0.5, 0.6)
    fill(pool, "s", 8)
    fill(pool, "t", 2)  # the next window is filling already
    assert [window(pool, n)["state"] for n in (1, 2)] == ["PICKING", "FILLING"]
    passes(pool, "late", 0.9)
    assert (states(pool)["late"], deployed(pool)) == ("CANDIDATE", "m1")
    assert window(pool, 1)["candidates"] == ["m0", "m1"]


# -- windows ----------------------------------------------------------------------------------


def fill(pool: Driven, name: str, rows: int, *, wanted: int = 8, labels: int = 6) -> dict[str, Any]:
    return pool.tell(
        StoreSegment(segment=name, digest=digest(name), rows=rows, lost=0, window_rows=wanted, labels=labels)
    )


def throw(pool: Driven, stop: int, *asked: int, said: tuple[int, ...] = (0, 1)) -> None:
    """Finish the picking round that is due."""
    (work,) = pool.due(PickRound)
    rows = tuple(AskedRow(row=row, request=f"s:{row}", probability=0.5, predictions=said) for row in asked)
    pool.report(
        work,
        FinishRound(
            window=work.body.window, start=work.body.start, stop=stop, asked=rows, classes=("no", "yes")
        ),
    )


def label(pool: Driven, number: int, **labels: int | None) -> None:
    rows = tuple(
        LabelledRow(row=int(row.removeprefix("r")), label=code, cost_cents=0.0 if code is None else 10.0)
        for row, code in labels.items()
    )
    pool.tell(ObserveLabels(window=number, labels=rows))


def test_rows_come_only_where_a_model_answers(pool: Driven) -> None:
    pool.refused(
        Conflict, StoreSegment(segment="s", digest=digest("s"), rows=4, lost=0, window_rows=8, labels=6)
    )
    serve(pool, 0.5)
    assert fill(pool, "s", 4) == {"window": 1, "rows": 4}
    pool.refused(
        Conflict, StoreSegment(segment="s", digest=digest("s"), rows=4, lost=0, window_rows=8, labels=6)
    )
    assert pool.ask(FindSegments(segments=("s",)))["digests"] == {"s": digest("s")}
    with pytest.raises(NotFound):
        pool.ask(FindSegments(segments=("s", "t")))


def test_a_full_window_freezes_its_candidates_and_picks(pool: Driven) -> None:
    serve(pool, 0.5, 0.6)
    fill(pool, "s", 4)
    assert not pool.due(PickRound)
    fill(pool, "t", 5)
    (closed,) = pool.told(WindowClosed)
    assert (closed.rows, closed.candidates, closed.labels) == (9, ("m0", "m1"), 6)
    (work,) = pool.due(PickRound)
    assert [segment for segment, _, _ in work.body.segments] == ["s", "t"]


def test_labels_move_the_posterior_and_the_best_is_deployed(pool: Driven) -> None:
    serve(pool, 0.5, 0.6)
    fill(pool, "s", 8)
    throw(pool, 4, 1, 3)
    assert not pool.due(PickRound)  # it waits for its labels
    label(pool, 1, r1=0)
    assert not pool.due(PickRound)
    label(pool, 1, r3=0)
    throw(pool, 8, 5)
    label(pool, 1, r5=0)
    (decided,) = pool.told(WindowDecided)
    assert (decided.best, decided.labels, decided.rows) == ("m0", 3, 8)
    assert decided.posterior[0] > decided.posterior[1]
    assert deployed(pool) == "m0"
    lines = [event.ledger for event in pool.told(LabelsObserved)]
    assert sum(line.cost_cents for line in lines) == 30
    pool.report(pool.due(CollectWindow)[0], ReleaseWindow(window=1, digest="rows", rows=3))
    assert pool.told(WindowReleased)[0].command.rows == 3
    assert window(pool, 1)["state"] == "RELEASED"


def test_a_skipped_label_moves_nothing_and_holds_up_nothing(pool: Driven) -> None:
    serve(pool, 0.5, 0.6)
    fill(pool, "s", 8)
    throw(pool, 8, 1, 2)
    label(pool, 1, r1=None, r2=0)
    (decided,) = pool.told(WindowDecided)
    assert decided.labels == 1
    assert pool.due(CollectWindow)[0].body.labelled == ((2, 0),)


@pytest.mark.parametrize("skipped", [True, False])
def test_without_a_label_the_incumbent_stays(pool: Driven, skipped: bool) -> None:
    serve(pool, 0.5, 0.6)
    fill(pool, "s", 8)
    if skipped:
        throw(pool, 8, 1)
        label(pool, 1, r1=None)
    else:
        throw(pool, 8)
    (decided,) = pool.told(WindowDecided)
    assert decided.labels == 0
    assert deployed(pool) == "m1"


def test_a_tie_is_no_reason_to_replace_the_deployed_model(pool: Driven) -> None:
    serve(pool, 0.5, 0.6)
    fill(pool, "s", 8)
    throw(pool, 8, 1, said=(0, 0))
    label(pool, 1, r1=0)
    assert pool.told(WindowDecided)[0].best == "m1"


def test_a_round_without_questions_goes_on_to_the_next(pool: Driven) -> None:
    serve(pool, 0.5, 0.6)
    fill(pool, "s", 8)
    throw(pool, 5)
    assert pool.due(PickRound)[0].body.start == 5
    assert window(pool, 1)["seen"] == 5


def test_each_asked_row_is_labelled_once(pool: Driven) -> None:
    serve(pool, 0.5, 0.6)
    fill(pool, "s", 8)
    throw(pool, 4, 1, 3)
    label(pool, 1, r1=0)
    for row in (1, 2):
        pool.refused(
            Conflict, ObserveLabels(window=1, labels=(LabelledRow(row=row, label=1, cost_cents=10.0),))
        )


def test_only_windows_choose_once_one_has_chosen(pool: Driven) -> None:
    serve(pool, 0.5, 0.6)
    fill(pool, "s", 8)
    throw(pool, 8)
    passes(pool, "late", 0.9)
    assert deployed(pool) == "m1"
    fill(pool, "t", 8)
    assert pool.told(WindowClosed)[-1].candidates == ("m0", "m1", "late")


def test_a_window_that_fills_while_one_picks_follows_it(pool: Driven) -> None:
    serve(pool, 0.5, 0.6)
    fill(pool, "s", 8)
    throw(pool, 8, 1)
    fill(pool, "t", 6)
    fill(pool, "u", 6)
    assert fill(pool, "v", 1) == {"window": 2, "rows": 13}
    assert window(pool, 2)["state"] == "FILLING"
    label(pool, 1, r1=0)
    assert [window(pool, n)["state"] for n in (1, 2)] == ["DECIDED", "PICKING"]
    assert window(pool, 2)["rows"] == 13
    assert fill(pool, "w", 1) == {"window": 3, "rows": 1}


def test_a_window_of_many_small_segments_is_full_before_a_message_could_not_name_them(pool: Driven) -> None:
    serve(pool, *(0.5 + 0.06 * i for i in range(8)))
    for number in range(299):
        fill(pool, f"{number:032x}", 1, wanted=5000)
    assert not pool.due(PickRound)
    fill(pool, "last", 1, wanted=5000)
    (work,) = pool.due(PickRound)
    encode(work.body)  # it fits in one message
    throw(pool, 300, 7, said=(0, 1) * 4)
    label(pool, 1, r7=0)
    encode(pool.due(CollectWindow)[0].body)


def wait(pool: Driven) -> None:
    """Have a window wait for one label."""
    serve(pool, 0.5, 0.6)
    fill(pool, "s", 8)
    throw(pool, 8, 1)


def held(pool: Driven) -> list[str]:
    return [segment for segment, _, _ in pool.state.projects["p"].windows[1].segments]


def test_a_full_window_that_waits_for_the_one_before_keeps_a_sample_and_tells_what_passed(
    pool: Driven,
) -> None:
    wait(pool)
    sizes = {f"{number:032x}": 1 + number % 200 for number in range(500)}
    for number, (name, rows) in enumerate(sizes.items()):
        fill(pool, name, rows, wanted=8)
        if number < 300:
            assert window(pool, 2)["passed"] == 0
    found = window(pool, 2)
    kept = held(pool)
    assert (len(kept), kept) == (300, sorted(kept))  # in the order in which they came
    assert found["rows"] == sum(sizes[name] for name in kept)
    assert found["passed"] == sum(sizes.values()) - found["rows"] == pool.ask(ShowPool())["passed"]
    assert found["note"] == (
        f"rows that came while the window before waited for labels: {sum(sizes.values())}, "
        f"of which {found['rows']} are kept"
    )
    assert window(pool, 1)["note"] == ""
    passed = [stored.let_pass for stored in pool.told(SegmentStored) if stored.let_pass is not None]
    assert sorted(passed) == sorted(sizes.keys() - set(kept))
    took_a_place = [s for s in pool.told(SegmentStored) if s.let_pass not in (None, s.command.segment)]
    assert took_a_place
    label(pool, 1, r1=None)
    (work,) = pool.due(PickRound)
    assert [segment for segment, _, _ in work.body.segments] == kept
    assert pool.told(WindowClosed)[-1].rows == found["rows"]
    encode(work.body)  # it fits in one message
    assert fill(pool, "more", 1) == {"window": 3, "rows": 1}
    assert window(pool, 3)["passed"] == 0


def test_rows_of_a_segment_that_was_let_pass_are_told_from_those_that_never_were(pool: Driven) -> None:
    wait(pool)
    for number in range(310):
        fill(pool, f"{number:032x}", 2)
    passed = [stored.let_pass for stored in pool.told(SegmentStored) if stored.let_pass is not None]
    assert len(passed) == 10
    for segment in passed:
        with pytest.raises(NotFound, match="let pass"):
            pool.ask(FindSegments(segments=(segment,)))
        again = StoreSegment(segment=segment, digest=digest(segment), rows=2, lost=0, window_rows=8, labels=6)
        pool.refused(Conflict, again)
    with pytest.raises(NotFound, match="no realtime segment"):
        pool.ask(FindSegments(segments=("unknown",)))
    kept = tuple(held(pool))
    assert pool.ask(FindSegments(segments=kept))["digests"] == {name: digest(name) for name in kept}


def test_every_row_that_comes_is_kept_with_the_same_probability_whatever_its_segments_size() -> None:
    """A segment of 1 row is kept as often as one of 256, a first one as often as a last one."""
    came, rounds = 600, 150
    sizes = np.where(np.arange(came) % 2, 256, 1)
    segments = [
        StoreSegment(segment=str(i), digest="d", rows=int(rows), lost=0, window_rows=8, labels=6)
        for i, rows in enumerate(sizes)
    ]
    kept = np.zeros(came)
    seeds = np.random.default_rng(7)
    for _ in range(rounds):
        filling = Window(2)
        for segment in segments:
            passing = filling.to_let_pass(segment.segment, int(seeds.integers(2**63)))
            filling.store(SegmentStored(command=segment, window=2, let_pass=passing))
        kept[[int(name) for name, _, _ in filling.segments]] += 1
    share = MOST_SEGMENTS / came
    deviation = (kept - rounds * share) / np.sqrt(rounds * share * (1 - share))
    assert np.abs(deviation).max() < 4.5  # of 600 of about a normal distribution
    assert 0.85 < deviation.std() < 1.15
    for part in (sizes == 1, sizes == 256, np.arange(came) < 300, np.arange(came) >= 500):
        # Within one round segments exclude one another: the mean's deviation is smaller than this.
        assert abs(deviation[part].mean()) < 4 / np.sqrt(part.sum())


def test_what_is_deployed_is_made_anew_only_when_a_model_is_deployed(pool: Driven) -> None:
    serve(pool, 0.5)
    first = pool.ask(ShowDeployments())
    fill(pool, "s", 4)
    assert pool.ask(ShowDeployments()) is first
    passes(pool, "late", 0.9)
    assert pool.ask(ShowDeployments())["p"]["model"] == "late"
    assert first["p"]["model"] == "m0"  # whoever holds an answer keeps it as it was


def test_a_window_whose_rows_cannot_be_used_is_decided_by_what_is_known(pool: Driven) -> None:
    serve(pool, 0.5, 0.6)
    fill(pool, "s", 8)
    fill(pool, "t", 8)
    pool.fail(pool.due(PickRound)[0])
    assert window(pool, 1)["state"] == "DECIDED"
    assert deployed(pool) == "m1"
    assert window(pool, 2)["state"] == "PICKING"  # it need not wait for ever
    pool.fail(pool.due(CollectWindow)[0])
    assert window(pool, 1)["state"] == "RELEASED"
    assert pool.told(WindowReleased)[0].command.rows == 0


def test_a_round_that_was_finished_is_not_finished_again(pool: Driven) -> None:
    serve(pool, 0.5, 0.6)
    fill(pool, "s", 8)
    throw(pool, 4)
    pool.refused(Conflict, FinishRound(window=1, start=0, stop=4, asked=(), classes=("no", "yes")))


def test_the_candidates_of_a_window_are_bounded_and_hold_the_deployed_and_the_best(pool: Driven) -> None:
    names = serve(pool, *(0.1 + 0.06 * i for i in range(80)))
    fill(pool, "s", 8)
    throw(pool, 8, 1, said=(0, *[1] * 63))
    label(pool, 1, r1=0)
    best = pool.told(WindowDecided)[0].best
    assert best == deployed(pool) == names[16]
    serve_more = [f"n{i}" for i in range(70)]
    for i, name in enumerate(serve_more):
        passes(pool, name, 5.0 + 0.06 * i)
    fill(pool, "t", 8)
    candidates = pool.told(WindowClosed)[-1].candidates
    assert len(candidates) == 64
    assert candidates == (names[16], *serve_more[-63:])


def test_what_is_no_command_or_query_is_a_fault_of_the_caller(pool: Driven) -> None:
    with pytest.raises(TypeError, match="no command"):
        pool.tell(ShowPool())
    with pytest.raises(TypeError, match="no query"):
        pool.ask(TakeIntoGate(models=("a",)))
