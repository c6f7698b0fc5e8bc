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

from easeml_ray.arrays import FloatArray, IntArray, as_features, as_labels, count_classes
from easeml_ray.errors import InvalidArgument
from easeml_ray.market.ranking import blocks, sealed

__all__ = ["Utility", "checked", "knn_shapley", "shard_values"]

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
    shard = shard_values(X, y, X_dev, y_dev, k=k, utility=utility, epsilon=epsilon, n_classes=n_classes)
    mean: FloatArray = shard / len(y_dev)  # type: ignore[arg-type]
    return mean


def shard_values(
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
    """Return the values, (n_rows,), summed over some development rows."""
    # The sums of all parts, together, divided by the development rows, are :func:`knn_shapley`. For `soft`,
    # give the classes: a part may not have them all.
    from easeml_ray.market.ordering import add_exact, add_truncated

    rows, codes, dev_rows, dev_codes, classes = checked(
        X, y, X_dev, y_dev, k=k, utility=utility, n_classes=n_classes
    )
    n = len(rows)
    kept = _rows_to_order(n, k, utility, epsilon)
    values = np.zeros(n)
    if kept < n:
        counts = np.bincount(codes, minlength=classes)
        far = (_harmonic(n) - _harmonic(kept)) / (n - kept)
        tail = np.zeros(classes + 1)
        for part, s, window in blocks(rows, dev_rows):
            add_truncated(
                s, window, rows, dev_rows[part], codes, dev_codes[part], counts, k, kept, far, values, tail
            )
        values += tail[codes] + tail[-1]
        return values
    for part, s, window in blocks(rows, dev_rows):
        add_exact(
            s, s.min(axis=1), s.max(axis=1), window, rows, dev_rows[part], codes, dev_codes[part], k,
            classes if utility == "soft" else 0, values,
        )  # fmt: skip
    return values


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
    """Return the arrays as float64 and int64, not to be written to, and the number of classes."""
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
    classes = count_classes(n_classes, labels, dev_labels)
    return sealed(rows), sealed(labels), sealed(dev_rows), sealed(dev_labels), classes
