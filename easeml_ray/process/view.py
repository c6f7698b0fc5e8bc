"""What Lifecycle knows of one project: its own stream, and what it followed of the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from easeml_ray.cleaning.messages import Suggest as Repairs
from easeml_ray.feasibility.messages import Report
from easeml_ray.items import Item
from easeml_ray.market.messages import Suggest as Purchases
from easeml_ray.messages import DataVersion, Option
from easeml_ray.oracle.messages import Kind
from easeml_ray.pool.messages import RecordVerdict
from easeml_ray.process.messages import RecordGain
from easeml_ray.process.project import CONTROL, PHASE, Control, Phase
from easeml_ray.process.task import TaskSpec

__all__ = ["Batch", "BillLine", "Chosen", "Project", "TestSet", "gain_of", "model_gain_of"]

T = TypeVar("T")


@dataclass
class Batch:
    """A round of requests.

    What was asked (by key) at which price an answer, which are still open (id -> key), what was paid so
    far (key -> cents), and what was answered (key -> value; None: skipped or expired).
    """

    id: str
    kind: str
    choices: tuple[str, ...]
    items: dict[str, Item] = field(default_factory=dict)
    prices: dict[str, float] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    open: dict[int, str] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)

    def answered(self, kind: type[T]) -> list[tuple[T, Any]]:
        """Return the items of a type that were answered or closed, with their values."""
        found = ((self.items[key], value) for key, value in self.answers.items())
        return [(item, value) for item, value in found if isinstance(item, kind)]


@dataclass
class BillLine:
    """What one kind of event cost and removed so far."""

    count: int = 0
    cost_cents: float = 0.0
    removed_bits: float = 0.0


@dataclass(frozen=True, slots=True)
class TestSet:
    """A sealed stable test set that waits for the open era to end."""

    __test__ = False

    sealed: str
    rows: int
    subset_rows: dict[str, int]
    labelled: bool = True


@dataclass(frozen=True)
class Chosen:
    """The option under way, with the accuracy that was believed and the version that stood before it."""

    option: Option
    accuracy: float
    version: DataVersion


@dataclass
class Project:
    """One application.

    target : the task's or an overridden one; version : newest known; report : newest study;
    repairs, purchases : proposals of this round of improving, None while they are awaited;
    chosen : the option under way; development, arms : accuracy on development and arm by model;
    asking : kinds of the rounds that the oracle was sent and has not opened yet, in order;
    batches : open rounds of requests by id; unanswered : rounds in a row that nobody answered;
    arms_left : trials that the open search still waits for; floor : model 0 of the newest version;
    ungated : admitted models that wait for model 0; eras : how many test sets were given to the gate,
    refused ones not counted; unlabelled : the eras of those without labels; verdicts : given, and not
    yet taken in by the pool, in order; test_rows : how many rows the gate needs of a test set;
    wanted_rows : the same while one is wanted, else 0; reserved : what the verdicts of an era can cost
    at most, by era, while their own lines are sealed; test_sets : that wait for the open era to end;
    problem : the last refusal in this phase, for people.
    """

    name: str
    tenant: str
    task: TaskSpec
    created: float
    target: float
    phase: Phase = PHASE.initial
    control: Control = CONTROL.initial
    because: str = "created"
    version: DataVersion | None = None
    report: Report | None = None
    repairs: Repairs | None = None
    purchases: Purchases | None = None
    chosen: Chosen | None = None
    asking: list[Kind] = field(default_factory=list)
    batches: dict[str, Batch] = field(default_factory=dict)
    searched: set[int] = field(default_factory=set)
    arms_left: dict[int, int] = field(default_factory=dict)
    unanswered: int = 0
    floor: str | None = None
    deployed: str | None = None
    development: dict[str, float] = field(default_factory=dict)
    arms: dict[str, str] = field(default_factory=dict)
    ungated: tuple[str, ...] = ()
    era_open: bool = False
    eras: int = 0
    unlabelled: set[int] = field(default_factory=set)
    verdicts: list[RecordVerdict] = field(default_factory=list)
    test_rows: int = 0
    wanted_rows: int = 0
    reserved: dict[int, BillLine] = field(default_factory=dict)
    test_sets: list[TestSet] = field(default_factory=list)
    spent_cents: float = 0.0
    bill: dict[str, BillLine] = field(default_factory=dict)
    gains: list[RecordGain] = field(default_factory=list)
    problem: dict[str, Any] | None = None
    rounds: int = 0

    @property
    def budget_left(self) -> float:
        """Cents left for cleaning, relabelling and purchases."""
        return self.task.budgets.improvement_cents - self.spent_cents

    @property
    def best_arm(self) -> str | None:
        """The arm of the deployed model, else of the best one on development; None before any search."""
        if self.deployed in self.arms:
            return self.arms[self.deployed]
        searched = self.arms.keys() - {self.floor}
        if not searched:
            return None
        return self.arms[max(sorted(searched), key=lambda model: self.development[model])]

    def options(self) -> list[Option]:
        """Return all known options, the best expected gain per cent first."""
        known = [
            *(self.repairs.options if self.repairs else ()),
            *(self.purchases.options if self.purchases else ()),
        ]
        return sorted(known, key=lambda option: (-option.gain_per_cent, option.id))

    def affordable(self) -> list[Option]:
        """Return the options worth taking that the budget allows, best first."""
        return [o for o in self.options() if o.gain.mean > 0 and o.cost_cents <= self.budget_left]


def gain_of(before: float, report: Report, target: float) -> float:
    """Return the realised gain: how the believed best accuracy rose, capped at the target."""
    after = min(1 - report.ber_upper, target)
    return after - min(before, target)


def model_gain_of(before: Report | None, after: Report, target: float) -> float | None:
    """Return how the accuracy of the models that the studies trained rose, capped at the target."""
    if before is None or max(before.model_error, after.model_error) >= 1.0:
        return None  # a study trained none
    return min(1 - after.model_error, target) - min(1 - before.model_error, target)
