"""Distances of development rows to train rows, block by block: quick ones that tell how far to trust them.

Symbols
-------
n = train rows, T = development rows, d = features
s = squared distances less the development row's own square, up to rounding, (T, n)
window = s that differ by more are in the order of their direct differences, (T,)

References
----------
N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1: the bound of a product.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray

__all__ = ["Block", "blocks", "nearest", "nearest_of_each", "rounding_bound", "sealed"]

T = TypeVar("T", bound=np.generic)

USUAL_BYTES = 1 << 25  # of s; more brings nothing, and less memory stays in the cache
MOST_BYTES = 1 << 28
FEWEST_ROWS = 32  # development rows of a block, for the sake of the matrix product
WHOLE_BYTES = 1 << 27  # of train rows that are centred once for all development rows
CHUNK_BYTES = 1 << 23  # of train rows that are centred at once where there are more


class Block(NamedTuple):
    """Some development rows: which, s (t, n), in memory that the next block uses again, and window (t,)."""

    part: slice
    s: FloatArray
    window: FloatArray


def blocks(X: FloatArray, Z: FloatArray) -> Iterator[Block]:
    """Yield the distances of all development rows Z (T, d), as many at once as fit into some 32 MiB."""
    n, d = X.shape
    centre = X.mean(axis=0)
    rows = max(1, CHUNK_BYTES // (8 * (d + 1)))
    whole = _centred(X, centre, np.empty((n, d + 1))) if X.nbytes <= WHOLE_BYTES else None
    room = np.empty((rows if whole is None else 0, d + 1))  # used again: fresh memory costs more than this
    step = min(len(Z), max(1, USUAL_BYTES // (8 * n), min(FEWEST_ROWS, MOST_BYTES // (8 * n))))
    memory = np.empty((step, n))
    longest = 0.0 if whole is None else float(whole[:, -1].max())
    for begin in range(0, len(Z), step):
        part = slice(begin, min(begin + step, len(Z)))
        mine = Z[part] - centre
        squares = np.square(mine).sum(axis=1)
        factors = np.concatenate([-2.0 * mine, np.ones((len(mine), 1))], axis=1)
        s = memory[: len(mine)]
        if whole is not None:
            np.matmul(factors, whole.T, out=s)
        else:
            for first in range(0, n, rows):
                chunk = _centred(X[first : first + rows], centre, room)
                longest = max(longest, float(chunk[:, -1].max()))
                np.matmul(factors, chunk.T, out=s[:, first : first + rows])
        yield Block(part, s, 2.0 * rounding_bound(d, np.sqrt(longest) + np.sqrt(squares)))


def rounding_bound(n_features: int, reach: FloatArray) -> FloatArray:
    """Return B, (T,), the bound of ``|s + |z|^2 - D|``, D being the direct differences in float64."""
    # A product of d + 1 terms, the rounding of centred cells and that of the differences are each at most `(d
    # + 4) u reach^2`, u = 2^-53; reach : (T,) length of the longest train row and of the development row,
    # together, about the same centre.
    bound: FloatArray = (3.0 * n_features + 16.0) * 2.0**-53 * np.square(reach)
    return bound


def _centred(rows: FloatArray, centre: FloatArray, room: FloatArray) -> FloatArray:
    """Return rows about a centre with their squares appended, so that one product gives the distance."""
    result = room[: rows.shape[0]]
    np.subtract(rows, centre, out=result[:, :-1])
    np.einsum("ij,ij->i", result[:, :-1], result[:, :-1], out=result[:, -1])
    return result


def nearest(X: FloatArray, Z: FloatArray, count: int) -> tuple[IntArray, FloatArray]:
    """Return the nearest train rows of each development row and their d2 by direct differences, (T, count).

    Ties go to the smaller index; equal rows have equal d2.
    """
    from easeml_ray.market.ordering import nearest_rows

    X, Z = sealed(X), sealed(Z)
    rows = np.empty((len(Z), count), dtype=np.int64)
    d2 = np.empty((len(Z), count))
    for part, s, window in blocks(X, Z):
        nearest_rows(s, window, X, Z[part], rows[part], d2[part])
    return rows, d2


def nearest_of_each(
    X: FloatArray, Z: FloatArray, groups: IntArray, k: int
) -> Iterator[tuple[slice, IntArray]]:
    """Yield, block by block, the train rows that fewer than k nearer rows of the same group precede."""
    # groups : (n,) counted from 0; rows : (t, R) nearest first, R the sum of min(k, rows) over the groups.
    from easeml_ray.market.ordering import kept_of_each

    X, Z = sealed(X), sealed(Z)
    kept = int(np.minimum(np.bincount(groups), k).sum())
    for part, s, window in blocks(X, Z):
        rows = np.empty((len(s), kept), dtype=np.int64)
        low, high = s.min(axis=1), s.max(axis=1)
        kept_of_each(s, low, high, window, X, Z[part], groups, int(groups.max()) + 1, k, rows)
        yield part, rows


def sealed(array: NDArray[T]) -> NDArray[T]:
    """Return a view that cannot be written to."""
    # What comes from an object store cannot either, and to the compiler that is another type: with all arrays
    # sealed it compiles once.
    view = array.view()
    view.flags.writeable = False
    return view
