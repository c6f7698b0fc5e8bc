"""Exact tails: the binomial for one variable, the trinomial for n - o.

Symbols and the worst law are those of :mod:`easeml_ray.gate.bounds.tilted`, whose n holds for all larger
ones too. From there the rows are walked down, each tail computed in full, to the smallest n from
which on none is above e^-B: an exact tail is no monotone function of n, as the point n x passes integers.

The trinomial at all n of a stretch is one array, moved from n to n + 1 by its three probabilities:
sums of positive numbers, so that small tails keep their relative precision. What is cut off its ends
is, like all rounding, covered by asking for a tail smaller by 1e-9 of itself.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import numpy as np

from easeml_ray.gate.bounds.base import Ask, Need, need
from easeml_ray.gate.bounds.tilted import ROUNDING, Tail, chernoff, least_rows, tails, tilted
from easeml_ray.gate.condition import Clause

__all__ = ["exact"]

# Above these the tilted bound stands for the exact one; it asks for 1 % more rows at most there.
MOST_ROWS = 150_000
MOST_EXPONENT = 600.0  # tails below e^-600 leave the range of floating point
PIECES = 32


@functools.lru_cache(maxsize=4096)
def exact(clause: Clause, ask: Ask) -> Need | None:
    """Return the smallest n from which on all tails of a clause are at most e^-B."""
    found, start = tails(clause, ask), tilted(clause, ask)
    if found is None or start is None:
        # Differing on more than half of the rows: the lemma does not reach, Chernoff's bound does.
        return None if found is None else chernoff(clause, ask)
    exponent = float(ask.exponent)
    if start.rows > MOST_ROWS or exponent > MOST_EXPONENT:
        return need(clause, start.rows, ask, "exact")
    limit = math.exp(-exponent) * (1 - ROUNDING)
    floor = least_rows(clause, ask)
    rows = max([floor, *(_least(tail, start.rows, floor, limit) for tail in found[0])])
    return need(clause, rows, ask, "exact")


def _least(tail: Tail, enough: int, floor: int, limit: float) -> int:
    """Return the smallest n from which up to ``enough`` the tail is within the limit."""
    if math.isinf(tail.tilt[0]):
        return floor
    high = enough
    while high > floor:
        low = max(floor, high - max(64, enough // PIECES))
        wrong = np.flatnonzero(probabilities(tail, low, high) > limit)
        if len(wrong):
            return low + int(wrong[-1]) + 1
        high = low
    return floor


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
    up, rest, down = tail.law
    rate = tail.tilt[1]
    spread = math.sqrt(high * (up + down)) + 1
    mean = float(tail.mean)
    # Below the mean nothing climbs to the tail any more; above it what is far out weighs e^-45.
    first = math.floor(min(low * mean, high * mean) - 8 * spread) - 8
    last = max(least) + math.ceil(45 / rate if math.isfinite(rate) else 0) + 8
    last = min(last, math.ceil(max(low * mean, high * mean) + 45 * spread))
    law = _law_of_sum(low, up, rest, down, first, last)
    found = np.empty(high - low)
    for i in range(high - low):
        found[i] = law[least[i] - first :].sum()
        moved = rest * law
        moved[1:] += up * law[:-1]
        moved[:-1] += down * law[1:]
        law = moved
    return found


def _law_of_sum(n: int, up: float, rest: float, down: float, first: int, last: int) -> np.ndarray:
    """Return P(S = first), …, P(S = last) of n rows: n + S is the sum of two binomial variables."""
    from scipy.stats import binom

    # r² - (1 + m) r + a has the two chances of success as its roots.
    total = 1 + up - down
    large = (total + math.sqrt(max(0.0, total * total - 4 * up))) / 2
    small = up / large
    reach = [
        np.arange(max(0, math.floor(n * r - 45 * s)), min(n, math.ceil(n * r + 45 * s)) + 1)
        for r in (small, large)
        for s in (math.sqrt(n * r * (1 - r)) + 1,)
    ]
    laws = [binom.pmf(k, n, r) for k, r in zip(reach, (small, large), strict=True)]
    whole = np.convolve(*laws)
    start = int(reach[0][0] + reach[1][0]) - n
    law = np.zeros(last - first + 1)
    here = np.arange(first, last + 1) - start
    inside = (here >= 0) & (here < len(whole))
    law[inside] = whole[here[inside]]
    return law
