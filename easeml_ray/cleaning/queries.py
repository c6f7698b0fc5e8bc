"""Certain-prediction queries: what a k-nearest-neighbour vote says over all possible worlds.

Symbols
-------
world = one alternative for each row; its probability is the product of their priors
Q1 = a label is possible: some world of positive probability predicts it
Q2 = probability of the worlds that predict a label

A point is certain if one label only is possible: then no cleaning can change its prediction.
Rows are ordered by squared Euclidean distance, ties to the smaller row; the vote goes to the
label with most of the k nearest rows, ties to the smaller label.

References
----------
.. [1] B. Karlas et al., "Nearest Neighbor Classifiers over Incomplete Information: From
   Certain Answers to Certain Predictions", VLDB 2021: queries Q1 and Q2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easeml_ray.arrays import FloatArray, as_features
from easeml_ray.cleaning.alternatives import Alternatives, check_neighbours, read_alternatives
from easeml_ray.cleaning.pointwise import CERTAINTY, PROBABILITY, sweep
from easeml_ray.cleaning.ranking import RankedPoints, rank_points

__all__ = ["label_probabilities", "possible_labels"]


def label_probabilities(
    candidates: ArrayLike,
    row_ptr: ArrayLike,
    labels: ArrayLike,
    points: ArrayLike,
    *,
    k: int = 3,
    n_classes: int | None = None,
    prior: ArrayLike | None = None,
) -> FloatArray:
    """Probability over all possible worlds that k nearest neighbours predict each label.

    Parameters
    ----------
    candidates : array-like of shape (n_alternatives, n_features)
        Features of the alternatives, row by row.
    row_ptr : array-like of int, shape (n_rows + 1,)
        Alternatives of row i are ``row_ptr[i]`` to ``row_ptr[i + 1] - 1``.
    labels : array-like of int, shape (n_rows,) or (n_alternatives,)
        A label a row, or one an alternative if labels are uncertain too.
    points : array-like of shape (n_points, n_features)
        Points to be classified.
    k : int
        Odd number of neighbours that vote, at most n_rows.
    n_classes : int, optional
        Number of classes; by default what the labels imply.
    prior : array-like of shape (n_alternatives,), optional
        Probabilities, summing to 1 in each row; by default uniform in each row.

    Returns
    -------
    ndarray of shape (n_points, n_classes)
        Exact up to rounding; rows sum to 1.

    Raises
    ------
    InvalidArgument
        If an argument is not as described, or if labels are uncertain and k and the number of
        labels are too large to count joint votes.

    References
    ----------
    .. [1] B. Karlas et al., VLDB 2021, query Q2 and algorithm SortScan.

    Examples
    --------
    The middle row is near the point with probability one half:

    >>> label_probabilities([[0.0], [1.0], [9.0], [4.0]], [0, 1, 3, 4], [0, 1, 0], [[2.0]], k=1)
    array([[0.5, 0.5]])
    """
    rows = read_alternatives(candidates, row_ptr, labels, n_classes=n_classes, prior=prior)
    ranked = _rank(rows, points, k)
    result = np.zeros((ranked.n_points, rows.n_classes))
    for swept in sweep(ranked, rows.prior, np.arange(ranked.n_points), PROBABILITY):
        result[swept.points] = swept.found.probabilities
    return result


def possible_labels(
    candidates: ArrayLike,
    row_ptr: ArrayLike,
    labels: ArrayLike,
    points: ArrayLike,
    *,
    k: int = 3,
    n_classes: int | None = None,
) -> NDArray[np.bool_]:
    """Which labels some possible world predicts, exactly.

    Parameters
    ----------
    candidates : array-like of shape (n_alternatives, n_features)
        Features of the alternatives, row by row.
    row_ptr : array-like of int, shape (n_rows + 1,)
        Alternatives of row i are ``row_ptr[i]`` to ``row_ptr[i + 1] - 1``.
    labels : array-like of int, shape (n_rows,) or (n_alternatives,)
        A label a row, or one an alternative.
    points : array-like of shape (n_points, n_features)
        Points to be classified.
    k : int
        Odd number of neighbours that vote, at most n_rows.
    n_classes : int, optional
        Number of classes; by default what the labels imply.

    Returns
    -------
    ndarray of bool, shape (n_points, n_classes)
        At least one True a row; exactly one where the prediction is certain. Counted in
        booleans, so that a world of tiny probability is not lost to rounding.

    Raises
    ------
    InvalidArgument
        As :func:`label_probabilities`.

    References
    ----------
    .. [1] B. Karlas et al., VLDB 2021, query Q1. The extreme worlds of its MinMax algorithm
       miss labels when three or more classes tie; the support of Q2 does not.

    Examples
    --------
    >>> possible_labels([[0.0], [1.0], [9.0], [4.0]], [0, 1, 3, 4], [0, 1, 0], [[2.0], [-3.0]], k=1)
    array([[ True,  True],
           [ True, False]])
    """
    rows = read_alternatives(candidates, row_ptr, labels, n_classes=n_classes)
    ranked = _rank(rows, points, k)
    result = np.zeros((ranked.n_points, rows.n_classes), dtype=bool)
    for swept in sweep(ranked, rows.prior, np.arange(ranked.n_points), CERTAINTY):
        result[swept.points] = swept.found.possible
    return result


def _rank(rows: Alternatives, points: ArrayLike, k: int) -> RankedPoints:
    targets = as_features(points, "points", n_features=rows.candidates.shape[1], min_rows=0)
    return rank_points(
        rows, targets, np.zeros(len(targets), dtype=np.int64), check_neighbours(k, rows.n_rows)
    )
