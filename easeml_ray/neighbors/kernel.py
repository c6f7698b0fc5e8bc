"""Exact nearest neighbours at the speed of a matrix product.

Symbols
-------
T = test rows, n = train rows of one call, m = those of one block, d = features, k = neighbours kept
q = a test row, a = a train row, D = squared distance of a pair as float64 computes it by direct
    differences; the nearer of two train rows is the smaller of (D, index)
s, S, upper = score of a pair, what a product computes for it, and a bound of the k-th smallest
    score of a test row from above, as :mod:`easeml_ray.neighbors.passes` defines them

One matrix product a block ranks its pairs up to a proven bound of its rounding. Of each block only the row
minima are taken, all in one sweep; a test row whose minimum can be below its k-th nearest so far is looked at
closely, which happens to it about k ln(n / m) times. The pairs of such rows that the bound does not rule out
are few; D decides them. So the answer does not depend on the product: neither on its precision, nor on its
order of summation, nor on what else was in the block.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.errors import InvalidArgument
from easeml_ray.neighbors.distances import Metric, directions, first_of_equals, pair_distances, take_nearer
from easeml_ray.neighbors.passes import Columns, FloatPass, IntegerPass, Pass, Scaled, integers_pay

__all__ = ["Queries", "offer"]

TEST_BLOCK = 250
TRAIN_BLOCK = 1000  # with TEST_BLOCK: scores of 1 MB, which stay in the cache
BLOCK_VALUES = 1 << 22  # coordinates of a block, 32 MiB, where rows are very wide
CLOSE_ROWS = 1024  # rows looked at closely at once
CROWD = 32  # undecided pairs a close row, per neighbour kept, that call for a finer product
PENDING = 1 << 18  # undecided pairs held at once
CENTRE_ROWS = 256
FLOAT32_WIDTH = 1 << 20  # features from which on float32 has no useful bound
FIRST_BLOCKS = 4  # in which most rows are looked at closely whatever the product
# Measured costs in multiply-adds of float32, of which those in eight bits save three of four.
CLOSE_COST = 50  # a score of a row looked at closely
PAIR_COST, COORDINATE_COST = 8000, 60  # an undecided pair, and each of its coordinates


class Queries:
    """The test side of a search: rows, and what a pass needs to know of them. Shapes: X_test (T, d)."""

    def __init__(self, X_test: FloatArray, metric: Metric) -> None:
        if metric not in ("euclidean", "cosine"):
            raise InvalidArgument(
                f"there is no metric {metric!r}", hint="Give euclidean or cosine.", argument="metric"
            )
        self.metric = metric
        self.rows = X_test if metric == "euclidean" else directions(X_test)
        self._centre: FloatArray | None = None
        self._digest: bytes | None = None
        self._scaled: Scaled | None = None
        self._layouts: dict[type[Any], Pass] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_scaled": None, "_layouts": {}}

    @property
    def digest(self) -> bytes:
        """32 bytes that two searches share exactly if their test rows and metric are equal."""
        if self._digest is None:
            digest = hashlib.sha256(f"{self.metric} {self.rows.shape}".encode())
            digest.update((self.rows + 0.0).data)  # -0.0 and 0.0 are the same value
            self._digest = digest.digest()
        return self._digest

    @property
    def n_features(self) -> int:
        """Width of the features as they are given."""
        return int(self.rows.shape[1]) - (self.metric == "cosine")

    @property
    def centre(self) -> FloatArray:
        """A point amid the test rows, (d,): a median, which rows far out do not move."""
        if self._centre is None:
            some = self.rows[:: max(1, self.rows.shape[0] // CENTRE_ROWS)]
            self._centre = np.median(some, axis=0)
        return self._centre

    def points(self, X: FloatArray) -> FloatArray:
        """Return rows as points whose Euclidean distance is the metric's. Shapes: X (n, d)."""
        return X if self.metric == "euclidean" else directions(X)

    def scaled(self, rows: FloatArray) -> Scaled:
        """Return the centred test rows in a unit that suits them and these train rows."""
        some = rows[:: max(1, rows.shape[0] // CENTRE_ROWS)]
        reach = np.abs(np.concatenate((some, self.rows[: 4 * CENTRE_ROWS])) - self.centre).max(axis=1)
        reach = reach[reach > 0.0]
        # A multiple of 8, so that one unit serves many calls; within the range of 2.0**-e.
        e = 8 * round(float(np.log2(np.median(reach))) / 8.0) if reach.size else 0
        e = min(max(e, -1000), 1000)
        if self._scaled is None or self._scaled.e != e:
            self._scaled, self._layouts = Scaled(self.rows, self.centre, e), {}
        return self._scaled

    def layout(self, scaled: Scaled, kind: type[Any]) -> Pass:
        """Return the test rows as scaled last, laid out for products of this kind."""
        if kind not in self._layouts:
            self._layouts[kind] = IntegerPass(scaled) if kind is np.int8 else FloatPass(scaled, kind)
        return self._layouts[kind]


class _Search:
    """One call of :func:`offer`."""

    def __init__(
        self, queries: Queries, points: FloatArray, names: IntArray, distance: FloatArray, nearest: IntArray
    ) -> None:
        self.queries, self.points, self.names = queries, points, names
        self.distance, self.nearest = distance, nearest
        self.source = np.full(distance.shape, -1, dtype=np.int64)
        self.k = distance.shape[1]
        self.scaled = queries.scaled(points)
        self.upper = self.scaled.upper(slice(None), distance[:, -1])
        width = points.shape[1]
        self.kinds: list[type[Any]] = [np.float64]  # of products, the fastest first
        if width < FLOAT32_WIDTH:
            self.kinds.insert(0, np.float32)
        if integers_pay(width, float(width) * points.shape[0] * distance.shape[0]):
            self.kinds.insert(0, np.int8)
        self.room: dict[tuple[str, type[Any]], NDArray[Any]] = {}
        self.blocks = 0
        self.refines = True  # whether a finer product tells more pairs apart
        self.undecided: list[tuple[IntArray, IntArray, FloatArray]] = []  # test row, position, lower
        self.count = 0  # of them
        self.held = 0  # since the start

    def look(self, at: IntArray) -> None:
        """Look at the train rows at these positions."""
        block = self.points[at]
        # Equal rows have equal lengths, and lengths are cheap to compare.
        if np.unique(np.einsum("ij,ij->i", block, block)).size < 0.75 * at.size:
            at = at[first_of_equals(block, self.names[at], self.k)]
            block = self.points[at]
        columns = self.queries.layout(self.scaled, self.kinds[0]).columns(block)
        ceiling = columns.ceiling(slice(None), self.upper)
        rows, looked, held_before = self.upper.size, 0, self.held
        room = self._space(columns.dtype, "scores", TEST_BLOCK, at.size)
        held = self._space(columns.dtype, "held", CLOSE_ROWS + TEST_BLOCK, at.size)
        close = np.empty(CLOSE_ROWS + TEST_BLOCK, dtype=np.int64)
        waiting = 0
        for begin in range(0, rows, TEST_BLOCK):
            test = slice(begin, min(begin + TEST_BLOCK, rows))
            scores = columns.multiply(test, room[: test.stop - begin])
            # Not "<=": what is no number, if a product could hold any, must not pass unseen.
            row = (~(scores.min(axis=1) > ceiling[test])).nonzero()[0]
            following = slice(waiting, waiting + row.size)
            np.take(scores, row, axis=0, out=held[following], mode="clip")
            np.add(row, begin, out=close[following])
            waiting += row.size
            if waiting >= CLOSE_ROWS or (waiting and test.stop == rows):
                self._look_closely(at, close[:waiting].copy(), held[:waiting], columns)
                looked, waiting = looked + waiting, 0
        self.blocks += 1
        if self.kinds[0] is np.int8 and self.blocks > FIRST_BLOCKS:
            width = self.points.shape[1]
            cost = CLOSE_COST * looked * at.size
            cost += (PAIR_COST + COORDINATE_COST * width) * (self.held - held_before)
            if cost > 0.75 * rows * at.size * width:
                del self.kinds[0]  # too coarse for these rows
        if self.count >= 2 * self.distance.size:
            self.decide()

    def _space(self, dtype: type[Any], use: str, rows: int, columns: int) -> NDArray[Any]:
        """Return room for scores, the same for all blocks: fresh memory is slow at first touch."""
        if (use, dtype) not in self.room:
            self.room[use, dtype] = np.empty(rows * TRAIN_BLOCK, dtype=dtype)
        return self.room[use, dtype][: rows * columns].reshape(rows, columns)

    def _look_closely(self, at: IntArray, row: IntArray, scores: NDArray[Any], columns: Columns) -> None:
        """Hold the pairs of these test rows that may be among the nearest."""
        # With k = 1 every look may bound the nearest; with more, what is held does it later.
        if self.k == 1 or np.isinf(self.upper[row]).any():
            self._lower_upper(at, row, scores)
        near = ~(scores > columns.ceiling(row, self.upper[row])[:, None])
        crowd = left = np.count_nonzero(near)
        for kind in self.kinds[1:]:
            if not self.refines or left <= CROWD * self.k * row.size:
                break
            columns = self.queries.layout(self.scaled, kind).columns(self.points[at])
            scores = columns.multiply(row, np.empty(scores.shape, dtype=columns.dtype))
            self._lower_upper(at, row, scores)
            near = ~(scores > columns.ceiling(row, self.upper[row])[:, None])
            left = np.count_nonzero(near)
        if left > max(CROWD * self.k * row.size, crowd // 2):
            # What ties in every product will tie in the next block.
            self.refines = False
        flat = near.ravel().nonzero()[0]
        i, j = np.divmod(flat, at.size)
        self.undecided.append((row[i], at[j], columns.lower(row[i], scores.ravel()[flat])))
        self.count += i.size
        self.held += i.size
        if self.count >= PENDING:
            self.decide()

    def _lower_upper(self, at: IntArray, row: IntArray, scores: NDArray[Any]) -> None:
        """Bound the k-th smallest score of these rows by D of their best pairs in the block."""
        if self.k == 1:
            best = scores.argmin(axis=1)[:, None]
        elif at.size >= self.k:
            best = np.argpartition(scores, self.k - 1, axis=1)[:, : self.k]
        else:
            return
        pairs = np.repeat(row, self.k), at[best.ravel()]
        exact = pair_distances(self.queries.rows, self.points, *pairs).reshape(best.shape)
        upper = self.scaled.upper(row, exact.max(axis=1))
        self.upper[row] = np.minimum(self.upper[row], upper)

    def decide(self) -> None:
        """Compute D of what is held and keep the k nearest of each test row."""
        if not self.count:
            return
        row, at, lower = (np.concatenate(parts) for parts in zip(*self.undecided, strict=True))
        self.undecided, self.count = [], 0
        left = np.flatnonzero(~(lower > self.upper[row]))
        row, at = row[left], at[left]
        exact = pair_distances(self.queries.rows, self.points, row, at)
        order = np.lexsort((self.names[at], exact, row))
        row, at, exact = row[order], at[order], exact[order]
        rank = np.arange(row.size) - np.searchsorted(row, row)
        first = rank < self.k
        touched, place = np.unique(row[first], return_inverse=True)
        shape = (touched.size, self.k)
        found = (np.full(shape, np.inf), np.full(shape, -1), np.full(shape, -1))
        for values, new in zip(found, (exact, self.names[at], at), strict=True):
            values[place, rank[first]] = new[first]
        known = (self.distance[touched], self.nearest[touched], self.source[touched])
        take_nearer(known, found)
        self.distance[touched], self.nearest[touched], self.source[touched] = known
        upper = self.scaled.upper(touched, known[0][:, -1])
        self.upper[touched] = np.minimum(self.upper[touched], upper)


def offer(
    queries: Queries, points: FloatArray, names: IntArray, distance: FloatArray, nearest: IntArray
) -> IntArray:
    """Keep the k nearest of the rows known and of these, in place."""
    # Shapes: points (n, d); names (n,); distance (T, k); nearest (T, k); returned (T, k).
    search = _Search(queries, points, names, distance, nearest)
    size = max(TRAIN_BLOCK // 8, min(TRAIN_BLOCK, BLOCK_VALUES // points.shape[1]))
    for first in range(0, points.shape[0], size):
        search.look(np.arange(first, min(first + size, points.shape[0])))
    search.decide()
    return search.source
