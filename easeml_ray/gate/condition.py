"""Test conditions as values: exact coefficients, thresholds, tolerances and what rows they speak of.

======  ==========================================================================
symbol  meaning
======  ==========================================================================
n       accuracy of the new model on the test set, in [0, 1]
o       accuracy of the old model on the test set, in [0, 1]
d       share of test rows on which the two models differ, in [0, 1]
c_v     coefficient of the variable v, exact
S       the rows a clause speaks of: all, those of a slice, or those of a class;
        n, o and d are then shares of these rows, and n on a class is its recall
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

__all__ = ["VARIABLES", "Clause", "Comparison", "Condition", "Latency", "Linear", "Subset", "exact_decimal"]

Comparison = Literal[">", "<"]
Linear = dict[str, Fraction]

VARIABLES = ("n", "o", "d")

# (n, o, d) of a single row. A row on which only one model is right must be a row on which they
# differ, and one on which both are right cannot be; wrong answers may or may not coincide.
ROW_KINDS = ((0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0))


@dataclass(frozen=True, slots=True)
class Subset:
    """The test rows that a clause speaks of: where a feature has a value, or of a class (column None).

    Given which rows these are, they are independent draws of their part of the population, so that every
    bound holds for them with their number in place of n.
    """

    column: str | None
    value: str

    def of(self, variable: str) -> str:
        """Write a variable on these rows."""
        if self.column is None:
            return f"recall({variable}, {quoted(self.value)})"
        column = self.column if self.column.isidentifier() else quoted(self.column)
        return f"{variable}[{column} = {quoted(self.value)}]"

    def __str__(self) -> str:
        if self.column is None:
            return f"rows of the class {quoted(self.value)}"
        return f"rows where {self.column} is {quoted(self.value)}"


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
    subset : Subset, optional
        The rows that n, o and d are shares of; None for all rows.

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
    subset: Subset | None = None

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
            name = self.subset.of(variable) if self.subset else variable
            text += f"{' ' if text else ''}{sign}{name if size == '1' else f'{size} * {name}'}"
        return f"{text} {self.comparison} {plain(self.threshold)} +/- {plain(self.epsilon)}"


@dataclass(frozen=True, slots=True)
class Latency:
    """A plain check beside the clauses: the 95th percentile over single rows stays below a limit.

    It is measured, not estimated from the test set: no tolerance, no rows, no share of δ.
    """

    milliseconds: Decimal

    def __post_init__(self) -> None:
        if not (self.milliseconds.is_finite() and self.milliseconds > 0):
            raise InvalidArgument(
                f"The latency {self.milliseconds} ms is not a positive number.", argument="milliseconds"
            )

    def __str__(self) -> str:
        return f"latency < {plain(self.milliseconds)} ms"


@dataclass(frozen=True, slots=True)
class Condition:
    """A conjunction of clauses and checks; ``str`` gives back a text that parses to an equal condition.

    Parameters
    ----------
    parts : tuple of Clause or Latency
        In the order of the text; at least one clause.

    Raises
    ------
    InvalidArgument
        If there is no clause.
    """

    parts: tuple[Clause | Latency, ...]

    def __post_init__(self) -> None:
        if not self.clauses:
            raise InvalidArgument(
                "A condition has no clause about the models' answers.",
                hint="add one, such as n > 0.8 +/- 0.05",
                argument="parts",
            )

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """The parts that are decided by test rows."""
        return tuple(part for part in self.parts if isinstance(part, Clause))

    @property
    def latency(self) -> Decimal | None:
        """The smallest limit of latency, in milliseconds; None without one."""
        limits = [part.milliseconds for part in self.parts if isinstance(part, Latency)]
        return min(limits, default=None)

    @property
    def subsets(self) -> frozenset[Subset]:
        """The slices and classes that clauses speak of."""
        return frozenset(clause.subset for clause in self.clauses if clause.subset)

    @property
    def variables(self) -> frozenset[str]:
        """The variables that the condition needs estimates of."""
        return frozenset(v for clause in self.clauses for v in clause.coefficients)

    def __str__(self) -> str:
        return " /\\ ".join(map(str, self.parts))


def quoted(text: str) -> str:
    """Write a text between quotes, as the language reads it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


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
