"""FeasibilityEstimator's state: what is believed about each version of each project."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from easeml_ray.errors import NotFound
from easeml_ray.feasibility.messages import (
    Report,
    ShowReport,
    Studied,
    Study,
    StudyStarted,
    StudyVersion,
)
from easeml_ray.messages import Command, Decision, Event
from easeml_ray.process.component import ComponentState

__all__ = ["FeasibilityState"]


class FeasibilityState(ComponentState):
    """Beliefs by project, oldest first; a version may be studied again for another target."""

    component: ClassVar[str] = "feasibility"

    def __init__(self) -> None:
        super().__init__()
        self.beliefs: dict[str, list[Studied]] = {}

    def decide(self, command: Command) -> Decision:
        """Judge a command; see :class:`ComponentState`."""
        match command.body:
            case Study(version, target_accuracy):
                return Decision((StudyStarted(version, target_accuracy),))
            case Report(outcome):
                return Decision((outcome,), {"decision": outcome.decision})
        raise TypeError(f"{type(command.body).__name__} is no command of feasibility")

    def apply(self, event: Event) -> None:
        """Take in one event; see :class:`ComponentState`."""
        match event.body:
            case StudyStarted(version, target_accuracy):
                self.owe(event, StudyVersion(version, target_accuracy))
            case Studied() as studied:
                self.beliefs.setdefault(event.project, []).append(studied)

    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; see :class:`ComponentState`."""
        if not isinstance(query, ShowReport):
            raise TypeError(f"{type(query).__name__} is no query of feasibility")
        beliefs = self.beliefs.get(project, [])
        if query.number is not None:
            beliefs = [b for b in beliefs if b.number == query.number]
        if not beliefs:
            raise NotFound(
                f"nothing is known yet about the feasibility of {project}",
                hint="The study starts by itself once data is uploaded; easeml status shows the phase.",
                what="feasibility report",
                name=project,
            )
        return {"project": project, "beliefs": [asdict(b) for b in beliefs]}
