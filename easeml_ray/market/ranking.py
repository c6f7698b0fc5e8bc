"""Train rows in the order of their distance to a development row, ties to the smaller index.

Symbols
-------
T = development rows of a block, n = train rows, d = features
d2 = squared Euclidean distances, (T, n)
order = train rows, nearest first, (T, n) or its first columns
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from easeml_ray.embed.arrays import FloatArray, IntArray

__all__ = ["BLOCK_BYTES", "dev_blocks", "nearest_first", "nearest_of_each", "squared_distances"]

BLOCK_BYTES = 1 << 28
"""Memory that the (development, train) arrays of one block may take, in bytes."""


def dev_blocks(n_dev: int, n_train: int, *, arrays: int = 8) -> Iterator[slice]:
    """Cut the development rows so that `arrays` float64 arrays (block, n_train) fit in memory.

    Parameters
    ----------
    n_dev, n_train : int
        Rows.
    arrays : int
        Arrays alive at once.

    Yields
    ------
    slice
        Consecutive blocks, of at least one development row.

    Examples
    --------
    >>> list(dev_blocks(5, 2**22))
    [slice(0, 1, None), slice(1, 2, None), slice(2, 3, None), slice(3, 4, None), slice(4, 5, None)]
    """
    step = max(1, BLOCK_BYTES // (8 * arrays * max(1, n_train)))
    for begin in range(0, n_dev, step):
        yield slice(begin, min(begin + step, n_dev))


def squared_distances(X: FloatArray, X_dev: FloatArray) -> FloatArray:
    """Return squared distances by direct differences: equal rows have equal distances.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Train rows.
    X_dev : ndarray of shape (T, d)
        Development rows.

    Returns
    -------
    ndarray of shape (T, n)
        Squared Euclidean distances.

    Examples
    --------
    >>> squared_distances(np.array([[0.0], [3.0]]), np.array([[1.0]]))
    array([[1., 4.]])
    """
    from scipy.spatial.distance import cdist

    distances: FloatArray = cdist(X_dev, X, "sqeuclidean")
    return distances


def nearest_first(d2: FloatArray, count: int | None = None) -> IntArray:
    """Return the train rows nearest first, ties to the smaller index.

    Parameters
    ----------
    d2 : ndarray of shape (T, n)
        Distances.
    count : int, optional
        How many to return; all by default.

    Returns
    -------
    ndarray of int64, shape (T, n) or (T, count)
        Row indices.

    Examples
    --------
    >>> nearest_first(np.array([[2.0, 1.0, 2.0, 0.0]]))
    array([[3, 1, 0, 2]])
    >>> nearest_first(np.array([[2.0, 1.0, 2.0, 0.0]]), 3)
    array([[3, 1, 0]])
    """
    if count is not None and count < d2.shape[1]:
        return np.stack([_nearest(row, count) for row in d2])
    order = np.argsort(d2, axis=1)
    ranked = np.take_along_axis(d2, order, axis=1)
    # A stable sort is several times slower, and only rows that hold a tie need one.
    tied = np.flatnonzero((ranked[:, 1:] == ranked[:, :-1]).any(axis=1))
    order[tied] = np.argsort(d2[tied], axis=1, kind="stable")
    return order


def _nearest(d2: FloatArray, count: int) -> IntArray:
    last = np.partition(d2, count - 1)[count - 1]
    inside = np.flatnonzero(d2 < last)
    # Of the rows at the last distance the smaller indices are nearer.
    edge = np.flatnonzero(d2 == last)[: count - inside.size]
    return np.concatenate([inside[np.argsort(d2[inside], kind="stable")], edge])


def nearest_of_each(order: IntArray, groups: IntArray, k: int) -> IntArray:
    """Drop from an order what k nearer rows of the same group precede.

    Parameters
    ----------
    order : ndarray of int64, shape (n,)
        Train rows, nearest first.
    groups : ndarray of int64, shape (n,)
        Group of each train row.
    k : int
        Rows kept of each group.

    Returns
    -------
    ndarray of int64
        The rest, nearest first.

    Examples
    --------
    >>> nearest_of_each(np.array([2, 0, 1, 3]), np.array([0, 0, 0, 1]), 2)
    array([2, 0, 3])
    """
    mine = groups[order]
    by_group = np.argsort(mine, kind="stable")
    new = np.diff(mine[by_group], prepend=-1) != 0
    first = np.flatnonzero(new)
    # Position within the group: how far behind the group's first entry.
    place = np.arange(mine.size) - first[np.cumsum(new) - 1]
    kept: IntArray = order[np.sort(by_group[place < k])]
    return kept
