r"""A verdict on one clause with as few labels as it takes: a betting e-process over the era's rows.

======  ==========================================================================
symbol  meaning
======  ==========================================================================
z_t     value of the clause's expression on the t-th row of the walk, sign turned so
        that the clause reads v > c
v       its mean over the population that the rows are drawn from
l, h    smallest and largest value on a row
c, ε    threshold and tolerance
r       boundary of a hypothesis: v ≤ r is bet against with +, v ≥ r with -
λ_jt    stake of the j-th strategy at row t, known before the row's label is
w_j     share of the j-th strategy in the capital
B       ln M - ln δ_s: a hypothesis is rejected when the capital has grown by e^B
φ       share of δ kept for the decision at the end of the rows
======  ==========================================================================

**The walk.** Rows are taken in a uniformly random order drawn before anything is seen. A row whose value
does not depend on its label is free: for n - o all rows on which the models agree. Others are asked for.

**The bet.** Against v ≤ r the capital is K_t = Σ_j w_j Π_{i≤t} (1 + λ_ji (z_i - r)), with
0 ≤ λ_ji < 1 / (r - l). Rows are independent draws and λ_jt depends on rows before t only, so that
E[K_t | past] ≤ K_{t-1} for v ≤ r, and P(K ever reaches e^B) ≤ e^-B (Ville). Against v ≥ r the same
with r - z_i and λ < 1 / (h - r). That holds at any time: the walk may stop whenever it likes.

**The stakes.** The growth of log capital is largest near λ = (v - r) / E(z - r)². v is unknown, so strategies
stand for v - r = k ε, k in a short list. The second moment is unknown too, and is estimated from the
rows before t by what their features alone say, (c - low)(high - c) of a row between its smallest and largest
possible value: for n - o that is the share of rows on which the models differ. No share is taken as known.

**Verdicts.** fp-free: PASS when v ≤ c is rejected, FAIL when v ≥ c + 2ε is. fn-free: FAIL when v ≥ c is
rejected, PASS when v ≤ c - 2ε is. A wrong verdict needs a true hypothesis to be rejected; of the two only one
can be true, so that each is given all of δ_s = (1 - φ) δ and no half is lost. Where c + 2ε comes near h
the far hypothesis lies halfway between c + ε and h instead: v ≥ h would be rejected by one wrong answer.

**The end of the rows.** Where all rows together carry the fixed-size guarantee with φ δ, the estimate
decides as :func:`easeml_ray.gate.evaluate` would; otherwise fp-free FAILs and fn-free PASSes, which
keeps the promise of the mode.
For n - o the fixed size depends on p, the share of rows on which the models differ. U is its upper
confidence limit (Clopper-Pearson, error φ δ / M) from all rows, and the estimate decides if n(U) rows are
there. Were n(p) rows not there, that happens only if U < p, with probability at most φ δ / M; were they
there, a wrong estimate has that probability. Either way it is the larger, not the sum, of the two.

References
----------
J. Ville, "Étude critique de la notion de collectif", 1939.
I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by
betting", JRSS B 86 (2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from easeml_ray.errors import InvalidArgument, NotReady
from easeml_ray.gate.adaptivity import log_verdicts
from easeml_ray.gate.bounds import PRECISION, Ask
from easeml_ray.gate.bounds.base import difference
from easeml_ray.gate.bounds.hoeffding import hoeffding_paired
from easeml_ray.gate.bounds.tilted import chernoff, tilted
from easeml_ray.gate.condition import Clause, Condition
from easeml_ray.gate.evaluation import MODES, Truth, Verdict
from easeml_ray.gate.sizes import error_probability
from easeml_ray.gate.walk import Walk

__all__ = ["GateDecision", "SequentialGate", "fixed_rows"]

# φ. A smaller share costs few labels but lets the estimate decide from more rows on.
FALLBACK = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class GateDecision:
    """A verdict and what it took.

    Parameters
    ----------
    verdict : Verdict
        PASS or FAIL.
    truth : Truth
        TRUE when v ≤ c is rejected, FALSE when v ≥ c is; at the end of the rows that of the
        estimate, if it decides; else UNKNOWN.
    labels : int
        Labels that were used.
    """

    verdict: Verdict
    truth: Truth
    labels: int


class SequentialGate:
    """Judge one clause row by row, asking for labels only where they matter.

    Parameters
    ----------
    condition : Condition
        With one clause; a conjunction takes one gate a clause and a share of δ for each.
        For a slice or class the rows given to :meth:`start` are those of it.
    mode : {"fp-free", "fn-free"}, default "fp-free"
        Which mistake the guarantee excludes.
    reliability : float or Decimal
        1 - δ, in [0.5, 1): probability that all verdicts of the test set hold.
    steps : int
        Models that the test set is to judge.
    adaptivity : str
        As in :func:`easeml_ray.gate.sample_size`.
    cap : int, optional
        At most so many labels; without a decision by then fp-free FAILs and fn-free PASSes.
    rng : numpy.random.Generator
        Draws the order of the rows.

    Raises
    ------
    InvalidArgument
        If the condition has several clauses, or a parameter is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from easeml_ray.gate import SequentialGate, parse
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.integers(0, 2, 20_000)
    >>> old = np.where(rng.random(20_000) < 0.15, 1 - truth, truth)
    >>> new = np.where(rng.random(20_000) < 0.05, 1 - truth, truth)
    >>> gate = SequentialGate(
    ...     parse("n - o > 0.02 +/- 0.02"), reliability=0.99, steps=4, adaptivity="none", rng=rng
    ... )
    >>> decision = gate.decide(old, new, lambda row: truth[row])
    >>> decision.verdict, decision.labels < 300
    (<Verdict.PASS: 'PASS'>, True)
    """

    def __init__(
        self,
        condition: Condition,
        *,
        mode: str = "fp-free",
        reliability: float | Decimal,
        steps: int,
        adaptivity: str,
        cap: int | None = None,
        rng: np.random.Generator,
    ) -> None:
        if len(condition.clauses) != 1:
            raise InvalidArgument(
                f"A sequential gate judges one clause, and {condition} has {len(condition.clauses)}.",
                hint="take one gate for each clause, each with its share of 1 - reliability",
                argument="condition",
            )
        if mode not in MODES:
            raise InvalidArgument(
                f"The mode {mode!r} is not known.", hint=f"one of {', '.join(MODES)}", argument="mode"
            )
        if cap is not None and (isinstance(cap, bool) or not isinstance(cap, int) or cap < 0):
            raise InvalidArgument(f"cap is {cap!r}, not a number of labels.", argument="cap")
        self.clause, self.mode, self.cap = condition.clauses[0], mode, cap
        delta = error_probability(reliability)
        logarithm = log_verdicts(steps, adaptivity)
        self.exponent = float(Ask(logarithm, PRECISION.multiply(delta, 1 - FALLBACK)).exponent)
        self._fallback = Ask(logarithm, PRECISION.multiply(delta, FALLBACK))
        self._rng = rng
        self.decision: GateDecision | None = None
        self._walk: Walk | None = None

    def start(self, old_predictions: np.ndarray, new_predictions: np.ndarray) -> SequentialGate:
        """Give the models' answers on the rows of the era and draw their order.

        Parameters
        ----------
        old_predictions, new_predictions : ndarray of int, shape (n_rows,)
            Classes; a model that has no answer to a row gives a number that is no class.

        Returns
        -------
        SequentialGate
            Itself; it may have decided already, where no label can change the verdict.

        Raises
        ------
        InvalidArgument
            If the shapes differ, there are no rows, or the gate was started before.
        """
        old, new = np.asarray(old_predictions), np.asarray(new_predictions)
        if old.ndim != 1 or old.shape != new.shape or not old.size:
            raise InvalidArgument(
                f"Predictions have the shapes {old.shape} and {new.shape}.",
                hint="give one answer of each model a row, of at least one row",
                argument="new_predictions",
            )
        if self._walk is not None:
            raise InvalidArgument("The gate has been started.", hint="make a new gate for each model")
        self._walk = Walk(self.clause, self.mode, old, new, self._rng.permutation(len(old)))
        certain = self._walk.certain
        if certain is None:
            self._go_on()
        else:
            passes = certain is Truth.TRUE or (certain is Truth.UNKNOWN and self.mode == "fn-free")
            self.decision = GateDecision(Verdict.PASS if passes else Verdict.FAIL, certain, 0)
        return self

    def next(self) -> int | None:
        """Return a row whose label is wanted, and none twice; it may run ahead of the labels.

        Returns
        -------
        int or None
            None when the gate has decided, the rows are out, or ``cap`` labels were asked.

        Raises
        ------
        NotReady
            Before :meth:`start`.
        """
        walk = self._started()
        if self.decision or walk.asked == len(walk.wanted) or walk.asked == self.cap:
            return None
        walk.asked += 1
        return int(walk.order[walk.wanted[walk.asked - 1]])

    def observe(self, row: int, label: int | None) -> None:
        """Take in the label of a row that was asked for; labels count in the order of the walk.

        Parameters
        ----------
        row : int
            From :meth:`next`.
        label : int or None
            Its class; None for a label that nobody could give: it counts as the worst case for the mode.

        Raises
        ------
        InvalidArgument
            If the row was not asked for, or its label was given before.
        """
        walk = self._started()
        place = walk.place.get(int(row))
        if place is None or place >= walk.asked:
            raise InvalidArgument(
                f"No label was asked for row {row}.", hint="next() names the rows", argument="row"
            )
        if place in walk.labels:
            raise InvalidArgument(f"Row {row} has its label.", argument="row")
        walk.labels[place] = None if label is None else int(label)
        if self.decision is None:
            self._go_on()

    def decide(
        self, old_predictions: np.ndarray, new_predictions: np.ndarray, ask: Callable[[int], int | None]
    ) -> GateDecision:
        """Judge a model with a function that gives labels.

        Parameters
        ----------
        old_predictions, new_predictions : ndarray of int, shape (n_rows,)
            As in :meth:`start`.
        ask : function of a row to its label or None
            Called once for each row that is needed, in the order of the walk.

        Returns
        -------
        GateDecision
            The verdict.
        """
        self.start(old_predictions, new_predictions)
        while (row := self.next()) is not None:
            self.observe(row, ask(row))
        assert self.decision is not None  # the walk decides at the end of its rows
        return self.decision

    @property
    def labels(self) -> int:
        """How many labels count so far."""
        return 0 if self._walk is None else self._walk.counted

    def _started(self) -> Walk:
        if self._walk is None:
            raise NotReady("The gate has no predictions yet.", hint="call start() first")
        return self._walk

    def _go_on(self) -> None:
        """Count the labels that are there, in the order of the walk, up to a decision."""
        walk = self._started()
        while True:
            verdict = walk.verdict(self.exponent)
            if verdict is not None:
                self.decision = GateDecision(verdict, walk.truth(self.exponent), walk.counted)
                return
            done = walk.at == len(walk.wanted)
            if done or walk.at == self.cap:
                self.decision = self._at_the_end(walk, done)
                return
            if walk.at not in walk.labels:
                return
            walk.take_label()

    def _at_the_end(self, walk: Walk, all_rows: bool) -> GateDecision:
        """Decide without a rejection: by the estimate where it carries the guarantee."""
        safe = Verdict.FAIL if self.mode == "fp-free" else Verdict.PASS
        rows = len(walk.order)
        if not all_rows or fixed_rows(self.clause, self._fallback, walk.differing, rows) > rows:
            return GateDecision(safe, Truth.UNKNOWN, walk.counted)
        mean, c, e = walk.total / rows, walk.threshold, walk.epsilon
        # Sums of few different decimals: what rounding could do is far below one row.
        slack = 1e-9 * e
        truth = Truth.UNKNOWN
        if mean - e > c + slack:
            truth = Truth.TRUE
        elif mean + e < c - slack:
            truth = Truth.FALSE
        if safe is Verdict.FAIL:
            return GateDecision(Verdict.PASS if truth is Truth.TRUE else safe, truth, walk.counted)
        return GateDecision(Verdict.FAIL if truth is Truth.FALSE else safe, truth, walk.counted)


def fixed_rows(clause: Clause, ask: Ask, differing: int, rows: int) -> int:
    """Return how many rows let the estimate decide a clause, `ask` being that of the end of the rows."""
    # The smallest of the bounds in closed form; for n - o at the upper confidence limit of p.
    if difference(clause) is not None and differing < rows:
        from scipy.stats import beta

        tail = math.exp(-min(float(ask.exponent), 700.0))
        limit = Decimal(str(float(beta.isf(tail, differing + 1, rows - differing))))
        # Below e^-700 the limit would be one of another error: nothing is known of p then.
        if float(ask.exponent) <= 700.0 and 0 < limit < 1:
            ask = Ask(ask.log_outcomes, ask.delta, limit)
    found = [bound(clause, ask) for bound in (tilted, chernoff, hoeffding_paired)]
    return min(need.rows for need in found if need is not None)
