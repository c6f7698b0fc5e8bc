"""TenantScheduler's state: every tenant's searches on one pool of warm workers.

First policy: round robin over tenants, then over a tenant's projects, arms in the order of
their cost. Assignment happens in ``fold``, which is a pure function of the log, so a restart
assigns the same trials to the same slots.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from easeml_ray.arms import searchable_arms
from easeml_ray.automl.messages import (
    CompareVersions,
    ComparisonQueued,
    OpenSearch,
    ReportComparison,
    RunTrial,
    SearchOpened,
    SetSlots,
    ShowSearches,
    SlotsSet,
    TrialDone,
    TrialFailed,
    TrialFinished,
    VersionsCompared,
)
from easeml_ray.automl.search import SEARCH, SearchEvent, SearchState
from easeml_ray.component.base import ComponentState
from easeml_ray.component.messages import WorkRejected
from easeml_ray.errors import Conflict, NotFound
from easeml_ray.messages import Command, Decision, Event, LedgerLine

__all__ = ["SchedulerState"]


@dataclass
class _Search:
    """One project × version. open : trials that wait or run; finished, failed : arm -> outcome, why."""

    command: OpenSearch
    open: int
    state: SearchState = SEARCH.initial
    finished: dict[str, TrialDone] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass
class _Project:
    """One project. waiting : what wants a slot, in order; compared : what steps brought a model."""

    tenant: str
    searches: dict[int, _Search] = field(default_factory=dict)
    waiting: deque[RunTrial | CompareVersions] = field(default_factory=deque)
    compared: list[ReportComparison] = field(default_factory=list)


class SchedulerState(ComponentState):
    """Searches of all projects.

    running : (project, work) by action id, as many as there are slots at most; eager : projects with
    something that waits, by tenant; assigned : how often a slot was given so far; served : at which of
    these a tenant, and a (tenant, project), was last served.
    """

    component: ClassVar[str] = "automl"

    def __init__(self) -> None:
        super().__init__()
        self.slots = 0
        self.projects: dict[str, _Project] = {}
        self.running: dict[str, tuple[str, RunTrial | CompareVersions]] = {}
        self.eager: dict[str, dict[str, None]] = {}
        self.assigned = 0
        self.served: dict[str | tuple[str, str], int] = {}

    def decide(self, command: Command) -> Decision:
        """Judge a command; see :class:`ComponentState`."""
        match command.body:
            case SetSlots() as body:
                return Decision((SlotsSet(command=body),), {"slots": body.slots})
            case OpenSearch() as body:
                project = self.projects.get(command.project)
                if project and body.version.number in project.searches:
                    raise Conflict(
                        f"a search on version {body.version.number} of {command.project} is open already",
                        hint="Wait for it: easeml models shows its trials.",
                    )
                arms = body.arms or searchable_arms()
                return Decision((SearchOpened(command=body, arms=arms),))
            case TrialDone() as body:
                search = self.projects[command.project].searches[body.version]
                line = LedgerLine(
                    variable=f"quality of {body.arm} on version {body.version}",
                    entropy_before=0.0,
                    entropy_after=0.0,
                    cost_cents=body.seconds * search.command.gpu_second_cents,
                    evidence=f"model {body.model[:12]}",
                )
                return Decision((TrialFinished(command=body, ledger=line),), {"model": body.model})
            case CompareVersions() as body:
                return Decision((ComparisonQueued(command=body),))
            case ReportComparison() as body:
                return Decision((VersionsCompared(command=body),))
        raise TypeError(f"{type(command.body).__name__} is no command of the scheduler")

    def rejected(self, project: str, work: Any, rejection: WorkRejected) -> tuple[Any, ...]:
        """Count a trial as failed; a comparison that fails is only shown."""
        if not isinstance(work, RunTrial):
            return ()
        why = str(rejection.error.get("message"))
        return (TrialFailed(version=work.version.number, arm=work.arm, why=why),)

    def apply(self, event: Event) -> None:
        """Take in one event; see :class:`ComponentState`."""
        self.running.pop(event.command_id, None)
        project = self.projects.get(event.project)
        match event.body:
            case SlotsSet(command=body):
                self.slots = body.slots
            case SearchOpened(command=body, arms=arms):
                project = self.projects.setdefault(event.project, _Project(event.tenant))
                self._close(event, project)
                project.searches[body.version.number] = _Search(body, len(arms))
                for arm in arms:
                    self._wait(event.project, RunTrial(version=body.version, arm=arm, seed=body.seed))
            case ComparisonQueued(command=body):
                self.projects.setdefault(event.project, _Project(event.tenant))
                self._wait(event.project, body)
            case TrialFinished(command=done) if project:
                project.searches[done.version].finished[done.arm] = done
                self._trial_over(event, project.searches[done.version])
            case TrialFailed(version=version, arm=arm, why=why) if project:
                project.searches[version].failed[arm] = why
                self._trial_over(event, project.searches[version])
            case VersionsCompared(command=report) if project:
                project.compared.append(report)
        self._assign(event)

    def _close(self, event: Event, project: _Project) -> None:
        """Stop the older searches of a project: their trials that run end, the others never begin."""
        for search in project.searches.values():
            if search.state is not SearchState.BLOCKED:
                search.state = SEARCH.next(search.state, SearchEvent.VERSION_CLOSED, instance=event.stream)
        project.waiting = deque(work for work in project.waiting if isinstance(work, CompareVersions))

    @staticmethod
    def _trial_over(event: Event, search: _Search) -> None:
        search.open -= 1
        if search.state is SearchState.OPEN and not search.open:
            search.state = SEARCH.next(search.state, SearchEvent.ARMS_DONE, instance=event.stream)

    def _wait(self, name: str, work: RunTrial | CompareVersions) -> None:
        project = self.projects[name]
        project.waiting.append(work)
        self.eager.setdefault(project.tenant, {})[name] = None

    def _assign(self, event: Event) -> None:
        """Give free slots to what waits: the longest unserved tenant, then its longest unserved project."""
        while self.eager and len(self.running) < self.slots:
            tenant = min(self.eager, key=lambda name: self.served.get(name, -1))
            names = self.eager[tenant]
            name = min(names, key=lambda project: self.served.get((tenant, project), -1))
            waiting = self.projects[name].waiting
            work = waiting.popleft()
            self.running[self.owe(event, work, project=name, tenant=tenant)] = name, work
            self.served[tenant] = self.served[tenant, name] = self.assigned = self.assigned + 1
            if not waiting:
                del names[name]
            if not names:
                del self.eager[tenant]

    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; see :class:`ComponentState`."""
        if not isinstance(query, ShowSearches):
            raise TypeError(f"{type(query).__name__} is no query of the scheduler")
        known = self.projects.get(project)
        if known is None:
            raise NotFound(
                f"no search for models of {project} was opened yet",
                hint="It opens by itself when the project is READY.",
                what="search",
                name=project,
            )
        running = [work for name, work in self.running.values() if name == project]
        return {
            "project": project,
            "slots": self.slots,
            "searches": [
                {
                    "version": number,
                    "state": search.state.value,
                    "waiting": _arms(known.waiting, number),
                    "running": sorted(_arms(running, number)),
                    "failed": search.failed,
                    "finished": [
                        {
                            "arm": t.arm,
                            "model": t.model,
                            "development_accuracy": t.development_accuracy,
                            "development_lower": t.development_lower,
                            "seconds": t.seconds,
                        }
                        for t in search.finished.values()
                    ],
                }
                for number, search in sorted(known.searches.items())
            ],
            "checks": [_shown(report) for report in known.compared],
        }

    def validate(self) -> None:
        """Check the invariants."""
        super().validate()
        assert self.running.keys() <= self.actions.keys()
        for name, project in self.projects.items():
            assert bool(project.waiting) == (name in self.eager.get(project.tenant, ()))
            for number, search in project.searches.items():
                running = [work for of, work in self.running.values() if of == name]
                if search.state is not SearchState.BLOCKED:
                    assert search.open == len(_arms(project.waiting, number)) + len(_arms(running, number))


def _shown(report: ReportComparison) -> dict[str, Any]:
    asked = report.command
    return {
        "option": asked.option,
        "kind": asked.kind,
        "arm": asked.arm,
        "number": asked.after.number,
        "rows": report.rows,
        "before": report.before,
        "after": report.after,
        "gain": asdict(report.gain),
    }


def _arms(works: Any, number: int) -> list[str]:
    """Return the arms of those works that are trials of a version."""
    return [work.arm for work in works if isinstance(work, RunTrial) and work.version.number == number]
