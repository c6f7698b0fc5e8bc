"""Polynomials that count votes.

Symbols
-------
L = labels
z_l = variable of label l; the coefficient of z_1^g_1 ... z_L^g_L is the probability that g_l
      rows of label l are nearer than the boundary, for all l
S = monomials of total degree at most `degree`
T = boundaries, the last axis of every array

Nothing here subtracts or divides. Coefficients are never negative, and the same code runs on
numpy's boolean arrays, where ``+`` is *or* and ``*`` is *and*: then it gives exactly which
tallies are possible, whatever would underflow as a float.

References
----------
.. [1] B. Karlas et al., "Nearest Neighbor Classifiers over Incomplete Information: From
   Certain Answers to Certain Predictions", VLDB 2021: SortScan and its multi-class form.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations_with_replacement
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import IntArray
from easeml_ray.errors import InvalidArgument

__all__ = ["Coefficients", "TallyAlgebra", "leave_one_out", "product", "tally_algebra"]

# Probabilities (float64) or whether they are positive (bool).
Coefficients: TypeAlias = NDArray[Any]

MOST_PRODUCTS = 50_000


class TallyAlgebra:
    """Polynomials in one variable a label, truncated at a total degree, as arrays (S, ..., T).

    `monomials`, (S, n_labels), are the exponents; the constant 1 comes first.
    """

    def __init__(self, n_labels: int, degree: int) -> None:
        exponents = [
            tuple(np.bincount(np.array(chosen, dtype=np.int64), minlength=n_labels).tolist())
            for size in range(degree + 1)
            for chosen in combinations_with_replacement(range(n_labels), size)
        ]
        self.n_labels = n_labels
        self.degree = degree
        self.monomials: IntArray = np.array(exponents, dtype=np.int64).reshape(len(exponents), n_labels)
        self.position = {exponent: place for place, exponent in enumerate(exponents)}
        self._products = [
            (self.position[total], left, right)
            for left, a in enumerate(exponents)
            for right, b in enumerate(exponents)
            if sum(total := tuple(x + y for x, y in zip(a, b, strict=True))) <= degree
        ]

    def multiply(self, a: Coefficients, b: Coefficients) -> Coefficients:
        """Multiply polynomials elementwise over all axes but the first, dropping high terms."""
        result = np.zeros(np.broadcast_shapes(a.shape, b.shape), dtype=a.dtype)
        for total, left, right in self._products:
            result[total] += a[left] * b[right]
        return result

    def one_row(self, after: Coefficients, before: Sequence[Coefficients]) -> Coefficients:
        """Return the polynomial of a row: ``after + sum_l before_l z_l``."""
        result = np.zeros((len(self.monomials), *after.shape), dtype=after.dtype)
        result[0] = after
        if self.degree:
            for label, mass in enumerate(before):
                result[self.position[tuple(int(i == label) for i in range(self.n_labels))]] = mass
        return result

    def power(self, counts: IntArray, dtype: np.dtype[Any]) -> Coefficients:
        """Return the monomial of each boundary's tally, (n_labels, T); 0 where its degree is too high."""
        return np.asarray((self.monomials[:, :, None] == counts[None, :, :]).all(axis=1), dtype=dtype)


@lru_cache(maxsize=64)
def tally_algebra(n_labels: int, degree: int) -> TallyAlgebra:
    """Return the shared algebra of these variables and this degree; refuse one of too many terms."""
    from math import comb

    if comb(degree + 2 * n_labels, degree) > MOST_PRODUCTS:
        raise InvalidArgument(
            f"joint votes of {degree + 1} neighbours over {n_labels} labels are too many to count",
            hint="Give a smaller k, or let the alternatives of each row agree in the label.",
            argument="k",
        )
    return TallyAlgebra(n_labels, degree)


def product(algebra: TallyAlgebra, leaves: Coefficients, base: Coefficients) -> Coefficients:
    """Multiply the polynomials of all rows, (S, P, T), and `base`, (S, T)."""
    return algebra.multiply(base, _levels(algebra, leaves)[-1][:, 0]) if leaves.shape[1] else base


def leave_one_out(algebra: TallyAlgebra, leaves: Coefficients, base: Coefficients) -> Coefficients:
    """Multiply `base` and the polynomials of all rows but one, for each row, down a product tree."""
    if leaves.shape[1] == 0:
        return leaves
    outside = base[:, None, :]
    for level in _levels(algebra, leaves)[-2::-1]:
        width = level.shape[1]
        below = np.empty(level.shape, dtype=level.dtype)
        below[:, 0 : width - 1 : 2] = algebra.multiply(outside[:, : width // 2], level[:, 1::2])
        below[:, 1::2] = algebra.multiply(outside[:, : width // 2], level[:, 0 : width - 1 : 2])
        if width % 2:
            below[:, -1] = outside[:, -1]
        outside = below
    return outside


def _levels(algebra: TallyAlgebra, leaves: Coefficients) -> list[Coefficients]:
    levels = [leaves]
    while (width := levels[-1].shape[1]) > 1:
        last = levels[-1]
        pairs = algebra.multiply(last[:, 0 : width - 1 : 2], last[:, 1::2])
        levels.append(np.concatenate([pairs, last[:, -1:]], axis=1) if width % 2 else pairs)
    return levels
