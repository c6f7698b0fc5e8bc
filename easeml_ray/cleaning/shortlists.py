"""Which alternatives can be among the k nearest of a point, nearest first.

Symbols
-------
k = neighbours that vote
rank = place of an alternative in the order of distance to the point, ties to the smaller row
R* = k-th smallest, over rows, of the row's worst rank
T = alternatives of rank at most R*
P = rows with an alternative on the list and more than one possible alternative
w_t = prior of the t-th alternative on the list
after[i, t]  = probability that row i is farther than the t-th alternative
before[i, t] = probability that row i is nearer than the t-th alternative

In every world at least k rows lie within R*, so that no alternative beyond R* is ever a neighbour: leaving it
out is exact. The order never changes when a row is cleaned; only the prior does, and R* can then only shrink.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.cleaning.alternatives import Alternatives

__all__ = ["Shortlist", "shortlist"]


@dataclass(frozen=True, slots=True)
class Shortlist:
    """The alternatives within R* of one point, with what the queries need to know of them."""

    elements: IntArray  # (T,), positions in the alternatives, nearest first; each has a positive prior
    rows: IntArray  # (R,), those that occur
    row: IntArray  # (T,), position in `rows` of each element's row
    weight: FloatArray  # (T,), prior
    labels: IntArray  # (L,), those that occur, ascending
    label: IntArray  # (T,), position in `labels` of each element's label
    beyond: FloatArray  # (R,), probability that the row is an alternative that is not on the list
    uncertain: IntArray  # (P,), positions in `rows` of the rows with more than one possible alternative

    def nearer_mass(self, select: NDArray[np.bool_]) -> FloatArray:
        """Probability that an uncertain row is one of its selected elements before place t, (P, T)."""
        # 0 at the places of the row's own elements, where the row is the boundary itself.
        mass = np.where(self.own & select, self.weight, 0.0)
        before = np.zeros_like(mass)
        np.cumsum(mass[:, :-1], axis=1, out=before[:, 1:])
        before[self.own] = 0.0
        return before

    def farther_mass(self) -> FloatArray:
        """Probability that an uncertain row is none of its elements before place t, (P, T)."""
        # 1 at the places of the row's own elements. Summed from the far end, not as a difference from 1, so
        # that it is exactly 0 where the row is surely nearer.
        mass = np.where(self.own, self.weight, 0.0)
        after = np.cumsum(mass[:, ::-1], axis=1)[:, ::-1] + self.beyond[self.uncertain, None]
        after[self.own] = 1.0
        return np.asarray(after)

    @property
    def own(self) -> NDArray[np.bool_]:
        """Whether place t belongs to the uncertain row, shape (P, T)."""
        return np.asarray(self.uncertain[:, None] == self.row[None, :])

    def sure_counts(self) -> IntArray:
        """Count the certain rows of each label that are nearer than place t, shape (L, T)."""
        certain = np.ones(len(self.rows), dtype=bool)
        certain[self.uncertain] = False
        counted = (self.label[None, :] == np.arange(len(self.labels))[:, None]) & certain[self.row]
        counts = np.zeros(counted.shape, dtype=np.int64)
        np.cumsum(counted[:, :-1], axis=1, out=counts[:, 1:])
        return counts


def shortlist(alternatives: Alternatives, prior: FloatArray, elements: IntArray, k: int) -> Shortlist:
    """Cut a list of :func:`easeml_ray.cleaning.ranking.nearest_first` again for the present prior."""
    possible = np.add.reduceat((prior > 0).astype(np.int64), alternatives.row_ptr[:-1])
    kept = elements[prior[elements] > 0]
    rows, row = np.unique(alternatives.row_of[kept], return_inverse=True)
    whole = np.bincount(row, minlength=len(rows)) == possible[rows]
    farthest = np.zeros(len(rows), dtype=np.int64)
    np.maximum.at(farthest, row, np.arange(len(kept)))
    worst = np.where(whole, farthest, len(kept))
    last = int(np.partition(worst, k - 1)[k - 1])
    kept = kept[: last + 1]
    rows, row = np.unique(alternatives.row_of[kept], return_inverse=True)
    labels, label = np.unique(alternatives.labels[kept], return_inverse=True)
    return Shortlist(
        elements=kept,
        rows=rows,
        row=row,
        weight=np.where(possible[rows][row] == 1, 1.0, prior[kept]),
        labels=labels,
        label=label,
        beyond=_left_out(alternatives, prior, kept, rows),
        uncertain=np.flatnonzero(possible[rows] > 1),
    )


def _left_out(alternatives: Alternatives, prior: FloatArray, kept: IntArray, rows: IntArray) -> FloatArray:
    rest = prior.copy()
    rest[kept] = 0.0
    return np.asarray(np.add.reduceat(rest, alternatives.row_ptr[:-1])[rows])
