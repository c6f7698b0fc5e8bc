"""TenantScheduler's state: every tenant's searches on one pool of warm workers.

First policy: round robin over tenants, then over a tenant's projects, arms in the order of
their cost. Assignment happens in ``fold``, which is a pure function of the log, so a restart
assigns the same trials to the same slots.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from easeml_ray.automl.messages import (
    OpenSearch,
    RunTrial,
    SearchOpened,
    SetSlots,
    ShowSearches,
    SlotsSet,
    TrialDone,
    TrialFailed,
    TrialFinished,
)
from easeml_ray.automl.search import SEARCH, SearchEvent, SearchState
from easeml_ray.component.base import ComponentState
from easeml_ray.component.messages import WorkRejected
from easeml_ray.errors import Conflict, NotFound
from easeml_ray.messages import Command, DataVersion, Decision, Event, LedgerLine

__all__ = ["SchedulerState"]


@dataclass
class _Search:
    """One project × version. waiting, running, failed : arms; finished : arm -> outcome."""

    tenant: str
    version: DataVersion
    seed: int
    gpu_second_cents: float
    state: SearchState = SEARCH.initial
    waiting: list[str] = field(default_factory=list)
    running: dict[str, str] = field(default_factory=dict)  # action id -> arm
    finished: dict[str, TrialFinished] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


class SchedulerState(ComponentState):
    """Searches of all projects; served : tenants in the order in which they were last served."""

    component: ClassVar[str] = "automl"

    def __init__(self) -> None:
        super().__init__()
        self.slots = 0
        self.searches: dict[tuple[str, int], _Search] = {}
        self.served: list[str] = []

    def decide(self, command: Command) -> Decision:
        """Judge a command; see :class:`ComponentState`."""
        match command.body:
            case SetSlots(slots=slots):
                return Decision((SlotsSet(slots=slots),), {"slots": slots})
            case OpenSearch(version=version, arms=arms, seed=seed, gpu_second_cents=cents):
                if (command.project, version.number) in self.searches:
                    raise Conflict(
                        f"a search on version {version.number} of {command.project} is open already",
                        hint="Wait for it: easeml models shows its trials.",
                    )
                return Decision(
                    (SearchOpened(version=version, arms=arms, seed=seed, gpu_second_cents=cents),)
                )
            case TrialDone() as body:
                return self._trial_done(command, body)
        raise TypeError(f"{type(command.body).__name__} is no command of the scheduler")

    def _trial_done(self, command: Command, body: TrialDone) -> Decision:
        search = self.searches[command.project, body.version]
        finished = TrialFinished(
            version=body.version,
            arm=body.arm,
            model=body.model,
            floor=body.floor,
            development_accuracy=body.development_accuracy,
            development_lower=body.development_lower,
            seconds=body.seconds,
            ledger=LedgerLine(
                variable=f"quality of {body.arm} on version {body.version}",
                entropy_before=0.0,
                entropy_after=0.0,
                cost_cents=body.seconds * search.gpu_second_cents,
                evidence=f"model {body.model[:12]}",
            ),
        )
        return Decision((finished,), {"model": body.model})

    def rejected(self, project: str, work: Any, rejection: WorkRejected) -> tuple[Any, ...]:
        """Count the trial as failed."""
        assert isinstance(work, RunTrial)
        return (
            TrialFailed(version=work.version.number, arm=work.arm, why=str(rejection.error.get("message"))),
        )

    def apply(self, event: Event) -> None:
        """Take in one event; see :class:`ComponentState`."""
        match event.body:
            case SlotsSet(slots=slots):
                self.slots = slots
            case SearchOpened(version=version, arms=arms, seed=seed, gpu_second_cents=cents):
                for (project, _), older in self.searches.items():
                    if project == event.project and older.state is not SearchState.BLOCKED:
                        older.state = SEARCH.next(
                            older.state, SearchEvent.VERSION_CLOSED, instance=event.stream
                        )
                        older.waiting.clear()
                self.searches[event.project, version.number] = _Search(
                    event.tenant, version, seed, cents, waiting=list(arms)
                )
            case TrialFinished() as body:
                search = self.searches[event.project, body.version]
                search.running.pop(event.command_id, None)
                search.finished[body.arm] = body
                self._settle_search(event, search)
            case TrialFailed(version=version, arm=arm, why=why):
                search = self.searches[event.project, version]
                search.running.pop(event.command_id, None)
                search.failed[arm] = why
                self._settle_search(event, search)
        self._assign(event)

    def _settle_search(self, event: Event, search: _Search) -> None:
        if search.state is SearchState.OPEN and not search.waiting and not search.running:
            search.state = SEARCH.next(search.state, SearchEvent.ARMS_DONE, instance=event.stream)

    def _assign(self, event: Event) -> None:
        """Give free slots to waiting trials, the longest unserved tenant first."""
        while self._running() < self.slots:
            candidates = [(key, s) for key, s in self.searches.items() if s.waiting]
            if not candidates:
                return
            (project, _), search = min(candidates, key=lambda item: self._rank(item[0][0], item[1]))
            arm = search.waiting.pop(0)
            trial = RunTrial(version=search.version, arm=arm, seed=search.seed)
            search.running[self.owe(event, trial, project=project, tenant=search.tenant)] = arm
            for name in (search.tenant, f"{search.tenant}/{project}"):
                if name in self.served:
                    self.served.remove(name)
                self.served.append(name)

    def _rank(self, project: str, search: _Search) -> tuple[int, int]:
        def last(name: str) -> int:
            return self.served.index(name) if name in self.served else -1

        return last(search.tenant), last(f"{search.tenant}/{project}")

    def _running(self) -> int:
        return sum(len(search.running) for search in self.searches.values())

    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; see :class:`ComponentState`."""
        if not isinstance(query, ShowSearches):
            raise TypeError(f"{type(query).__name__} is no query of the scheduler")
        found = {number: s for (name, number), s in self.searches.items() if name == project}
        if not found:
            raise NotFound(
                f"no search for models of {project} was opened yet",
                hint="It opens by itself when the project is READY.",
                what="search",
                name=project,
            )
        return {
            "project": project,
            "slots": self.slots,
            "searches": [
                {
                    "version": number,
                    "state": search.state.value,
                    "waiting": search.waiting,
                    "running": sorted(search.running.values()),
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
                for number, search in sorted(found.items())
            ],
        }

    def validate(self) -> None:
        """Check the invariants."""
        super().validate()
        for search in self.searches.values():
            assert set(search.running) <= set(self.actions)
            assert not (search.state is SearchState.IDLE and (search.waiting or search.running))
