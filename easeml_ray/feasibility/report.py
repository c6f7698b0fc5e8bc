"""What a feasibility study answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from easeml_ray.messages import Gain

__all__ = ["Advice", "CurvePoint", "FeasibilityDecision", "FeasibilityReport", "SamplesNeeded", "Step"]


class FeasibilityDecision(StrEnum):
    """Whether the target accuracy can be reached with the data as they are."""

    FEASIBLE_SURE = "FEASIBLE_SURE"
    """A classifier that was trained for the study already reaches it, at the upper confidence limit."""
    FEASIBLE = "FEASIBLE"
    """The whole interval of the Bayes error is at most the target error."""
    UNDECIDED = "UNDECIDED"
    """The interval straddles the target error, or the curve still falls towards it."""
    INFEASIBLE = "INFEASIBLE"
    """The whole interval lies above the target error, and the curve would not meet it either."""


class CurvePoint(NamedTuple):
    """One point of a convergence curve."""

    n_train: int
    errors: int
    cover_hart: float


class SamplesNeeded(NamedTuple):
    """Train rows at which a model's error is expected to meet the target error."""

    n_hat: int  # the rows at hand when the consensus meets the target already
    low: int  # 90 % interval, over development sets and the belief
    high: int
    capped: bool  # whether n_hat was cut at ten times the rows at hand


class Step(StrEnum):
    """What a person may do next."""

    TRAIN = "train"
    ACQUIRE = "acquire"
    CLEAN_LABELS = "clean_labels"
    LABEL_DEVELOPMENT = "label_development"
    TRY_EMBEDDINGS = "try_embeddings"
    LOWER_TARGET = "lower_target"


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do next."""

    step: Step
    sentence: str
    amount: tuple[float, float, float] | None = None  # low, estimate, high; unit by step
    gain: Gain | None = None  # expected rise of the true accuracy; None where the study cannot tell


@dataclass(frozen=True, slots=True)
class FeasibilityReport:
    """A belief about the Bayes error and what it means for a target.

    Attributes
    ----------
    decision : FeasibilityDecision
        The answer, from `ber_interval` and the target.
    belief : float
        Probability that the Bayes error is at most the target error.
    target_accuracy : float
        What was asked for, 0 .. 1.
    ber_estimate : float
        Median of the belief about the Bayes error.
    ber_interval : (float, float)
        90 % interval of the Bayes error; how it is made stands in `method`, on what it was
        calibrated in `reference_class`.
    ber_lower, ber_upper : float
        The classical pair: the smallest Cover-Hart value and the smallest nearest-neighbour error
        over the embeddings. Bounds in the limit of endless train rows only.
    ber_lower_interval : (float, float)
        90 % interval of `ber_lower`, by bootstrap over development rows with the smallest taken
        in each resampled set.
    ber_upper_interval : (float, float)
        90 % Clopper-Pearson interval of `ber_upper`, for all embeddings at once.
    best_embedding : str
        The embedding with the smallest error.
    best_classifier : str
        The probe, or nearest neighbour in an embedding, with the fewest errors.
    best_error : float
        Its error on development rows.
    best_limit : float
        95 % Clopper-Pearson limit of it, for all classifiers at once: a model that exists errs
        at most so often.
    model_error : float
        Error that a model trained on these rows is expected to have: of the consensus of the probes.
    curves : dict of str to tuple of CurvePoint
        By embedding.
    slopes : dict of str to (float, float, float)
        By embedding the exponent a of ``Cover-Hart ~ n^-a``, with its 90 % interval as (low, estimate, high).
    converged : dict of str to bool
        By embedding, whether more rows (up to ten times as many) would leave its Cover-Hart value
        on the same side of the target error.
    settled : bool
        Whether the consensus of the probes, extended to ten times the rows by the upper limit
        of its last fall, stays above the target error.
    samples_needed : SamplesNeeded
        How many train rows may be enough.
    options : tuple of Advice
        What to do, the most useful first.
    n_train, n_dev, n_classes : int
        Rows and classes studied.
    stale_rows, stale_dev_rows : int
        Train and development rows that came or changed after the probes were trained. The lower
        end of the interval is lowered by their shares, the upper one raised by the second.
    outside : tuple of str
        In which respects the data are unlike the reference class; the interval then also
        covers the classical one.
    reference_class : dict
        The problems with known Bayes error that the interval was calibrated on.
    method : str
        How the numbers were computed.
    noise_convention : str
        The convention of the noise rates that the advice speaks of.
    seed : int
        Of the order of the train rows and of the bootstrap.
    """

    decision: FeasibilityDecision
    belief: float
    target_accuracy: float
    ber_estimate: float
    ber_interval: tuple[float, float]
    ber_lower: float
    ber_upper: float
    ber_lower_interval: tuple[float, float]
    ber_upper_interval: tuple[float, float]
    best_embedding: str
    best_classifier: str
    best_error: float
    best_limit: float
    model_error: float
    curves: dict[str, tuple[CurvePoint, ...]]
    slopes: dict[str, tuple[float, float, float]]
    converged: dict[str, bool]
    settled: bool
    samples_needed: SamplesNeeded
    options: tuple[Advice, ...]
    n_train: int
    n_dev: int
    n_classes: int
    stale_rows: int
    stale_dev_rows: int
    outside: tuple[str, ...]
    reference_class: dict[str, Any]
    method: str
    noise_convention: str
    seed: int

    @property
    def advice(self) -> tuple[str, ...]:
        """What to do, in sentences, the most useful first."""
        return tuple(option.sentence for option in self.options)

    @property
    def target_error(self) -> float:
        """1 - target accuracy, free of the rounding of that difference."""
        return round(1.0 - self.target_accuracy, 12)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-able values, with the sentences of :attr:`advice`."""
        value: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return value | {"samples_needed": self.samples_needed._asdict(), "advice": list(self.advice)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> FeasibilityReport:
        """Rebuild a report from :meth:`to_dict`."""
        fields = {name: value[name] for name in cls.__dataclass_fields__}
        report: FeasibilityReport = _adapter().validate_python(fields)
        return report


@cache
def _adapter() -> TypeAdapter[FeasibilityReport]:
    return TypeAdapter(FeasibilityReport)
