"""Hoeffding's inequality in three allocations.

======  ==========================================================================
symbol  meaning
======  ==========================================================================
c_i     coefficient of the i-th variable of the clause
k       number of variables in the clause
R       largest less smallest value of the expression on one row
ε_i δ_i shares of one variable: Σ |c_i| ε_i = ε and Σ δ_i = δ
======  ==========================================================================

The others are those of :mod:`easeml_ray.gate.bounds.base`. All inequalities are one-sided and
computed with fifty digits, so that rounding up is exact and ten thousand steps do not overflow.

References
----------
W. Hoeffding, "Probability inequalities for sums of bounded random variables",
JASA 58 (1963), Theorem 2.
C. Renggli et al., "Continuous Integration of Machine Learning Models with
ease.ml/ci", SysML 2019, section 3.
"""

from __future__ import annotations

import decimal
import math
from decimal import Decimal

from easeml_ray.gate.bounds.base import PRECISION, Ask, Need, as_decimal, ceiling, need
from easeml_ray.gate.condition import Clause

__all__ = ["hoeffding", "hoeffding_optimal", "hoeffding_paired"]

# The map of weights contracts by at most 1/(2 ln 2) a round; far fewer rounds are needed in practice.
ROUNDS = 200


def hoeffding(clause: Clause, ask: Ask) -> Need:
    """Share ε and δ equally over the variables: n = max c_i² k² (L + ln k - ln δ) / (2 ε²)."""
    with decimal.localcontext(PRECISION):
        sizes = absolute(clause)
        k = Decimal(len(sizes))
        rows = (max(sizes) * k) ** 2 * (ask.log_outcomes + k.ln() - ask.delta.ln()) / (2 * clause.epsilon**2)
        return need(clause, ceiling(rows), Ask(ask.log_outcomes, ask.delta), "hoeffding")


def hoeffding_optimal(clause: Clause, ask: Ask) -> Need:
    """Share ε and δ so that n is smallest: n = (Σ |c_i| √(L - ln δ_i))² / (2 ε²)."""
    # For shares of δ the best ε_i are those at which every variable needs the same n. What is left is convex
    # in the δ_i, with its minimum where δ_i ∝ |c_i| / √(L - ln δ_i).
    with decimal.localcontext(PRECISION):
        sizes = absolute(clause)
        exponent, weights = float(ask.exponent), [float(c) for c in sizes]
        shares = [1.0 / len(sizes)] * len(sizes)
        for _ in range(ROUNDS):
            renewed = [c / math.sqrt(exponent - math.log(s)) for c, s in zip(weights, shares, strict=True)]
            renewed = [w / sum(renewed) for w in renewed]
            moved = max(abs(a - b) for a, b in zip(renewed, shares, strict=True))
            shares = renewed
            if moved < 1e-15:
                break
        # Any shares of δ give a valid n; those found in floating point cost a part of 1e-30 of the rows.
        parts = [Decimal(s) for s in shares]
        roots = [(ask.exponent - (s / sum(parts)).ln()).sqrt() for s in parts]
        total = sum((c * root for c, root in zip(sizes, roots, strict=True)), Decimal(0))
        rows = ceiling(total**2 / (2 * clause.epsilon**2))
        return need(clause, rows, Ask(ask.log_outcomes, ask.delta), "hoeffding_optimal")


def hoeffding_paired(clause: Clause, ask: Ask) -> Need:
    """Apply Hoeffding once to the whole expression on a row: n = R² (L - ln δ) / (2 ε²)."""
    # The models are compared on the same rows, so the expression is one bounded variable a row and no union
    # over the variables is needed.
    with decimal.localcontext(PRECISION):
        smallest, largest = clause.span
        rows = as_decimal(largest - smallest) ** 2 * ask.exponent / (2 * clause.epsilon**2)
        return need(clause, ceiling(rows), Ask(ask.log_outcomes, ask.delta), "hoeffding_paired")


def absolute(clause: Clause) -> list[Decimal]:
    """Return the |c_i|."""
    return [as_decimal(abs(c)) for c in clause.coefficients.values()]
