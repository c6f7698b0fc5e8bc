"""The nearest train row of each test row, kept up to date as rows arrive and labels change.

Symbols
-------
T = test rows, n = train rows seen so far, d = features
q = a test row, a = a train row
d2 = squared Euclidean distance of a test row to its nearest train row so far, (T,)
nearest = index of that train row, (T,), -1 before any train row
wrong = whether the nearest row has another label, (T,)

The nearest of two rows is the smaller of (distance, index). Distances are float64 sums of
squared differences, a pair's value does not depend on the batch it came in, so that states
over any parts of train, merged in any order, agree with one over the whole.

A label never moves a neighbour: a changed train label touches the test rows whose nearest
row it is, a changed test label touches itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easeml_ray.embed.arrays import FloatArray, IntArray, as_features, as_labels, count_classes
from easeml_ray.errors import InvalidArgument

__all__ = ["NearestNeighbor"]

TEST_BLOCK = 512
TRAIN_BLOCK = 2048
PAIR_VALUES = 1 << 22  # differences held at once, 32 MiB


class NearestNeighbor:
    """Nearest train row, and its label, of every test row.

    Parameters
    ----------
    X_test : array-like of shape (T, d)
        Features of the test rows.
    y_test : array-like of int, shape (T,)
        Their class codes.
    n_classes : int
        Classes; codes of train and test are smaller.

    Raises
    ------
    InvalidArgument
        If an array is unusable or a code does not fit `n_classes`.

    References
    ----------
    T. M. Cover and P. E. Hart, "Nearest neighbor pattern classification", 1967.

    Examples
    --------
    >>> state = NearestNeighbor([[0.0], [10.0]], [0, 1], n_classes=2)
    >>> state.append([[1.0], [8.0]], [0, 0]).errors
    1
    >>> state.append([[9.0]], [1]).errors
    0
    >>> state.relabel_train([2], [0]).errors
    1
    """

    def __init__(self, X_test: ArrayLike, y_test: ArrayLike, n_classes: int) -> None:
        self.X_test = as_features(X_test, "X_test")
        rows = self.X_test.shape[0]
        self.n_classes = count_classes(n_classes)
        self.y_test = as_labels(y_test, "y_test", n_rows=rows, n_classes=self.n_classes).copy()
        self.distance = np.full(rows, np.inf)  # d2
        self.nearest = np.full(rows, -1, dtype=np.int64)
        self.label = np.full(rows, -1, dtype=np.int64)  # of the nearest row; -1 before any
        self.n_train = 0  # one more than the largest train index seen

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Whether the nearest row has another label, (T,); True before any train row."""
        wrong: NDArray[np.bool_] = self.label != self.y_test
        return wrong

    @property
    def errors(self) -> int:
        """How many test rows the nearest-neighbour rule gets wrong."""
        return int(np.count_nonzero(self.wrong))

    def append(
        self, X: ArrayLike, y: ArrayLike, *, start: int | None = None, index: ArrayLike | None = None
    ) -> NearestNeighbor:
        """See more train rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, d)
            Features.
        y : array-like of int, shape (n_rows,)
            Class codes.
        start : int, optional
            Index of the first of these rows in the whole of train; the others follow.
            By default they follow the last row seen.
        index : array-like of int, shape (n_rows,), optional
            The index of each row, where they do not follow one another; instead of `start`.

        Returns
        -------
        NearestNeighbor
            Itself.

        Raises
        ------
        InvalidArgument
            If an array is unusable, or both `start` and `index` are given.
        """
        rows = as_features(X, "X", n_features=self.X_test.shape[1], min_rows=0)
        labels = as_labels(y, "y", n_rows=rows.shape[0], n_classes=self.n_classes)
        names = self._indices(rows.shape[0], start, index)
        if not names.size:
            return self
        for begin in range(0, self.X_test.shape[0], TEST_BLOCK):
            test = slice(begin, begin + TEST_BLOCK)
            for first in range(0, rows.shape[0], TRAIN_BLOCK):
                train = slice(first, first + TRAIN_BLOCK)
                self._offer(test, rows[train], labels[train], names[train])
        self.n_train = max(self.n_train, int(names.max()) + 1)
        return self

    def merge(self, other: NearestNeighbor) -> NearestNeighbor:
        """Take over what another state over the same test rows has seen.

        Parameters
        ----------
        other : NearestNeighbor
            State over other train rows; it is not changed.

        Returns
        -------
        NearestNeighbor
            Itself.

        Raises
        ------
        InvalidArgument
            If the test rows, their labels or the classes differ.
        """
        if (
            self.n_classes != other.n_classes
            or not np.array_equal(self.X_test, other.X_test)
            or not np.array_equal(self.y_test, other.y_test)
        ):
            raise InvalidArgument(
                "the two states are not over the same test rows and labels",
                hint="Make both with the same X_test, y_test and n_classes.",
                argument="other",
            )
        everything = slice(None)
        self._keep_nearer(everything, other.distance, other.nearest, other.label)
        self.n_train = max(self.n_train, other.n_train)
        return self

    def relabel_train(self, index: ArrayLike, labels: ArrayLike) -> NearestNeighbor:
        """Change labels of train rows that were seen.

        Parameters
        ----------
        index : array-like of int, shape (n_changed,)
            Indices of train rows, each at most once.
        labels : array-like of int, shape (n_changed,)
            Their new class codes.

        Returns
        -------
        NearestNeighbor
            Itself.

        Raises
        ------
        InvalidArgument
            If an index was not seen or is given twice, or a code does not fit.
        """
        changed, codes = self._changes(index, labels, self.n_train, "train")
        order = np.argsort(changed)
        ranked = changed[order]
        place = np.searchsorted(ranked, self.nearest)
        touched = np.flatnonzero(place < ranked.size)
        touched = touched[ranked[place[touched]] == self.nearest[touched]]
        self.label[touched] = codes[order][place[touched]]
        return self

    def relabel_test(self, index: ArrayLike, labels: ArrayLike) -> NearestNeighbor:
        """Change labels of test rows.

        Parameters
        ----------
        index : array-like of int, shape (n_changed,)
            Positions of test rows, each at most once.
        labels : array-like of int, shape (n_changed,)
            Their new class codes.

        Returns
        -------
        NearestNeighbor
            Itself.

        Raises
        ------
        InvalidArgument
            If a position is out of range or given twice, or a code does not fit.
        """
        changed, codes = self._changes(index, labels, self.y_test.shape[0], "test")
        self.y_test[changed] = codes
        return self

    def _indices(self, rows: int, start: int | None, index: ArrayLike | None) -> IntArray:
        if index is None:
            first = self.n_train if start is None else int(start)
            names = np.arange(first, first + rows, dtype=np.int64)
        elif start is None:
            names = as_labels(index, "index", n_rows=rows)
        else:
            raise InvalidArgument("both start and index are given", hint="Give one.", argument="index")
        if names.size and names.min() < 0:
            raise InvalidArgument(f"start is {start}", hint="Indices start at 0.", argument="start")
        return names

    def _changes(
        self, index: ArrayLike, labels: ArrayLike, size: int, what: str
    ) -> tuple[IntArray, IntArray]:
        changed = as_labels(index, "index")
        codes = as_labels(labels, "labels", n_rows=changed.shape[0], n_classes=self.n_classes)
        if changed.size and changed.max() >= size:
            raise InvalidArgument(
                f"{what} row {changed.max()} is beyond the {size} rows known",
                hint="Relabel rows that were given before.",
                argument="index",
            )
        if np.unique(changed).size != changed.size:
            raise InvalidArgument(
                f"a {what} row is relabelled twice in one call", hint="Give each once.", argument="index"
            )
        return changed, codes

    def _offer(self, test: slice, rows: FloatArray, labels: IntArray, names: IntArray) -> None:
        """Compare one block of test rows with one block of train rows."""
        queries = self.X_test[test]
        row, column = _candidates(queries, rows, self.distance[test])
        if not row.size:
            return
        exact = _pair_distances(queries, rows, row, column)
        # Row by row the smallest (distance, index): candidates are sorted by row already.
        ranked = np.lexsort((names[column], exact, row))
        first = ranked[np.unique(row[ranked], return_index=True)[1]]
        block = slice(test.start, test.start + queries.shape[0])
        distance = np.full(queries.shape[0], np.inf)
        nearest = np.full(queries.shape[0], np.iinfo(np.int64).max)
        label = np.full(queries.shape[0], -1, dtype=np.int64)
        distance[row[first]] = exact[first]
        nearest[row[first]] = names[column[first]]
        label[row[first]] = labels[column[first]]
        self._keep_nearer(block, distance, nearest, label)

    def _keep_nearer(self, test: slice, distance: FloatArray, nearest: IntArray, label: IntArray) -> None:
        """Replace what a smaller (distance, index) beats."""
        mine, names = self.distance[test], self.nearest[test]
        closer = (distance < mine) | ((distance == mine) & (nearest < names) & (nearest >= 0))
        self.distance[test][closer] = distance[closer]
        self.nearest[test][closer] = nearest[closer]
        self.label[test][closer] = label[closer]


def _candidates(queries: FloatArray, rows: FloatArray, best: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the (test, train) pairs of a block that can be the nearest, sorted by test row.

    One matrix product ranks all pairs up to rounding; every pair within twice the rounding
    error of the smallest, or of the best so far, is kept to be decided exactly.
    """
    centre = queries.mean(axis=0)
    # Distances do not depend on the origin, but the rounding error of the product does.
    q, a = queries - centre, rows - centre
    q2, a2 = np.einsum("ij,ij->i", q, q), np.einsum("ij,ij->i", a, a)
    approximate = q2[:, None] + a2[None, :] - 2.0 * (q @ a.T)
    # |computed - true| for the product and for the sum of squared differences, generously:
    # both have at most d + 5 roundings of terms that sum to at most 2 (|q|^2 + |a|^2).
    slack = 8.0 * (q.shape[1] + 8) * np.finfo(np.float64).eps * (q2 + a2.max())
    limit = np.minimum(approximate.min(axis=1), best) + 2.0 * slack
    row, column = np.nonzero(approximate <= limit[:, None])
    return row.astype(np.int64), column.astype(np.int64)


def _pair_distances(queries: FloatArray, rows: FloatArray, row: IntArray, column: IntArray) -> FloatArray:
    """Return the squared distance of each (test, train) pair by direct differences."""
    step = max(1, PAIR_VALUES // queries.shape[1])
    parts = [
        np.square(queries[row[i : i + step]] - rows[column[i : i + step]]).sum(axis=1)
        for i in range(0, row.size, step)
    ]
    return np.concatenate(parts)
