"""Which rows are near which points: what an answer touches, and a place for what they tell.

Symbols
-------
N, V = rows, points
pair = a row and a point on whose list it is; pairs stand by point, then by row
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.cleaning.ranking import RankedPoints

__all__ = ["Incidence"]


class Incidence:
    """Pairs of rows and points, with one number each.

    `bits`, (n_pairs,), is what the row tells of the point. `matters`, (n_pairs,), is whether it can change
    what is known of the point by more than rounding; where it cannot, it can still make the point certain.
    """

    def __init__(self, ranked: RankedPoints) -> None:
        self._n_rows = ranked.rows.n_rows
        point = np.repeat(np.arange(ranked.n_points), np.diff(ranked.start))
        self._key = np.unique(point * self._n_rows + ranked.rows.row_of[ranked.elements])
        self._row = self._key % self._n_rows
        self._point = self._key // self._n_rows
        self._of_point = np.searchsorted(self._point, np.arange(ranked.n_points + 1))
        self._by_row = np.argsort(self._row, kind="stable")
        self._of_row = np.searchsorted(self._row[self._by_row], np.arange(self._n_rows + 1))
        self.bits: FloatArray = np.zeros(len(self._key))
        self.matters = np.ones(len(self._key), dtype=bool)

    def points_near(self, row: int) -> tuple[IntArray, NDArray[np.bool_]]:
        """Return the points on whose lists a row is, ascending, and whether it matters there."""
        pairs = self._by_row[self._of_row[row] : self._of_row[row + 1]]
        return self._point[pairs], self.matters[pairs]

    def write(self, points: IntArray, point: IntArray, row: IntArray, bits: FloatArray) -> None:
        """Replace the numbers of `points`: pairs that are not given are 0 and do not matter."""
        before = self._pairs_of(points)
        self.bits[before] = 0.0
        self.matters[before] = False
        now = np.searchsorted(self._key, point * self._n_rows + row)
        self.bits[now] = bits
        self.matters[now] = True

    def reset(self, points: IntArray) -> None:
        """Take every row near some points to matter until it is known better."""
        self.matters[self._pairs_of(points)] = True

    def total(self, points: IntArray | None = None) -> FloatArray:
        """Sum the numbers of each row over some points or all, (N,), always in the order of the points."""
        if points is None:
            return np.bincount(self._row, self.bits, minlength=self._n_rows).astype(np.float64)
        pairs = self._pairs_of(points)
        total = np.bincount(self._row[pairs], self.bits[pairs], minlength=self._n_rows)
        return total.astype(np.float64)

    def _pairs_of(self, points: IntArray) -> IntArray:
        begin, sizes = self._of_point[points], np.diff(self._of_point)[points]
        return np.repeat(begin - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
