"""The nearest train row of each test row, kept up to date as rows arrive and labels change.

Symbols
-------
T = test rows, n = train rows seen so far, d = features
q = a test row, a = a train row
d2 = squared Euclidean distance of a test row to its nearest train row so far, (T,)
nearest = index of that train row, (T,), -1 before any train row
label = class code of that row, (T,), -1 before any train row
wrong = whether the nearest row has another label, (T,)

The nearest of two rows is the smaller of (distance, index). Distances are float64 sums of
squared differences, a pair's value does not depend on the batch it came in, so that states
over any parts of train, merged in any order, agree with one over the whole bit for bit.

A label never moves a neighbour: a changed train label touches the test rows whose nearest
row it is, a changed test label touches itself. Only those are looked at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easeml_ray.arrays import FloatArray, IntArray, as_features, as_labels, count_classes
from easeml_ray.errors import InvalidArgument
from easeml_ray.neighbors.distances import Metric
from easeml_ray.neighbors.kernel import Queries, offer
from easeml_ray.neighbors.neighbors import Found, train_indices

__all__ = ["NearestNeighbor"]


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
    metric : {"euclidean", "cosine"}
        ``euclidean``: squared Euclidean distance. ``cosine``: ``2 - 2 cos``, the squared
        Euclidean distance of rows of length 1; a row of zeros counts as orthogonal to every
        other row and equal to other rows of zeros.

    Raises
    ------
    InvalidArgument
        If an array or the metric is unusable or a code does not fit `n_classes`.

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

    def __init__(
        self, X_test: ArrayLike, y_test: ArrayLike, n_classes: int, *, metric: Metric = "euclidean"
    ) -> None:
        self.X_test = as_features(X_test, "X_test")
        self.queries = Queries(self.X_test, metric)
        rows = self.X_test.shape[0]
        self.n_classes = count_classes(n_classes)
        self.y_test = as_labels(y_test, "y_test", n_rows=rows, n_classes=self.n_classes).copy()
        self.distance = np.full(rows, np.inf)  # d2
        self.nearest = np.full(rows, -1, dtype=np.int64)
        self.label = np.full(rows, -1, dtype=np.int64)  # of the nearest row; -1 before any
        self.n_train = 0  # one more than the largest train index seen
        self.errors = rows  # test rows that the nearest-neighbour rule gets wrong
        # Test rows in the order of `nearest`, and `nearest` in that order; made when asked for.
        self._by_nearest: tuple[IntArray, IntArray] | None = None

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Whether the nearest row has another label, (T,); True before any train row."""
        wrong: NDArray[np.bool_] = self.label != self.y_test
        return wrong

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
        names = train_indices(rows.shape[0], start, index, after=self.n_train)
        if not names.size:
            return self
        columns = self.distance[:, None], self.nearest[:, None]  # views
        source = offer(self.queries, self.queries.points(rows), names, *columns)[:, 0]
        new = np.flatnonzero(source >= 0)
        self.label[new] = labels[source[new]]
        self._moved(int(names.max()) + 1)
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
            or self.queries.digest != other.queries.digest
            or not np.array_equal(self.y_test, other.y_test)
        ):
            raise InvalidArgument(
                "the two states are not over the same test rows and labels",
                hint="Make both with the same X_test, y_test, n_classes and metric.",
                argument="other",
            )
        closer = self._keep_nearer(other.distance, other.nearest)
        self.label[closer] = other.label[closer]
        self._moved(other.n_train)
        return self

    def found(self) -> Found:
        """Return what was found, without features and labels, for another process to merge.

        Returns
        -------
        Found
            16 bytes a test row. Copies, which later calls do not change.
        """
        return Found(
            self.distance[:, None].copy(), self.nearest[:, None].copy(), self.n_train, self.queries.digest
        )

    def merge_found(self, found: Found, y_train: ArrayLike) -> NearestNeighbor:
        """Take over what a search over the same test rows found elsewhere.

        Parameters
        ----------
        found : Found
            What :meth:`found` of such a state or of a
            :class:`~easeml_ray.neighbors.neighbors.NearestNeighbors` returned.
        y_train : array-like of int, shape (n,)
            Class codes of all train rows, by index, as they are now.

        Returns
        -------
        NearestNeighbor
            Itself.

        Raises
        ------
        InvalidArgument
            If it is over other test rows or another metric, or a label is missing or unusable.

        Examples
        --------
        >>> state = NearestNeighbor([[0.0], [10.0]], [0, 1], n_classes=2)
        >>> part = NearestNeighbor([[0.0], [10.0]], [0, 1], n_classes=2).append([[9.0]], [0], start=4)
        >>> state.merge_found(part.found(), y_train=[0, 0, 0, 0, 1]).errors
        1
        """
        if found.digest != self.queries.digest:
            raise InvalidArgument(
                "what was found is not over the same test rows and metric",
                hint="Search with the same X_test and metric.",
                argument="found",
            )
        codes = np.asarray(y_train)
        if codes.shape[0] < found.n_train:
            raise InvalidArgument(
                f"y_train has {codes.shape[0]} labels, the search saw row {found.n_train - 1}",
                hint="Give the labels of all train rows, by index.",
                argument="y_train",
            )
        distance, nearest = found.distance[:, 0], found.nearest[:, 0]
        labels = as_labels(codes[nearest[nearest >= 0]], "y_train", n_classes=self.n_classes)
        label = np.full(nearest.size, -1, dtype=np.int64)
        label[nearest >= 0] = labels
        closer = self._keep_nearer(distance, nearest)
        self.label[closer] = label[closer]
        self._moved(found.n_train)
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
        rows, which = self._holders(changed)
        self._relabel(self.label, rows, codes[which])
        return self

    def relabel_test(self, index: ArrayLike, labels: ArrayLike) -> NearestNeighbor:
        """Change labels of test rows, by position, as :meth:`relabel_train` does."""
        changed, codes = self._changes(index, labels, self.y_test.shape[0], "test")
        self._relabel(self.y_test, changed, codes)
        return self

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
        order = np.argsort(changed)
        changed, codes = changed[order], codes[order]
        if (changed[1:] == changed[:-1]).any():
            raise InvalidArgument(
                f"a {what} row is relabelled twice in one call", hint="Give each once.", argument="index"
            )
        return changed, codes

    def _holders(self, changed: IntArray) -> tuple[IntArray, IntArray]:
        """Return the test rows whose nearest row changed, and which of the changed ones it is."""
        if self._by_nearest is None:
            order = np.argsort(self.nearest)
            self._by_nearest = order, self.nearest[order]
        order, ranked = self._by_nearest
        first, last = np.searchsorted(ranked, changed), np.searchsorted(ranked, changed, side="right")
        held = last - first
        which = np.repeat(np.arange(changed.size), held)
        # Positions first .. last - 1 of each, one after another.
        position = np.arange(which.size) + np.repeat(last - np.cumsum(held), held)
        return order[position], which

    def _relabel(self, labels: IntArray, rows: IntArray, codes: IntArray) -> None:
        """Change labels of test rows, or those of their nearest rows, each at most once."""
        before = np.count_nonzero(self.label[rows] != self.y_test[rows])
        labels[rows] = codes
        after = np.count_nonzero(self.label[rows] != self.y_test[rows])
        self.errors += int(after) - int(before)

    def _keep_nearer(self, distance: FloatArray, nearest: IntArray) -> NDArray[np.bool_]:
        """Replace what a smaller (distance, index) beats, and return where."""
        closer: NDArray[np.bool_] = (distance < self.distance) | (
            (distance == self.distance) & (nearest < self.nearest) & (nearest >= 0)
        )
        self.distance[closer] = distance[closer]
        self.nearest[closer] = nearest[closer]
        return closer

    def _moved(self, n_train: int) -> None:
        """Take note that neighbours moved and rows up to this number were seen."""
        self.n_train = max(self.n_train, n_train)
        self.errors = int(np.count_nonzero(self.wrong))
        self._by_nearest = None
