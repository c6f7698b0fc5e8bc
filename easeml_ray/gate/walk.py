"""The rows of one model in their random order, and the capital that is bet on them.

Symbols are those of :mod:`easeml_ray.gate.sequential`, which says why the bets are fair.
"""

from __future__ import annotations

import math

import numpy as np

from easeml_ray.gate.condition import Clause
from easeml_ray.gate.evaluation import Truth, Verdict

__all__ = ["DISTANCES", "LARGEST", "PRIOR_ROWS", "SHARES", "Walk"]

# k and w: most of the capital bets on a distance of 2 ε, which is what a decision is promised for.
DISTANCES = np.array([1.0, 1.6, 2.4, 4.0, 7.0, 14.0])
SHARES = np.array([0.10, 0.24, 0.30, 0.20, 0.10, 0.06])
# A stake that could lose everything at one row would leave nothing to go on with.
LARGEST = 0.9
# Weight, in rows, of the largest possible second moment in its estimate.
PRIOR_ROWS = 5.0


class Walk:
    """The rows of one model in their order, and the capital bet on them.

    Attributes
    ----------
    wanted : ndarray of int, shape (n_wanted,)
        Places of the walk whose label matters.
    at, asked : int
        How many of the wanted labels have been counted, and asked for.
    capital : ndarray, shape (3, n_strategies)
        Log capital against v ≤ c, v ≥ c, and the mode's far hypothesis.
    """

    def __init__(
        self, clause: Clause, mode: str, old: np.ndarray, new: np.ndarray, order: np.ndarray
    ) -> None:
        self.order, self.mode = order, mode
        self.old, self.new = old[order], new[order]
        sign = 1.0 if clause.comparison == ">" else -1.0
        n, o, d = (sign * float(c) for c in (clause.n, clause.o, clause.d))
        self.threshold, self.epsilon = sign * float(clause.threshold), float(clause.epsilon)
        differ = self.old != self.new
        self.differing = int(differ.sum())
        # Values of a row: both right, both wrong; new right, old right, both wrong and different.
        self.agreeing, self.different = (n + o, 0.0), (n + d, o + d, d)
        self.low = min(*self.agreeing, *self.different)
        self.high = max(*self.agreeing, *self.different)
        lows = np.where(differ, min(self.different), min(self.agreeing))
        highs = np.where(differ, max(self.different), max(self.agreeing))
        self.lows, self.highs = lows, highs
        self.wanted = np.flatnonzero(lows != highs)
        self.place = {int(row): i for i, row in enumerate(order[self.wanted])}
        self.labels: dict[int, int | None] = {}
        self.at = self.asked = self.counted = 0
        self.total = 0.0
        self._stakes(lows, highs)

    def _stakes(self, lows: np.ndarray, highs: np.ndarray) -> None:
        c, e = self.threshold, self.epsilon
        if self.mode == "fp-free":
            far = min(c + 2 * e, (c + e + self.high) / 2)
        else:
            far = max(c - 2 * e, (c - e + self.low) / 2)
        self.sides = np.array([1.0, -1.0, -1.0 if self.mode == "fp-free" else 1.0])
        self.nulls = np.array([c, c, far])
        moments = np.maximum((c - lows) * (highs - c), (np.clip(c, lows, highs) - c) ** 2)
        width = self.high - self.low
        prior = max((c - self.low) * (self.high - c), 1e-3 * width * width)
        before = np.concatenate([[0.0], np.cumsum(moments)[:-1]])
        second = (PRIOR_ROWS * prior + before) / (PRIOR_ROWS + np.arange(len(lows)))
        room = np.where(self.sides > 0, self.nulls - self.low, self.high - self.nulls)
        # A hypothesis that no population meets is rejected by any large stake.
        largest = LARGEST / np.maximum(room, 1e-6 * width)
        self.second, self.largest = second, largest
        free = np.ones(len(lows), dtype=bool)
        free[self.wanted] = False
        # Log growth of each stretch of free rows, one before every wanted row and one at the end.
        edges = np.concatenate([[0], self.wanted + 1])
        self.growth = np.zeros((len(edges), 3, len(DISTANCES)))
        self.sums = np.zeros(len(edges))
        rows = np.flatnonzero(free)
        stretch = np.searchsorted(edges, rows, side="right") - 1
        values = lows[rows]
        self.sums += np.bincount(stretch, values, len(edges))
        for side in range(3):
            step = self.sides[side] * (values - self.nulls[side])
            for j, distance in enumerate(DISTANCES):
                stake = np.minimum(distance * e / second[rows], largest[side])
                self.growth[:, side, j] = np.bincount(stretch, np.log1p(stake * step), len(edges))
        at = second[self.wanted]
        stakes = np.minimum(DISTANCES * e / at[:, None, None], largest[:, None])
        self.signed = stakes * self.sides[:, None]
        self.capital = np.tile(np.log(SHARES), (3, 1))
        self.stretch = 0

    def take_free_rows(self) -> None:
        """Count the free rows up to the next wanted one."""
        if self.stretch == self.at:
            self.capital += self.growth[self.stretch]
            self.total += self.sums[self.stretch]
            self.stretch += 1

    def take_label(self) -> None:
        """Count the next wanted row, whose label is there."""
        where, label = self.wanted[self.at], self.labels[self.at]
        old, new = self.old[where], self.new[where]
        if label is None:
            value = self.lows[where] if self.mode == "fp-free" else self.highs[where]
        elif old == new:
            value = self.agreeing[0 if label == new else 1]
        else:
            value = self.different[0 if label == new else 1 if label == old else 2]
        self.capital += np.log1p(self.signed[self.at] * (value - self.nulls)[:, None])
        self.total += float(value)
        self.counted += label is not None
        self.at += 1

    @property
    def certain(self) -> Truth | None:
        """What no label can change: the threshold lies beyond all values, or the tolerance leaves no room."""
        c, e = self.threshold, self.epsilon
        if c > self.high or c < self.low:
            return Truth.FALSE if c > self.high else Truth.TRUE
        stuck = c + e >= self.high if self.mode == "fp-free" else c - e <= self.low
        return Truth.UNKNOWN if stuck else None

    def verdict(self, exponent: float) -> Verdict | None:
        """Return the verdict if a hypothesis is rejected."""
        if self.capital.max() < exponent - math.log(len(DISTANCES)):
            return None
        above, below, far = self._rejected(exponent)
        # Never two capitals for one verdict: their chances of being wrong would add. Where both were
        # rejected within one stretch of free rows, what is said of c itself says more.
        if self.mode == "fp-free":
            return Verdict.PASS if above else Verdict.FAIL if far else None
        return Verdict.FAIL if below else Verdict.PASS if far else None

    def truth(self, exponent: float) -> Truth:
        """Return what is known of the clause itself."""
        above, below, _ = self._rejected(exponent)
        if above == below:
            return Truth.UNKNOWN
        return Truth.TRUE if above else Truth.FALSE

    def _rejected(self, exponent: float) -> list[bool]:
        highest = self.capital.max(axis=1)
        total = highest + np.log(np.exp(self.capital - highest[:, None]).sum(axis=1))
        return [bool(t >= exponent) for t in total]
