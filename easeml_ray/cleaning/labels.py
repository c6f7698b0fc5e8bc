"""Which labels are probably wrong: a row's own label against those of its neighbours.

Symbols
-------
N, C, k = rows, classes, neighbours of a row (the row itself excluded)
t_i, y_i = true and given label of row i
rho = label noise, convention *uniform*: with probability rho a label is replaced by one drawn
      from all C classes, its own included, so that rho (1 - 1/C) of the labels are wrong
n_ic = neighbours of row i that carry label c
f_ic = (n_ic + 1/C) / (k + 1), smoothed share of label c around row i
pi_ic = share of true labels c around row i: (f_ic - rho/C) / (1 - rho), at least 1/(C (k + 1))
        and scaled to sum 1, since E f_ic = (1 - rho) pi_ic + rho/C
b_ic = P(t_i = c | y_i, neighbours), proportional to pi_ic ((1 - rho) [y_i = c] + rho/C)

Neighbours enter as an estimate of the class probabilities at the row, not as k independent
witnesses: where classes overlap, a narrow majority must not outweigh the row's own label.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.cleaning.distances import squared_distances
from easeml_ray.embed.arrays import FloatArray, IntArray, as_features, as_labels
from easeml_ray.errors import InvalidArgument

__all__ = ["estimate_noise", "label_beliefs", "suspicious"]

BLOCK_VALUES = 4_000_000
# Rows whose neighbours agree most tell what noise is: there the neighbours are right.
FEWEST_TRUSTED = 30
TRUSTED_SHARE = 0.1
MOST_NOISE = 0.95


def label_beliefs(
    X: ArrayLike,
    y: ArrayLike,
    n_classes: int,
    *,
    k: int = 10,
    noise: float | None = None,
    neighbour_noise: float | None = None,
) -> FloatArray:
    """Probability of each label being the true one, by the row's own label and its neighbours'.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Encoded rows.
    y : array-like of int, shape (n_rows,)
        Labels as given.
    n_classes : int
        Number of classes.
    k : int
        Neighbours of a row, at most n_rows - 1; exact, ties to the smaller row.
    noise : float, optional
        Label noise rho in the uniform convention, between 0 and 1; by default
        :func:`estimate_noise`.
    neighbour_noise : float, optional
        Noise of the labels around a row, where some of them have been verified; by default
        the same as ``noise``.

    Returns
    -------
    ndarray of shape (n_rows, n_classes)
        Rows sum to 1. See the symbols of this module for the formula.

    Raises
    ------
    InvalidArgument
        If an argument is not as described.

    Examples
    --------
    The last row stands among rows of class 0 and says 1:

    >>> X = [[0.0], [0.1], [0.2], [0.3], [5.0], [5.1], [5.2], [5.3], [0.15]]
    >>> beliefs = label_beliefs(X, [0, 0, 0, 0, 1, 1, 1, 1, 1], 2, k=4, noise=0.2)
    >>> beliefs.argmax(axis=1)
    array([0, 0, 0, 0, 1, 1, 1, 1, 0])
    """
    features, labels, k = _read(X, y, n_classes, k)
    counts = _neighbour_counts(features, labels, n_classes, k)
    rho = _noise_from_counts(counts, labels) if noise is None else float(noise)
    beside = rho if neighbour_noise is None else float(neighbour_noise)
    for name, value in (("noise", rho), ("neighbour_noise", beside)):
        if not 0 <= value < 1:
            raise InvalidArgument(
                f"{name} is {value}", hint="Give a number from 0 to below 1.", argument=name
            )
    share = (counts + 1 / n_classes) / (k + 1)
    around = np.maximum((share - beside / n_classes) / (1 - beside), 1 / (n_classes * (k + 1)))
    around /= around.sum(axis=1, keepdims=True)
    own = (1 - rho) * (labels[:, None] == np.arange(n_classes)) + rho / n_classes
    beliefs = around * own
    return np.asarray(beliefs / beliefs.sum(axis=1, keepdims=True))


def estimate_noise(X: ArrayLike, y: ArrayLike, n_classes: int, *, k: int = 10) -> float:
    """Estimate label noise where the neighbours of a row agree most.

    Among the rows of highest agreement (at least 30 rows and a tenth of all, whole levels of
    agreement at a time) let d be the share whose own label differs from their neighbours'
    majority, with half a row added to each side. A wrong label differs with probability
    1 - 1/C, so rho = d C / (C - 1). A row's own label does not take part in choosing it.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Encoded rows.
    y : array-like of int, shape (n_rows,)
        Labels as given.
    n_classes : int
        Number of classes.
    k : int
        Neighbours of a row, at most n_rows - 1.

    Returns
    -------
    float
        rho in the uniform convention, above 0 and at most 0.95. Too large where even the
        rows of highest agreement lie among overlapping classes.

    Raises
    ------
    InvalidArgument
        If an argument is not as described.
    """
    features, labels, k = _read(X, y, n_classes, k)
    return _noise_from_counts(_neighbour_counts(features, labels, n_classes, k), labels)


def suspicious(beliefs: ArrayLike, y: ArrayLike) -> IntArray:
    """Order rows by how probable it is that their label is wrong.

    Parameters
    ----------
    beliefs : array-like of shape (n_rows, n_classes)
        From :func:`label_beliefs`.
    y : array-like of int, shape (n_rows,)
        Labels as given.

    Returns
    -------
    ndarray of int64, shape (n_rows,)
        Rows, smallest belief in their own label first, ties to the smaller row.

    Raises
    ------
    InvalidArgument
        If the shapes do not match.

    Examples
    --------
    >>> suspicious([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]], [0, 1, 0])
    array([1, 2, 0])
    """
    table = as_features(beliefs, "beliefs")
    labels = as_labels(y, "y", n_rows=len(table), n_classes=table.shape[1])
    return np.argsort(table[np.arange(len(labels)), labels], kind="stable")


def _read(X: ArrayLike, y: ArrayLike, n_classes: int, k: int) -> tuple[FloatArray, IntArray, int]:
    features = as_features(X, "X", min_rows=2)
    if n_classes < 2:
        raise InvalidArgument(
            f"n_classes is {n_classes}", hint="Noise needs two classes.", argument="n_classes"
        )
    labels = as_labels(y, "y", n_rows=len(features), n_classes=n_classes)
    if not 1 <= k < len(features):
        raise InvalidArgument(
            f"k is {k}, but each row has {len(features) - 1} other rows",
            hint=f"Give 1 to {len(features) - 1}.",
            argument="k",
        )
    return features, labels, int(k)


def _neighbour_counts(X: FloatArray, y: IntArray, n_classes: int, k: int) -> FloatArray:
    """n: labels of the k nearest other rows, (N, C)."""
    one_hot = (y[:, None] == np.arange(n_classes)).astype(np.float64)
    counts = np.empty((len(X), n_classes))
    block = max(1, BLOCK_VALUES // len(X))
    for start in range(0, len(X), block):
        distances = squared_distances(X[start : start + block], X)
        size = len(distances)
        distances[np.arange(size), np.arange(start, start + size)] = np.inf
        counts[start : start + size] = _nearest_mask(distances, k) @ one_hot
    return counts


def _nearest_mask(distances: FloatArray, k: int) -> FloatArray:
    """1 at the k smallest of each line, ties to the first."""
    kth = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
    nearer, tied = distances < kth, distances == kth
    room = k - nearer.sum(axis=1, keepdims=True)
    return np.asarray(nearer | (tied & (np.cumsum(tied, axis=1) <= room)), dtype=np.float64)


def _noise_from_counts(counts: FloatArray, y: IntArray) -> float:
    n_classes = counts.shape[1]
    agreement = counts.max(axis=1)
    wanted = min(len(y), max(FEWEST_TRUSTED, int(np.ceil(TRUSTED_SHARE * len(y)))))
    level = np.sort(agreement)[::-1][wanted - 1]
    trusted = agreement >= level
    differs = counts.argmax(axis=1)[trusted] != y[trusted]
    share = (differs.sum() + 0.5) / (trusted.sum() + 1)
    return float(min(MOST_NOISE, share * n_classes / (n_classes - 1)))
