"""What is told while rows of a test set that came without labels are labelled."""

from __future__ import annotations

from easeml_ray.messages import LedgerLine, message, value

__all__ = ["LearnTestLabels", "SealedLabel", "TestLabelsLearnt", "TestLabelsWanted", "WantTestLabels"]


@value
class SealedLabel:
    """The label of a row of an era, sealed to the gate's key; None where nobody gave one."""

    row: int
    sealed: str | None
    cost_cents: float = 0.0


@message("gate.WantTestLabels")
class WantTestLabels:
    """Result of work: the verdict on a model needs the labels of these rows.

    ``known`` is the sealed blob of the labels so far, ``table`` the features of the wanted rows; what the
    models answer, and how fast, is found once: ``answers`` is the blob of it.
    """

    era: int
    model: str
    known: str
    table: str
    rows: tuple[int, ...]
    classes: tuple[str, ...]
    answers: str = ""
    latency_ms: float | None = None


@message("gate.TestLabelsWanted")
class TestLabelsWanted:
    """People are to label rows of an era; ``command.table`` holds their features, in this order."""

    __test__ = False

    command: WantTestLabels


@message("gate.LearnTestLabels")
class LearnTestLabels:
    """Labels of an era's rows came."""

    era: int
    labels: tuple[SealedLabel, ...]


@message("gate.TestLabelsLearnt")
class TestLabelsLearnt:
    """The gate goes on judging with these labels; what they tell is sealed, what they cost is not."""

    __test__ = False

    command: LearnTestLabels
    ledger: LedgerLine
