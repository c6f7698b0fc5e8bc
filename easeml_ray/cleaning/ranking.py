"""Development points, each with the alternatives near it in order: ranked once, then only read.

Symbols
-------
N, M, V = rows, alternatives, points
k = neighbours that vote
R* = k-th smallest, over rows, of the row's farthest possible alternative, in the order of
     (distance, row); no alternative beyond it is ever among the k nearest

Learning what a row is changes probabilities, never the order, and R* can then only shrink. An
answer that was no alternative is inserted where its distance belongs.

References
----------
.. [1] B. Karlas et al., "Nearest Neighbor Classifiers over Incomplete Information: From
   Certain Answers to Certain Predictions", VLDB 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.cleaning.alternatives import Alternatives
from easeml_ray.cleaning.distances import Distances

__all__ = ["RankedPoints", "nearest_first", "rank_points", "replace_row"]

BLOCK_VALUES = 4_000_000


@dataclass(frozen=True, slots=True)
class RankedPoints:
    """Points with their nearest alternatives, one list after the other."""

    rows: Alternatives  # their prior is the one that the lists were cut for
    points: FloatArray  # (V, n_features)
    y: IntArray  # (V,), true labels
    k: int
    start: IntArray  # (V + 1,), of each point's list
    elements: NDArray[np.int32]  # (total,), positions of alternatives up to R*, nearest first
    distances: FloatArray  # (total,), their squared distances

    @property
    def n_points(self) -> int:
        """Number of points."""
        return len(self.y)

    def nearest(self, point: int) -> IntArray:
        """Return a point's list: positions of alternatives, nearest first."""
        return self.elements[self.start[point] : self.start[point + 1]].astype(np.int64)

    def subset(self, points: IntArray) -> RankedPoints:
        """Return some of the points; nothing is ranked again."""
        sizes = np.diff(self.start)[points]
        start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        at = np.repeat(self.start[:-1][points] - start[:-1], sizes) + np.arange(start[-1])
        return replace(
            self,
            points=self.points[points],
            y=self.y[points],
            start=start,
            elements=self.elements[at],
            distances=self.distances[at],
        )


def rank_points(rows: Alternatives, points: FloatArray, y: IntArray, k: int) -> RankedPoints:
    """Rank the alternatives once for each point: good for every later prior that is 0 where this one is."""
    lists = list(nearest_first(rows, rows.prior, points, k))
    empty = [(np.zeros(0, dtype=np.int64), np.zeros(0))]
    return RankedPoints(
        rows=rows,
        points=points,
        y=y,
        k=k,
        start=np.concatenate([[0], np.cumsum([len(elements) for elements, _ in lists])]).astype(np.int64),
        elements=np.concatenate([elements for elements, _ in lists or empty]).astype(np.int32),
        distances=np.concatenate([distances for _, distances in lists or empty]),
    )


def nearest_first(
    rows: Alternatives, prior: FloatArray, points: FloatArray, k: int
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Yield for each point the possible alternatives within R*, nearest first, and how far they are."""
    possible = prior > 0
    every = bool(possible.all())
    block = max(1, BLOCK_VALUES // len(prior))
    distances = Distances(points, rows.candidates)
    for start in range(0, len(points), block):
        near = distances.block(start, min(start + block, len(points)))
        if not every:
            near[:, ~possible] = np.inf
        reachable = near if every else np.where(possible, near, -1.0)
        farthest = np.maximum.reduceat(reachable, rows.row_ptr[:-1], axis=1)
        for line, worst in zip(near, farthest, strict=True):
            last = np.partition(worst, k - 1)[k - 1]
            # Among rows equally far the smaller is nearer: the one that fills up the k.
            equal = np.flatnonzero(worst == last)
            last_row = equal[k - 1 - np.count_nonzero(worst < last)]
            within = np.flatnonzero(line <= last)
            found = line[within]
            kept = (found < last) | (rows.row_of[within] <= last_row)
            within, found = within[kept], found[kept]
            # Alternatives stand row by row: a stable sort gives ties to the smaller row.
            order = np.argsort(found, kind="stable")
            yield within[order], found[order]


def replace_row(
    ranked: RankedPoints,
    prior: FloatArray,
    row: int,
    value: FloatArray,
    labels: IntArray,
    weights: FloatArray,
) -> RankedPoints:
    """Put new alternatives, all with the same features, in the place of a row's."""
    # They are inserted by rank; points are ranked again only where a list is too short now. The rows of the
    # result carry the present probabilities.
    old = ranked.rows
    start, end = int(old.row_ptr[row]), int(old.row_ptr[row + 1])
    rows = _with_row(old, prior, row, value, labels, weights)
    distance = Distances(ranked.points, value[None]).block(0, ranked.n_points)[:, 0]
    shift = len(labels) - (end - start)
    new = np.arange(start, start + len(labels), dtype=np.int64)
    possible = np.add.reduceat((rows.prior > 0).astype(np.int64), rows.row_ptr[:-1])
    lists: list[tuple[IntArray, FloatArray]] = []
    short: list[int] = []
    for v in range(ranked.n_points):
        elements = ranked.nearest(v)
        far = ranked.distances[ranked.start[v] : ranked.start[v + 1]]
        end_of_list = (far[-1], old.row_of[elements[-1]])
        kept = ((elements < start) | (elements >= end)) & (prior[elements] > 0)
        elements, far = elements[kept], far[kept]
        elements = np.where(elements >= end, elements + shift, elements)
        if (distance[v], row) <= end_of_list:
            # Between equal distances the order is that of the rows.
            low, high = np.searchsorted(far, distance[v], "left"), np.searchsorted(far, distance[v], "right")
            at = low + np.searchsorted(rows.row_of[elements[low:high]], row)
            elements = np.insert(elements, at, new)
            far = np.insert(far, at, distance[v])
        seen = np.bincount(rows.row_of[elements], minlength=rows.n_rows)
        if np.count_nonzero((seen == possible) & (seen > 0)) < ranked.k:
            short.append(v)
        lists.append((elements, far))
    if short:
        again = nearest_first(rows, rows.prior, ranked.points[short], ranked.k)
        for v, found in zip(short, again, strict=True):
            lists[v] = found
    return replace(
        ranked,
        rows=rows,
        start=np.concatenate([[0], np.cumsum([len(elements) for elements, _ in lists])]).astype(np.int64),
        elements=np.concatenate([elements for elements, _ in lists]).astype(np.int32),
        distances=np.concatenate([far for _, far in lists]),
    )


def _with_row(
    old: Alternatives, prior: FloatArray, row: int, value: FloatArray, labels: IntArray, weights: FloatArray
) -> Alternatives:
    start, end = int(old.row_ptr[row]), int(old.row_ptr[row + 1])
    row_ptr = old.row_ptr.copy()
    row_ptr[row + 1 :] += len(labels) - (end - start)
    repeated = np.repeat(value[None], len(labels), axis=0)
    return replace(
        old,
        candidates=np.concatenate([old.candidates[:start], repeated, old.candidates[end:]]),
        row_ptr=row_ptr,
        labels=np.concatenate([old.labels[:start], labels, old.labels[end:]]),
        prior=np.concatenate([prior[:start], weights, prior[end:]]),
        row_of=np.repeat(np.arange(old.n_rows, dtype=np.int64), np.diff(row_ptr)),
    )
