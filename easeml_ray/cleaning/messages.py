"""What Cleaner is told, what it proposes and what it learns from answers."""

from __future__ import annotations

from easeml_ray.items import Value
from easeml_ray.messages import DataVersion, LedgerLine, Option, message, value

__all__ = [
    "AnsweredItem",
    "Belief",
    "Learn",
    "Learned",
    "ProposalStarted",
    "Propose",
    "ProposeRepairs",
    "Proposed",
    "ShowCleaning",
    "Suggest",
]


@value
class Belief:
    """What cleaning can reach, as far as a nearest-neighbour proxy can tell.

    Accuracies on development in [0, 1]; entropies in bits; None where no version so far had uncertain rows.
    ``source_noise`` is the label noise (uniform convention) that the data came with, ``noise`` what is
    believed to be left of it. ``default`` is the accuracy with the most probable repairs, ``sd`` the spread
    over worlds, ``probability`` that of worlds that reach the target; ``action`` (PROCEED, CLEAN, ACQUIRE)
    speaks of cells only, ``certified`` if no world reaches the target.
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

    command: Propose


@message("cleaning.ProposeRepairs")
class ProposeRepairs:
    """Work: label beliefs, certain predictions, gains. ``skipped`` items are left out.

    ``noise`` is what the labels of the first version were believed to carry. Answers go where
    neighbours agree, so that a later estimate from what is left there would be far too small.
    ``continued``: a version before had uncertain rows, and the curve is to be ended.
    """

    command: Propose
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

    command: Suggest


@value
class AnsweredItem:
    """An answer to CLEAN_CELL or RELABEL, or a skip (``value`` None)."""

    key: str
    value: Value | None
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

    command: Learn
    ledger: LedgerLine


@message("cleaning.ShowCleaning")
class ShowCleaning:
    """Query: belief, options and what was asked so far."""
