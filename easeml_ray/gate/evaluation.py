"""Three-valued evaluation of a condition, in exact arithmetic.

=======  =======================================================================
symbol   meaning
=======  =======================================================================
v        value of a clause's expression at the estimates, exact
ε, c     tolerance and threshold of the clause
[v ± ε]  what the true value lies in, with the reliability asked
=======  =======================================================================

``> c`` is TRUE when v - ε > c, FALSE when v + ε < c, otherwise UNKNOWN; ``< c``
is the mirror image. Comparisons are strict: v - ε == c is UNKNOWN. A conjunction
follows Kleene: FALSE if any clause is, TRUE if all are, otherwise UNKNOWN.

References
----------
C. Renggli et al., "Continuous Integration of Machine Learning Models with
ease.ml/ci", SysML 2019, section 2 (fp-free and fn-free).
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction

from easeml_ray.errors import InvalidArgument
from easeml_ray.gate.condition import VARIABLES, Clause, Condition, Subset

__all__ = ["ClauseEvaluation", "Evaluation", "Truth", "Verdict", "evaluate", "least_accuracy", "reachable"]

MODES = ("fp-free", "fn-free")


class Truth(StrEnum):
    """What the estimates say about a condition."""

    TRUE = "TRUE"
    FALSE = "FALSE"
    UNKNOWN = "UNKNOWN"


class Verdict(StrEnum):
    """What the gate says about a model."""

    PASS = "PASS"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class ClauseEvaluation:
    """One clause at the estimates: its value, less and plus its tolerance, and the side of the threshold."""

    clause: Clause
    value: Fraction
    lower: Fraction
    upper: Fraction
    truth: Truth


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A condition at the estimates.

    Parameters
    ----------
    verdict : Verdict
        The truth resolved by the mode.
    truth : Truth
        Of the conjunction.
    clauses : tuple of ClauseEvaluation
        One a clause, in order.
    """

    verdict: Verdict
    truth: Truth
    clauses: tuple[ClauseEvaluation, ...]

    @property
    def told(self) -> tuple[str, ...]:
        """Each clause with its value and truth, for people."""
        return tuple(f"{part.clause}: {float(part.value):.4f} {part.truth}" for part in self.clauses)


Estimate = Fraction | Decimal | float


def evaluate(
    condition: Condition,
    *,
    mode: str,
    subsets: Mapping[Subset, Mapping[str, Estimate]] | None = None,
    latency: Estimate | None = None,
    **estimates: Estimate,
) -> Evaluation:
    """Evaluate a condition at estimates of n, o and d.

    Parameters
    ----------
    condition : Condition
        What to evaluate.
    mode : {"fp-free", "fn-free"}
        fp-free passes only what is TRUE; fn-free fails only what is FALSE.
    subsets : mapping of Subset to a mapping of estimates, optional
        Of each variable that a clause takes on a slice or a class.
    latency : Fraction, Decimal or float, optional
        Measured milliseconds a row; needed by a condition that limits them.
    **estimates : Fraction, Decimal or float
        Of each variable that occurs, in [0, 1]. A float counts as the decimal that it prints as.

    Returns
    -------
    Evaluation
        Verdict, truth and the intervals of every clause.

    Raises
    ------
    InvalidArgument
        If the mode is unknown, or an estimate is missing, unknown, or outside [0, 1], or the latency
        is missing or negative.

    Examples
    --------
    >>> from easeml_ray.gate import evaluate, parse
    >>> condition = parse("n - o > 0.02 +/- 0.01")
    >>> evaluate(condition, mode="fp-free", n=0.9, o=0.85).verdict
    <Verdict.PASS: 'PASS'>
    >>> border = evaluate(condition, mode="fp-free", n=0.88, o=0.85)
    >>> border.truth, border.verdict
    (<Truth.UNKNOWN: 'UNKNOWN'>, <Verdict.FAIL: 'FAIL'>)
    """
    if mode not in MODES:
        raise InvalidArgument(
            f"The mode {mode!r} is not known.", hint=f"one of {', '.join(MODES)}", argument="mode"
        )
    given: dict[Subset | None, Mapping[str, Estimate]] = {None: estimates}
    for subset, on_its_rows in (subsets or {}).items():
        given[subset] = on_its_rows
    exact = {
        where: {name: exact_estimate(name, value) for name, value in values.items()}
        for where, values in given.items()
    }
    for clause in condition.clauses:
        missing = sorted(clause.coefficients.keys() - exact.get(clause.subset, {}).keys())
        if missing:
            rows = f" on the {clause.subset}" if clause.subset else ""
            raise InvalidArgument(
                f"The condition needs an estimate of {', '.join(missing)}{rows}.", argument=missing[0]
            )
    values = [
        sum((c * exact[clause.subset][v] for v, c in clause.coefficients.items()), Fraction(0))
        for clause in condition.clauses
    ]
    return evaluation_of(condition, values, mode=mode, latency=latency)


def evaluation_of(
    condition: Condition, values: Sequence[Fraction], *, mode: str, latency: Estimate | None = None
) -> Evaluation:
    """Evaluate a condition at the exact value of each of its clauses."""
    clauses = tuple(map(evaluate_clause, condition.clauses, values))
    truths = [clause.truth for clause in clauses]
    if condition.latency is not None:
        truths.append(compare_latency(condition.latency, latency))
    truth = conjunction(truths)
    passes = truth is Truth.TRUE or (mode == "fn-free" and truth is Truth.UNKNOWN)
    return Evaluation(Verdict.PASS if passes else Verdict.FAIL, truth, clauses)


def reachable(clause: Clause) -> frozenset[Truth]:
    """Return what a clause can evaluate to on some test set."""
    # A tolerance that is too wide for its threshold leaves a clause that can never be TRUE (with fp-free
    # nothing passes) or never be FALSE (with fn-free nothing fails).
    smallest, largest = clause.span
    ends = [compare(clause, value) for value in (smallest, largest)]
    # Truth changes monotonically with the value, so only the middle needs another look.
    middle = compare(clause, min(max(Fraction(clause.threshold), smallest), largest))
    return frozenset([*ends, middle])


def least_accuracy(condition: Condition) -> Fraction:
    r"""Return the accuracy below which no model can meet a condition.

    Parameters
    ----------
    condition : Condition
        What every model is tested for.

    Returns
    -------
    Fraction
        Of the clauses that ask for ``n`` alone to be large; 0 if there is none.

    Examples
    --------
    >>> from easeml_ray.gate import parse
    >>> least_accuracy(parse(r"n > 0.8 +/- 0.1 /\ n - o > 0.02 +/- 0.1"))
    Fraction(4, 5)
    """
    floors = [
        Fraction(clause.threshold) / clause.n
        for clause in condition.clauses
        if clause.comparison == ">" and clause.n > 0 and not (clause.o or clause.d or clause.subset)
    ]
    return max(floors, default=Fraction(0))


def evaluate_clause(clause: Clause, value: Fraction) -> ClauseEvaluation:
    """Evaluate one clause at the exact value of its expression."""
    epsilon = Fraction(clause.epsilon)
    return ClauseEvaluation(clause, value, value - epsilon, value + epsilon, compare(clause, value))


def compare(clause: Clause, value: Fraction) -> Truth:
    """Compare the interval around a value with the clause's threshold."""
    threshold, epsilon = Fraction(clause.threshold), Fraction(clause.epsilon)
    above, below = value - epsilon > threshold, value + epsilon < threshold
    if clause.comparison == "<":
        above, below = below, above
    if above:
        return Truth.TRUE
    return Truth.FALSE if below else Truth.UNKNOWN


def compare_latency(limit: Decimal, measured: Estimate | None) -> Truth:
    """Compare a measured latency with its limit; a measurement has no UNKNOWN."""
    if measured is None:
        raise InvalidArgument("The condition needs the latency.", argument="latency")
    value = exact_number("latency", measured)
    if value < 0:
        raise InvalidArgument(f"The latency, {measured} ms, is negative.", argument="latency")
    return Truth.TRUE if value < Fraction(limit) else Truth.FALSE


def conjunction(truths: list[Truth]) -> Truth:
    """Return Kleene's conjunction."""
    if Truth.FALSE in truths:
        return Truth.FALSE
    return Truth.UNKNOWN if Truth.UNKNOWN in truths else Truth.TRUE


def exact_estimate(name: str, value: Estimate) -> Fraction:
    """Return an estimate as an exact fraction in [0, 1]."""
    if name not in VARIABLES:
        raise InvalidArgument(
            f"There is no variable {name!r} in conditions.", hint="estimates are n, o and d", argument=name
        )
    exact = exact_number(name, value)
    if not 0 <= exact <= 1:
        raise InvalidArgument(f"The estimate of {name}, {value}, is outside [0, 1].", argument=name)
    return exact


def exact_number(name: str, value: Estimate) -> Fraction:
    """Return a number as an exact fraction."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real | Decimal):
        raise InvalidArgument(
            f"The estimate of {name} is {type(value).__name__}, not a number.", argument=name
        )
    try:
        # A float enters as the decimal that it prints as: 0.88 - 0.85 is then exactly 0.03.
        return Fraction(value) if isinstance(value, Fraction) else Fraction(Decimal(str(value)))
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise InvalidArgument(f"The estimate of {name} is {value}.", argument=name) from error
