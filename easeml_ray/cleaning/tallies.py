"""Polynomials that count votes, and who wins with them.

Symbols
-------
L = labels
k = neighbours that vote
z_l = variable of label l; the coefficient of z_1^g_1 ... z_L^g_L is the probability that g_l
      rows of label l are nearer than the boundary, for all l
S = monomials of total degree at most `degree`
T = boundaries, the last axis of every array
F_l = (k + 1, T), probability that the tally of label l is 0 .. k

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

__all__ = ["Coefficients", "TallyAlgebra", "label_votes", "leave_one_out", "product", "tally_algebra"]

# Probabilities (float64) or whether they are positive (bool).
Coefficients: TypeAlias = NDArray[Any]

MOST_PRODUCTS = 50_000


class TallyAlgebra:
    """Polynomials in one variable a label, truncated at a total degree.

    An array of such polynomials has shape (S, ..., T): monomial first, boundary last.

    Parameters
    ----------
    n_labels : int
        Variables.
    degree : int
        Terms of higher total degree are dropped.

    Attributes
    ----------
    monomials : ndarray of int64, shape (S, n_labels)
        Exponents; the constant 1 comes first.
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
        """Multiply polynomials elementwise over all axes but the first, dropping high terms.

        Parameters
        ----------
        a, b : ndarray of shape (S, ...)
            Coefficients; further axes broadcast.

        Returns
        -------
        ndarray of shape (S, ...)
            Coefficients of the products.
        """
        result = np.zeros(np.broadcast_shapes(a.shape, b.shape), dtype=a.dtype)
        for total, left, right in self._products:
            result[total] += a[left] * b[right]
        return result

    def one_row(self, after: Coefficients, before: Sequence[Coefficients]) -> Coefficients:
        """Return the polynomial of a row: ``after + sum_l before_l z_l``.

        Parameters
        ----------
        after : ndarray
            Probability that the row is farther than the boundary.
        before : sequence of n_labels ndarray of the same shape
            Probability that the row is nearer, with label l.

        Returns
        -------
        ndarray of shape (S, ...)
            Its coefficients.
        """
        result = np.zeros((len(self.monomials), *after.shape), dtype=after.dtype)
        result[0] = after
        if self.degree:
            for label, mass in enumerate(before):
                result[self.position[tuple(int(i == label) for i in range(self.n_labels))]] = mass
        return result

    def power(self, counts: IntArray, dtype: np.dtype[Any]) -> Coefficients:
        """Return the monomial of each boundary's tally, 0 where its degree is too high.

        Parameters
        ----------
        counts : ndarray of int64, shape (n_labels, T)
            Exponents.
        dtype : dtype
            Of the coefficients.

        Returns
        -------
        ndarray of shape (S, T)
            A single 1 a boundary, or none.
        """
        return np.asarray((self.monomials[:, :, None] == counts[None, :, :]).all(axis=1), dtype=dtype)


@lru_cache(maxsize=64)
def tally_algebra(n_labels: int, degree: int) -> TallyAlgebra:
    """Return the algebra of these variables and this degree.

    Parameters
    ----------
    n_labels : int
        Variables.
    degree : int
        Highest total degree.

    Returns
    -------
    TallyAlgebra
        Shared; do not change it.

    Raises
    ------
    InvalidArgument
        If it has too many terms to be computed with.
    """
    from math import comb

    if comb(degree + 2 * n_labels, degree) > MOST_PRODUCTS:
        raise InvalidArgument(
            f"joint votes of {degree + 1} neighbours over {n_labels} labels are too many to count",
            hint="Give a smaller k, or let the alternatives of each row agree in the label.",
            argument="k",
        )
    return TallyAlgebra(n_labels, degree)


def product(algebra: TallyAlgebra, leaves: Coefficients, base: Coefficients) -> Coefficients:
    """Multiply the polynomials of all rows.

    Parameters
    ----------
    algebra : TallyAlgebra
        Whose polynomials they are.
    leaves : ndarray of shape (S, P, T)
        One a row.
    base : ndarray of shape (S, T)
        A further factor.

    Returns
    -------
    ndarray of shape (S, T)
        The product of all.
    """
    return algebra.multiply(base, _levels(algebra, leaves)[-1][:, 0]) if leaves.shape[1] else base


def leave_one_out(algebra: TallyAlgebra, leaves: Coefficients, base: Coefficients) -> Coefficients:
    """Multiply the polynomials of all rows but one, for each row, down a product tree.

    Parameters
    ----------
    algebra : TallyAlgebra
        Whose polynomials they are.
    leaves : ndarray of shape (S, P, T)
        One a row.
    base : ndarray of shape (S, T)
        A factor of every result.

    Returns
    -------
    ndarray of shape (S, P, T)
        Place i: the product of all others.
    """
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


def label_votes(factors: Sequence[Coefficients], k: int) -> Coefficients:
    """Probability that each label wins a vote of k, for independent tallies of the labels.

    Fix the winner w and its tally t; then labels before w must stay below t, since they win
    ties, and labels after w may reach t. What is left is a product of truncated polynomials,
    of which the term of degree k - t is wanted. Products over the labels before and after w
    are shared among winners, so that the cost grows with L, not with the number of tallies.

    Parameters
    ----------
    factors : sequence of L ndarray of shape (k + 1, ..., T)
        Probability of each tally, one array a label; further axes broadcast.
    k : int
        Votes.

    Returns
    -------
    ndarray of shape (L, ..., T)
        Joint probability that the tallies sum to k and that the label wins.

    Examples
    --------
    Two certain votes for label 1 and one for label 0:

    >>> import numpy as np
    >>> label_votes([np.array([[0.0], [1], [0], [0]]), np.array([[0.0], [0], [1], [0]])], 3)
    array([[0.],
           [1.]])
    """
    n_labels = len(factors)
    shape = np.broadcast_shapes(*(factor.shape[1:] for factor in factors))
    votes = np.zeros((n_labels, *shape), dtype=factors[0].dtype)
    # With a smaller tally than this the others could not stay at or below the winner's.
    for tally in range(-(-k // n_labels), k + 1):
        rest = k - tally
        after = _running_products([f[: tally + 1] for f in factors[:0:-1]], rest)[::-1]
        before = _running_products([f[:tally] for f in factors[:-1]], rest)
        for label in range(n_labels):
            _add_term(votes[label], factors[label][tally], before[label], after[label], rest)
    return votes


def _running_products(factors: Sequence[Coefficients], degree: int) -> list[Coefficients]:
    """Products of the first 0, 1, ... factors, truncated at a degree."""
    products: list[Coefficients] = []
    for factor in factors:
        cut = factor[: degree + 1]
        products.append(_convolve(products[-1], cut, degree) if products else cut)
    return [np.ones(1, dtype=bool), *products]


def _convolve(a: Coefficients, b: Coefficients, degree: int) -> Coefficients:
    length = min(degree, len(a) + len(b) - 2) + 1
    shape = np.broadcast_shapes(a.shape[1:], b.shape[1:])
    result = np.zeros((length, *shape), dtype=a.dtype)
    for i in range(len(a)):
        for j in range(min(len(b), length - i)):
            result[i + j] += a[i] * b[j]
    return result


def _add_term(result: Coefficients, tally: Coefficients, a: Coefficients, b: Coefficients, rest: int) -> None:
    """Add ``tally`` times the coefficient of degree `rest` in a b to `result`."""
    for i in range(max(0, rest - len(b) + 1), min(len(a), rest + 1)):
        result += tally * a[i] * b[rest - i]
