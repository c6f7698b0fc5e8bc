"""Who says what class a row is of, without having seen the label that it carries.

Symbols
-------
N, C, k = rows, classes, neighbours of a row (the row itself excluded)
y_i = given label of row i
P^m_ic = share that witness m gives to class c at row i; rows sum to 1
r_v(i) = place of row i among the neighbours of row v, from 1
w_m = weight of a witness, at least 0, summing to 1
Q = sum_m w_m P^m, what all of them say

Four witnesses, none of which has seen y_i when it speaks of row i:

- *neighbours*: the labels of its k nearest rows.
- *self-value*: the labels of the rows that row i is near to. If train is valued by
  nearest-neighbour Shapley values with itself for development, each row left out of its own
  list, the part of row i's value that hangs on its label is ``sum_v [y_v = y_i] / max(k, r_v(i))``
  less what a row at a far place gets; taken over every label that it could carry, that is a vote.
- *forest*: randomised trees, each row judged by the trees that were not trained on it.
- *linear*: logistic regression, each fifth of the rows judged by a model of the other four.

They are mixed with the weights under which the given labels are most probable (EM for the
weights of fixed densities). A mixture does not count a neighbour twice because two witnesses
have seen it, and a witness that knows nothing of a data set gets no weight.

References
----------
R. Jia et al., "Efficient task-specific data valuation for nearest neighbor algorithms", PVLDB
12(11), 2019, theorem 1.
C. Northcutt, L. Jiang, I. Chuang, "Confident learning: estimating uncertainty in dataset
labels", JAIR 70, 2021: judging a label by models that were not trained on it.
P. Geurts, D. Ernst, L. Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arrays import FloatArray, IntArray, as_features, as_labels
from easeml_ray.errors import InvalidArgument
from easeml_ray.neighbors.neighbors import NearestNeighbors

__all__ = ["WITNESSES", "Hearing", "hear", "neighbour_counts", "read_rows"]

WITNESSES = ("neighbours", "self-value", "forest", "linear")
"""Names of the witnesses."""

PLACES = 50  # beyond this place of a list, rows count alike
TREES = 200
TREE_ROWS = 10_000  # rows that a tree is trained on at most
FOLDS = 5
LINEAR_VALUES = 100_000_000  # rows x features x classes beyond which the linear witness is not heard
SMOOTHING = 0.02  # of what models say: none is ever sure
ROUNDS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Hearing:
    """What the witnesses say together."""

    # Q: probability of each given label at a row, the row's own label unseen; rows sum to 1
    shares: FloatArray
    weights: dict[str, float]  # weight by witness; a witness that was not heard has no entry

    def __str__(self) -> str:
        """Name the witnesses with their weights, the heaviest first."""
        ranked = sorted(self.weights.items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {weight:.2f}" for name, weight in ranked)


def hear(
    X: ArrayLike,
    y: ArrayLike,
    n_classes: int,
    *,
    k: int = 10,
    witnesses: Sequence[str] = WITNESSES,
    seed: int = 0,
) -> Hearing:
    """Ask witnesses what class each row is of, and mix what they say.

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
    witnesses : sequence of str
        Some of ``neighbours``, ``self-value``, ``forest``, ``linear``. The last is left out where
        rows times features times classes exceed 1e8; trees are trained on at most 10,000 rows each.
    seed : int
        Of the forest and of the folds.

    Returns
    -------
    Hearing
        The same for the same arguments.

    Raises
    ------
    InvalidArgument
        If an argument is not as described.

    Examples
    --------
    >>> X = [[0.0], [0.1], [0.2], [0.3], [5.0], [5.1], [5.2], [5.3], [0.15]]
    >>> hear(X, [0, 0, 0, 0, 1, 1, 1, 1, 1], 2, k=4, witnesses=["neighbours"]).shares[-1]
    array([0.9, 0.1])
    """
    unknown = [name for name in witnesses if name not in WITNESSES]
    if unknown or not witnesses:
        raise InvalidArgument(
            f"witnesses {list(witnesses)}", hint=f"Give some of {', '.join(WITNESSES)}.", argument="witnesses"
        )
    features, labels, k = read_rows(X, y, n_classes, k)
    said: dict[str, FloatArray] = {}
    if {"neighbours", "self-value"} & set(witnesses):
        nearest = _nearest(features, min(max(k, PLACES), len(labels) - 1))
        if "neighbours" in witnesses:
            counts = _counts(nearest[:, :k], labels, n_classes)
            said["neighbours"] = (counts + 1 / n_classes) / (k + 1)
        if "self-value" in witnesses:
            said["self-value"] = _self_value(nearest, labels, n_classes, k)
    if "forest" in witnesses:
        said["forest"] = _forest(features, labels, n_classes, seed)
    if "linear" in witnesses and features.size * n_classes <= LINEAR_VALUES:
        said["linear"] = _linear(features, labels, n_classes, seed)
    if not said:
        raise InvalidArgument(
            f"{features.size * n_classes:,} values are more than the linear witness looks at",
            hint="Hear another witness as well.",
            argument="witnesses",
        )
    return _mixed(said, labels)


def neighbour_counts(X: FloatArray, y: IntArray, n_classes: int, k: int) -> FloatArray:
    """Return how many of the k nearest other rows carry each label, (N, C); ties to the smaller row."""
    return _counts(_nearest(X, k), y, n_classes)


def read_rows(X: ArrayLike, y: ArrayLike, n_classes: int, k: int) -> tuple[FloatArray, IntArray, int]:
    """Return features, labels and k, or raise InvalidArgument that says what is wrong with them."""
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


def _nearest(X: FloatArray, count: int) -> IntArray:
    """Return the nearest other rows of each row, nearest first, (N, count)."""
    found = NearestNeighbors(X, count + 1).append(X).nearest
    rows = np.arange(len(X))[:, None]
    own = found == rows
    # Among many equal rows a row may not be in its own list; the last one gives way then.
    own[~own.any(axis=1), -1] = True
    others: IntArray = found[~own].reshape(len(X), count)
    return others


def _counts(nearest: IntArray, y: IntArray, n_classes: int) -> FloatArray:
    votes = y[nearest] + n_classes * np.arange(len(y))[:, None]
    counted: FloatArray = np.bincount(votes.ravel(), minlength=n_classes * len(y)).astype(np.float64)
    return counted.reshape(len(y), n_classes)


def _self_value(nearest: IntArray, y: IntArray, n_classes: int, k: int) -> FloatArray:
    """Vote of the rows whose lists a row stands in, by what a match is worth to its value."""
    n_rows, places = nearest.shape
    at = np.maximum(np.arange(1, places + 1), k)
    worth = 1 / at - 1 / (places + 1)
    votes = np.zeros((n_rows, n_classes))
    codes = nearest * n_classes + y[:, None]
    votes += np.bincount(
        codes.ravel(), weights=np.broadcast_to(worth, nearest.shape).ravel(), minlength=votes.size
    ).reshape(votes.shape)
    # A row that is nobody's neighbour says no more than the shares of the classes; one vote of theirs.
    shares = np.bincount(y, minlength=n_classes) / n_rows
    votes += worth[0] * shares
    mixed = votes / votes.sum(axis=1, keepdims=True)
    return np.asarray((mixed + SMOOTHING / n_classes) / (1 + SMOOTHING))


def _forest(X: FloatArray, y: IntArray, n_classes: int, seed: int) -> FloatArray:
    from sklearn.ensemble import ExtraTreesClassifier

    forest = ExtraTreesClassifier(
        TREES,
        min_samples_leaf=2,
        bootstrap=True,
        oob_score=True,
        max_samples=min(len(y), TREE_ROWS),
        random_state=seed % 2**32,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rows that no tree left out are seen to below
        # Trees compute in float32; what is beyond its range is beyond every threshold as well.
        forest.fit(np.clip(X, -1e30, 1e30), y)
        said = np.nan_to_num(forest.oob_decision_function_)
    return _completed(said, forest.classes_, n_classes)


def _linear(X: FloatArray, y: IntArray, n_classes: int, seed: int) -> FloatArray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold
    from sklearn.preprocessing import StandardScaler

    scaled = StandardScaler().fit_transform(np.clip(X, -1e30, 1e30))
    full = np.zeros((len(y), n_classes))
    for known, asked in KFold(min(FOLDS, len(y)), shuffle=True, random_state=seed % 2**32).split(scaled):
        classes = np.unique(y[known])
        if classes.size == 1:
            full[asked, classes[0]] = 1.0
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a witness is weighed by what it says, converged or not
            model = LogisticRegression(max_iter=200).fit(scaled[known], y[known])
        full[np.ix_(asked, classes)] = model.predict_proba(scaled[asked])
    return _completed(full, np.arange(n_classes), n_classes)


def _completed(said: FloatArray, classes: IntArray, n_classes: int) -> FloatArray:
    """Return shares of all classes, smoothed; uniform where a model said nothing."""
    full = np.zeros((len(said), n_classes))
    full[:, np.asarray(classes, dtype=np.int64)] = said
    totals = full.sum(axis=1, keepdims=True)
    full = np.where(totals > 0, full / np.where(totals > 0, totals, 1.0), 1 / n_classes)
    return np.asarray((full + SMOOTHING / n_classes) / (1 + SMOOTHING))


def _mixed(said: dict[str, FloatArray], y: IntArray) -> Hearing:
    """Mix by the weights under which the given labels are most probable."""
    own = np.stack([shares[np.arange(len(y)), y] for shares in said.values()])
    weights = np.full(len(said), 1 / len(said))
    for _ in range(ROUNDS):
        part = weights[:, None] * own
        weights = (part / part.sum(axis=0)).mean(axis=1)
    shares = sum(weight * one for weight, one in zip(weights, said.values(), strict=True))
    return Hearing(np.asarray(shares), dict(zip(said, weights.tolist(), strict=True)))
