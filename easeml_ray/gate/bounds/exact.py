"""Exact tails: the binomial for one variable, the trinomial for n - o.

Symbols and the worst law are those of :mod:`easeml_ray.gate.bounds.tilted`, whose n holds for all larger
ones too. From there the rows are walked down, each tail computed in full, to the smallest n from
which on none is above e^-B: an exact tail is no monotone function of n, as the point n x passes integers.
The walk may take EFFORT and ends where that is used up (tens of thousands of rows at large p); the n
reached by then is valid too.

The trinomial at all n of a stretch is one array, moved from n to n + 1 by its three probabilities. It is
the law tilted to the point whose tail is asked for, so that this lies in the middle of the array and not
at its end: REACH standard deviations are enough on each side, and sums of positive numbers keep the
relative precision of the smallest tails. What is cut off is below e^-45 of the whole; like all
rounding it is covered by asking for a tail smaller by 1e-9 of itself.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import numpy as np

from easeml_ray.gate.bounds.base import Ask, Need, need
from easeml_ray.gate.bounds.tilted import ROUNDING, Tail, chernoff, enough_rows, least_rows, tails, tilted
from easeml_ray.gate.condition import Clause

__all__ = ["exact"]

# Above these the tilted bound stands for the exact one.
MOST_ROWS = 150_000
MOST_EXPONENT = 600.0  # tails below e^-600 leave the range of floating point
PIECES = 128
REACH = 10.0
EFFORT = 120_000_000  # numbers computed for one condition: well under a second


@functools.lru_cache(maxsize=4096)
def exact(clause: Clause, ask: Ask) -> Need | None:
    """Return an n from which on all tails of a clause are at most e^-B: the smallest, if effort allows."""
    found, start = tails(clause, ask), tilted(clause, ask)
    if found is None or start is None:
        # Differing on more than half of the rows: the lemma does not reach, Chernoff's bound does.
        return None if found is None else chernoff(clause, ask)
    exponent = float(ask.exponent)
    if start.rows > MOST_ROWS or exponent > MOST_EXPONENT:
        return need(clause, start.rows, ask, "exact")
    limit = math.exp(-exponent) * (1 - ROUNDING)
    rows, effort = least_rows(clause, ask), EFFORT // ask.clauses
    # The tail that needs most first: where it ends, the walk down ends for the others too.
    for enough, tail in sorted(((enough_rows(t, ask), t) for t in found), key=lambda pair: -pair[0]):
        rows, effort = _least(tail, min(enough, start.rows), rows, limit, effort)
    return need(clause, rows, ask, "exact")


def _least(tail: Tail, enough: int, floor: int, limit: float, effort: int) -> tuple[int, int]:
    """Return an n from which up to ``enough`` the tail is within the limit, and the effort that is left."""
    # The smallest such n, or `floor` if that is larger; where the effort is used up, the n reached by then.
    if math.isinf(tail.tilt[0]):
        return floor, effort
    high = enough
    while high > floor:
        low = max(floor, high - max(64, enough // PIECES))
        effort -= (high - low) * _width(tail, high)
        if effort < 0:
            return high, effort
        wrong = np.flatnonzero(probabilities(tail, low, high) > limit)
        if len(wrong):
            return low + int(wrong[-1]) + 1, effort
        high = low
    return floor, effort


def _width(tail: Tail, n: int) -> int:
    """Return how many numbers one more row takes to compute."""
    if tail.discordance is None or math.isinf(tail.tilt[1]):
        return 300  # an incomplete beta function costs as much
    return int(2 * REACH * math.sqrt(n * tail.tilt[2])) + 400


def probabilities(tail: Tail, low: int, high: int) -> np.ndarray:
    """Return the probability of a tail at n = low, …, high - 1."""
    rows = range(low, high)
    least = [least_sum(tail, n) for n in rows]
    if tail.discordance is None:
        from scipy.special import betainc

        counts, n = np.array(least, dtype=np.float64), np.array(rows, dtype=np.float64)
        inside = (counts >= 1) & (counts <= n)
        safe = np.where(inside, counts, 1.0)
        values = betainc(safe, n - safe + 1, float(tail.mean))
        return np.where(counts < 1, 1.0, np.where(inside, values, 0.0))
    return _trinomial(tail, low, high, least)


def least_sum(tail: Tail, n: int) -> int:
    """Return the smallest sum of n rows that lies in the tail."""
    point: Fraction = n * tail.point
    return math.floor(point) + 1 if tail.strict else math.ceil(point)


def _trinomial(tail: Tail, low: int, high: int, least: list[int]) -> np.ndarray:
    """Return P(S ≥ T) = e^{nΛ - tT} Σ_{j≥0} P~(S = T + j) e^{-tj} for each n and its T."""
    up, rest, down = tail.law
    _, t, variance = tail.tilt
    if math.isinf(t):  # all rows are 1, or none of them is -1
        return np.array([(up if tail.point == 1 else rest) ** n for n in range(low, high)])
    weights = np.array([up * math.exp(t), rest, down * math.exp(-t)])
    total = float(weights.sum())
    up, rest, down = (float(w) for w in weights / total)
    x, spread = float(tail.point), math.sqrt(high * variance) + 1
    first = math.floor(min(low * x, high * x) - REACH * spread) - 8
    last = math.ceil(max(low * x, high * x) + REACH * spread) + 8
    law = _law_of_sum(low, up, rest, down, first, last)
    moved, falling = np.empty_like(law), np.exp(-t * np.arange(len(law)))
    found = np.empty(high - low)
    for i, n in enumerate(range(low, high)):
        start = least[i] - first
        found[i] = n * math.log(total) - t * least[i] + math.log(law[start:] @ falling[: len(law) - start])
        np.multiply(law, rest, out=moved)
        moved[1:] += up * law[:-1]
        moved[:-1] += down * law[1:]
        law, moved = moved, law
    return np.exp(found)


def _law_of_sum(n: int, up: float, rest: float, down: float, first: int, last: int) -> np.ndarray:
    """Return P(S = first), …, P(S = last) of n rows: n + S is the sum of two binomial variables."""
    from scipy.stats import binom

    # r² - (1 + m) r + a has the two chances of success as its roots.
    total = 1 + up - down
    large = (total + math.sqrt(max(0.0, total * total - 4 * up))) / 2
    reach, laws = [], []
    for r in (up / large, large):
        wide = (REACH + 3) * (math.sqrt(n * r * (1 - r)) + 1)
        counts = np.arange(max(0, math.floor(n * r - wide)), min(n, math.ceil(n * r + wide)) + 1)
        reach.append(counts)
        laws.append(binom.pmf(counts, n, r))
    whole = np.convolve(*laws)
    start = int(reach[0][0] + reach[1][0]) - n
    law = np.zeros(last - first + 1)
    here = np.arange(first, last + 1) - start
    inside = (here >= 0) & (here < len(whole))
    law[inside] = whole[here[inside]]
    return law
