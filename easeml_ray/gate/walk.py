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
# Wanted rows whose growth is worked out together: most verdicts take no more.
AT_ONCE = 512
# Weight, in rows, of the largest possible second moment in its estimate.
PRIOR_ROWS = 5.0


class Walk:
    """The rows of one model in their order, and the capital bet on them."""

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
        self.lows = np.where(differ, min(self.different), min(self.agreeing))
        self.highs = np.where(differ, max(self.different), max(self.agreeing))
        # Places of the walk whose label matters, (n_wanted,).
        self.wanted = np.flatnonzero(self.lows != self.highs)
        self.place = {row: i for i, row in enumerate(order[self.wanted].tolist())}
        self.labels: dict[int, int | None] = {}
        # Wanted labels that have been counted, and asked for; labels that somebody could give.
        self.at = self.asked = self.counted = 0
        self._stakes()
        # The wanted rows whose growth is worked out, from and up to; before `quiet` labels no hypothesis
        # can be rejected, whatever they are.
        self.known = self.ahead = self.quiet = 0
        # Log capital against v ≤ c, v ≥ c, and the mode's far hypothesis, (3, n_strategies).
        self.capital = np.tile(np.log(SHARES), (3, 1)) + self._free(0, 0)[0]
        self.total = self._sums(0, 0)[0]

    def _stakes(self) -> None:
        c, e = self.threshold, self.epsilon
        if self.mode == "fp-free":
            far = min(c + 2 * e, (c + e + self.high) / 2)
        else:
            far = max(c - 2 * e, (c - e + self.low) / 2)
        self.sides = np.array([1.0, -1.0, -1.0 if self.mode == "fp-free" else 1.0])
        self.nulls = np.array([c, c, far])
        lows, highs = self.lows, self.highs
        moments = np.maximum((c - lows) * (highs - c), (np.clip(c, lows, highs) - c) ** 2)
        width = self.high - self.low
        prior = max((c - self.low) * (self.high - c), 1e-3 * width * width)
        before = np.concatenate([[0.0], np.cumsum(moments)[:-1]])
        self.second = (PRIOR_ROWS * prior + before) / (PRIOR_ROWS + np.arange(len(lows)))
        room = np.where(self.sides > 0, self.nulls - self.low, self.high - self.nulls)
        # A hypothesis that no population meets is rejected by any large stake.
        self.largest = LARGEST / np.maximum(room, 1e-6 * width)

    def _grown(self, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the log growth of every capital at rows with these values: (3, n_strategies, n_rows)."""
        stakes = np.minimum(
            DISTANCES[:, None] * (self.epsilon / self.second[rows]), self.largest[:, None, None]
        )
        gains = self.sides[:, None] * (values - self.nulls[:, None])
        return np.asarray(np.log1p(stakes * gains[:, None]))

    def _between(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the free rows before the wanted ones first..last, the end of the rows included, and cuts."""
        edges = np.concatenate([[-1], self.wanted, [len(self.lows)]])[first : last + 2]
        rows = np.arange(edges[0] + 1, edges[-1])
        rows = rows[self.lows[rows] == self.highs[rows]]
        return rows, np.searchsorted(rows, edges)

    def _free(self, first: int, last: int) -> np.ndarray:
        """Return the growth over the free rows before each of these wanted ones."""
        rows, cuts = self._between(first, last)
        summed = np.zeros((3, len(DISTANCES), len(rows) + 1))
        np.cumsum(self._grown(rows, self.lows[rows]), axis=2, out=summed[:, :, 1:])
        return np.moveaxis(summed[:, :, cuts[1:]] - summed[:, :, cuts[:-1]], 2, 0)

    def _sums(self, first: int, last: int) -> np.ndarray:
        """Return the sums of the values of the same rows."""
        rows, cuts = self._between(first, last)
        summed = np.concatenate([[0.0], np.cumsum(self.lows[rows])])
        return np.asarray(summed[cuts[1:]] - summed[cuts[:-1]])

    def _work_out(self) -> None:
        """Work out the growth of the next wanted rows for each outcome, with the free rows behind them."""
        self.known, self.ahead = self.at, min(self.at + AT_ONCE, len(self.wanted))
        rows = self.wanted[self.known : self.ahead]
        differ = self.old[rows] != self.new[rows]
        # Outcomes: the new model is right, the old one where they differ, none, nobody knows.
        values = np.where(
            differ[:, None], self.different, (self.agreeing[0], self.agreeing[1], self.agreeing[1])
        )
        worst = (self.lows if self.mode == "fp-free" else self.highs)[rows]
        columns = np.column_stack([values, worst])
        free = self._free(self.known + 1, self.ahead)
        grown = [np.moveaxis(self._grown(rows, column), 2, 0) + free for column in columns.T]
        self.growth = np.stack(grown, axis=1)
        self.sums = (columns + self._sums(self.known + 1, self.ahead)[:, None]).tolist()
        self.said = list(zip(self.old[rows].tolist(), self.new[rows].tolist(), strict=True))
        most = np.maximum(self.growth.reshape(len(rows), -1).max(axis=1), 0.0)
        self.most = np.concatenate([[0.0], np.cumsum(most)])

    def take_label(self) -> None:
        """Count the next wanted row, whose label is there, and the free rows behind it."""
        if self.at == self.ahead:
            self._work_out()
        here, label = self.at - self.known, self.labels[self.at]
        old, new = self.said[here]
        outcome = 3 if label is None else 0 if label == new else 1 if label == old else 2
        self.capital += self.growth[here, outcome]
        self.total += self.sums[here][outcome]
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
        if self.at < self.quiet:
            return None
        room = exponent - math.log(len(DISTANCES)) - float(self.capital.max())
        if room > 0:
            self._rest(room)
            return None
        above, below, far = self._rejected(exponent)
        # Never two capitals for one verdict: their chances of being wrong would add. Where both were
        # rejected within one stretch of free rows, what is said of c itself says more.
        if self.mode == "fp-free":
            return Verdict.PASS if above else Verdict.FAIL if far else None
        return Verdict.FAIL if below else Verdict.PASS if far else None

    def _rest(self, room: float) -> None:
        """Note how many labels it takes at least until the capital has grown by so much."""
        if self.at < self.ahead:
            here = self.at - self.known
            # Rounding must not hide a label.
            enough = np.searchsorted(self.most, self.most[here] + room * (1 - 1e-9))
            self.quiet = min(self.known + int(enough), self.ahead)

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
