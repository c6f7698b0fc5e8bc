"""FeasibilityEstimator's state: what is believed about each version of each project."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any, ClassVar

from easeml_ray.component.base import ComponentState, Progress
from easeml_ray.errors import Conflict, NotFound
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
from easeml_ray.messages import Command, Decision, Event, LedgerLine

__all__ = ["FeasibilityState"]

_BEGINS = Progress(0, 0, "about to begin")


class FeasibilityState(ComponentState):
    """Beliefs by project, oldest first; a version may be studied again for another target."""

    component: ClassVar[str] = "feasibility"

    def __init__(self) -> None:
        super().__init__()
        self.beliefs: dict[str, list[Report]] = {}

    def decide(self, command: Command) -> Decision:
        """Judge a command; see :class:`ComponentState`."""
        match command.body:
            case Study() as body:
                known = self.beliefs.get(command.project)
                memory = known[-1].memory if known else None
                return Decision((StudyStarted(command=body, memory=memory),))
            case CancelStudy(resume=resume, number=number):
                return self._cancel(command, resume, number)
            case Report() as body:
                if command.command_id not in self.actions:
                    raise Conflict(
                        f"nobody waits for a study of version {body.number} of {command.project}",
                        hint="It was cancelled while it ran; ask for another one.",
                    )
                studied = Studied(command=body, ledger=self._line(command.project, body))
                return Decision((studied,), {"decision": body.decision})
        raise TypeError(f"{type(command.body).__name__} is no command of feasibility")

    def _cancel(self, command: Command, resume: bool, number: int | None) -> Decision:
        under_way = self._under_way(command.project)
        studies = {i: s for i, s in under_way.items() if number in (None, s.command.version.number)}
        if not studies:
            raise Conflict(
                f"no study of {command.project} is under way",
                hint="It may have ended just now: easeml feasibility shows what is believed.",
            )
        by = command.principal.actor
        events = tuple(
            StudyCancelled(
                number=study.command.version.number,
                target_accuracy=study.command.target_accuracy,
                by=by,
                resume=resume,
            )
            for study in studies.values()
        )
        return Decision(events, {"cancelled": [event.number for event in events]})

    def _line(self, project: str, outcome: Report) -> LedgerLine:
        """Return the bits that a study removed from the question whether the target is possible."""
        before = [b for b in self.beliefs.get(project, []) if b.target_accuracy == outcome.target_accuracy]
        return LedgerLine(
            variable=f"accuracy {outcome.target_accuracy:g} is possible",
            # Before the first study nothing is known: one bit.
            entropy_before=_bits(before[-1].belief) if before else 1.0,
            entropy_after=_bits(outcome.belief),
            cost_cents=outcome.cost_cents,
            evidence=outcome.report,
        )

    def _under_way(self, project: str) -> dict[str, StudyVersion]:
        """Return the studies of a project that are due, by action id."""
        return {
            identity: action.body
            for identity, action in self.actions.items()
            if action.project == project and isinstance(action.body, StudyVersion)
        }

    def apply(self, event: Event) -> None:
        """Take in one event; see :class:`ComponentState`."""
        match event.body:
            case StudyStarted() as body:
                self.owe(event, StudyVersion(command=body.command, memory=body.memory))
            case StudyCancelled(number=number, target_accuracy=target_accuracy):
                for identity, study in self._under_way(event.project).items():
                    asked = study.command
                    if (asked.version.number, asked.target_accuracy) == (number, target_accuracy):
                        self.settle(identity)
            case Studied(command=report):
                self.beliefs.setdefault(event.project, []).append(report)

    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; see :class:`ComponentState`."""
        if not isinstance(query, ShowReport):
            raise TypeError(f"{type(query).__name__} is no query of feasibility")
        wanted, beliefs = query.number, self.beliefs.get(project, [])
        beliefs = [b for b in beliefs if wanted in (None, b.number)]
        under_way = self._under_way(project)
        studies = [i for i, s in under_way.items() if wanted in (None, s.command.version.number)]
        if not beliefs and not studies:
            raise NotFound(
                f"nothing is known yet about the feasibility of {project}",
                hint="The study starts by itself once data is uploaded; easeml status shows the phase.",
                what="feasibility report",
                name=project,
            )
        reply: dict[str, Any] = {"project": project, "beliefs": [asdict(b) for b in beliefs]}
        if studies:
            reply["progress"] = asdict(self.progress.get(studies[-1], _BEGINS))
        return reply


def _bits(probability: float) -> float:
    """Return the entropy of a question that is answered yes with this probability."""
    return -sum(p * math.log2(p) for p in (probability, 1.0 - probability) if p > 0.0)
