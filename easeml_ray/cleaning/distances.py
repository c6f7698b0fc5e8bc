"""Squared distances whose ties are exact: direct differences, whole numbers where cells are 0 or 1.

Symbols
-------
P, M = points, other rows
binary columns = those that hold only 0 and 1 on both sides (one-hot cells)
numeric columns = all others

A product ``|x|^2 + |y|^2 - 2 x y`` rounds differently from row to row and breaks ties at random. Numeric
columns are therefore compared by direct differences. In binary columns the squared distance is the number of
differing cells, which a matrix product counts exactly in any order. Alternatives of one row share most
columns, so that each part is computed once for each distinct part of a row and then looked up.
"""

from __future__ import annotations

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray

__all__ = ["Distances", "squared_distances"]

FEWEST_BINARY = 4
# Looking up costs about as much as differences in this many columns.
LOOKUP_WORTH = 2


class Distances:
    """Squared Euclidean distances between points and other rows, block by block."""

    def __init__(self, points: FloatArray, others: FloatArray) -> None:
        binary = _holds_bits(points) & _holds_bits(others)
        if binary.sum() < FEWEST_BINARY:
            binary[:] = False
        self._numeric = _Part(points[:, ~binary], others[:, ~binary])
        self._binary = _Part(points[:, binary], others[:, binary])

    def block(self, start: int, stop: int) -> FloatArray:
        """Return the distances of some points, (stop - start, M)."""
        from scipy.spatial.distance import cdist

        numeric, binary = self._numeric, self._binary
        result: FloatArray | None = None
        if numeric.width:
            near = cdist(numeric.points[start:stop], numeric.distinct, "sqeuclidean")
            result = near if numeric.which is None else near[:, numeric.which]
        if binary.width:
            # Counts up to 2^24 are whole in float32.
            mine = binary.points[start:stop].astype(np.float32)
            theirs = binary.distinct.astype(np.float32)
            differing = mine.sum(axis=1)[:, None] + theirs.sum(axis=1)[None] - 2.0 * (mine @ theirs.T)
            counts = differing if binary.which is None else differing[:, binary.which]
            result = counts.astype(np.float64) if result is None else result + counts
        assert result is not None, "rows have at least one feature"
        return np.asarray(result, dtype=np.float64)


class _Part:
    """Some columns of both sides; the other side's rows once each where that pays."""

    def __init__(self, points: FloatArray, others: FloatArray) -> None:
        self.width = points.shape[1]
        self.points = points
        self.distinct = others
        self.which: IntArray | None = None
        if self.width > LOOKUP_WORTH:
            keys = np.ascontiguousarray(others).view(np.dtype((np.void, others.itemsize * self.width)))
            _, first, which = np.unique(keys.ravel(), return_index=True, return_inverse=True)
            if 2 * len(first) < len(others):
                self.distinct, self.which = others[first], which.ravel()


def squared_distances(points: FloatArray, others: FloatArray) -> FloatArray:
    """Return squared Euclidean distances, (P, M), such that equal rows tie exactly."""
    return Distances(points, others).block(0, len(points))


def _holds_bits(values: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Say which columns hold only 0 and 1."""
    return np.asarray(((values == 0.0) | (values == 1.0)).all(axis=0))
