"""Large deviations at the threshold: Chernoff's bound, and its sharp form.

======  ==========================================================================
symbol  meaning
======  ==========================================================================
Z       value on a row, in its own units: 1 or 0 (one variable), or 1, 0, -1 (n - o)
a, b    P(Z = 1), P(Z = -1) for n - o; p = a + b, mean a - b
m, x    mean of Z, and the point beyond which the mean of n rows must not lie; m < x
Λ(t)    ln E e^{tZ};   I = t x - Λ(t) at the t > 0 with Λ'(t) = x;   σ² = Λ''(t)
η       0.4688, of the largest probability of a sum of Bernoulli variables
======  ==========================================================================

The others are those of :mod:`easeml_ray.gate.bounds.base`. Only upper tails are written; lower ones
are upper tails of -Z, or of 1 - Z.

**chernoff.** P(mean ≥ x) ≤ e^{-nI}. Which law of Z is the worst? Λ grows with the mean, so the mean at
the boundary. Among laws on [l, h] with that mean, Λ(t) is largest for the two ends (convexity of
e^{tz}); among those of n - o with P(Z ≠ 0) ≤ p it is largest for P(Z ≠ 0) = p (cosh t ≥ 1). Both
hold for every t > 0, hence for I. If the tail is empty (x > h) no row is needed for it.

**tilted.** Write P(S ≥ nx) = E~[e^{nΛ(t) - tS}; S ≥ nx] under the law tilted by t, and S in steps of one:

    P(S ≥ nx) ≤ e^{-nI} max_k P~(S = k) Σ_{j≥0} e^{-tj} ≤ e^{-nI} η / (σ √n (1 - e^{-t}))

for Z whose tilted sum is a sum of independent Bernoulli variables: one variable always is, and 1 + Z = (0, 1,
2) with probabilities (b, 1-p, a) is where its generating polynomial has real roots, (1-p)² ≥ 4ab, which p ≤
1/2 implies and tilting keeps. The right side falls with n, so it holds for all n from the returned one up.

That p itself is the worst discordance q ≤ p for the **tail** (not only for Λ) is a lemma:
with a = (q+m)/2, b = (q-m)/2 the derivative of P(S_n ≥ T) in q is n/2 [P(S_{n-1} = T-1) - P(S_{n-1} = T)].
S_{n-1} + n - 1 is a sum of Bernoulli variables, whose probabilities fall from a mode on that is less
than 1 from the mean (Darroch), so the derivative is not negative once T - 1 ≥ (n-1)m + 1; and
T ≥ nx makes that so when n(x-m) ≥ 2 + |m|, for all q from |m| to p. Likewise v < m only lowers the tail:
mass of -1 can be moved to 0, or of 0 to 1, without P(Z ≠ 0) > p. A threshold beyond p leaves v ≤ p as the
hypothesis: its worst law has the mean p, where no row is -1.

References
----------
H. Chernoff, "A measure of asymptotic efficiency for tests of a hypothesis based on the
sum of observations", Annals of Mathematical Statistics 23 (1952).
R. R. Bahadur and R. Ranga Rao, "On deviations of the sample mean", Annals of
Mathematical Statistics 31 (1960).
J. N. Darroch, "On the distribution of the number of successes in independent
trials", Annals of Mathematical Statistics 35 (1964).
"""

from __future__ import annotations

import decimal
import functools
import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from easeml_ray.gate.bounds.base import ETA, PRECISION, Ask, Need, as_decimal, difference, need, share
from easeml_ray.gate.condition import Clause

__all__ = ["Tail", "chernoff", "tails", "tilted"]

# What floating point may lose of an exponent; it is added to what is asked.
ROUNDING = 1e-9
# A smaller I is lost in the rounding of its two terms, the logarithms of numbers near 1.
SAFE_RATE = 1e-5


@dataclass(frozen=True, slots=True)
class Tail:
    """The event that a mean of n rows lies at or above a point x > m; strict leaves out the point itself.

    discordance is p of a row that is 1, 0 or -1; None for one that is 1 or 0.
    """

    mean: Fraction
    point: Fraction
    strict: bool
    discordance: Fraction | None

    @property
    def is_empty(self) -> bool:
        """Whether no rows at all lie there."""
        return self.point > 1 or (self.point == 1 and self.strict)

    @property
    def is_possible(self) -> bool:
        """Whether some population has this mean."""
        if self.discordance is None:
            return 0 <= self.mean <= 1
        return abs(self.mean) <= self.discordance

    @classmethod
    def beyond(cls, mean: Fraction, point: Fraction, strict: bool, discordance: Fraction | None) -> Tail:
        """Return the tail of all populations whose mean is at most this one, at the worst of them."""
        largest = Fraction(1) if discordance is None else discordance
        return cls(min(mean, largest), point, strict, discordance)

    @property
    def law(self) -> tuple[float, float, float]:
        """Probabilities of 1, 0 and -1."""
        if self.discordance is None:
            return float(self.mean), float(1 - self.mean), 0.0
        p = self.discordance
        return float((p + self.mean) / 2), float(1 - p), float((p - self.mean) / 2)

    @property
    def tilt(self) -> tuple[float, float, float]:
        """Return I, t and σ²; I is infinite where the tail has probability 0."""
        return _tilt(self)


@functools.lru_cache(maxsize=4096)
def _tilt(tail: Tail) -> tuple[float, float, float]:
    up, rest, down = tail.law
    x = float(tail.point)
    if up == 0.0 and (tail.point > 0 or tail.strict or down == 0.0):
        return math.inf, math.inf, 0.0
    if up == 0.0 and tail.point == 0:
        return -math.log(rest), math.inf, 0.0
    if tail.point == 1:
        return -math.log(up), math.inf, 0.0
    # Λ'(t) = x is a quadratic in u = e^t: up (1-x) u² - x rest u - down (1+x) = 0.
    root = math.sqrt((x * rest) ** 2 + 4 * up * down * (1 - x * x))
    # With x < 0 the sum would cancel; the other form of the same root does not.
    u = (x * rest + root) / (2 * up * (1 - x)) if x >= 0 else 2 * down * (1 + x) / (root - x * rest)
    total = up * u + rest + (down / u if down else 0.0)
    variance = (up * u + (down / u if down else 0.0)) / total - x * x
    t = math.log(u)
    rate = x * t - math.log(total)
    if rate > SAFE_RATE:
        return rate, t, variance
    return *_precise_tilt(tail), variance


def _precise_tilt(tail: Tail) -> tuple[float, float]:
    """Return I and t where a tiny ε lets the two terms of I cancel."""
    with decimal.localcontext(PRECISION):
        x, m = as_decimal(tail.point), as_decimal(tail.mean)
        if tail.discordance is None:
            up, rest, down = m, 1 - m, Decimal(0)
        else:
            p = as_decimal(tail.discordance)
            up, rest, down = (p + m) / 2, 1 - p, (p - m) / 2
        root = ((x * rest) ** 2 + 4 * up * down * (1 - x * x)).sqrt()
        u = (x * rest + root) / (2 * up * (1 - x)) if x >= 0 else 2 * down * (1 + x) / (root - x * rest)
        total = up * u + rest + (down / u if down else 0)
        return float(x * u.ln() - total.ln()), float(u.ln())


@functools.lru_cache(maxsize=4096)
def tails(clause: Clause, ask: Ask) -> tuple[Tail, ...] | None:
    """Return the tails that a clause of one variable or of n - o must keep small."""
    # None for other clauses, and for n - o where p is not known or not below 1.
    single, pair = share(clause), difference(clause)
    scale = single if single is not None else pair
    if scale is None or (single is None and ask.discordance is None):
        return None
    p = None if single is not None else Fraction(ask.discordance or 1)
    c, e = Fraction(clause.threshold) / scale, Fraction(clause.epsilon) / abs(scale)
    top = Fraction(1) if p is None else Fraction(0)  # -Z for n - o, 1 - Z for one variable
    every = [
        Tail.beyond(c, c + e, True, p),
        Tail.beyond(c - 2 * e, c - e, False, p),
        Tail.beyond(top - c, top - c + e, True, p),
        Tail.beyond(top - c - 2 * e, top - c - e, False, p),
    ]
    return tuple(tail for tail in every if tail.is_possible and not tail.is_empty)


def chernoff(clause: Clause, ask: Ask) -> Need | None:
    """Return the n of Chernoff's bound at the threshold; other clauses count as two-valued rows."""
    found = tails(clause, ask)
    if found is None:
        low, high = clause.span
        # Stretched to [0, 1], where the two ends are the worst law.
        c, e = (Fraction(clause.threshold) - low) / (high - low), Fraction(clause.epsilon) / (high - low)
        every = [Tail.beyond(c, c + e, True, None), Tail.beyond(c - 2 * e, c - e, False, None)]
        every += [Tail.beyond(1 - c, 1 - c + e, True, None)]
        every += [Tail.beyond(1 - c - 2 * e, 1 - c - e, False, None)]
        found = tuple(tail for tail in every if tail.is_possible and not tail.is_empty)
    exponent = float(ask.exponent) * (1 + ROUNDING)
    rows = [exponent / tail.tilt[0] for tail in found]
    return need(clause, max(1, math.ceil(max(rows, default=1.0) * (1 + ROUNDING))), ask, "chernoff")


def tilted(clause: Clause, ask: Ask) -> Need | None:
    """Return the n of the sharp bound, or of Chernoff's where that is smaller."""
    found = tails(clause, ask)
    plain = chernoff(clause, ask)
    if found is None or plain is None or (difference(clause) and ask.discordance and ask.discordance > 0.5):
        return None
    rows = max([least_rows(clause, ask), *(enough_rows(tail, ask) for tail in found)])
    return need(clause, min(rows, plain.rows), ask, "tilted")


def enough_rows(tail: Tail, ask: Ask) -> int:
    """Return an n from which on one tail is at most e^-B."""
    exponent = float(ask.exponent) * (1 + ROUNDING)
    return min(_sharp(tail, exponent), math.ceil(exponent / tail.tilt[0] * (1 + ROUNDING)))


def least_rows(clause: Clause, ask: Ask) -> int:
    """Return from how many rows on the largest discordance is the worst for every tail."""
    found = tails(clause, ask)
    if found is None or share(clause) is not None:
        return 1
    return max([math.ceil((2 + abs(tail.mean)) / (tail.point - tail.mean)) for tail in found], default=1)


def _sharp(tail: Tail, exponent: float) -> int:
    """Return the smallest n with n I + ln(σ √n (1 - e^-t) / η) ≥ B."""
    rate, t, variance = tail.tilt
    if not (math.isfinite(rate) and variance > 0):
        return 1 if math.isinf(rate) else math.ceil(exponent / rate * (1 + ROUNDING))
    known = 0.5 * math.log(variance) + math.log(-math.expm1(-t)) - math.log(ETA)

    def enough(rows: int) -> bool:
        return rows * rate + 0.5 * math.log(rows) + known >= exponent

    low, high = 0, 1
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
