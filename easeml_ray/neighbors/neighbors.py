"""The k nearest train rows of each test row, kept up to date as rows arrive, and their vote.

Symbols
-------
T = test rows, n = train rows seen so far, d = features, k = neighbours kept, C = classes
q = a test row, a = a train row
distance = D = squared distance of q to each of its nearest train rows so far, ascending, (T, k)
nearest = indices of those rows, (T, k), -1 where fewer than k rows were seen

The nearer of two train rows is the smaller of (distance, index), so states over any parts of
train, merged in any order, agree bit for bit with one over the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arrays import FloatArray, IntArray, as_features, as_labels, count_classes
from easeml_ray.errors import InvalidArgument
from easeml_ray.neighbors.distances import Metric, take_nearer
from easeml_ray.neighbors.kernel import Queries, offer

__all__ = ["Found", "NearestNeighbors", "Votes", "train_indices", "vote"]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a search found, to travel without any features: 16 bytes a test row and neighbour."""

    distance: FloatArray
    """Squared distances, ascending, (T, k); ``inf`` where fewer than k rows were seen."""
    nearest: IntArray
    """Indices of the train rows, (T, k); -1 where fewer than k rows were seen."""
    n_train: int
    """One more than the largest train index seen."""
    digest: bytes
    """Of test rows and metric; only what shares it can be merged."""


class NearestNeighbors:
    """The k nearest train rows of every test row.

    Parameters
    ----------
    X_test : array-like of shape (T, d)
        Features of the test rows.
    k : int
        Neighbours kept, at least 1.
    metric : {"euclidean", "cosine"}
        ``euclidean``: squared Euclidean distance. ``cosine``: ``2 - 2 cos``, the squared
        Euclidean distance of rows of length 1; a row of zeros counts as orthogonal to every
        other row and equal to other rows of zeros.

    Raises
    ------
    InvalidArgument
        If the array, `k` or the metric is unusable.

    Examples
    --------
    >>> state = NearestNeighbors([[0.0], [10.0]], k=2)
    >>> state.append([[1.0], [8.0], [-1.0]]).nearest
    array([[0, 2],
           [1, 0]])
    """

    def __init__(self, X_test: ArrayLike, k: int, *, metric: Metric = "euclidean") -> None:
        if k < 1:
            raise InvalidArgument(f"k is {k}", hint="Keep at least one neighbour.", argument="k")
        self.queries = Queries(as_features(X_test, "X_test"), metric)
        rows = self.queries.rows.shape[0]
        self.k = int(k)
        self.distance = np.full((rows, self.k), np.inf)
        self.nearest = np.full((rows, self.k), -1, dtype=np.int64)
        self.n_train = 0  # one more than the largest train index seen

    def append(
        self, X: ArrayLike, *, start: int | None = None, index: ArrayLike | None = None
    ) -> NearestNeighbors:
        """See more train rows, (n_rows, d); return itself.

        `start` is the index of the first in the whole of train, and the others follow; by default after the
        last row seen. Rows that do not follow one another have an `index`, int (n_rows,), instead.
        InvalidArgument if an array is unusable, or both are given.
        """
        rows = as_features(X, "X", n_features=self.queries.n_features, min_rows=0)
        names = train_indices(rows.shape[0], start, index, after=self.n_train)
        if names.size:
            offer(self.queries, self.queries.points(rows), names, self.distance, self.nearest)
            self.n_train = max(self.n_train, int(names.max()) + 1)
        return self

    def merge(self, other: NearestNeighbors | Found) -> NearestNeighbors:
        """Take over what another search, or a Found, over the same test rows has seen; return itself.

        It may have seen some of the same rows, and is not changed. InvalidArgument if the test rows or the
        metric differ, or it kept fewer neighbours.
        """
        found = other.found() if isinstance(other, NearestNeighbors) else other
        if found.digest != self.queries.digest:
            raise InvalidArgument(
                "the two searches are not over the same test rows and metric",
                hint="Make both with the same X_test and metric.",
                argument="other",
            )
        if found.nearest.shape[1] < self.k:
            raise InvalidArgument(
                f"the other search kept {found.nearest.shape[1]} neighbours, not {self.k}",
                hint="Make both with the same k.",
                argument="other",
            )
        take_nearer((self.distance, self.nearest), (found.distance, found.nearest))
        self.n_train = max(self.n_train, found.n_train)
        return self

    def found(self) -> Found:
        """Return copies of what was found, without the features, for another process to merge."""
        return Found(self.distance.copy(), self.nearest.copy(), self.n_train, self.queries.digest)


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """How the nearest rows of each test row vote, for one or more numbers of voters."""

    labels: IntArray
    """Class with the most votes, (n_k, T); the smaller code where several have as many."""
    shares: FloatArray
    """Share of the votes of each class, (n_k, T, C)."""


def vote(nearest: ArrayLike, y_train: ArrayLike, n_classes: int, k: int | Sequence[int]) -> Votes:
    """Let the nearest train rows vote on the class of each test row.

    Parameters
    ----------
    nearest : array-like of int, shape (T, K)
        Indices of the nearest train rows, the nearest first.
    y_train : array-like of int, shape (n,)
        Class codes of all train rows, by index.
    n_classes : int
        Classes C.
    k : int or sequence of int
        Numbers of voters n_k, each between 1 and K.

    Returns
    -------
    Votes
        Labels and shares, in the order of `k`.

    Raises
    ------
    InvalidArgument
        If an array is unusable, a row has fewer neighbours than `k`, or `y_train` lacks one.

    Examples
    --------
    >>> votes = vote([[0, 1, 2]], [1, 0, 0], n_classes=2, k=(1, 2, 3))
    >>> votes.labels.ravel()
    array([1, 0, 0])
    >>> votes.shares[1]
    array([[0.5, 0.5]])
    """
    classes = count_classes(n_classes)
    sizes = np.atleast_1d(np.asarray(k, dtype=np.int64))
    rows = np.asarray(nearest, dtype=np.int64)
    codes = as_labels(y_train, "y_train", n_classes=classes)
    if rows.ndim != 2 or not sizes.size or sizes.min() < 1 or sizes.max() > rows.shape[1]:
        raise InvalidArgument(
            f"k is {k}, for neighbours of shape {rows.shape}",
            hint="Give nearest as (test rows, neighbours) and each k between 1 and the neighbours.",
            argument="k",
        )
    rows = rows[:, : sizes.max()]
    if rows.size and (rows.min() < 0 or rows.max() >= codes.size):
        raise InvalidArgument(
            "a test row has fewer neighbours than k"
            if rows.min() < 0
            else f"there is no label of train row {rows.max()}",
            hint="See at least k train rows first, and give the labels of all of them.",
            argument="nearest",
        )
    counts = np.zeros((rows.shape[0], classes), dtype=np.int64)
    votes = np.empty((sizes.size, *counts.shape), dtype=np.int64)
    every = np.arange(rows.shape[0])
    for voter in range(rows.shape[1]):
        counts[every, codes[rows[:, voter]]] += 1
        votes[sizes == voter + 1] = counts
    return Votes(votes.argmax(axis=2), votes / sizes[:, None, None])


def train_indices(count: int, start: int | None, index: ArrayLike | None, *, after: int) -> IntArray:
    """Return the indices of train rows that are given by their first, one by one, or not at all."""
    # Shapes: returned (count,).
    if index is None:
        first = after if start is None else int(start)
        if first < 0:
            raise InvalidArgument(f"start is {start}", hint="Indices start at 0.", argument="start")
        return np.arange(first, first + count, dtype=np.int64)
    if start is not None:
        raise InvalidArgument("both start and index are given", hint="Give one.", argument="index")
    return as_labels(index, "index", n_rows=count)
