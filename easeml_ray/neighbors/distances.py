"""What is near: the distance of a pair of rows, and the order of a row's neighbours.

Symbols
-------
T = test rows, n = train rows, d = features, k = neighbours kept, p = pairs
D = squared Euclidean distance of a pair, as float64 computes it by direct differences

The nearer of two train rows is the smaller of (D, index). The value of a pair does not depend on the pairs
beside it, so neighbours found in parts, merged in any order, are those of the whole, bit for bit.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray

__all__ = ["Metric", "directions", "first_of_equals", "pair_distances", "take_nearer"]

Metric: TypeAlias = Literal["euclidean", "cosine"]

PAIR_VALUES = 1 << 16  # differences held at once: 512 KiB, which stay in the cache


def directions(X: FloatArray) -> FloatArray:
    """Return rows as points whose squared Euclidean distance is ``2 - 2 cos``."""
    # Shapes: X (n, d); returned (n, d + 1).
    largest = np.abs(X).max(axis=1, keepdims=True)
    zero = largest == 0.0
    # Divided by its largest value first, no row over- or underflows when squared.
    scaled = X / np.where(zero, 1.0, largest)
    length = np.sqrt(np.square(scaled).sum(axis=1, keepdims=True))
    points = np.empty((X.shape[0], X.shape[1] + 1))
    np.divide(scaled, np.where(zero, 1.0, length), out=points[:, :-1])
    points[:, -1:] = zero
    return points


def pair_distances(queries: FloatArray, rows: FloatArray, row: IntArray, column: IntArray) -> FloatArray:
    """Return the squared distance D of (test, train) pairs by direct differences."""
    # Shapes: queries, rows (T, d) and (n, d); row, column (p,); returned (p,).
    distance = np.empty(row.size)
    step = max(1, PAIR_VALUES // queries.shape[1])
    for i in range(0, row.size, step):
        part = queries[row[i : i + step]]
        part -= rows[column[i : i + step]]
        distance[i : i + step] = np.square(part, out=part).sum(axis=1)
    return distance


def take_nearer(known: tuple[NDArray[Any], ...], found: tuple[NDArray[Any], ...]) -> None:
    """Keep the k nearest of what is known and what was found, row by row."""
    # Shapes: known (T, k); found (T, j).
    k = known[0].shape[1]
    both = [np.concatenate(pair, axis=1) for pair in zip(known, found, strict=True)]
    distance, index = both[0], both[1]
    order = np.lexsort((index, distance), axis=1)
    ranked = np.take_along_axis(index, order, axis=1)
    again = np.zeros(ranked.shape, dtype=np.bool_)
    again[:, 1:] = (ranked[:, 1:] == ranked[:, :-1]) & (ranked[:, 1:] >= 0)
    if again.any():
        # Behind all others, each in its row; at least k stay in front, known ones or empty.
        order = np.take_along_axis(order, np.argsort(again, axis=1, kind="stable"), axis=1)
    for values, pool in zip(known, both, strict=True):
        values[:] = np.take_along_axis(pool, order[:, :k], axis=1)


def first_of_equals(rows: FloatArray, names: IntArray, k: int) -> IntArray:
    """Return the positions of rows, without those that k equal rows of smaller index precede.

    Shapes: rows (n, d); names (n,).
    """
    # The same bytes where the same values: -0.0 becomes 0.0.
    keys = (rows + 0.0).view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    group = np.unique(keys, return_inverse=True)[1].ravel()
    order = np.lexsort((names, group))
    ranked = group[order]
    rank = np.arange(order.size) - np.searchsorted(ranked, ranked)
    return np.sort(order[rank < k])
