"""Which labels are probably wrong: a row's own label against what witnesses say that have not seen it.

Symbols
-------
N, C, k = rows, classes, neighbours of a row (the row itself excluded)
t_i, y_i = true and given label of row i
rho = label noise, convention *uniform*: with probability rho a label is replaced by one drawn
      from all C classes, its own included, so that rho (1 - 1/C) of the labels are wrong
Q_ic = share that the witnesses give to label c at row i, see :mod:`easeml_ray.doubts.witnesses`
x_ic = (Q_ic - rho/C) / (1 - rho): Q is of given labels, E Q = (1 - rho) pi + rho/C
pi_ic = share of true labels c around row i: (x + sqrt(x^2 + 4 e^2)) / 2 with e = .02, scaled to
        sum 1: x itself where that is a share, and never 0, so that doubts stay in order
M_cd = P(given d | true c), see :func:`confusion`
b_ic = P(t_i = c | y_i, witnesses), proportional to pi_ic M_{c, y_i}

What is said of a row enters as an estimate of its class probabilities, not as independent witnesses by the
dozen: where classes overlap, a narrow majority must not outweigh the row's own label.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arrays import FloatArray, IntArray, as_features, as_labels
from easeml_ray.doubts.witnesses import Hearing, hear, read_rows
from easeml_ray.errors import InvalidArgument

__all__ = ["confusion", "estimate_noise", "label_beliefs", "suspicious"]

# Rows of which the witnesses are surest tell what noise is: there they are right.
FEWEST_TRUSTED = 30
TRUSTED_SHARE = 0.1
MOST_NOISE = 0.95
SOFTNESS = 0.02
FEWEST_CONFUSED = 20  # mislabelled rows of a class that must be seen before where they went is half believed


def label_beliefs(
    X: ArrayLike,
    y: ArrayLike,
    n_classes: int,
    *,
    k: int = 10,
    noise: float | None = None,
    neighbour_noise: float | None = None,
    hearing: Hearing | None = None,
    seed: int = 0,
) -> FloatArray:
    """Probability of each label being the true one, by the row's own label and what others say.

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
        Label noise rho in the uniform convention, between 0 and 1; by default :func:`estimate_noise`.
    neighbour_noise : float, optional
        Noise of the labels that the witnesses have seen, where some of them have been verified;
        by default the same as ``noise``.
    hearing : Hearing, optional
        Of :func:`easeml_ray.doubts.hear` for these rows, where it is known already.
    seed : int
        Of the witnesses.

    Returns
    -------
    ndarray of shape (n_rows, n_classes)
        Rows sum to 1. See the symbols of this module for the formula.

    Raises
    ------
    InvalidArgument
        If an argument is not as described.

    References
    ----------
    C. Northcutt, L. Jiang, I. Chuang, "Confident learning: estimating uncertainty in dataset
    labels", JAIR 70, 2021, for the classes between which labels were confused.

    Examples
    --------
    The last row stands among rows of class 0 and says 1:

    >>> X = [[0.0], [0.1], [0.2], [0.3], [5.0], [5.1], [5.2], [5.3], [0.15]]
    >>> beliefs = label_beliefs(X, [0, 0, 0, 0, 1, 1, 1, 1, 1], 2, k=4, noise=0.2)
    >>> beliefs.argmax(axis=1)
    array([0, 0, 0, 0, 1, 1, 1, 1, 0])
    """
    features, labels, k = read_rows(X, y, n_classes, k)
    heard = hear(features, labels, n_classes, k=k, seed=seed) if hearing is None else hearing
    if heard.shares.shape != (len(labels), n_classes):
        raise InvalidArgument(
            f"a hearing of shape {heard.shares.shape} for {len(labels)} rows of {n_classes} classes",
            hint="Give what was heard about these rows.",
            argument="hearing",
        )
    rho = _noise_of(heard.shares, labels) if noise is None else float(noise)
    beside = rho if neighbour_noise is None else float(neighbour_noise)
    for name, value in (("noise", rho), ("neighbour_noise", beside)):
        if not 0 <= value < 1:
            raise InvalidArgument(
                f"{name} is {value}", hint="Give a number from 0 to below 1.", argument=name
            )
    x = (heard.shares - beside / n_classes) / (1 - beside)
    around = (x + np.sqrt(x**2 + 4 * SOFTNESS**2)) / 2
    around /= around.sum(axis=1, keepdims=True)
    beliefs = around * confusion(heard.shares, labels, rho).T[labels]
    return np.asarray(beliefs / beliefs.sum(axis=1, keepdims=True))


def confusion(shares: FloatArray, y: IntArray, noise: float) -> FloatArray:
    """Say how probable each given label is for each true one: M, (C, C), rows summing to 1."""
    # The noise says how many labels are wrong; the confident joint of Northcutt et al. (2021), equations 1
    # and 2, says between which classes. Where it has few rows, wrong labels are taken to be spread evenly.
    n_classes = shares.shape[1]
    joint = _confident_joint(shares, y)
    np.fill_diagonal(joint, 0.0)
    joint += FEWEST_CONFUSED / (n_classes - 1) * (1 - np.eye(n_classes))
    wrong = noise * (1 - 1 / n_classes)
    spread = wrong * joint / joint.sum(axis=1, keepdims=True)
    return np.asarray(spread + (1 - wrong) * np.eye(n_classes))


def estimate_noise(
    X: ArrayLike, y: ArrayLike, n_classes: int, *, k: int = 10, hearing: Hearing | None = None, seed: int = 0
) -> float:
    """Estimate label noise where the witnesses are surest.

    The smaller of two estimates, both of which classes that overlap make too large.

    Of the rows that are surest to be of one class (a tenth of those likely to be of it, at least 30 in all,
    whole tenths of a share at a time) some carry another label, with half a row added to each side; their
    share is weighted by how many rows are likely to be of each class: a class whose labels were lost to
    another would be missing among the surest rows of all. And of the rows that the confident joint of
    :func:`confusion` counts, some stand off its diagonal. A wrong label differs with probability 1 - 1/C, so
    rho = d C / (C - 1) for a share d. A row's own label does not take part in choosing it.

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
    hearing : Hearing, optional
        Of :func:`easeml_ray.doubts.hear` for these rows, where it is known already.
    seed : int
        Of the witnesses.

    Returns
    -------
    float
        rho in the uniform convention, above 0 and at most 0.95. On ten real data sets with none
        to a third of the labels moved it is off by 0.04 in the mean.

    Raises
    ------
    InvalidArgument
        If an argument is not as described.
    """
    features, labels, k = read_rows(X, y, n_classes, k)
    heard = hear(features, labels, n_classes, k=k, seed=seed) if hearing is None else hearing
    return _noise_of(heard.shares, labels)


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


def _noise_of(shares: FloatArray, y: IntArray) -> float:
    n_classes = shares.shape[1]
    wrong = min(_wrong_where_sure(shares, y), _wrong_in_joint(shares, y))
    return float(min(MOST_NOISE, wrong * n_classes / (n_classes - 1)))


def _wrong_where_sure(shares: FloatArray, y: IntArray) -> float:
    n_classes = shares.shape[1]
    # Whole tenths: of rows that are all alike, a wrong one has a hair more of right ones around it.
    likely, sure = shares.argmax(axis=1), np.floor(10 * shares.max(axis=1) + 1e-9)
    wrong = 0.0
    for label, count in zip(*np.unique(likely, return_counts=True), strict=True):
        rows = np.flatnonzero(likely == label)
        wanted = max(int(np.ceil(FEWEST_TRUSTED / n_classes)), int(np.ceil(TRUSTED_SHARE * count)))
        trusted = rows[sure[rows] >= np.sort(sure[rows])[::-1][min(wanted, count) - 1]]
        differ = (y[trusted] != label).sum() + 0.5
        wrong += float(count * differ / (trusted.size + 1))
    return wrong / len(y)


def _wrong_in_joint(shares: FloatArray, y: IntArray) -> float:
    joint = _confident_joint(shares, y)
    return float((joint.sum() - np.trace(joint) + 0.5) / (joint.sum() + 1))


def _confident_joint(shares: FloatArray, y: IntArray) -> FloatArray:
    """Count the rows that are surely of class c and carry label d, (C, C)."""
    # Surely: the share of c is at least its mean share among the rows labelled c.
    n_classes = shares.shape[1]
    sums = np.bincount(y, weights=shares[np.arange(len(y)), y], minlength=n_classes)
    counts = np.bincount(y, minlength=n_classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    confident = np.where(shares >= thresholds, shares, -1.0)
    likely, sure = confident.argmax(axis=1), confident.max(axis=1) >= 0
    joint = np.zeros((n_classes, n_classes))
    np.add.at(joint, (likely[sure], y[sure]), 1.0)
    return joint
