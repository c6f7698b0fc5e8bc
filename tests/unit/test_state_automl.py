"""TenantScheduler: whose trial runs next on too few slots, and searches that end whatever fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from harness import Driven, digest, version

from easeml_ray.arms import searchable_arms
from easeml_ray.automl.messages import (
    CompareVersions,
    OpenSearch,
    ReportComparison,
    RunTrial,
    SearchOpened,
    SetSlots,
    ShowSearches,
    TrialDone,
    TrialFailed,
    TrialFinished,
)
from easeml_ray.automl.state import SchedulerState
from easeml_ray.errors import Conflict, NotFound
from easeml_ray.messages import Action, Gain

ARMS = ("dummy", "logistic", "forest")


@pytest.fixture
def scheduler() -> Iterator[Driven]:
    driven = Driven(SchedulerState)
    yield driven
    driven.check_replay()


def slots(scheduler: Driven, count: int) -> None:
    scheduler.tell(SetSlots(slots=count), project="_system", tenant="_system")


def search(
    scheduler: Driven, project: str, tenant: str, arms: tuple[str, ...] = ARMS, number: int = 1
) -> None:
    body = OpenSearch(version=version(number, project=project), arms=arms, seed=7, gpu_second_cents=0.05)
    scheduler.tell(body, project=project, tenant=tenant)


def finish(scheduler: Driven, action: Action) -> str:
    """End a trial well; return its project."""
    body: RunTrial = action.body
    model = digest((action.project, body.version.number, body.arm))
    result = TrialDone(
        version=body.version.number,
        arm=body.arm,
        model=model,
        floor=body.arm == "dummy",
        development_accuracy=0.8,
        development_lower=0.7,
        seconds=10.0,
    )
    scheduler.report(action, result)
    return action.project


def shown(scheduler: Driven, project: str = "p") -> dict:
    return scheduler.ask(ShowSearches(), project)["searches"][-1]


def order(scheduler: Driven, limit: int = 1000) -> list[str]:
    """Finish trials, always the oldest, and return the projects in the order of finishing."""
    done = []
    while scheduler.due(RunTrial) and len(done) < limit:
        done.append(finish(scheduler, scheduler.due(RunTrial)[0]))
    return done


# -- fairness ---------------------------------------------------------------------------------


def test_never_more_trials_run_than_there_are_slots(scheduler: Driven) -> None:
    search(scheduler, "p", "lab")
    assert scheduler.due(RunTrial) == []
    slots(scheduler, 2)
    assert [a.body.arm for a in scheduler.due(RunTrial)] == ["dummy", "logistic"]
    slots(scheduler, 1)  # fewer: what runs goes on, nothing new begins
    finish(scheduler, scheduler.due(RunTrial)[0])
    assert [a.body.arm for a in scheduler.due(RunTrial)] == ["logistic"]
    finish(scheduler, scheduler.due(RunTrial)[0])
    assert [a.body.arm for a in scheduler.due(RunTrial)] == ["forest"]


def test_tenants_take_turns_on_one_slot(scheduler: Driven) -> None:
    for tenant in ("a", "b", "c"):
        search(scheduler, f"of-{tenant}", tenant)
    slots(scheduler, 1)
    assert order(scheduler) == ["of-a", "of-b", "of-c"] * 3


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_tenant_with_many_projects_does_not_starve_another(count: int) -> None:
    scheduler = Driven(SchedulerState)
    for number in range(10):
        search(scheduler, f"many-{number}", "large")
    search(scheduler, "one", "small")
    slots(scheduler, count)
    done = order(scheduler)
    assert len(done) == 33
    # Every other trial is the small tenant's until its three are done.
    assert max(index for index, project in enumerate(done) if project == "one") <= 6 + count


def test_a_tenants_projects_take_turns_within_its_share(scheduler: Driven) -> None:
    for project in ("a1", "a2", "a3"):
        search(scheduler, project, "a")
    search(scheduler, "b1", "b")
    slots(scheduler, 1)
    assert order(scheduler, 6) == ["a1", "b1", "a2", "b1", "a3", "b1"]
    assert order(scheduler) == ["a1", "a2", "a3"] * 2


def test_many_tenants_on_few_slots_never_differ_by_more_than_one_trial(scheduler: Driven) -> None:
    for number in range(12):
        search(scheduler, f"p{number}", f"t{number}", tuple(f"arm-{i}" for i in range(4)))
    slots(scheduler, 3)
    served: Counter[str] = Counter()
    while scheduler.due(RunTrial):
        served[finish(scheduler, scheduler.due(RunTrial)[0])] += 1
        counts = [served[f"p{number}"] for number in range(12)]
        assert max(counts) - min(counts) <= 1
    assert set(served.values()) == {4}


def test_a_tenant_that_comes_late_is_served_next(scheduler: Driven) -> None:
    search(scheduler, "p", "lab", tuple("abcdef"))
    slots(scheduler, 1)
    order(scheduler, 2)
    search(scheduler, "q", "new")
    assert order(scheduler, 3) == ["p", "q", "p"]


# -- searches ---------------------------------------------------------------------------------


def test_a_search_is_idle_when_every_arm_has_run(scheduler: Driven) -> None:
    slots(scheduler, 2)
    search(scheduler, "p", "lab")
    assert shown(scheduler)["state"] == "OPEN"
    order(scheduler)
    assert shown(scheduler)["state"] == "IDLE"
    assert [t["arm"] for t in shown(scheduler)["finished"]] == list(ARMS)
    assert scheduler.told(TrialFinished)[0].ledger.cost_cents == pytest.approx(0.5)


def test_a_failed_arm_does_not_hang_its_search(scheduler: Driven) -> None:
    slots(scheduler, 1)
    search(scheduler, "p", "lab")
    for _ in ARMS:
        (trial,) = scheduler.due(RunTrial)
        scheduler.fail(trial)
    assert shown(scheduler)["state"] == "IDLE"
    assert shown(scheduler)["failed"] == dict.fromkeys(ARMS, "it broke")
    assert [(f.version, f.arm) for f in scheduler.told(TrialFailed)] == [(1, arm) for arm in ARMS]


def test_a_failed_arm_frees_its_slot_for_another_tenant(scheduler: Driven) -> None:
    slots(scheduler, 1)
    search(scheduler, "p", "lab")
    search(scheduler, "q", "other")
    scheduler.fail(scheduler.due(RunTrial)[0])
    assert [a.project for a in scheduler.due(RunTrial)] == ["q"]


def test_a_search_is_opened_once_for_a_version(scheduler: Driven) -> None:
    search(scheduler, "p", "lab")
    scheduler.refused(Conflict, OpenSearch(version=version(1), arms=ARMS, seed=7, gpu_second_cents=0.05))


def test_a_newer_version_closes_the_search_of_the_older_one(scheduler: Driven) -> None:
    slots(scheduler, 1)
    search(scheduler, "p", "lab")
    search(scheduler, "p", "lab", number=2)
    search(scheduler, "q", "lab")
    searches = scheduler.ask(ShowSearches())["searches"]
    assert (searches[0]["state"], searches[0]["waiting"]) == ("BLOCKED", [])
    # What runs already is finished, and what fails there is counted there.
    (old,) = [a for a in scheduler.due(RunTrial) if a.body.version.number == 1]
    scheduler.fail(old)
    assert scheduler.told(TrialFailed)[0].version == 1
    assert Counter(order(scheduler)) == {"p": 3, "q": 3}
    assert shown(scheduler)["state"] == "IDLE"
    assert shown(scheduler)["failed"] == {}


def test_a_restart_assigns_the_same_trials_to_the_same_slots(scheduler: Driven) -> None:
    slots(scheduler, 3)
    for number in range(4):
        search(scheduler, f"p{number}", f"t{number % 2}")
    order(scheduler, 5)
    before = [(a.id, a.project, a.body.arm) for a in scheduler.due(RunTrial)]
    again = Driven(SchedulerState)
    again.store = scheduler.store
    again.host = type(scheduler.host)(SchedulerState(), scheduler.store, actor="driven")
    again.host.start()
    assert [(a.id, a.project, a.body.arm) for a in again.due(RunTrial)] == before


def test_what_is_not_there_is_said(scheduler: Driven) -> None:
    with pytest.raises(NotFound):
        scheduler.ask(ShowSearches())
    with pytest.raises(TypeError, match="no command"):
        scheduler.tell(ShowSearches())
    with pytest.raises(TypeError, match="no query"):
        scheduler.ask(SetSlots(slots=1))


# -- comparisons ------------------------------------------------------------------------------


def compare(scheduler: Driven, project: str = "p", tenant: str = "lab") -> None:
    before, after = version(1, project=project), version(2, project=project)
    body = CompareVersions(
        option="clean:v1", kind="CLEAN_CELL", arm="forest", before=before, after=after, target_accuracy=0.9
    )
    scheduler.tell(body, project=project, tenant=tenant)


def compared(work: Action) -> ReportComparison:
    gain = Gain(0.02, -0.01, 0.05)
    return ReportComparison(command=work.body, rows=150, before=0.80, after=0.82, gain=gain)


def test_a_comparison_waits_for_a_slot_like_any_trial_and_is_shown(scheduler: Driven) -> None:
    slots(scheduler, 1)
    search(scheduler, "p", "lab", ("dummy",))
    compare(scheduler)
    assert scheduler.due(CompareVersions) == []
    finish(scheduler, scheduler.due(RunTrial)[0])
    (work,) = scheduler.due(CompareVersions)
    assert (work.body.arm, work.body.before.number, work.body.after.number) == ("forest", 1, 2)
    scheduler.report(work, compared(work))
    assert scheduler.state.running == {}
    (check,) = scheduler.ask(ShowSearches())["checks"]
    assert (check["arm"], check["rows"], check["before"], check["after"]) == ("forest", 150, 0.80, 0.82)
    assert check["gain"] == {"mean": 0.02, "lower": -0.01, "upper": 0.05}


def test_a_comparison_that_fails_frees_its_slot(scheduler: Driven) -> None:
    slots(scheduler, 1)
    compare(scheduler)
    search(scheduler, "p", "lab", ("dummy",))
    assert scheduler.due(RunTrial) == []
    scheduler.fail(scheduler.due(CompareVersions)[0])
    assert len(scheduler.due(RunTrial)) == 1
    assert scheduler.ask(ShowSearches())["checks"] == []


def test_a_newer_version_ends_no_comparison(scheduler: Driven) -> None:
    search(scheduler, "p", "lab", ("dummy",))
    compare(scheduler)
    search(scheduler, "p", "lab", ("dummy",), number=2)
    slots(scheduler, 5)
    assert [work.body.version.number for work in scheduler.due(RunTrial)] == [2]
    assert len(scheduler.due(CompareVersions)) == 1


def test_a_search_without_arms_takes_all_that_are_installed(scheduler: Driven) -> None:
    search(scheduler, "p", "lab", ())
    (opened,) = scheduler.told(SearchOpened)
    assert opened.arms == searchable_arms()
