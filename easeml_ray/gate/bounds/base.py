"""What every bound is asked and answers.

======  ==========================================================================
symbol  meaning
======  ==========================================================================
M       number of verdicts that the union bound counts; only ln M is ever formed
L       ln M
δ       probability of error left to the clause over all M verdicts
B       L - ln δ: each single tail must be at most e^-B
p       largest share of rows on which the models differ, where it is known
Z       value of the clause's expression on one row
v       its mean over the population, estimated by the mean over n rows
c, ε    threshold and tolerance of the clause
======  ==========================================================================

A bound returns n such that with n rows **or more** each of these has probability at
most e^-B, whatever else the population looks like:

* v̂ > c + ε although v ≤ c, and v̂ < c - ε although v ≥ c (a wrong TRUE, a wrong FALSE);
* v̂ ≤ c + ε although v ≥ c + 2ε, and v̂ ≥ c - ε although v ≤ c - 2ε (what is better, or worse,
  than the threshold by twice the tolerance is not told).

The Hoeffding family and bennett prove more: |v̂ - v| is within ε on each side for every v (bennett's:
every v of models that differ on at most p). The others use that the threshold is known, which is all
that a verdict needs.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

from easeml_ray.gate.condition import Clause

__all__ = ["ETA", "PRECISION", "Ask", "Bound", "Need", "as_decimal", "ceiling", "difference", "share"]

PRECISION = decimal.Context(prec=50)

ETA = 0.46883
"""P(X = k) ≤ η / sd(X) for every sum X of independent Bernoulli variables.

J.-B. Baillon, R. Cominetti and J. Vaisman, "A sharp uniform bound for the distribution of sums of
Bernoulli trials", Combinatorics, Probability and Computing 25 (2016): η = 0.46882...
"""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a bound is asked beside the clause: ln M, δ in (0, 1/2], and p in (0, 1), None if not known.

    The clauses of the condition share the time that exact tails may take.
    """

    log_outcomes: Decimal
    delta: Decimal
    discordance: Decimal | None = None
    clauses: int = 1

    @property
    def exponent(self) -> Decimal:
        """B."""
        return self.log_outcomes - self.delta.ln(PRECISION)


@dataclass(frozen=True, slots=True)
class Need:
    """What a clause needs: rows on which the models answer, and how many need a label for each model.

    Labels are expected ones: for ``n - o`` those on which the models differ, where p is known.
    """

    rows: int
    labels: int
    bound: str


Bound = Callable[[Clause, Ask], Need | None]
"""What the clause needs; None where the bound does not speak of such a clause."""


def difference(clause: Clause) -> Fraction | None:
    """Return s where the clause is s (n - o), else None."""
    return clause.n if clause.n and clause.o == -clause.n and not clause.d else None


def share(clause: Clause) -> Fraction | None:
    """Return s where the clause is s times a single variable, else None."""
    values = list(clause.coefficients.values())
    return values[0] if len(values) == 1 else None


def need(clause: Clause, rows: int, ask: Ask, bound: str) -> Need:
    """Count the labels: none for d alone, the discordant rows for differences, else all rows."""
    if not (clause.n or clause.o):
        return Need(rows, 0, bound)
    if clause.n + clause.o == 0 and ask.discordance is not None:
        return Need(rows, ceiling(ask.discordance * rows), bound)
    return Need(rows, rows, bound)


def ceiling(value: Decimal) -> int:
    """Round up."""
    return int(value.to_integral_value(rounding=ROUND_CEILING))


def as_decimal(value: Fraction) -> Decimal:
    """Divide in the current precision."""
    return Decimal(value.numerator) / Decimal(value.denominator)
