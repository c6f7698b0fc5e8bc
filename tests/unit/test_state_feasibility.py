"""FeasibilityEstimator's state: beliefs, how far a study is, and what becomes of one that is cancelled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from harness import TASK, Driven, House, seal, version

from easeml_ray.component.base import Progress
from easeml_ray.component.executor import LocalExecutor
from easeml_ray.errors import Conflict, InvalidArgument, NotFound, WorkFailed
from easeml_ray.feasibility.messages import (
    CancelStudy,
    Report,
    ShowReport,
    Studied,
    Study,
    StudyCancelled,
    StudyStarted,
    StudyVersion,
)
from easeml_ray.feasibility.state import FeasibilityState
from easeml_ray.messages import Action, Principal, Role
from easeml_ray.process.messages import ControlProject, CreateProject, OverrideTarget, Rejected
from easeml_ray.runtime import local
from easeml_ray.runtime.local import LocalBench


@pytest.fixture
def estimator() -> Iterator[Driven]:
    driven = Driven(FeasibilityState)
    yield driven
    driven.check_replay()


def studied(number: int = 1, *, decision: str = "FEASIBLE", target: float = 0.9) -> Report:
    return Report(
        number=number,
        target_accuracy=target,
        decision=decision,
        belief=0.5,
        ber_lower=0.1,
        ber_upper=0.2,
        ber_interval=(0.1, 0.2),
        best_embedding="raw",
        advice=(),
        method="test",
        report="report",
        ber_estimate=0.15,
        model_error=0.2,
    )


def begin(estimator: Driven, number: int = 1, *, project: str = "p", target: float = 0.9) -> Action:
    """Begin a study; return the work that is due."""
    estimator.tell(Study(version=version(number, project=project), target_accuracy=target), project=project)
    return estimator.due(StudyVersion)[-1]


# -- beliefs ----------------------------------------------------------------------------------


def test_a_study_is_due_until_its_result_comes(estimator: Driven) -> None:
    work = begin(estimator)
    assert (work.to, work.body.command.version.number, work.body.command.target_accuracy) == (None, 1, 0.9)
    estimator.report(work, studied())
    assert not estimator.state.due()
    assert [b["decision"] for b in estimator.ask(ShowReport())["beliefs"]] == ["FEASIBLE"]


def test_beliefs_are_shown_newest_last_or_by_version(estimator: Driven) -> None:
    for number in (1, 2):
        estimator.report(begin(estimator, number), studied(number))
    estimator.report(begin(estimator, 1, target=0.8), studied(1, target=0.8))
    shown = [(b["number"], b["target_accuracy"]) for b in estimator.ask(ShowReport())["beliefs"]]
    assert shown == [(1, 0.9), (2, 0.9), (1, 0.8)]
    assert [b["number"] for b in estimator.ask(ShowReport(number=2))["beliefs"]] == [2]
    with pytest.raises(NotFound):
        estimator.ask(ShowReport(number=3))


def test_a_study_that_failed_leaves_the_old_beliefs(estimator: Driven) -> None:
    estimator.report(begin(estimator), studied())
    estimator.fail(begin(estimator, 2))
    assert not estimator.state.due()
    assert len(estimator.ask(ShowReport())["beliefs"]) == 1


def test_what_is_no_command_or_query_is_a_fault_of_the_caller(estimator: Driven) -> None:
    with pytest.raises(TypeError, match="no command"):
        estimator.tell(ShowReport())
    with pytest.raises(TypeError, match="no query"):
        estimator.ask(CancelStudy())


# -- progress ---------------------------------------------------------------------------------


def test_a_study_under_way_shows_how_far_it_is_also_before_any_belief(estimator: Driven) -> None:
    with pytest.raises(NotFound):
        estimator.ask(ShowReport())
    work = begin(estimator)
    waiting = {"done": 0, "total": 0, "stage": "about to begin"}
    assert estimator.ask(ShowReport()) == {"project": "p", "beliefs": [], "progress": waiting}
    assert estimator.state.note(work.id, Progress(3, 8, "curves"))
    assert estimator.ask(ShowReport())["progress"] == {"done": 3, "total": 8, "stage": "curves"}
    assert estimator.ask(ShowReport(number=1))["beliefs"] == []
    with pytest.raises(NotFound):
        estimator.ask(ShowReport(number=2))
    with pytest.raises(NotFound):
        estimator.ask(ShowReport(), project="q")
    estimator.report(work, studied())
    assert "progress" not in estimator.ask(ShowReport())


def test_progress_is_no_event_and_ends_with_the_work(estimator: Driven) -> None:
    work, other = begin(estimator), begin(estimator, project="q")
    length = len(estimator.store.read())
    for identity in (work.id, other.id):
        assert estimator.state.note(identity, Progress(1, 2, "curves"))
    assert len(estimator.store.read()) == length
    estimator.report(work, studied())
    assert list(estimator.state.progress) == [other.id]
    assert not estimator.state.note(work.id, Progress(2, 2, "curves"))  # it comes too late
    assert list(estimator.state.progress) == [other.id]
    estimator.fail(other)
    assert not estimator.state.progress


# -- cancel -----------------------------------------------------------------------------------


def test_a_cancelled_study_is_not_due_and_no_belief_comes_of_it(estimator: Driven) -> None:
    work = begin(estimator)
    estimator.state.note(work.id, Progress(1, 2, "curves"))
    assert estimator.tell(CancelStudy(), actor="ann") == {"cancelled": [1]}
    assert estimator.told(StudyCancelled) == [
        StudyCancelled(number=1, target_accuracy=0.9, by="ann", resume=False)
    ]
    assert not estimator.state.due()
    assert not estimator.state.progress
    with pytest.raises(NotFound):
        estimator.ask(ShowReport())


def test_the_late_result_of_a_cancelled_study_is_refused_without_a_trace(estimator: Driven) -> None:
    work = begin(estimator)
    estimator.tell(CancelStudy())
    estimator.refused(Conflict, studied(), command_id=work.id)
    # … also when the same version is studied again meanwhile.
    again = begin(estimator)
    assert again.id != work.id
    estimator.refused(Conflict, studied(), command_id=work.id)
    estimator.report(again, studied(decision="UNDECIDED"))
    assert [b["decision"] for b in estimator.ask(ShowReport())["beliefs"]] == ["UNDECIDED"]


def test_a_cancel_without_a_study_is_refused(estimator: Driven) -> None:
    estimator.refused(Conflict, CancelStudy())
    estimator.report(begin(estimator), studied())
    estimator.refused(Conflict, CancelStudy())
    begin(estimator, project="q")
    estimator.refused(Conflict, CancelStudy())
    assert len(estimator.due(StudyVersion)) == 1


def test_a_cancel_that_comes_again_answers_what_it_answered(estimator: Driven) -> None:
    begin(estimator)
    first = estimator.tell(CancelStudy(), command_id="once")
    assert estimator.tell(CancelStudy(), command_id="once") == first
    assert len(estimator.told(StudyCancelled)) == 1


def test_all_studies_of_the_project_are_cancelled_and_no_other(estimator: Driven) -> None:
    begin(estimator, 1)
    begin(estimator, 2, target=0.8)
    begin(estimator, 1, project="q")
    assert estimator.tell(CancelStudy()) == {"cancelled": [1, 2]}
    assert [action.project for action in estimator.due(StudyVersion)] == ["q"]


# -- the project whose study is cancelled -----------------------------------------------------


class Held(House):
    """A house whose studies stay under way while ``hold`` is set."""

    hold = True

    def _due(self) -> Iterator[tuple[str, Action]]:
        for name, action in super()._due():
            if not (self.hold and isinstance(action.body, StudyVersion)):
                yield name, action

    @property
    def under_way(self) -> int:
        return len(self.hosts["feasibility"].state.due())


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    made = Held()
    monkeypatch.setattr(local, "work_of", made.work_of)
    made.tell("process", CreateProject(name="p", task=TASK))
    made.tell("registry", seal())
    assert (made.show()["phase"], made.under_way) == ("FEASIBILITY", 1)
    yield made
    made.check_replay()


def test_the_project_of_a_cancelled_study_asks_how_to_go_on(house: Held) -> None:
    house.tell("feasibility", CancelStudy(), actor="bob")
    shown = house.show()
    assert (shown["phase"], shown["control"]) == ("STALLED", "RUNNING")
    assert shown["because"] == "bob cancelled the study of version 1"
    assert shown["problem"] is None
    assert house.under_way == 0
    (request,) = house.requests()
    assert (request["kind"], request["payload"]["why"]) == ("OVERRIDE_TARGET", shown["because"])


@pytest.mark.parametrize(
    ("answer", "studies", "phase"), [("train", 0, "READY"), ("0.8", 1, "READY"), ("improve", 0, "STALLED")]
)
def test_every_answer_leads_on_from_a_cancelled_study(
    house: Held, answer: str, studies: int, phase: str
) -> None:
    house.tell("feasibility", CancelStudy())
    house.hold = False
    house.answer(answer, "OVERRIDE_TARGET")
    assert len(house.told(Studied)) == studies
    assert house.show()["phase"] == phase  # nothing is worth its cost here when improving


def test_the_same_study_can_be_asked_for_again(house: Held) -> None:
    house.tell("feasibility", CancelStudy())
    house.tell("process", OverrideTarget(target_accuracy=None, train=False, reason="after all"))
    assert (house.show()["phase"], house.under_way) == ("FEASIBILITY", 1)
    house.hold = False
    house.go_on()
    assert house.show()["phase"] == "READY"
    assert len(house.told(StudyStarted)) == 2


def test_a_pause_ends_the_study_and_a_resume_begins_it_anew(house: Held) -> None:
    house.tell("process", ControlProject(event="pause"))
    assert house.under_way == 0
    assert (house.show()["phase"], house.show()["control"]) == ("FEASIBILITY", "PAUSED")
    house.go_on()
    assert house.under_way == 0
    house.tell("process", ControlProject(event="resume"))
    assert house.under_way == 1
    house.hold = False
    house.go_on()
    assert house.show()["phase"] == "READY"
    assert house.requests() == []


def test_a_pause_that_is_over_before_the_study_ended_begins_it_anew(house: Held) -> None:
    """Both changes stand in the log before the estimator hears of the first."""
    who = Principal("lab", Role.TENANT, "ann")
    for change in ("pause", "resume"):
        house._handle("process", "p", who, ControlProject(event=change))
    house.go_on()
    assert (house.show()["phase"], house.under_way) == ("FEASIBILITY", 1)
    assert len(house.told(StudyStarted)) == 2


def test_cancelling_the_project_ends_its_study_for_good(house: Held) -> None:
    house.tell("process", ControlProject(event="cancel"))
    assert house.under_way == 0
    house.hold = False
    house.go_on()
    assert house.told(Studied) == []
    assert house.show()["phase"] == "FEASIBILITY"
    assert house.requests() == []


def test_a_pause_without_a_study_changes_nothing_but_the_control(house: Held) -> None:
    """The study has ended, and the phase has not moved yet: there is nothing to end any more."""
    (work,) = house.hosts["feasibility"].state.due()
    house._issue("feasibility", work)
    who = Principal("lab", Role.TENANT, "ann")
    house._handle("process", "p", who, ControlProject(event="pause"))
    house.go_on()
    (rejected,) = (event.command for event in house.told(Rejected))
    assert rejected.kind == "feasibility.CancelStudy"
    assert house.show()["problem"] is None
    house.tell("process", ControlProject(event="resume"))
    assert house.show()["phase"] == "READY"
    assert len(house.told(Studied)) == 1


def test_a_cancel_while_the_project_is_paused_finds_nothing_to_end(house: Held) -> None:
    house.tell("process", ControlProject(event="pause"))
    with pytest.raises(Conflict):
        house.tell("feasibility", CancelStudy())


# -- the bench of one process -----------------------------------------------------------------


def double(x: Any) -> Any:
    return 2 * x


def refuse(how: type[Exception]) -> None:
    if how is InvalidArgument:
        raise InvalidArgument("wrong", hint="Mend it.", argument="x")
    raise how("broken")


def write(array: np.ndarray) -> None:
    array[0] = 1


def test_a_function_has_run_when_its_future_comes_back() -> None:
    executor = LocalExecutor()
    order: list[int] = []
    futures = [executor.submit(order.append, i) for i in range(3)]
    assert order == [0, 1, 2]
    assert all(future.done() for future in futures)
    assert executor.submit(double, 4).result() == 8


@pytest.mark.parametrize(("raised", "kind"), [(InvalidArgument, InvalidArgument), (ValueError, WorkFailed)])
def test_what_a_function_raises_its_future_raises_as_an_error_of_ours(
    raised: type[Exception], kind: type[Exception]
) -> None:
    future = LocalExecutor().submit(refuse, raised)
    with pytest.raises(kind) as caught:
        future.result()
    assert type(caught.value) is kind
    assert caught.value.hint  # type: ignore[attr-defined]


def test_what_is_shared_arrives_as_its_value_and_cannot_be_written_to() -> None:
    array = np.zeros(3)
    executor = LocalExecutor()
    handle = executor.share(array)
    assert executor.submit(double, handle).result().tolist() == [0, 0, 0]
    with pytest.raises(WorkFailed, match="read-only"):
        executor.submit(write, handle).result()
    array[0] = 1  # the owner's own array stays as it was
    assert executor.share({"a": 1}) == {"a": 1}


def test_work_in_one_process_says_how_far_it_is(house: Held) -> None:
    (work,) = house.hosts["feasibility"].state.due()
    bench = LocalBench(house, "feasibility", work.id)
    with bench.executor() as executor:
        for i in range(3):
            executor.submit(double, i).result()
            bench.progress(i + 1, 3, "doubling")
    shown = house.hosts["feasibility"].state.read("p", ShowReport())
    assert shown["progress"] == {"done": 3, "total": 3, "stage": "doubling"}
    house.hold = False
    house.go_on()
