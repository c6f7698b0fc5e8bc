"""What Cleaner is told, what it proposes and what it learns from answers."""

from __future__ import annotations

from easeml_ray.messages import DataVersion, Gain, LedgerLine, Option, message, value

__all__ = [
    "AnsweredItem",
    "Belief",
    "CheckRepairs",
    "CheckStarted",
    "CompareVersions",
    "Learn",
    "Learned",
    "ProposalStarted",
    "Propose",
    "ProposeRepairs",
    "Proposed",
    "RepairsChecked",
    "ReportCheck",
    "ShowCleaning",
    "Suggest",
]


@value
class Belief:
    """What cleaning can reach, as far as a nearest-neighbour proxy can tell.

    Accuracies on development in [0, 1]; entropies in bits; None where no version so far had
    uncertain rows. ``source_noise`` is the label noise (uniform convention) that the data came
    with, ``noise`` what is believed to be left of it. ``default`` is the accuracy with the most
    probable repairs, ``sd`` the spread over worlds, ``probability`` that of worlds that reach the
    target; ``action`` (PROCEED, CLEAN, ACQUIRE) speaks of cells only, ``certified`` if no world
    reaches the target.
    """

    uncertain_rows: int
    source_noise: float
    noise: float
    lower: float | None
    upper: float | None
    expected: float | None
    potential: float | None
    certain_fraction: float | None
    entropy: float
    default: float | None = None
    sd: float | None = None
    certain_correct: int = 0
    certain_wrong: int = 0
    uncertain_points: int = 0
    probability: float | None = None
    action: str | None = None
    certified: bool = False
    reason: str = ""


@message("cleaning.Propose")
class Propose:
    """Rank what could be cleaned or relabelled in a version.

    ``accuracy`` is that of the deployed model, ``error`` the nearest neighbour's on development,
    ``price_label`` and ``price_cell`` are in cents; at most ``items`` requests an option.
    """

    version: DataVersion
    accuracy: float
    error: float
    target_accuracy: float
    price_label: float
    price_cell: float
    items: int


@message("cleaning.ProposalStarted")
class ProposalStarted:
    """Ranking began."""

    version: DataVersion
    accuracy: float
    error: float
    target_accuracy: float
    price_label: float
    price_cell: float
    items: int


@message("cleaning.ProposeRepairs")
class ProposeRepairs:
    """Work: label beliefs, certain predictions, gains. ``skipped`` items are left out.

    ``noise`` is what the labels of the first version were believed to carry. Answers go where
    neighbours agree, so that a later estimate from what is left there would be far too small.
    ``continued``: a version before had uncertain rows, and the curve is to be ended.
    """

    version: DataVersion
    accuracy: float
    error: float
    target_accuracy: float
    price_label: float
    price_cell: float
    items: int
    skipped: tuple[str, ...]
    noise: float | None
    continued: bool = False


@message("cleaning.Suggest")
class Suggest:
    """Result of work: the options and the belief."""

    number: int
    options: tuple[Option, ...]
    belief: Belief


@message("cleaning.Proposed")
class Proposed:
    """What could be cleaned or relabelled, with gains and costs."""

    number: int
    options: tuple[Option, ...]
    belief: Belief


@value
class AnsweredItem:
    """An answer to CLEAN_CELL or RELABEL, or a skip (``value`` None)."""

    key: str
    value: str | float | int | bool | None
    entropy_before: float
    cost_cents: float


@message("cleaning.Learn")
class Learn:
    """Take in a round of answers."""

    kind: str
    items: tuple[AnsweredItem, ...]


@message("cleaning.Learned")
class Learned:
    """What a round of answers removed; skipped items are not proposed again."""

    kind: str
    answered: tuple[str, ...]
    skipped: tuple[str, ...]
    ledger: LedgerLine


@message("cleaning.CheckRepairs")
class CheckRepairs:
    """Compare an arm trained on a version with the same arm trained on the one before a step.

    ``option`` is the step and ``kind`` what it asked for; ``target_accuracy`` caps the gain.
    """

    option: str
    kind: str
    arm: str
    before: DataVersion
    after: DataVersion
    target_accuracy: float


@message("cleaning.CheckStarted")
class CheckStarted:
    """The comparison began."""

    option: str
    kind: str
    arm: str
    before: DataVersion
    after: DataVersion
    target_accuracy: float


@message("cleaning.CompareVersions")
class CompareVersions:
    """Work: train the arm on both versions, ask both about the newer development rows."""

    option: str
    kind: str
    arm: str
    before: DataVersion
    after: DataVersion
    target_accuracy: float


@message("cleaning.ReportCheck")
class ReportCheck:
    """Result of work; see :class:`RepairsChecked`."""

    option: str
    kind: str
    arm: str
    number: int
    rows: int
    before: float
    after: float
    gain: Gain


@message("cleaning.RepairsChecked")
class RepairsChecked:
    """What a step brought a model of the tenant's own best arm.

    ``before`` and ``after`` are accuracies on the ``rows`` development rows of version ``number``,
    ``gain`` their difference with its 90 % interval, capped at the target.
    """

    option: str
    kind: str
    arm: str
    number: int
    rows: int
    before: float
    after: float
    gain: Gain


@message("cleaning.ShowCleaning")
class ShowCleaning:
    """Query: belief, options and what was asked so far."""
