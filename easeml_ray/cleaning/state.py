"""Cleaner's state: what it believes about labels and cells, what it proposed, what it learned."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from easeml_ray.cleaning.messages import (
    Belief,
    CheckRepairs,
    CheckStarted,
    CompareVersions,
    Learn,
    Learned,
    ProposalStarted,
    Propose,
    Proposed,
    ProposeRepairs,
    RepairsChecked,
    ReportCheck,
    ShowCleaning,
    Suggest,
)
from easeml_ray.component.base import ComponentState
from easeml_ray.errors import NotFound
from easeml_ray.messages import Command, Decision, Event, LedgerLine, Option

__all__ = ["CleaningState", "CurvePoint"]

_SKIP_BYTES = 32 * 1024  # of keys; older skips may be proposed again: the work's message stays small


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What cleaning could reach once so many cells had been answered.

    Attributes
    ----------
    number : int
        Data version.
    cells : int
        Cells answered before.
    lower, upper, expected, potential, default : float
        Accuracies of a vote of nearest neighbours on development, as of
        :class:`easeml_ray.cleaning.CleaningBelief`.
    certain_fraction : float
        Development points that every possible world predicts alike.
    """

    number: int
    cells: int
    lower: float
    upper: float
    expected: float
    potential: float
    default: float
    certain_fraction: float


@dataclass
class _Project:
    """What is known of a project.

    skipped, answered : item keys; belief, options : of the newest proposal; curve : of all of
    them; checks : what steps brought a model of the tenant's own.
    """

    skipped: list[str] = field(default_factory=list)
    answered: int = 0
    removed_bits: float = 0.0
    belief: Belief | None = None
    number: int = 0
    options: tuple[Option, ...] = ()
    cells: int = 0
    curve: list[CurvePoint] = field(default_factory=list)
    target_accuracy: float | None = None
    checks: list[RepairsChecked] = field(default_factory=list)


class CleaningState(ComponentState):
    """Beliefs, proposals and answers by project."""

    component: ClassVar[str] = "cleaning"

    def __init__(self) -> None:
        super().__init__()
        self.projects: dict[str, _Project] = {}

    def decide(self, command: Command) -> Decision:
        """Judge a command; see :class:`ComponentState`."""
        match command.body:
            case Propose() as body:
                started = ProposalStarted(
                    version=body.version,
                    accuracy=body.accuracy,
                    error=body.error,
                    target_accuracy=body.target_accuracy,
                    price_label=body.price_label,
                    price_cell=body.price_cell,
                    items=body.items,
                )
                return Decision((started,))
            case Suggest(number=number, options=options, belief=belief):
                return Decision((Proposed(number=number, options=options, belief=belief),))
            case Learn(kind=kind, items=items):
                given = [item for item in items if item.value is not None]
                ledger = LedgerLine(
                    variable=f"{kind} answers of {command.project}",
                    entropy_before=sum(item.entropy_before for item in given),
                    entropy_after=0.0,
                    # Some of what stayed without a value had answers that were paid.
                    cost_cents=sum(item.cost_cents for item in items),
                    evidence=", ".join(item.key for item in given[:3]) or "none",
                    count=len(given),
                )
                answered = tuple(item.key for item in given)
                skipped = tuple(item.key for item in items if item.value is None)
                return Decision((Learned(kind=kind, answered=answered, skipped=skipped, ledger=ledger),))
            case CheckRepairs() as body:
                return Decision(
                    (
                        CheckStarted(
                            option=body.option,
                            kind=body.kind,
                            arm=body.arm,
                            before=body.before,
                            after=body.after,
                            target_accuracy=body.target_accuracy,
                        ),
                    )
                )
            case ReportCheck() as body:
                return Decision(
                    (
                        RepairsChecked(
                            option=body.option,
                            kind=body.kind,
                            arm=body.arm,
                            number=body.number,
                            rows=body.rows,
                            before=body.before,
                            after=body.after,
                            gain=body.gain,
                        ),
                    )
                )
        raise TypeError(f"{type(command.body).__name__} is no command of cleaning")

    def apply(self, event: Event) -> None:
        """Take in one event; see :class:`ComponentState`."""
        project = self.projects.setdefault(event.project, _Project())
        match event.body:
            case ProposalStarted() as body:
                project.target_accuracy = body.target_accuracy
                self.owe(
                    event,
                    ProposeRepairs(
                        version=body.version,
                        accuracy=body.accuracy,
                        error=body.error,
                        target_accuracy=body.target_accuracy,
                        price_label=body.price_label,
                        price_cell=body.price_cell,
                        items=body.items,
                        skipped=tuple(project.skipped),
                        noise=project.belief.source_noise if project.belief else None,
                        continued=bool(project.curve),
                    ),
                )
            case Proposed(number=number, options=options, belief=belief):
                project.number, project.options, project.belief = number, options, belief
                point = _point(number, project.cells, belief)
                if point is not None:
                    project.curve = [*(p for p in project.curve if p.number != number), point]
            case Learned() as body:
                project.answered += len(body.answered)
                project.cells += len(body.answered) if body.kind == "CLEAN_CELL" else 0
                project.removed_bits += body.ledger.entropy_before - body.ledger.entropy_after
                project.skipped = _newest(project.skipped + list(body.skipped))
            case CheckStarted() as body:
                self.owe(
                    event,
                    CompareVersions(
                        option=body.option,
                        kind=body.kind,
                        arm=body.arm,
                        before=body.before,
                        after=body.after,
                        target_accuracy=body.target_accuracy,
                    ),
                )
            case RepairsChecked() as body:
                project.checks.append(body)

    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; see :class:`ComponentState`."""
        if not isinstance(query, ShowCleaning):
            raise TypeError(f"{type(query).__name__} is no query of cleaning")
        known = self.projects.get(project)
        if known is None or known.belief is None:
            raise NotFound(
                f"nothing was proposed yet for {project}",
                hint="The Cleaner is asked when the target is not feasible; or ask: easeml run --improve.",
                what="cleaning proposal",
                name=project,
            )
        return {
            "project": project,
            "version": known.number,
            "belief": asdict(known.belief),
            "options": [asdict(option) for option in known.options],
            "answered": known.answered,
            "skipped": len(known.skipped),
            "removed_bits": known.removed_bits,
            "curve": [asdict(point) for point in known.curve],
            "target_accuracy": known.target_accuracy,
            "checks": [asdict(check) for check in known.checks],
        }


def _point(number: int, cells: int, belief: Belief) -> CurvePoint | None:
    """Return the point of the curve that a belief is; None without uncertain rows."""
    values = (belief.lower, belief.upper, belief.expected, belief.potential)
    if belief.certain_fraction is None or any(value is None for value in values):
        return None
    lower, upper, expected, potential = (float(value) for value in values if value is not None)
    # Logs of an earlier release do not tell the accuracy as the data are.
    default = expected if belief.default is None else belief.default
    return CurvePoint(number, cells, lower, upper, expected, potential, default, belief.certain_fraction)


def _newest(keys: list[str]) -> list[str]:
    """Return the last of the keys, as many as a message has room for."""
    size = 0
    for count, key in enumerate(reversed(keys)):
        size += len(json.dumps(key)) + 2
        if size > _SKIP_BYTES:
            return keys[len(keys) - count :]
    return keys
