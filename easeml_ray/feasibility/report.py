"""What a feasibility study answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

__all__ = ["CurvePoint", "FeasibilityDecision", "FeasibilityReport", "SamplesNeeded"]


class FeasibilityDecision(StrEnum):
    """Whether the target accuracy can be reached with the data as they are."""

    FEASIBLE_SURE = "FEASIBLE_SURE"
    """A nearest-neighbour classifier already reaches it, at the upper confidence limit."""
    FEASIBLE = "FEASIBLE"
    """The estimated Bayes error leaves room for it, in nearly all bootstrap worlds."""
    UNDECIDED = "UNDECIDED"
    """The interval of the Bayes error straddles the target error."""
    INFEASIBLE = "INFEASIBLE"
    """The whole interval lies above the target error, more rows of this kind included."""


class CurvePoint(NamedTuple):
    """One point of a convergence curve.

    Attributes
    ----------
    n_train : int
        Train rows used.
    errors : int
        Development rows that the nearest neighbour gets wrong.
    cover_hart : float
        Cover-Hart value of that error rate.
    """

    n_train: int
    errors: int
    cover_hart: float


class SamplesNeeded(NamedTuple):
    """Train rows at which the extrapolated Cover-Hart value meets the target error.

    Attributes
    ----------
    n_hat : int
        Estimate; the rows at hand when the value meets it already.
    low, high : int
        90 % bootstrap interval.
    capped : bool
        Whether `n_hat` was cut at ten times the rows at hand, beyond which no curve is read.
    """

    n_hat: int
    low: int
    high: int
    capped: bool


@dataclass(frozen=True, slots=True)
class FeasibilityReport:
    """A belief about the Bayes error and what it means for a target.

    Attributes
    ----------
    decision : FeasibilityDecision
        The answer.
    belief : float
        Share of bootstrap worlds in which the smallest Cover-Hart value over the embeddings
        is at most the target error.
    target_accuracy : float
        What was asked for, 0 .. 1.
    ber_lower : float
        Smallest Cover-Hart value over the embeddings: the estimate of the Bayes error.
    ber_upper : float
        Smallest nearest-neighbour error over the embeddings; the Bayes error is below it,
        up to the noise of counting.
    ber_interval : (float, float)
        90 % interval of the Bayes error; how it is made stands in `method`.
    ber_lower_interval : (float, float)
        90 % bootstrap interval of `ber_lower`.
    curves : dict of str to tuple of CurvePoint
        By embedding.
    converged : dict of str to bool
        Whether, by that embedding's curve, more rows (up to ten times as many) would leave
        its Cover-Hart value on the same side of the target error.
    samples_needed : SamplesNeeded
        How many train rows may be enough.
    advice : tuple of str
        What to do, in sentences.
    best_embedding : str
        The embedding with the smallest error.
    n_train, n_dev, n_classes : int
        Rows and classes studied.
    method : str
        How the numbers were computed.
    noise_convention : str
        The convention of the noise rates that the advice speaks of.
    seed : int
        Of the prefix order and the bootstrap.
    """

    decision: FeasibilityDecision
    belief: float
    target_accuracy: float
    ber_lower: float
    ber_upper: float
    ber_interval: tuple[float, float]
    ber_lower_interval: tuple[float, float]
    curves: dict[str, tuple[CurvePoint, ...]]
    converged: dict[str, bool]
    samples_needed: SamplesNeeded
    advice: tuple[str, ...]
    best_embedding: str
    n_train: int
    n_dev: int
    n_classes: int
    method: str
    noise_convention: str
    seed: int

    @property
    def target_error(self) -> float:
        """1 - target accuracy, free of the rounding of that difference."""
        return round(1.0 - self.target_accuracy, 12)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-able values."""
        value: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return value | {
            "decision": self.decision.value,
            "ber_interval": list(self.ber_interval),
            "ber_lower_interval": list(self.ber_lower_interval),
            "curves": {name: [list(point) for point in curve] for name, curve in self.curves.items()},
            "converged": dict(self.converged),
            "samples_needed": self.samples_needed._asdict(),
            "advice": list(self.advice),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> FeasibilityReport:
        """Rebuild a report from :meth:`to_dict`."""
        low, high = value["ber_interval"]
        lower_low, lower_high = value["ber_lower_interval"]
        return cls(
            **{
                **value,
                "decision": FeasibilityDecision(value["decision"]),
                "ber_interval": (low, high),
                "ber_lower_interval": (lower_low, lower_high),
                "curves": {
                    name: tuple(CurvePoint(*point) for point in curve)
                    for name, curve in value["curves"].items()
                },
                "converged": dict(value["converged"]),
                "samples_needed": SamplesNeeded(**value["samples_needed"]),
                "advice": tuple(value["advice"]),
            }
        )
