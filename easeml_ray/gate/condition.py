"""Test conditions as values: exact coefficients, thresholds and tolerances.

======  ==========================================================================
symbol  meaning
======  ==========================================================================
n       accuracy of the new model on the test set, in [0, 1]
o       accuracy of the old model on the test set, in [0, 1]
d       share of test rows on which the two models differ, in [0, 1]
c_v     coefficient of the variable v, exact
c       threshold on the right of the comparison, exact
ε       tolerance of the estimate, exact and positive
======  ==========================================================================
"""

from __future__ import annotations

import decimal
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from easeml_ray.errors import InvalidArgument

__all__ = ["VARIABLES", "Clause", "Comparison", "Condition", "Linear", "exact_decimal"]

Comparison = Literal[">", "<"]
Linear = dict[str, Fraction]

VARIABLES = ("n", "o", "d")

# (n, o, d) of a single row. A row on which only one model is right must be a row on which they
# differ, and one on which both are right cannot be; wrong answers may or may not coincide.
ROW_KINDS = ((0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0))


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison of a condition: ``n·N + o·O + d·D (> | <) c ± ε``.

    Parameters
    ----------
    n, o, d : Fraction
        Coefficients of the three variables; 0 where a variable is absent. At least one is not.
    comparison : {">", "<"}
        Which side of the threshold the expression has to lie on.
    threshold : Decimal
        The number c that the expression is compared with.
    epsilon : Decimal
        Tolerance of the estimate, positive.

    Raises
    ------
    InvalidArgument
        If no coefficient is left, one has no finite decimal expansion, or ε is not positive.
    """

    n: Fraction
    o: Fraction
    d: Fraction
    comparison: Comparison
    threshold: Decimal
    epsilon: Decimal

    def __post_init__(self) -> None:
        if not self.coefficients:
            raise InvalidArgument("A clause has no variable.", argument="coefficients")
        if self.comparison not in (">", "<"):
            raise InvalidArgument(f"The comparison {self.comparison!r} is not > or <.", argument="comparison")
        if not (self.epsilon.is_finite() and self.threshold.is_finite() and self.epsilon > 0):
            raise InvalidArgument(
                f"The tolerance {self.epsilon} is not a positive number.", argument="epsilon"
            )
        for value in self.coefficients.values():
            exact_decimal(value)

    @property
    def coefficients(self) -> Linear:
        """The coefficients that are not 0, by variable."""
        return {v: c for v, c in zip(VARIABLES, (self.n, self.o, self.d), strict=True) if c}

    @property
    def span(self) -> tuple[Fraction, Fraction]:
        """Smallest and largest value that the expression can take on any test set."""
        values = [self.n * n + self.o * o + self.d * d for n, o, d in ROW_KINDS]
        return min(values), max(values)

    def __str__(self) -> str:
        text = ""
        for variable, value in self.coefficients.items():
            sign = ("- " if value < 0 else "+ ") if text else ("-" if value < 0 else "")
            size = plain(exact_decimal(abs(value)))
            text += f"{' ' if text else ''}{sign}{variable if size == '1' else f'{size} * {variable}'}"
        return f"{text} {self.comparison} {plain(self.threshold)} +/- {plain(self.epsilon)}"


@dataclass(frozen=True, slots=True)
class Condition:
    """A conjunction of clauses; ``str`` gives back a text that parses to an equal condition.

    Parameters
    ----------
    clauses : tuple of Clause
        At least one.

    Raises
    ------
    InvalidArgument
        If there is no clause.
    """

    clauses: tuple[Clause, ...]

    def __post_init__(self) -> None:
        if not self.clauses:
            raise InvalidArgument("A condition has no clause.", argument="clauses")

    @property
    def variables(self) -> frozenset[str]:
        """The variables that the condition needs estimates of."""
        return frozenset(v for clause in self.clauses for v in clause.coefficients)

    def __str__(self) -> str:
        return " /\\ ".join(map(str, self.clauses))


def exact_decimal(value: Fraction) -> Decimal:
    """Write a fraction as the decimal that it is; refuse one that has no finite expansion."""
    exact = decimal.Context(prec=200, traps=[decimal.Inexact])
    try:
        return exact.divide(Decimal(value.numerator), Decimal(value.denominator))
    except decimal.Inexact as error:
        raise InvalidArgument(
            f"The coefficient {value} has no finite decimal expansion.",
            hint="give coefficients as decimals, such as Fraction('1.1')",
            argument="coefficients",
        ) from error


def plain(value: Decimal) -> str:
    """Write a decimal without an exponent and without trailing zeros of an integer."""
    return format(value.to_integral_value() if value == value.to_integral_value() else value, "f")
