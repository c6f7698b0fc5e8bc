"""How many test rows one clause needs: Hoeffding's inequality in three allocations.

======  ==========================================================================
symbol  meaning
======  ==========================================================================
n       number of test rows
c_i     coefficient of the i-th variable of the clause
k       number of variables in the clause
ε       tolerance of the clause
δ       probability of error left to the clause
M       number of outcomes that the union bound counts; only ln M is ever formed
L       ln M
R       largest less smallest value of the expression on one row
ε_i δ_i shares of one variable: Σ |c_i| ε_i = ε and Σ δ_i = δ
======  ==========================================================================

All inequalities are one-sided and computed with fifty digits, so that rounding
up is exact and ten thousand steps do not overflow.

References
----------
W. Hoeffding, "Probability inequalities for sums of bounded random variables",
JASA 58 (1963), Theorem 2.
C. Renggli et al., "Continuous Integration of Machine Learning Models with
ease.ml/ci", SysML 2019, section 3.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

from easeml_ray.errors import InvalidArgument
from easeml_ray.gate.condition import Clause

__all__ = ["BOUNDS", "clause_rows"]

Bound = Callable[[Clause, Decimal, Decimal], Decimal]

PRECISION = decimal.Context(prec=50)
# The map of weights contracts by at most 1/(2 ln 2) a round; far fewer rounds are needed in practice.
ROUNDS = 200


def clause_rows(clause: Clause, log_outcomes: Decimal, delta: Decimal, bound: str) -> int:
    """Return the rows that one clause needs.

    Parameters
    ----------
    clause : Clause
        The clause.
    log_outcomes : Decimal
        ln M, natural logarithm of the number of outcomes in the union bound, at least 0.
    delta : Decimal
        Probability of error left to the clause, in (0, 1/2].
    bound : str
        A name in :data:`BOUNDS`.

    Returns
    -------
    int
        The bound's n, rounded up.

    Raises
    ------
    InvalidArgument
        If there is no bound of that name.
    """
    if bound not in BOUNDS:
        raise InvalidArgument(
            f"The bound {bound!r} is not known.", hint=f"one of {', '.join(BOUNDS)}", argument="bound"
        )
    with decimal.localcontext(PRECISION):
        rows = BOUNDS[bound](clause, log_outcomes, delta)
        return int(rows.to_integral_value(rounding=ROUND_CEILING))


def hoeffding(clause: Clause, log_outcomes: Decimal, delta: Decimal) -> Decimal:
    """Share ε and δ equally over the variables: n = max c_i² k² (L + ln k - ln δ) / (2 ε²)."""
    sizes = absolute(clause)
    k = Decimal(len(sizes))
    return (max(sizes) * k) ** 2 * (log_outcomes + k.ln() - delta.ln()) / (2 * clause.epsilon**2)


def hoeffding_optimal(clause: Clause, log_outcomes: Decimal, delta: Decimal) -> Decimal:
    """Share ε and δ so that n is smallest: n = (Σ |c_i| √(L - ln δ_i))² / (2 ε²).

    For shares of δ the best ε_i are those at which every variable needs the same n. What is left is
    convex in the δ_i, with its minimum where δ_i ∝ |c_i| / √(L - ln δ_i).
    """
    sizes = absolute(clause)
    shares = [Decimal(1) / len(sizes)] * len(sizes)
    for _ in range(ROUNDS):
        weights = [c / (log_outcomes - (delta * s).ln()).sqrt() for c, s in zip(sizes, shares, strict=True)]
        renewed = [w / sum(weights) for w in weights]
        moved = max(abs(a - b) for a, b in zip(renewed, shares, strict=True))
        shares = renewed
        if moved < Decimal("1e-30"):
            break
    # Any shares give a valid n; an early end of the loop costs rows, not the guarantee.
    total = sum(c * (log_outcomes - (delta * s).ln()).sqrt() for c, s in zip(sizes, shares, strict=True))
    return Decimal(total) ** 2 / (2 * clause.epsilon**2)


def hoeffding_paired(clause: Clause, log_outcomes: Decimal, delta: Decimal) -> Decimal:
    """Apply Hoeffding once to the whole expression on a row: n = R² (L - ln δ) / (2 ε²).

    The models are compared on the same rows, so the expression is one bounded variable a row and
    no union over the variables is needed.
    """
    smallest, largest = clause.span
    return as_decimal(largest - smallest) ** 2 * (log_outcomes - delta.ln()) / (2 * clause.epsilon**2)


def absolute(clause: Clause) -> list[Decimal]:
    """Return the |c_i|."""
    return [as_decimal(abs(c)) for c in clause.coefficients.values()]


def as_decimal(value: Fraction) -> Decimal:
    """Divide in the current precision."""
    return Decimal(value.numerator) / Decimal(value.denominator)


BOUNDS: dict[str, Bound] = {
    "hoeffding": hoeffding,
    "hoeffding_optimal": hoeffding_optimal,
    "hoeffding_paired": hoeffding_paired,
}
