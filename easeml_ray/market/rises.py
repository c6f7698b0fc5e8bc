"""Compiled: what the neighbours of development rows become when an offer is added.

Symbols
-------
T = development rows, P = places of a list
owned lists = d2 and match of the P nearest owned rows of each development row, (T, P) each
segment = rows of one offer that may be among the P nearest of one development row, nearest first
w = weight of each place, (P,)
rise = weighted sum of match over the P nearest, after less before, of one development row
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.compiling import may_keep

__all__ = ["join", "update_rises"]

BoolArray = NDArray[np.bool_]


entrance = njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, cache=may_keep(__file__))


@entrance
def update_rises(
    owned_d2: FloatArray,
    owned_match: FloatArray,
    point: IntArray,
    pointer: IntArray,
    d2: FloatArray,
    match: FloatArray,
    weights: FloatArray,
    changed: BoolArray,
    rises: FloatArray,
) -> None:
    """Compute the rises of segments, (S,), anew where the development row's owned list has changed."""
    # point : (S,) development row of each segment; pointer : (S + 1,) where its rows begin in d2 and match;
    # places of an owned list that no row fills have distance infinity and match 0.
    places = owned_d2.shape[1]
    for g in range(point.shape[0]):
        t = point[g]
        if not changed[t]:
            continue
        new, end = pointer[g], pointer[g + 1]
        old = 0
        rise = 0.0
        for place in range(places):
            # At equal distance rows owned before are nearer.
            if new < end and d2[new] < owned_d2[t, old]:
                rise += weights[place] * (match[new] - owned_match[t, place])
                new += 1
            else:
                rise += weights[place] * (owned_match[t, old] - owned_match[t, place])
                old += 1
        rises[g] = rise


@entrance
def join(
    owned_d2: FloatArray,
    owned_match: FloatArray,
    point: IntArray,
    pointer: IntArray,
    d2: FloatArray,
    match: FloatArray,
    changed: BoolArray,
) -> None:
    """Put the rows of an offer's segments into the owned lists, and say which lists, (T,), have changed."""
    places = owned_d2.shape[1]
    near, right = np.empty(places), np.empty(places)
    changed[:] = False
    for g in range(point.shape[0]):
        t = point[g]
        new, end = pointer[g], pointer[g + 1]
        old = 0
        for place in range(places):
            if new < end and d2[new] < owned_d2[t, old]:
                near[place], right[place] = d2[new], match[new]
                new += 1
            else:
                near[place], right[place] = owned_d2[t, old], owned_match[t, old]
                old += 1
        changed[t] = new > pointer[g]
        owned_d2[t], owned_match[t] = near, right
