"""What FeasibilityEstimator is told and what it learns."""

from __future__ import annotations

from easeml_ray.messages import DataVersion, message

__all__ = ["Report", "ShowReport", "Studied", "Study", "StudyStarted", "StudyVersion"]


@message
class Study:
    """Estimate whether ``target_accuracy`` is possible with a version."""

    version: DataVersion
    target_accuracy: float


@message
class StudyStarted:
    """A study began."""

    version: DataVersion
    target_accuracy: float


@message
class StudyVersion:
    """Work: the study itself."""

    version: DataVersion
    target_accuracy: float


@message
class Studied:
    """The belief about a version in numbers; the whole report by digest."""

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


@message
class Report:
    """Result of work: what was studied."""

    outcome: Studied


@message
class ShowReport:
    """Query: the beliefs of all versions, newest last; the newest report's digest."""

    number: int | None = None
