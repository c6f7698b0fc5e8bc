"""Cleaner's state: what it believes about labels and cells, what it proposed, what it learned."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from easeml_ray.cleaning.messages import (
    Belief,
    Learn,
    Learned,
    ProposalStarted,
    Propose,
    Proposed,
    ProposeRepairs,
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
    """What cleaning could reach once so many cells had been answered."""

    number: int  # data version
    cells: int  # cells answered before
    # lower, upper, expected, potential, default: accuracies of a vote of nearest neighbours on
    # development, as of :class:`easeml_ray.cleaning.CleaningBelief`
    lower: float
    upper: float
    expected: float
    potential: float
    default: float
    certain_fraction: float  # development points that every possible world predicts alike


@dataclass
class _Project:
    """What is known of a project.

    skipped : the newest item keys without an answer, skipped_bytes long together; answered, cells :
    items with an answer, and the cells among them; belief, options : of the newest proposal; curve :
    of all of them, by version.
    """

    skipped: deque[str] = field(default_factory=deque)
    skipped_bytes: int = 0
    answered: int = 0
    cells: int = 0
    removed_bits: float = 0.0
    belief: Belief | None = None
    number: int = 0
    options: tuple[Option, ...] = ()
    curve: dict[int, CurvePoint] = field(default_factory=dict)
    target_accuracy: float | None = None

    def skip(self, keys: Iterable[str]) -> None:
        """Remember skipped keys, as many of the newest as a message has room for."""
        for key in keys:
            self.skipped.append(key)
            self.skipped_bytes += _key_bytes(key)
        while self.skipped_bytes > _SKIP_BYTES:
            self.skipped_bytes -= _key_bytes(self.skipped.popleft())


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
                return Decision((ProposalStarted(command=body),))
            case Suggest() as body:
                return Decision((Proposed(command=body),))
            case Learn() as body:
                given = [item for item in body.items if item.value is not None]
                ledger = LedgerLine(
                    variable=f"{body.kind} answers of {command.project}",
                    entropy_before=sum(item.entropy_before for item in given),
                    entropy_after=0.0,
                    # Some of what stayed without a value had answers that were paid.
                    cost_cents=sum(item.cost_cents for item in body.items),
                    evidence=", ".join(item.key for item in given[:3]) or "none",
                    count=len(given),
                )
                return Decision((Learned(command=body, ledger=ledger),))
        raise TypeError(f"{type(command.body).__name__} is no command of cleaning")

    def apply(self, event: Event) -> None:
        """Take in one event; see :class:`ComponentState`."""
        project = self.projects.setdefault(event.project, _Project())
        match event.body:
            case ProposalStarted(command=command):
                project.target_accuracy = command.target_accuracy
                work = ProposeRepairs(
                    command=command,
                    skipped=tuple(project.skipped),
                    noise=project.belief.source_noise if project.belief else None,
                    continued=bool(project.curve),
                )
                self.owe(event, work)
            case Proposed(command=Suggest(number=number, options=options, belief=belief)):
                project.number, project.options, project.belief = number, options, belief
                point = _point(number, project.cells, belief)
                if point is not None:
                    project.curve.pop(number, None)
                    project.curve[number] = point
            case Learned(command=Learn(kind=kind, items=items), ledger=ledger):
                project.answered += ledger.count
                project.cells += ledger.count if kind == "CLEAN_CELL" else 0
                project.removed_bits += ledger.entropy_before - ledger.entropy_after
                project.skip(item.key for item in items if item.value is None)

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
            "options": [option.shown() for option in known.options],
            "answered": known.answered,
            "skipped": len(known.skipped),
            "removed_bits": known.removed_bits,
            "curve": [asdict(point) for point in known.curve.values()],
            "target_accuracy": known.target_accuracy,
        }

    def validate(self) -> None:
        """Check the invariants."""
        super().validate()
        for project in self.projects.values():
            assert project.skipped_bytes == sum(map(_key_bytes, project.skipped)) <= _SKIP_BYTES


def _point(number: int, cells: int, belief: Belief) -> CurvePoint | None:
    """Return the point of the curve that a belief is; None without uncertain rows."""
    values = (belief.lower, belief.upper, belief.expected, belief.potential, belief.default)
    known = [value for value in values if value is not None]
    if belief.certain_fraction is None or len(known) < len(values):
        return None
    lower, upper, expected, potential, default = known
    return CurvePoint(number, cells, lower, upper, expected, potential, default, belief.certain_fraction)


def _key_bytes(key: str) -> int:
    return len(json.dumps(key)) + 2  # with what stands between two
