"""What a cleaning action is worth in accuracy: from bits and wrong labels to a Gain.

Symbols
-------
acc, pot = expected and cross-fitted potential accuracy of the CleaningBelief
sd = standard deviation of the accuracy over worlds; V = development points
s = share of an action in all there is to tell of the predictions, gain / mean_v H(Q_v)
N, C = train rows and classes
rho = label noise, uniform convention (replaced by any class with probability rho)
e_obs, e_0 = 1NN error with noisy labels on both sides, and with clean labels
b_i = belief in the label that row i carries; w = sum (1 - b_i), expected wrong labels
z = 1.645, half-width of a 90 % interval in standard deviations

**A row.** ``mean = s max(0, pot - acc)``: the rise that all cleaning together promises, split
by information gain. The accuracy given the row's true value has variance near
``s sd^2`` (variance of the accuracy over worlds, split alike), and the potential, a mean of V
scores, one of ``pot (1 - pot) / V`` for the whole; so the interval is ``mean +- z
sqrt(s sd^2 + s^2 pot (1 - pot) / V)``, cut at the bounds of the belief. The honest weakness:
under the prior itself the expected accuracy after learning a row equals the one before, so
every rise rests on true values being better than the repairs, which the cross-fitted
potential only suggests; bits are shares of uncertainty, not of accuracy; and a
nearest-neighbour vote stands for the deployed model.

**Relabelling.** A 1NN prediction copies one train label, so that its error against true labels
is ``(1 - rho) e_0 + rho (1 - 1/C)``; e_0 follows from ``e_obs = (1 - rho)^2 e_0 +
(1 - (1 - rho)^2)(1 - 1/C)``. A share rho (1 - 1/C) of the labels is wrong; correcting w of N
lowers rho by ``w / (N (1 - 1/C))`` and the error by ``upper(w) = (w / N)
(1 - e_0 C / (C - 1))``. 1NN suffers most from noise; a model that averages over it may gain
nothing. So ``mean = upper(w) / 2``, with the interval from 0 to ``upper(w + z sd(w))``,
``sd(w)^2 = sum b_i (1 - b_i)``. The half stands for not knowing the model, and is to be
corrected by gains that came true.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.cleaning.worlds import CleaningBelief
from easeml_ray.errors import InvalidArgument
from easeml_ray.messages import Gain

__all__ = ["RelabelEvidence", "RowEvidence", "to_gain"]

HALF_WIDTH = 1.645


@dataclass(frozen=True, slots=True)
class RowEvidence:
    """What is known of cleaning one row."""

    belief: CleaningBelief
    information: float  # of the row, bits
    total_information: float  # entropy of all predictions, which cleaning everything removes, bits


@dataclass(frozen=True, slots=True)
class RelabelEvidence:
    """What is known of having some train rows labelled again."""

    own_beliefs: ArrayLike  # (n_relabelled,), in the label that each of the rows carries now
    n_rows: int  # that share the noise: train rows, and development rows if these are relabelled too
    n_classes: int
    noise: float  # rho, of train and development labels
    error: float  # of 1NN, on development rows with the labels as given


def to_gain(evidence: RowEvidence | RelabelEvidence, *, current: float, target: float) -> Gain:
    """Map evidence to the rise of the deployed model's accuracy, at most ``target - current``."""
    for name, value in (("current", current), ("target", target)):
        _check_probability(name, value)
    raw = _row_gain(evidence) if isinstance(evidence, RowEvidence) else _relabel_gain(evidence)
    room = max(0.0, target - current)
    mean, lower, upper = (min(value, room) for value in raw)
    return Gain(mean=mean, lower=min(lower, mean), upper=max(upper, mean))


def _row_gain(evidence: RowEvidence) -> tuple[float, float, float]:
    belief = evidence.belief
    if not 0 <= evidence.information <= evidence.total_information:
        raise InvalidArgument(
            f"an information gain of {evidence.information} bits out of {evidence.total_information}",
            hint="Give the gain and the entropy of all predictions.",
            argument="information",
        )
    share = evidence.information / evidence.total_information if evidence.total_information else 0.0
    mean = share * max(0.0, belief.potential - belief.expected)
    sampling = belief.potential * (1 - belief.potential) / belief.n_points
    half = HALF_WIDTH * sqrt(share * belief.sd**2 + share**2 * sampling)
    lowest, highest = belief.lower - belief.expected, belief.upper - belief.expected
    return mean, max(mean - half, min(lowest, mean)), min(mean + half, max(highest, mean))


def _relabel_gain(evidence: RelabelEvidence) -> tuple[float, float, float]:
    beliefs = np.asarray(evidence.own_beliefs, dtype=np.float64)
    if beliefs.ndim != 1 or not ((beliefs >= 0) & (beliefs <= 1)).all() or len(beliefs) > evidence.n_rows:
        raise InvalidArgument(
            f"own_beliefs of shape {beliefs.shape} for {evidence.n_rows} rows",
            hint="Give one probability a relabelled row.",
            argument="own_beliefs",
        )
    if evidence.n_classes < 2:
        raise InvalidArgument("fewer than two classes", hint="Count all classes.", argument="n_classes")
    _check_probability("error", evidence.error)
    _check_probability("noise", evidence.noise)
    chance = 1 - 1 / evidence.n_classes
    kept = (1 - evidence.noise) ** 2
    # With rho = 1 labels say nothing and neither does the measured error: e_0 is taken as chance.
    clean = (evidence.error - (1 - kept) * chance) / kept if kept > 0 else chance
    clean = min(max(clean, 0.0), chance)
    wrong = float((1 - beliefs).sum())
    spread = sqrt(float((beliefs * (1 - beliefs)).sum()))
    most_wrong = min(wrong + HALF_WIDTH * spread, float(len(beliefs)))
    slope = (1 - clean / chance) / evidence.n_rows
    return 0.5 * wrong * slope, 0.0, most_wrong * slope


def _check_probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise InvalidArgument(f"{name} is {value}", hint="Give a number from 0 to 1.", argument=name)
