"""Which rows to clean together, before any of the answers is known.

Symbols
-------
S = rows chosen so far; X_S = what they turn out to be
I(i | S) = information of row i about the predictions once X_S is known, mean over X_S

The information of a batch is a chain: that of its first row, of its second once the first is known, and so
on. Rows are independent of each other, so that knowing one never makes another tell less, I(i | S) >= I(i):
what the ranking of single rows misses is that rows complete each other, where a prediction hangs on several.
Each step therefore takes the row of largest I(i | S). The mean over X_S is taken over a few joint draws,
stratified in each row, because alternatives multiply. Greedy is no optimum: two rows that tell much only
together are not found before one of them is taken for itself; only where no row tells anything are rows taken
for what they may complete.

References
----------
.. [1] T. Cover and J. Thomas, "Elements of Information Theory", 2006, 2.5: the chain rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.cleaning.incidence import Incidence
from easeml_ray.cleaning.pointwise import information
from easeml_ray.cleaning.ranking import RankedPoints
from easeml_ray.errors import InvalidArgument

__all__ = ["Batch", "choose_batch"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows to be cleaned together."""

    rows: IntArray  # (n,), in the order of choice
    bits: FloatArray  # (n,), expected information once those before are known, mean over points
    alone: FloatArray  # (n,), expected information of each row by itself, mean over points

    @property
    def total(self) -> float:
        """Expected information of the whole batch, bits, mean over points."""
        return float(self.bits.sum())


def choose_batch(
    ranked: RankedPoints,
    prior: FloatArray,
    near: Incidence,
    open_points: IntArray,
    alone: FloatArray,
    *,
    n_rows: int,
    n_draws: int,
    first: IntArray,
    excluded: IntArray,
    decimals: int,
    rng: np.random.Generator,
) -> Batch:
    """Choose rows one after the other by what each adds to those before, while one adds anything."""
    # `alone` is the information of each row now, bits summed over points, (N,). Rows of `first` are taken, in
    # that order, while no row tells anything. Means are rounded to `decimals`, so that equal rows tie; ties
    # go to the smaller row.
    for name, value in (("n_rows", n_rows), ("draws", n_draws)):
        if value < 1:
            raise InvalidArgument(f"{name} is {value}", hint="Give at least 1.", argument=name)
    priors = np.repeat(prior[None], n_draws, axis=0)
    totals = np.repeat(alone[None], n_draws, axis=0)
    totals[:, excluded] = 0.0
    is_open = np.zeros(ranked.n_points, dtype=bool)
    is_open[open_points] = True
    rows: list[int] = []
    bits: list[float] = []
    silent = [int(row) for row in np.setdiff1d(first, excluded)]
    while len(rows) < n_rows:
        means = np.round(totals.mean(axis=0) / ranked.n_points, decimals)
        row = int(means.argmax())
        if means[row] <= 0:
            if not silent:
                break
            row = silent.pop(0)
        else:
            silent = []
        rows.append(row)
        bits.append(float(means[row]))
        if len(rows) < n_rows:
            touched, matters = near.points_near(row)
            touched = touched[is_open[touched] & matters]
            chosen = _draw(prior, ranked.rows.row_ptr, row, n_draws, rng)
            for one, total, element in zip(priors, totals, chosen, strict=True):
                before = information(ranked, one, touched)
                one[ranked.rows.row_ptr[row] : ranked.rows.row_ptr[row + 1]] = 0.0
                one[element] = 1.0
                total += information(ranked, one, touched) - before
        totals[:, rows] = 0.0
        totals[:, excluded] = 0.0
    at = np.array(rows, dtype=np.int64)
    return Batch(at, np.array(bits), np.round(alone[at] / ranked.n_points, decimals))


def _draw(prior: FloatArray, row_ptr: IntArray, row: int, n_draws: int, rng: np.random.Generator) -> IntArray:
    """Draw alternatives in the proportions of their probabilities, in random order."""
    start, end = int(row_ptr[row]), int(row_ptr[row + 1])
    quantiles = rng.permutation((np.arange(n_draws) + rng.random()) / n_draws)
    cumulated = np.cumsum(prior[start:end])
    possible = np.flatnonzero(prior[start:end] > 0)
    drawn = np.searchsorted(cumulated, quantiles * cumulated[-1], "right")
    # Rounding must not draw what is impossible.
    return np.asarray(start + possible[np.searchsorted(possible, np.minimum(drawn, possible[-1]))])
