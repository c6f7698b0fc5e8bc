"""From what probes measured to an interval of the Bayes error, fitted where the truth is known.

Symbols
-------
b = Bayes error
e, s = error of the consensus on development rows, and the error that it expects of itself
c = (e + s) / 2, the centre: s counts no label and is steadier, e cannot fool itself
h = smallest Cover-Hart value over the embeddings
m = (C - 1) / C, the error of a guess
r = 1 - (c / m)^2, what there is to tell: 0 where the consensus does no better than a guess
phi = (sampling error of c, disagreement of the halves, regret of the halves), (3,)
psi = (sampling error of c, r disagreement, r regret, r min(h - c, 0)), (4,)
theta_q = coefficients of the q-quantile of b - c: of phi for q = 0.05 and 0.95, of psi for q = 0.5
k_low, k_high = factors by which the two arms of the interval are lengthened, at least 1

``b_q = c + theta_q . phi``, the median ``c + theta_q . psi``. The sampling error vanishes with
development rows, and the regret as the halves settle. The disagreement does so too, except where two
classes are equally likely: there the halves differ for ever, and the interval stays wide. The median does
not follow it there: halves that only guess differ whatever the Bayes error is, so that they say nothing
about which side of the centre it lies on.

The coefficients minimise the pinball loss over a reference class of problems whose Bayes error is known,
every family of problems weighing the same. A quantile regression promises its quantiles on the families that
it was fitted to. The arms are therefore lengthened until they hold on families that were left out of the fit,
one after the other: on 975 of 1,000 problems a side, and on 93 of 100 in the worst family (of 30 problems
each, so that this is a rough figure: a family that neither fit has seen may do worse). That is more than 90 %
asks of problems like the average ones, because nobody knows which family the next data set is of.

No interval of the Bayes error holds for every distribution: at any number of rows there are
problems whose structure no classifier has seen yet. What is promised is promised for problems
like those of the reference class, which every report names.

References
----------
R. Koenker and G. Bassett, "Regression quantiles", Econometrica 46(1), 1978.
T. Gneiting and A. Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA
102(477), 2007: the pinball losses of both ends add up to the interval score.
A. Antos, L. Devroye, L. Györfi, "Lower bounds for Bayes error estimation", IEEE TPAMI 21(7),
1999: no estimator converges at any rate for all distributions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arrays import FloatArray

__all__ = ["BayesBelief", "Calibration", "Summary", "shipped_calibration"]

CONFIDENCE = 0.90
"""Confidence of every interval of a report."""

TAILS = (0.05, 0.5, 0.95)
SIDE_COVERAGE = 0.975  # of each arm, on families left out, pooled
FAMILY_COVERAGE = 0.93  # of each arm, on the worst family left out
SHORTEST_ARM = 1e-3  # below this an arm is rounding
Z_95 = NormalDist().inv_cdf(0.95)


@dataclass(frozen=True, slots=True)
class Summary:
    """What an interval is computed from."""

    n_train: int
    n_dev: int
    n_classes: int
    error: float  # share of development rows that the consensus gets wrong
    doubt: float  # mean of 1 - its largest probability
    half_error: float  # mean error of the consensuses of the two halves
    disagreement: float  # share of development rows on which the halves name different classes
    regret: float  # mean probability that a half loses by its choice, in the eyes of all rows
    cover_hart: float  # smallest Cover-Hart value over the embeddings

    @property
    def centre(self) -> float:
        """The mean of error and doubt."""
        return 0.5 * (self.error + self.doubt)

    @property
    def guess(self) -> float:
        """The error of a guess, m."""
        return 1.0 - 1.0 / self.n_classes

    def features(self) -> tuple[FloatArray, FloatArray]:
        """Return phi (3,) and psi (4,)."""
        c = self.centre
        # Not even a whole row wrong leaves the sampling error of a quarter of one.
        sampling = math.sqrt(max(c * (1.0 - c), 0.25 / self.n_dev) / self.n_dev)
        told = max(0.0, 1.0 - (c / self.guess) ** 2)
        phi = np.array([sampling, self.disagreement, self.regret])
        learnable = min(self.cover_hart - c, 0.0)
        return phi, np.array([sampling, told * self.disagreement, told * self.regret, told * learnable])


@dataclass(frozen=True, slots=True)
class BayesBelief:
    """A belief about the Bayes error: two half normals that meet at the median."""

    low: float  # 5 % quantile
    median: float
    high: float  # 95 % quantile

    def at_most(self, error: float) -> float:
        """Return the probability that the Bayes error is at most `error`."""
        arm = (self.median - self.low) if error < self.median else (self.high - self.median)
        if arm < SHORTEST_ARM:
            return float(error >= self.median)
        return NormalDist(self.median, arm / Z_95).cdf(error)

    def quantile(self, share: float) -> float:
        """Return the error that the Bayes error stays below with probability `share`."""
        z = NormalDist().inv_cdf(share) / Z_95
        return max(0.0, self.median + z * ((self.median - self.low) if z < 0 else (self.high - self.median)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted map from a :class:`Summary` to a :class:`BayesBelief`."""

    coefficients: tuple[tuple[float, ...], ...]  # theta of the quantiles, of lengths 3, 4, 3
    lengthened: tuple[float, float]  # k_low and k_high
    reference: dict[str, Any]  # of the problems fitted to: families, and least and most of each size

    def belief(self, summary: Summary) -> BayesBelief:
        """Return the belief about the Bayes error that a summary leads to."""
        quantiles = _quantiles(self.coefficients, _arrays([summary]))[:, 0]
        low, median, high = _lengthened(quantiles, self.lengthened, summary.guess)
        return BayesBelief(float(low), float(median), float(high))

    def outside(self, summary: Summary) -> tuple[str, ...]:
        """Say in which respects a summary lies outside the reference class."""
        found = []
        for name, value in (("train rows", summary.n_train), ("development rows", summary.n_dev)):
            least = self.reference["n_train" if name == "train rows" else "n_dev"][0]
            if value < least:
                found.append(f"{value} {name}, the fewest there are {least}")
        most = self.reference["n_classes"][1]
        if summary.n_classes > most:
            found.append(f"{summary.n_classes} classes, the most there are {most}")
        least_each = self.reference["rows_a_class"]
        if summary.n_train < least_each * summary.n_classes:
            found.append(
                f"{summary.n_train / summary.n_classes:.0f} train rows a class, the fewest there are "
                f"{least_each}"
            )
        return tuple(found)

    @classmethod
    def fit(
        cls,
        summaries: Sequence[Summary],
        ber: ArrayLike,
        families: Sequence[str],
        reference: Mapping[str, Any],
    ) -> Calibration:
        """Fit to problems whose Bayes error is known. Shapes: ber (N,)."""
        measured, truth, family = _arrays(summaries), np.asarray(ber, dtype=np.float64), np.asarray(families)
        coefficients = _regress(measured, truth, family)
        arms = _needed_arms(measured, truth, family)
        return cls(
            tuple(tuple(round(float(value), 6) for value in row) for row in coefficients),
            arms,
            dict(reference),
        )

    def to_json(self) -> str:
        """Return the map as JSON text."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Rebuild a map from :meth:`to_json`."""
        value = json.loads(text)
        low, high = value["lengthened"]
        return cls(tuple(tuple(row) for row in value["coefficients"]), (low, high), value["reference"])


@cache
def shipped_calibration() -> Calibration:
    """Return the calibration that studies use."""
    return Calibration.from_json((files("easeml_ray.feasibility") / "calibration.json").read_text())


@dataclass(frozen=True, slots=True)
class _Measured:
    """Features of N problems: phi (N, 3), psi (N, 4), centres (N,) and errors of a guess (N,)."""

    phi: FloatArray
    psi: FloatArray
    centre: FloatArray
    most: FloatArray

    def basis(self, q: float) -> FloatArray:
        """Return what a quantile is a combination of, (N, 3) or (N, 4)."""
        return self.psi if q == 0.5 else self.phi

    def part(self, rows: Any) -> _Measured:
        """Return some of the problems."""
        return _Measured(self.phi[rows], self.psi[rows], self.centre[rows], self.most[rows])


def _arrays(summaries: Sequence[Summary]) -> _Measured:
    phi, psi = zip(*(summary.features() for summary in summaries), strict=True)
    return _Measured(
        np.stack(phi),
        np.stack(psi),
        np.array([summary.centre for summary in summaries]),
        np.array([summary.guess for summary in summaries]),
    )


def _quantiles(theta: Sequence[Sequence[float] | FloatArray], measured: _Measured) -> FloatArray:
    """Return the three quantiles, (3, N), in order and within 0 .. m."""
    low, median, high = (
        measured.centre + measured.basis(q) @ np.asarray(own) for q, own in zip(TAILS, theta, strict=True)
    )
    median = np.clip(median, 0.0, measured.most)
    return np.stack([np.minimum(low, median), median, np.maximum(high, median)])


def _lengthened(
    quantiles: FloatArray, arms: tuple[float, float], most: float | FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    low, median, high = quantiles
    return (
        np.clip(median - arms[0] * (median - low), 0.0, most),
        median,
        np.clip(median + arms[1] * (high - median), 0.0, most),
    )


def _regress(measured: _Measured, truth: FloatArray, family: Any) -> list[FloatArray]:
    """Return theta of each quantile: the smallest pinball losses, every family weighing the same."""
    from scipy.optimize import linprog

    _, code, count = np.unique(family, return_inverse=True, return_counts=True)
    weight = 1.0 / count[code] / count.size
    # The dual linear programme (Koenker and Bassett, section 3): one bounded variable a problem, one
    # equation a feature, whose multipliers are the coefficients. The scale is HiGHS's tolerance's.
    weight = weight * len(weight)
    theta = []
    for q in TAILS:
        basis = measured.basis(q)
        found = linprog(
            measured.centre - truth,
            A_eq=basis.T,
            b_eq=(1.0 - q) * (basis.T @ weight),
            bounds=np.stack([np.zeros_like(weight), weight], axis=1),
            method="highs",
        )
        theta.append(-found.eqlin.marginals)
    return theta


def _needed_arms(measured: _Measured, truth: FloatArray, family: Any) -> tuple[float, float]:
    """Return the factors that make the arms hold on families that the fit has not seen."""
    needs: list[tuple[FloatArray, FloatArray]] = []
    for left_out in np.unique(family):
        seen, own = family != left_out, family == left_out
        theta = _regress(measured.part(seen), truth[seen], family[seen])
        low, median, high = _quantiles(theta, measured.part(own))
        needs.append(
            (
                (median - truth[own]) / np.maximum(median - low, SHORTEST_ARM),
                (truth[own] - median) / np.maximum(high - median, SHORTEST_ARM),
            )
        )
    low_arm, high_arm = (
        max(
            1.0,
            _family_quantile([need[side] for need in needs]),
            max(float(np.quantile(need[side], FAMILY_COVERAGE)) for need in needs),
        )
        for side in (0, 1)
    )
    return round(low_arm, 4), round(high_arm, 4)


def _family_quantile(parts: Sequence[FloatArray]) -> float:
    """Return the quantile of all parts at the coverage of a side, every part weighing the same."""
    values = np.concatenate(parts)
    weight = np.concatenate([np.full(part.size, 1.0 / (part.size * len(parts))) for part in parts])
    order = np.argsort(values)
    at = np.searchsorted(np.cumsum(weight[order]), SIDE_COVERAGE)
    return float(values[order][min(int(at), values.size - 1)])
