"""Compiled: rows of one development row in the order of their distances, and the values that follow from it.

Symbols
-------
n = train rows, d = features, T = development rows of a block
s = squared distances less the development row's own square, from a matrix product, (T, n)
B = bound of what rounding may have done to s and to direct differences; ``window = 2 B``
a = match of each train row with the development row: 0 or 1, or the chance of it, (n,)
K = neighbours that vote, C = classes
phi = values; see :mod:`easeml_ray.market.shapley`

A matrix product is the quick way to distances, but rounds differently from row to row. Rows whose s
differ by more than the window are in the order of their direct differences; the others stand in chains,
and are ordered anew by direct differences, ties to the smaller index. A chain whose rows all have the
same a needs none of that: exchanging two such neighbours changes no value.

Rows are sorted by dropping them into about as many buckets as there are rows, evenly spaced between the
nearest and the farthest, and by insertion from there; crowded buckets are sorted by merging.

The functions of this file call each other, and the compiler's cache knows the state of one file
only: they stay together.

References
----------
K. E. Neubert, "The Flashsort1 Algorithm", Dr. Dobb's Journal 23(2), 1998: buckets, then insertion.
N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1: the bound of a product.
"""

from __future__ import annotations

import os

import numpy as np
from numba import njit
from numpy.typing import NDArray

from easeml_ray.embed.arrays import FloatArray, IntArray

__all__ = ["add_exact", "add_truncated", "kept_of_each", "nearest_rows", "rounding_bound"]

SmallArray = NDArray[np.int32]

CROWDED = 32  # rows of a bucket from which merging is quicker than insertion
SAMPLE = 1024  # rows that are looked at to guess how far the nearest reach


def _may_keep() -> bool:
    """Whether compiled code can be kept beside this file, or where NUMBA_CACHE_DIR says."""
    folder = os.path.dirname(os.path.abspath(__file__))
    kept = os.path.join(folder, "__pycache__")
    beside = os.access(kept if os.path.isdir(kept) else folder, os.W_OK)
    return beside or bool(os.environ.get("NUMBA_CACHE_DIR"))


entrance = njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, cache=_may_keep())
part = njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


def rounding_bound(n_features: int, reach: FloatArray) -> FloatArray:
    """Return B for development rows.

    Parameters
    ----------
    n_features : int
        d.
    reach : ndarray of shape (T,)
        Length of the longest train row and of the development row, together, about the same centre.

    Returns
    -------
    ndarray of shape (T,)
        Bound of ``|s + |z|^2 - D|``, D being the direct differences in float64: a product of d + 1
        terms, the rounding of centred cells and that of the differences, each at most
        ``(d + 4) u reach^2`` with u = 2^-53.

    Examples
    --------
    >>> float(rounding_bound(1, np.array([1.0]))[0]) < 1e-14
    True
    """
    bound: FloatArray = (3.0 * n_features + 16.0) * 2.0**-53 * np.square(reach)
    return bound


@entrance
def add_exact(
    s: FloatArray,
    low: FloatArray,
    high: FloatArray,
    window: FloatArray,
    X: FloatArray,
    Z: FloatArray,
    chance: FloatArray,
    column: IntArray,
    y: IntArray,
    labels: IntArray,
    k: int,
    soft_classes: int,
    values: FloatArray,
) -> None:
    """Add the values of all rows for each development row of a block.

    Parameters
    ----------
    s : ndarray of shape (T, n)
        Distances up to rounding and a constant for each development row.
    low, high, window : ndarray of shape (T,)
        Smallest and largest of s, and what rounding may have exchanged.
    X, Z : ndarray of shape (n, d), (T, d)
        Rows as given, for direct differences.
    chance : ndarray of shape (L, n)
        Chance of each label that the development rows have; without rows where labels are known.
    column : ndarray of int64, shape (T,)
        Which row of it is the development row's.
    y, labels : ndarray of int64, shape (n,), (T,)
        Class codes; read where `chance` has no rows.
    k : int
        K.
    soft_classes : int
        C for the utility ``soft``, 0 for ``jia``.
    values : ndarray of shape (n,)
        Where phi is added.
    """
    n = s.shape[1]
    order = np.empty(n, np.int32)
    keys = np.empty(n)
    start = np.empty(n + 1, np.int32)
    a = np.empty(n)
    step = np.empty(n + 1)
    share = np.empty(n + 1)
    for i in range(1, n + 1):
        share[i] = 1.0 / max(k, i)
        step[i] = 1.0 / (i * max(i - 1.0, 1.0))
    factor = np.empty(n if soft_classes else 0)
    _soft_factors(factor, k)
    for t in range(s.shape[0]):
        if chance.shape[0]:
            a[:] = chance[column[t]]
        else:
            label = labels[t]
            for j in range(n):
                a[j] = 1.0 if y[j] == label else 0.0
        _sort(s[t], low[t], high[t], order, keys, start)
        _mend_ties(order, keys, n, window[t], a, X, Z[t])
        if soft_classes:
            _add_soft(order, a, k, soft_classes, factor, values)
        else:
            behind = 0.0
            for i in range(n, k, -1):
                row = order[i - 1]
                values[row] += a[row] * share[i] - behind
                behind += a[row] * step[i]
            for i in range(min(n, k), 0, -1):
                row = order[i - 1]
                values[row] += a[row] * share[i] - behind


@part
def _sort(
    s: FloatArray, low: float, high: float, order: SmallArray, keys: FloatArray, start: SmallArray
) -> None:
    """Write rows and their s in ascending order, ties to the smaller index."""
    n = s.shape[0]
    scale = (n - 0.5) / (high - low) if high > low else 0.0
    if not scale < np.inf:
        scale = 0.0
    start[:] = 0
    for j in range(n):
        start[np.int64((s[j] - low) * scale) + 1] += 1
    most = 0
    for b in range(1, n + 1):
        most = max(most, start[b])
        start[b] += start[b - 1]
    for j in range(n):
        b = np.int64((s[j] - low) * scale)
        place = start[b]
        start[b] = place + 1
        order[place] = j
        keys[place] = s[j]
    if most >= CROWDED:
        begin = 0
        for b in range(n):
            end = start[b]  # has moved to the bucket's end
            if end - begin >= CROWDED:
                _merge(order[begin:end], keys[begin:end])
            begin = end
    _insert(order, keys, n)


@part
def _insert(order: SmallArray, keys: FloatArray, n: int) -> None:
    for i in range(1, n):
        key = keys[i]
        if keys[i - 1] > key:
            row = order[i]
            place = i
            while place > 0 and keys[place - 1] > key:
                keys[place] = keys[place - 1]
                order[place] = order[place - 1]
                place -= 1
            keys[place] = key
            order[place] = row


@part
def _merge(order: SmallArray, keys: FloatArray) -> None:
    by_key = np.argsort(keys, kind="mergesort")
    order[:] = order[by_key]
    keys[:] = keys[by_key]


@part
def _mend_ties(
    order: SmallArray, keys: FloatArray, n: int, window: float, a: FloatArray, X: FloatArray, z: FloatArray
) -> None:
    """Order the rows of each chain whose a differ by direct differences, then by index."""
    i = 1
    while i < n:
        if keys[i] - keys[i - 1] > window:
            i += 1
            continue
        begin = i - 1
        first = a[order[begin]]
        mixed = False
        while i < n and keys[i] - keys[i - 1] <= window:
            mixed |= a[order[i]] != first
            i += 1
        if mixed:
            _by_differences(order[begin:i], keys[begin:i], X, z)


@part
def _by_differences(order: SmallArray, keys: FloatArray, X: FloatArray, z: FloatArray) -> None:
    order.sort()
    for i in range(order.shape[0]):
        keys[i] = _difference(X[order[i]], z)
    if order.shape[0] < CROWDED:
        _insert(order, keys, order.shape[0])
    else:
        _merge(order, keys)


@part
def _difference(x: FloatArray, z: FloatArray) -> float:
    """Sum four by four: the same for equal rows, and quicker than one after the other."""
    d = x.shape[0]
    s0 = s1 = s2 = s3 = 0.0
    whole = d - d % 4
    for f in range(0, whole, 4):
        d0, d1, d2, d3 = x[f] - z[f], x[f + 1] - z[f + 1], x[f + 2] - z[f + 2], x[f + 3] - z[f + 3]
        s0 += d0 * d0
        s1 += d1 * d1
        s2 += d2 * d2
        s3 += d3 * d3
    for f in range(whole, d):
        s0 += (x[f] - z[f]) * (x[f] - z[f])
    return (s0 + s1) + (s2 + s3)


@part
def _soft_factors(factor: FloatArray, k: int) -> None:
    """Write ``(H_min(K,n-1) + max(0, (n-1) / max(i,K) - 1)) / (n-1)`` for ranks i below n."""
    n = factor.shape[0]
    h = 0.0
    for m in range(1, min(k, n - 1) + 1):
        h += 1.0 / m
    for i in range(1, n):
        factor[i] = (h + max(0.0, (n - 1.0) / max(i, k) - 1.0)) / (n - 1.0)


@part
def _add_soft(
    order: SmallArray, a: FloatArray, k: int, n_classes: int, factor: FloatArray, values: FloatArray
) -> None:
    """Add the values of the utility ``soft``, from the farthest row to the nearest."""
    n = order.shape[0]
    last = a[order[n - 1]]
    phi = (last - 1.0 / n_classes) / n
    if n > 1:
        h = 0.0
        for m in range(2, min(k, n) + 1):
            h += 1.0 / m
        phi += (last - (a.sum() - last) / (n - 1.0)) / n * h
    values[order[n - 1]] += phi
    for i in range(n - 1, 0, -1):
        row = order[i - 1]
        phi += (a[row] - last) * factor[i]
        last = a[row]
        values[row] += phi


@part
def _nearest(
    s: FloatArray, count: int, window: float, X: FloatArray, z: FloatArray, rows: SmallArray, keys: FloatArray
) -> None:
    """Write the `count` nearest rows into the front of `rows`, exactly ordered; `keys` are direct differences.

    A sample tells how far they reach about; what is nearer is collected, with all that rounding may hide.
    """
    n = s.shape[0]
    stride = max(1, n // SAMPLE)
    seen = n // stride
    reach = np.inf
    wanted = np.int64(seen * (count / n) * 1.5) + 8
    while True:
        if wanted < seen:
            sample = s[: seen * stride : stride].copy()
            reach = np.partition(sample, wanted)[wanted]
        else:
            reach = np.inf
        found = 0
        for j in range(n):
            if s[j] <= reach:
                rows[found] = j
                keys[found] = s[j]
                found += 1
        if found >= count:
            break
        wanted *= 3
    if found > count:
        # The last one's s, and everything that may not be farther.
        edge = np.partition(keys[:found], count - 1)[count - 1] + window
        if edge > reach:
            found = 0
            for j in range(n):
                if s[j] <= edge:
                    rows[found] = j
                    found += 1
        else:
            kept = 0
            for i in range(found):
                if keys[i] <= edge:
                    rows[kept] = rows[i]
                    kept += 1
            found = kept
    for i in range(found):
        keys[i] = _difference(X[rows[i]], z)
    _merge(rows[:found], keys[:found])


@entrance
def nearest_rows(
    s: FloatArray,
    window: FloatArray,
    X: FloatArray,
    Z: FloatArray,
    rows: IntArray,
    d2: FloatArray,
) -> None:
    """Write the nearest rows of each development row, ties to the smaller index.

    Parameters
    ----------
    s, window, X, Z
        As for :func:`add_exact`.
    rows, d2 : ndarray of shape (T, count)
        Where rows and their squared distances, by direct differences, are written.
    """
    count = rows.shape[1]
    near = np.empty(s.shape[1], np.int32)
    keys = np.empty(s.shape[1])
    for t in range(s.shape[0]):
        _nearest(s[t], count, window[t], X, Z[t], near, keys)
        rows[t] = near[:count]
        d2[t] = keys[:count]


@entrance
def add_truncated(
    s: FloatArray,
    window: FloatArray,
    X: FloatArray,
    Z: FloatArray,
    y: IntArray,
    labels: IntArray,
    matches: IntArray,
    k: int,
    kept: int,
    far: float,
    values: FloatArray,
    tail: FloatArray,
) -> None:
    """Add the values of the nearest rows, beyond what they would get among the rest.

    Parameters
    ----------
    s, window, X, Z, y, labels, k, values
        As for :func:`add_exact`; utility ``jia``.
    matches : ndarray of int64, shape (C,)
        Rows of each class, those that only development rows have too.
    kept : int
        Rows that are ordered, at least k and fewer than n.
    far : float
        h, the mean of 1/j over the ranks of the rest.
    tail : ndarray of shape (C + 1,)
        Where what all rows get is added: for each match with a class, and for being there at all.
    """
    n = s.shape[1]
    near = np.empty(n, np.int32)
    keys = np.empty(n)
    a = np.empty(kept)
    for t in range(s.shape[0]):
        _nearest(s[t], kept, window[t], X, Z[t], near, keys)
        label = labels[t]
        hits = 0
        for i in range(kept):
            a[i] = 1.0 if y[near[i]] == label else 0.0
            hits += np.int64(a[i])
        p = (matches[label] - hits) / (n - kept)
        rest = -p * (far - 1.0 / n)
        behind = p * (1.0 / kept - 1.0 / n) + rest
        for i in range(kept, k, -1):
            values[near[i - 1]] += a[i - 1] * (1.0 / i - far) - behind
            behind += a[i - 1] / (i * (i - 1.0))
        for i in range(k, 0, -1):
            values[near[i - 1]] += a[i - 1] * (1.0 / k - far) - behind
        tail[label] += far
        tail[-1] += rest


@entrance
def kept_of_each(
    s: FloatArray,
    low: FloatArray,
    high: FloatArray,
    window: FloatArray,
    X: FloatArray,
    Z: FloatArray,
    groups: IntArray,
    n_groups: int,
    k: int,
    rows: IntArray,
) -> None:
    """Write the rows that fewer than k nearer rows of the same group precede, nearest first.

    Parameters
    ----------
    s, low, high, window, X, Z
        As for :func:`add_exact`.
    groups : ndarray of int64, shape (n,)
        Group of each row.
    n_groups, k : int
        Groups, and rows kept of each.
    rows : ndarray of int64, shape (T, R)
        Where they are written.
    """
    n = s.shape[1]
    order = np.empty(n, np.int32)
    keys = np.empty(n)
    start = np.empty(n + 1, np.int32)
    a = np.arange(n).astype(np.float64)  # no two alike: every chain is ordered anew
    for t in range(s.shape[0]):
        _sort(s[t], low[t], high[t], order, keys, start)
        _mend_ties(order, keys, n, window[t], a, X, Z[t])
        seen = np.zeros(n_groups, np.int64)
        found = 0
        for i in range(n):
            row = order[i]
            if seen[groups[row]] < k:
                seen[groups[row]] += 1
                rows[t, found] = row
                found += 1
                if found == rows.shape[1]:
                    break
