"""What is told while the rows of a purchase, bought without labels, are labelled."""

from __future__ import annotations

from easeml_ray.market.messages import MakeOffer
from easeml_ray.messages import DataVersion, LedgerLine, message, value

__all__ = [
    "CompleteLabels",
    "LabelPurchase",
    "LabelRows",
    "Labelled",
    "LabellingStarted",
    "LabelsLearnt",
    "LabelsWanted",
    "LearnLabels",
    "PlacedLabel",
    "WantLabels",
]


@message("market.LabelPurchase")
class LabelPurchase:
    """Have the rows of a purchase labelled, so many at a time."""

    offer: str
    version: DataVersion
    items: int


@message("market.LabellingStarted")
class LabellingStarted:
    """Rows that were bought without labels are labelled before they join train."""

    command: LabelPurchase


@value
class PlacedLabel:
    """The label of a row of an offer, counted from 0, None where nobody gave one, and its cost."""

    place: int
    label: str | None
    cost_cents: float


@message("market.LabelRows")
class LabelRows:
    """Work: keep the labels that came, and say which rows are next.

    ``known`` is the blob of the labels that came before, empty at first.
    """

    command: LabelPurchase
    offer: MakeOffer
    known: str
    fresh: tuple[PlacedLabel, ...]


@message("market.WantLabels")
class WantLabels:
    """Result of work: ask for the labels of ``count`` rows from ``first`` on."""

    offer: str
    known: str
    first: int
    count: int
    classes: tuple[str, ...]


@message("market.LabelsWanted")
class LabelsWanted:
    """People are to label rows of the table ``digest``."""

    command: WantLabels
    digest: str


@message("market.LearnLabels")
class LearnLabels:
    """Take in the labels of some rows of a purchase."""

    offer: str
    labels: tuple[PlacedLabel, ...]


@message("market.LabelsLearnt")
class LabelsLearnt:
    """Labels of some rows of a purchase came."""

    command: LearnLabels
    ledger: LedgerLine


@message("market.CompleteLabels")
class CompleteLabels:
    """Result of work: all rows were asked for; the table of those that got a label."""

    offer: str
    digest: str
    rows: int


@message("market.Labelled")
class Labelled:
    """A purchase is labelled: the rows of it that got a label can join train."""

    command: CompleteLabels
