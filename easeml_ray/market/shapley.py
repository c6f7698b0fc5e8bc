"""The value of each train row to a nearest-neighbour classifier: exact Shapley values.

Symbols
-------
n = train rows, T = development rows, K = neighbours that vote, C = classes
i = rank of a train row by its distance to a development row, 1 = nearest, ties to the
    smaller row index
a_i = 1 where the row of rank i has the development row's label, else 0
S = coalition of train rows; a_S(j) = a of its j-th nearest row
v(S) = utility of a coalition, mean over development rows
phi_i = Shapley value; additive over development rows, so each is solved alone
H_m = 1 + 1/2 + ... + 1/m

The two utilities:

jia
    ``v(S) = (1/K) sum_{j <= min(K, |S|)} a_S(j)``, ``v({}) = 0``; always divided by K
soft
    ``v(S) = (1/min(K, |S|)) sum_{j <= min(K, |S|)} a_S(j)``, ``v({}) = 1/C``

References
----------
R. Jia et al., "Efficient task-specific data valuation for nearest neighbor algorithms",
PVLDB 12(11), 2019, theorem 1, with its first term ``a_n / n`` corrected to
``a_n / max(K, n)``, which also holds for n < K.
J. T. Wang and R. Jia, "A note on 'Efficient task-specific data valuation for nearest
neighbor algorithms'", arXiv 2304.04258, 2023: the soft utility, here also right for n <= K.
"""

from __future__ import annotations

import math
from numbers import Integral
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.embed import as_features, as_labels, count_classes
from easeml_ray.embed.arrays import FloatArray, IntArray
from easeml_ray.errors import InvalidArgument
from easeml_ray.market.ranking import dev_blocks, nearest_first, squared_distances

__all__ = ["Utility", "checked", "jia_by_rank", "knn_shapley"]

Utility: TypeAlias = Literal["jia", "soft"]


def knn_shapley(
    X: ArrayLike,
    y: ArrayLike,
    X_dev: ArrayLike,
    y_dev: ArrayLike,
    *,
    k: int = 5,
    utility: Utility = "jia",
    epsilon: float | None = None,
    n_classes: int | None = None,
) -> FloatArray:
    """Return the Shapley value of each train row.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Train features.
    y : array-like of int, shape (n_rows,)
        Class codes.
    X_dev : array-like of shape (n_dev, n_features)
        Development features.
    y_dev : array-like of int, shape (n_dev,)
        Class codes; one that no train row has is allowed.
    k : int
        Neighbours K that vote, at least 1; may exceed the rows.
    utility : {"jia", "soft"}
        What a coalition is worth; see the top of this module.
    epsilon : float, optional
        Largest error accepted for a value, above 0: only the ``max(k, 1/epsilon)`` nearest
        rows are ordered, the rest counts as if in random order, so that the values still
        sum to what all rows are worth. For ``jia`` only. None: exact.
    n_classes : int, optional
        Classes C; inferred from the codes by default.

    Returns
    -------
    ndarray of shape (n_rows,)
        Values, mean over the development rows; they sum to ``v(all) - v({})``.

    Raises
    ------
    InvalidArgument
        If an array or a parameter is unusable.

    References
    ----------
    Jia et al. (2019), theorem 1; Wang and Jia (2023).

    Examples
    --------
    >>> knn_shapley([[0.0], [1.0], [2.0]], [1, 0, 1], [[0.0]], [1], k=1).round(4)
    array([ 0.8333, -0.1667,  0.3333])
    """
    X, y, X_dev, y_dev, classes = checked(X, y, X_dev, y_dev, k=k, utility=utility, n_classes=n_classes)
    n = X.shape[0]
    kept = _rows_to_order(n, k, utility, epsilon)
    values = np.zeros(n)
    for block in dev_blocks(X_dev.shape[0], n):
        labels = y_dev[block][:, None]
        order = nearest_first(squared_distances(X, X_dev[block]), kept)
        match = (y[order] == labels).astype(np.float64)
        if kept < n:
            everything = y[None, :] == labels
            by_rank, tail = _truncated(match, everything.sum(axis=1), n, k)
            values += tail @ np.stack([everything.sum(axis=0), np.ones(n)])
        elif utility == "jia":
            by_rank = jia_by_rank(match, k)
        else:
            by_rank = _soft_by_rank(match, k, classes)
        values += np.bincount(order.ravel(), weights=by_rank.ravel(), minlength=n)
    mean: FloatArray = values / X_dev.shape[0]
    return mean


def jia_by_rank(match: FloatArray, k: int) -> FloatArray:
    """Return the values of rows in the order of their ranks, utility ``jia``.

    ``phi_i = a_i / max(K, i) - sum_{j > max(K, i)} a_j / (j (j - 1))``

    Parameters
    ----------
    match : ndarray of shape (T, n)
        a, nearest row first.
    k : int
        Neighbours K.

    Returns
    -------
    ndarray of shape (T, n)
        phi, nearest row first.

    References
    ----------
    Jia et al. (2019), theorem 1, its recursion summed up.

    Examples
    --------
    >>> jia_by_rank(np.array([[1.0, 1.0]]), 1)
    array([[0.5, 0.5]])
    """
    rank = np.arange(1, match.shape[1] + 1)
    ahead = _sums_behind(match)
    last = np.minimum(np.maximum(rank, k), match.shape[1])
    values: FloatArray = match / np.maximum(rank, k) - ahead[:, last]
    return values


def _sums_behind(match: FloatArray) -> FloatArray:
    """Return ``sum_{j > m} a_j / (j (j - 1))`` for m = 0 .. n (m = 0 without its first term)."""
    rank = np.arange(1, match.shape[1] + 1)
    terms = match / np.maximum(rank * (rank - 1.0), 1.0)
    terms[:, 0] = 0.0
    sums = np.zeros((match.shape[0], match.shape[1] + 1))
    sums[:, :-1] = terms[:, ::-1].cumsum(axis=1)[:, ::-1]
    return sums


def _soft_by_rank(match: FloatArray, k: int, n_classes: int) -> FloatArray:
    """Return the values of rows in the order of their ranks, utility ``soft``.

    ``phi_n = (a_n - 1/C) / n + (a_n - mean_{j<n} a_j) / n (H_min(K,n) - 1)``,
    ``phi_i - phi_{i+1} = (a_i - a_{i+1}) / (n-1) (H_min(K,n-1) + max(0, (n-1) / max(i,K) - 1))``.
    """
    n = match.shape[1]
    farthest: FloatArray = (match[:, -1] - 1.0 / n_classes) / n
    if n == 1:
        return farthest[:, None]
    others = match[:, :-1].mean(axis=1)
    farthest += (match[:, -1] - others) / n * (_harmonic(min(k, n)) - 1.0)
    rank = np.arange(1, n)
    factor = _harmonic(min(k, n - 1)) + np.maximum(0.0, (n - 1) / np.maximum(rank, k) - 1.0)
    steps = (match[:, :-1] - match[:, 1:]) * (factor / (n - 1))
    values = np.empty_like(match)
    values[:, -1] = farthest
    values[:, :-1] = farthest[:, None] + steps[:, ::-1].cumsum(axis=1)[:, ::-1]
    return values


def _truncated(match: FloatArray, matches: IntArray, n: int, k: int) -> tuple[FloatArray, FloatArray]:
    """Solve the nearest rows in order, and the rest as if its matches were spread evenly.

    A row of the rest gets ``a h - p (h - 1/n)``, where p is the share of matches among the
    rest and h the mean of 1/j over its ranks. Returned are what each near row gets beyond
    that, and the coefficients of (a summed over the block, 1) in it for all rows.
    """
    kept = match.shape[1]
    rest = n - kept
    p = (matches - match.sum(axis=1)) / rest
    h = (_harmonic(n) - _harmonic(kept)) / rest
    near = jia_by_rank(match, k) - (p * (1.0 / kept - 1.0 / n))[:, None]
    far = match * h - (p * (h - 1.0 / n))[:, None]
    return near - far, np.array([h, -p.sum() * (h - 1.0 / n)])


def _rows_to_order(n: int, k: int, utility: str, epsilon: float | None) -> int:
    if epsilon is None:
        return n
    if not 0.0 < epsilon <= 1.0:
        raise InvalidArgument(
            f"epsilon is {epsilon}", hint="Give a value above 0, or None for exact.", argument="epsilon"
        )
    if utility != "jia":
        raise InvalidArgument(
            f"epsilon holds for utility jia, not {utility}",
            hint="Leave epsilon out for exact values.",
            argument="epsilon",
        )
    return min(n, max(k, math.ceil(1.0 / epsilon)))


def _harmonic(m: int) -> float:
    return float((1.0 / np.arange(1, m + 1)).sum())


def checked(
    X: ArrayLike,
    y: ArrayLike,
    X_dev: ArrayLike,
    y_dev: ArrayLike,
    *,
    k: int,
    utility: str,
    n_classes: int | None,
) -> tuple[FloatArray, IntArray, FloatArray, IntArray, int]:
    """Return the arrays in the form that the numerics read, and the number of classes.

    Parameters
    ----------
    X, y, X_dev, y_dev : array-like
        Train and development rows.
    k : int
        Neighbours.
    utility : str
        Name of the utility.
    n_classes : int or None
        Classes as given.

    Returns
    -------
    X, y, X_dev, y_dev, n_classes
        Arrays as float64 and int64.

    Raises
    ------
    InvalidArgument
        If anything is unusable.
    """
    if not isinstance(k, Integral) or k < 1:
        raise InvalidArgument(f"k is {k}", hint="Give a whole number of at least 1.", argument="k")
    if utility not in ("jia", "soft"):
        raise InvalidArgument(
            f"there is no utility {utility!r}", hint="Give jia or soft.", argument="utility"
        )
    rows = as_features(X, "X")
    labels = as_labels(y, "y", n_rows=rows.shape[0])
    dev_rows = as_features(X_dev, "X_dev", n_features=rows.shape[1])
    dev_labels = as_labels(y_dev, "y_dev", n_rows=dev_rows.shape[0])
    return rows, labels, dev_rows, dev_labels, count_classes(n_classes, labels, dev_labels)
