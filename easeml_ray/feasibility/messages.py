"""What FeasibilityEstimator is told and what it learns."""

from __future__ import annotations

from easeml_ray.messages import DataVersion, LedgerLine, message

__all__ = [
    "CancelStudy",
    "Report",
    "ShowReport",
    "Studied",
    "Study",
    "StudyCancelled",
    "StudyStarted",
    "StudyVersion",
]


@message("feasibility.Study")
class Study:
    """Estimate whether ``target_accuracy`` is possible with a version.

    ``second_cents`` is the price of a second of one processor.
    """

    version: DataVersion
    target_accuracy: float
    second_cents: float = 0.0


@message("feasibility.StudyStarted")
class StudyStarted:
    """A study began, from what is remembered of the study before, if there was one."""

    command: Study
    memory: str | None = None


@message("feasibility.CancelStudy")
class CancelStudy:
    """Stop the study that is under way, or only that of the version ``number`` if it is.

    ``resume``: its project only pauses, and will ask for the same study again.
    """

    resume: bool = False
    number: int | None = None


@message("feasibility.StudyCancelled")
class StudyCancelled:
    """The study of a version was called off; what it was at is lost, and no belief comes of it."""

    number: int
    target_accuracy: float
    by: str
    resume: bool


@message("feasibility.StudyVersion")
class StudyVersion:
    """Work: the study itself; ``memory`` is the digest of what the study before left."""

    command: Study
    memory: str | None = None


@message("feasibility.Report")
class Report:
    """Result of work: the belief about a version; the whole report, and the study's memory, by digest.

    ``model_error`` is that of the best model which the study trained, 1 where it trained none.
    """

    number: int
    target_accuracy: float
    decision: str
    belief: float
    ber_lower: float
    ber_upper: float
    ber_interval: tuple[float, float]
    best_embedding: str
    advice: tuple[str, ...]
    method: str
    report: str
    ber_estimate: float
    model_error: float
    memory: str | None = None
    cost_cents: float = 0.0


@message("feasibility.Studied")
class Studied:
    """A belief about a version; ``ledger`` counts the bits of the question if the target is possible."""

    command: Report
    ledger: LedgerLine


@message("feasibility.ShowReport")
class ShowReport:
    """Query: the beliefs of all versions, newest last, and how far the study under way is."""

    number: int | None = None
