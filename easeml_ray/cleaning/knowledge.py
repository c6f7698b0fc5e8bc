"""What is known of development points for the present priors, asked again only where it may change.

Symbols
-------
N, M, V, C = rows, alternatives, points, classes
known[v] = how much is known of point v: nothing, CERTAINTY, PROBABILITY or CONDITIONAL

An answer for a row changes what is known of the points that the row is near. Everything is found
when somebody asks for it, and kept until an answer touches it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.cleaning.incidence import Incidence
from easeml_ray.cleaning.pointwise import CERTAINTY, CONDITIONAL, Swept, row_information, sweep
from easeml_ray.cleaning.ranking import RankedPoints, replace_row
from easeml_ray.cleaning.shortlists import shortlist
from easeml_ray.errors import InvalidAnswer, InvalidArgument

__all__ = ["Knowledge"]

SAME_VALUE = 1e-9
SAME_ZERO = 1e-12
_NOTHING = -1


class Knowledge:
    """Ranked points, the present probabilities (taken over and changed), and what follows from them.

    `possible` and `probabilities`, (V, C), are Q1 and Q2 of the points that were found; `near` says which
    rows are near which points, and what they tell of them.
    """

    def __init__(self, ranked: RankedPoints, prior: FloatArray) -> None:
        self.ranked, self.prior = ranked, prior
        shape = ranked.n_points, ranked.rows.n_classes
        self.possible: NDArray[np.bool_] = np.zeros(shape, dtype=np.bool_)
        self.probabilities: FloatArray = np.zeros(shape)
        self.near = Incidence(ranked)
        self._known = np.full(ranked.n_points, _NOTHING)
        # Whether the possible labels are those for the present prior.
        self._checked = np.zeros(ranked.n_points, dtype=np.bool_)

    def find(self, wanted: int, points: IntArray | None = None) -> None:
        """Ask what is not known yet: ``CERTAINTY``, ``PROBABILITY`` or ``CONDITIONAL``."""
        some = np.arange(self.ranked.n_points) if points is None else points
        for swept in sweep(self.ranked, self.prior, some[self._known[some] < wanted], wanted):
            open_ = self._note_labels(swept)
            self._known[swept.points[open_]] = wanted
            if wanted == CONDITIONAL:
                place, row, bits = row_information(swept)
                self.near.write(swept.points[open_], swept.points[place], row, bits)
        for swept in sweep(self.ranked, self.prior, some[~self._checked[some]], CERTAINTY):
            self._note_labels(swept, keep=True)

    def _note_labels(self, swept: Swept, *, keep: bool = False) -> NDArray[np.bool_]:
        """Take in Q1, and Q2 unless the one known is kept; return which points are open."""
        found, points = swept.found, swept.points
        certain = found.n_labels == 1
        self.possible[points], self._checked[points] = found.possible, True
        now = certain if keep else np.ones(len(points), dtype=np.bool_)
        self.probabilities[points[now]] = found.probabilities[now]
        self._known[points[certain]] = CONDITIONAL
        none = np.zeros(0, dtype=np.int64)
        self.near.write(points[certain], none, none, np.zeros(0))
        return np.asarray(~certain)

    def bounds(self, row: int) -> tuple[int, int]:
        """Return where a row's alternatives start and end."""
        rows = self.ranked.rows
        if not 0 <= row < rows.n_rows:
            raise InvalidArgument(
                f"there are rows 0 to {rows.n_rows - 1}, not {row}",
                hint="Rows are counted from 0 in the order of row_ptr.",
                argument="row",
            )
        return int(rows.row_ptr[row]), int(rows.row_ptr[row + 1])

    def check_uncertain(self, row: int) -> None:
        """Refuse an answer for a row that has one possible alternative."""
        start, end = self.bounds(row)
        if np.count_nonzero(self.prior[start:end]) == 1:
            raise InvalidAnswer(
                f"row {row} is certain, there is nothing to answer",
                hint="To replace what is known of it, give the value with correct=True.",
            )

    def rows_near(self, points: IntArray) -> IntArray:
        """Return the rows, ascending, that are uncertain and may be among the neighbours of an open point."""
        rows, k = self.ranked.rows, self.ranked.k
        lists = (shortlist(rows, self.prior, self.ranked.nearest(int(v)), k) for v in points)
        near = [nearest.rows[nearest.uncertain] for nearest in lists]
        return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *near]))

    def agreeing(self, row: int, value: FloatArray, label: int | None) -> NDArray[np.bool_]:
        """Say which alternatives of a row are possible and agree with an answer, its label if given."""
        at = slice(self.ranked.rows.row_ptr[row], self.ranked.rows.row_ptr[row + 1])
        known = self.ranked.rows.candidates[at]
        close = np.abs(known - value) <= SAME_ZERO + SAME_VALUE * np.maximum(np.abs(known), np.abs(value))
        agrees = close.all(axis=1) & (self.prior[at] > 0)
        return np.asarray(agrees if label is None else agrees & (self.ranked.rows.labels[at] == label))

    def restrict(self, row: int, agrees: NDArray[np.bool_]) -> None:
        """Learn that a row is one of some of its alternatives, at least one of them possible."""
        start, end = self.ranked.rows.row_ptr[row], self.ranked.rows.row_ptr[row + 1]
        kept = np.where(agrees, self.prior[start:end], 0.0)
        self.prior[start:end] = kept / kept.sum()
        near, matters = self.near.points_near(row)
        # A certain point stays certain: fewer worlds cannot disagree more.
        open_ = ~self._checked[near] | (self.possible[near].sum(axis=1) > 1)
        self._checked[near[open_]] = False
        forgotten = near[open_ & matters]
        self._known[forgotten] = _NOTHING
        # What was too far down a list may matter by now; the next conditional sweep says so.
        self.near.reset(forgotten)

    def replaced(self, row: int, value: FloatArray, label: int | None) -> Knowledge:
        """Return what is known, nothing found yet, if a row is what none of its alternatives was."""
        # A label of None keeps what is believed of it.
        rows = self.ranked.rows
        at = slice(int(rows.row_ptr[row]), int(rows.row_ptr[row + 1]))
        mass = np.bincount(rows.labels[at], self.prior[at], minlength=rows.n_classes).astype(np.float64)
        labels = np.flatnonzero(mass) if label is None else np.array([label], dtype=np.int64)
        weights = mass[labels] if label is None else np.ones(1)
        ranked = replace_row(self.ranked, self.prior, row, value, labels, weights)
        return Knowledge(ranked, ranked.rows.prior.copy())
