"""Compiled: what one row gives its seller and takes from the others, and games drawn at random.

Symbols
-------
M = sellers, T = development rows, K = neighbours that vote
R = rows that can matter to a development row, nearest first
c_m = rows of seller m that are nearer than the row looked at; L = K - c of its own seller
G = moments of quadrature; t = a moment of arrival
before_i = coefficients of ``prod_{m < i} (1 - t + t z^c_m)``, powers below L
after_i = their sums up to each power, of ``prod_{m >= i}``

The theory stands at the top of :mod:`easeml_ray.market.sellers`.

References
----------
G. Owen, "Multilinear extensions of games", Management Science 18(5), 1972: moments of arrival.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.compiling import may_keep

__all__ = ["add_games", "play_orders"]

BoolArray = NDArray[np.bool_]


entrance = njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, cache=may_keep(__file__))
part = njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


@entrance
def add_games(
    sellers: IntArray,
    match: BoolArray,
    n_sellers: int,
    k: int,
    moments: FloatArray,
    weights: FloatArray,
    total: FloatArray,
) -> None:
    """Add the values of sellers, times K, for some development rows to `total`, (M,)."""
    # sellers, match : (T, R) seller of each row, nearest first, at most K of each, and whether its label is
    # right; moments, weights : (G,) quadrature on 0 .. 1.
    g = moments.shape[0]
    before = np.zeros((n_sellers + 1, k, g))
    after = np.zeros((n_sellers + 1, k, g))
    count = np.zeros(n_sellers, np.int64)
    met = np.empty(n_sellers, np.int64)
    for t in range(sellers.shape[0]):
        count[:] = 0
        n_met = 0
        for r in range(sellers.shape[1]):
            seller = sellers[t, r]
            if match[t, r]:
                _one_row(seller, count, met, n_met, k, moments, weights, before, after, total)
            if count[seller] == 0:
                met[n_met] = seller
                n_met += 1
            count[seller] += 1


@part
def _one_row(
    seller: int,
    count: IntArray,
    met: IntArray,
    n_met: int,
    k: int,
    moments: FloatArray,
    weights: FloatArray,
    before: FloatArray,
    after: FloatArray,
    total: FloatArray,
) -> None:
    """Give a matching row's seller P(count < L), and take what each other seller displaces."""
    room = k - count[seller]
    g = moments.shape[0]
    before[0] = 0.0
    before[0, 0] = 1.0
    after[n_met] = 1.0
    for i in range(n_met):
        c = 0 if met[i] == seller else count[met[i]]
        _times(before[i], before[i + 1], c, room, moments)
        i_back = n_met - 1 - i
        c = 0 if met[i_back] == seller else count[met[i_back]]
        _times(after[i_back + 1], after[i_back], c, room, moments)
    gained = 0.0
    for j in range(g):
        gained += weights[j] * after[0, room - 1, j]
    total[seller] += gained
    for i in range(n_met):
        if met[i] != seller:
            total[met[i]] -= _lost(before[i], after[i + 1], count[met[i]], room, moments, weights)


@part
def _times(source: FloatArray, product: FloatArray, c: int, room: int, moments: FloatArray) -> None:
    """Multiply by ``1 - t + t z^c``, powers below `room`; sums of coefficients obey the same rule."""
    g = moments.shape[0]
    for q in range(room):
        if c == 0:
            for j in range(g):
                product[q, j] = source[q, j]
        elif q < c:
            for j in range(g):
                product[q, j] = (1.0 - moments[j]) * source[q, j]
        else:
            for j in range(g):
                product[q, j] = source[q, j] + moments[j] * (source[q - c, j] - source[q, j])


@part
def _lost(
    before: FloatArray, after: FloatArray, c: int, room: int, moments: FloatArray, weights: FloatArray
) -> float:
    """Return the integral of ``t P(L - c <= count of the others < L)``."""
    lost = 0.0
    g = moments.shape[0]
    for q in range(room):
        up, down = room - 1 - q, room - 1 - q - c
        if down >= 0:
            for j in range(g):
                lost += weights[j] * moments[j] * before[q, j] * (after[up, j] - after[down, j])
        else:
            for j in range(g):
                lost += weights[j] * moments[j] * before[q, j] * after[up, j]
    return lost


@entrance
def play_orders(
    positions: IntArray,
    groups: IntArray,
    match: BoolArray,
    owners: IntArray,
    owner_ptr: IntArray,
    k: int,
    nothing: float,
    rises: FloatArray,
) -> None:
    """Add what each seller brings when sellers arrive in given orders, summed over development rows.

    positions, rises : (orders, M) place of each seller in each order, and what it brings; groups, match :
    (T, R) owner group of each row, nearest first, and whether its label is right; a row needs all of
    ``owners[owner_ptr[g]:owner_ptr[g + 1]]``. nothing : worth of no rows, 1/C for ``soft``, which divides
    by the rows there are; negative for ``jia``, which divides by K and is worth 0 without rows.
    """
    n_sellers = positions.shape[1]
    n_rows = groups.shape[1]
    arrival = np.empty(owner_ptr.shape[0] - 1, np.int64)
    start = np.empty(n_sellers + 1, np.int64)
    sorted_rows = np.empty(n_rows, np.int64)
    near = np.empty(k, np.int64)
    at = np.empty(n_sellers, np.int64)
    for o in range(positions.shape[0]):
        for m in range(n_sellers):
            at[positions[o, m]] = m
        for group in range(arrival.shape[0]):
            last = 0
            for i in range(owner_ptr[group], owner_ptr[group + 1]):
                last = max(last, positions[o, owners[i]])
            arrival[group] = last
        for t in range(groups.shape[0]):
            start[:] = 0
            for r in range(n_rows):
                start[arrival[groups[t, r]] + 1] += 1
            for p in range(n_sellers):
                start[p + 1] += start[p]
            for r in range(n_rows):
                p = arrival[groups[t, r]]
                sorted_rows[start[p]] = r
                start[p] += 1
            # start[p] is now where the rows that come at p end.
            worth = max(nothing, 0.0)
            there = 0
            first = 0
            for p in range(n_sellers):
                for i in range(first, start[p]):
                    there = _enter(near, there, sorted_rows[i], k)
                if start[p] > first:
                    right = 0
                    for i in range(there):
                        right += match[t, near[i]]
                    new = right / (k if nothing < 0.0 else there)
                    rises[o, at[p]] += new - worth
                    worth = new
                first = start[p]


@part
def _enter(near: IntArray, there: int, row: int, k: int) -> int:
    """Put a row among the K nearest, kept in order; return how many there are."""
    if there == k:
        if near[k - 1] < row:
            return there
        there -= 1
    place = there
    while place > 0 and near[place - 1] > row:
        near[place] = near[place - 1]
        place -= 1
    near[place] = row
    return there + 1
