"""Bennett's inequality, where the variance of a row is known to be small.

======  ==========================================================================
symbol  meaning
======  ==========================================================================
h(u)    (1 + u) ln(1 + u) - u
p       bound of the variance: the share of rows on which the models differ
        (pattern 1: asserted by a clause d < A, p = A; pattern 2: given)
ε_0     tolerance of the coarse estimate
======  ==========================================================================

The others are those of :mod:`easeml_ray.gate.bounds.base`.

**bennett.** X = n - o on a row lies in [-1, 1] and has E X² ≤ p. Bennett's inequality for each of two
sides, with δ/2 each: n = (L - ln(δ/2)) / (p h(ε/p)). With a clause ``d < A`` beside it the guarantee is
only needed where d < A: were the clause wrong, the conjunction would be FALSE whatever n - o is, and
taking it for TRUE costs that clause's own share of δ.

**coarse_to_fine.** For one variable and ``> A`` with A near 1: with δ/2 the coarse estimate is within ε_0
(Hoeffding). Where it is below A - ε_0 the clause is not TRUE. Otherwise 1 - v ≤ 1 - A + 2 ε_0 =: p, which
bounds the variance v (1 - v), and Bennett's inequality holds with δ/2. Both may use the same rows;
n is the larger of the two, at the ε_0 that makes it smallest. ``< A`` with A near 0 is the mirror image.

References
----------
G. Bennett, "Probability inequalities for the sum of independent random variables",
JASA 57 (1962).
C. Renggli et al., "Continuous Integration of Machine Learning Models with
ease.ml/ci", SysML 2019, section 4.
"""

from __future__ import annotations

import decimal
import math
from decimal import Decimal

import numpy as np

from easeml_ray.gate.bounds.base import PRECISION, Ask, Need, as_decimal, ceiling, difference, need, share
from easeml_ray.gate.condition import Clause

__all__ = ["bennett", "coarse_to_fine"]

_ROUNDING = 1e-9


def bennett(clause: Clause, ask: Ask) -> Need | None:
    """Return n = (L - ln(δ/2)) / (p h(ε/p)) for s (n - o), with ε/s for ε."""
    scale = difference(clause)
    if scale is None or ask.discordance is None:
        return None
    with decimal.localcontext(PRECISION):
        p = ask.discordance
        u = clause.epsilon / as_decimal(abs(scale)) / p
        rows = (ask.exponent + Decimal(2).ln()) / (p * ((1 + u) * (1 + u).ln() - u))
        return need(clause, ceiling(rows), ask, "bennett")


def coarse_to_fine(clause: Clause, ask: Ask) -> Need | None:
    """Return the larger of a coarse and a fine n for s times one variable, with ε/s for ε."""
    scale = share(clause)
    if scale is None:
        return None
    threshold = float(clause.threshold) / float(scale)
    rare = min(threshold, 1 - threshold)
    if rare < 0:
        return None
    epsilon, exponent = float(clause.epsilon) / abs(float(scale)), float(ask.exponent) + math.log(2)
    coarse = np.geomspace(epsilon, 1.0, 400)
    p = rare + 2 * coarse
    u = epsilon / p
    # The first two terms of h are a lower bound; where u is tiny, the rest is rounding.
    h = np.where(u < 1e-3, u * u / 2 - u**3 / 6, (1 + u) * np.log1p(u) - u)
    fine = exponent / (p * h)
    # Above one half the variance is no longer monotone in the share of errors.
    rows = np.where(p <= 0.5, np.maximum(fine, exponent / (2 * coarse**2)), np.inf).min()
    if not np.isfinite(rows):
        return None
    return need(clause, math.ceil(rows * (1 + _ROUNDING)), ask, "coarse_to_fine")
