"""How many test rows a condition needs, and what to do when there are too few.

======  ==========================================================================
symbol  meaning
======  ==========================================================================
H       number of models that one test set is to judge (steps)
M       number of outcomes in the union bound: H, or 2^H when verdicts steer the
        next model (adaptivity full)
δ       1 - reliability, shared equally by the clauses
======  ==========================================================================

With adaptivity ``none`` the models are fixed before the first verdict; with
``firstChange`` the test set retires at the first pass, so at most H sequences of
verdicts are possible; with ``full`` every verdict may steer the next model.

References
----------
C. Renggli et al., "Continuous Integration of Machine Learning Models with
ease.ml/ci", SysML 2019, section 3 and Figure 2.
"""

from __future__ import annotations

import decimal
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal

from easeml_ray.errors import InvalidArgument, TooFewTestRows
from easeml_ray.gate.bounds import BOUNDS, PRECISION, clause_rows
from easeml_ray.gate.condition import Clause, Condition
from easeml_ray.gate.evaluation import Truth, reachable

__all__ = ["SampleSize", "require", "sample_size", "ways_out"]

ADAPTIVITY = ("none", "full", "firstChange")


@dataclass(frozen=True, slots=True)
class SampleSize:
    """What a condition asks of a test set.

    Parameters
    ----------
    rows : int
        Rows of the test set.
    labels : int
        How many of the rows need a label: those of the clauses in n or o.
    unlabelled : int
        How many need only features: ``rows - labels``, for clauses in d alone.
    clause : int
        Index of the clause that asks for most.
    bound : str
        Name of the bound.
    """

    rows: int
    labels: int
    unlabelled: int
    clause: int
    bound: str


def sample_size(
    condition: Condition,
    *,
    reliability: float | Decimal,
    steps: int,
    adaptivity: str,
    bound: str = "hoeffding",
    discordance: float | None = None,
) -> SampleSize:
    """Return the size of a test set that carries a condition's guarantee.

    Parameters
    ----------
    condition : Condition
        What every model is tested for.
    reliability : float or Decimal
        Probability that all verdicts hold, 1 - δ, in [0.5, 1).
    steps : int
        H, the number of models that the test set is to judge, at least 1.
    adaptivity : {"none", "full", "firstChange"}
        What the verdicts may influence.
    bound : {"hoeffding", "hoeffding_optimal", "hoeffding_paired"}, default "hoeffding"
        Which inequality; the first is the published one, the others need no more rows.
    discordance : float, optional
        Largest share of rows on which the models differ. No present bound makes use of it.

    Returns
    -------
    SampleSize
        Rows, labels, and the clause that decides.

    Raises
    ------
    InvalidArgument
        If a parameter is outside its range, or a discordance is given to a bound that has no use for it.

    Examples
    --------
    >>> from easeml_ray.gate import parse, sample_size
    >>> sample_size(parse("n > 0.8 +/- 0.1"), reliability=0.99, steps=32, adaptivity="none").rows
    404
    >>> sample_size(parse("n - o > 0.02 +/- 0.1"), reliability=0.99, steps=32, adaptivity="full").rows
    5496
    """
    if discordance is not None:
        raise InvalidArgument(
            f"The bound {bound!r} makes no use of a discordance.",
            hint="leave discordance out",
            argument="discordance",
        )
    needed = Plan(reliability, steps, adaptivity, bound).rows(condition)
    rows = max(needed)
    labelled = [n for n, c in zip(needed, condition.clauses, strict=True) if c.n or c.o]
    labels = max(labelled, default=0)
    return SampleSize(rows, labels, rows - labels, needed.index(rows), bound)


def require(
    condition: Condition,
    rows: int,
    *,
    reliability: float | Decimal,
    steps: int,
    adaptivity: str,
    bound: str = "hoeffding",
) -> SampleSize:
    """Return what a condition needs, or refuse a test set that is too small for it.

    Parameters
    ----------
    condition : Condition
        What every model is tested for.
    rows : int
        Rows of the test set at hand.
    reliability, steps, adaptivity, bound
        As in :func:`sample_size`.

    Returns
    -------
    SampleSize
        With ``.rows`` at most ``rows``.

    Raises
    ------
    TooFewTestRows
        With the rows required and available, and the ways out.
    """
    needed = sample_size(condition, reliability=reliability, steps=steps, adaptivity=adaptivity, bound=bound)
    if needed.rows <= rows:
        return needed
    ways = ways_out(condition, rows, reliability=reliability, steps=steps, adaptivity=adaptivity, bound=bound)
    raise TooFewTestRows(
        f"The condition {condition} needs {needed.rows:,} test rows for {steps:,} steps at reliability "
        f"{reliability}, and the stable test set has {rows:,}.",
        hint="; or ".join(ways),
        required=needed.rows,
        available=rows,
        ways_out=ways,
    )


def ways_out(
    condition: Condition,
    rows: int,
    *,
    reliability: float | Decimal,
    steps: int,
    adaptivity: str,
    bound: str = "hoeffding",
) -> list[str]:
    """Return the three cheapest ways to make a test set suffice, cheapest first.

    A better bound costs nothing, a wider tolerance costs sharpness, fewer steps cost judged models,
    and more rows cost labels. What does not help is left out.

    Parameters
    ----------
    condition : Condition
        What every model is tested for.
    rows : int
        Rows of the test set at hand.
    reliability, steps, adaptivity, bound
        As in :func:`sample_size`.

    Returns
    -------
    list of str
        At most three sentences; empty when the rows suffice.

    Raises
    ------
    InvalidArgument
        If a parameter is outside its range.

    Examples
    --------
    >>> from easeml_ray.gate import parse, ways_out
    >>> condition = parse("n - o > 0.02 +/- 0.05")
    >>> for way in ways_out(condition, 7000, reliability=0.99, steps=32, adaptivity="none"):
    ...     print(way)
    use the bound hoeffding_paired, which needs 6,457 rows
    widen the tolerance: n - o > 0.02 +/- 0.0501
    plan for at most 31 steps instead of 32
    """
    plan = Plan(reliability, steps, adaptivity, bound)
    if max(plan.rows(condition)) <= rows:
        return []
    # A generator: what comes after the third is not searched for.
    return list(itertools.islice(possible_ways(condition, rows, plan), 3))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a test set besides the condition; parameters as in :func:`sample_size`."""

    reliability: float | Decimal
    steps: int
    adaptivity: str
    bound: str

    def rows(self, condition: Condition) -> list[int]:
        """Return the rows that each clause needs, δ shared equally by the clauses."""
        with decimal.localcontext(PRECISION):
            delta = error_probability(self.reliability) / len(condition.clauses)
            logarithm = log_outcomes(self.steps, self.adaptivity)
        return [clause_rows(clause, logarithm, delta, self.bound) for clause in condition.clauses]

    def fits(self, condition: Condition, rows: int) -> bool:
        """Whether so many rows carry the condition."""
        return max(self.rows(condition)) <= rows


def possible_ways(condition: Condition, rows: int, plan: Plan) -> Iterator[str]:
    """Yield the ways out, cheapest first."""
    needed = max(plan.rows(condition))
    by_bound = {name: max(replace(plan, bound=name).rows(condition)) for name in BOUNDS}
    best = min(by_bound, key=lambda name: by_bound[name])
    if by_bound[best] <= rows:
        yield f"use the bound {best}, which needs {by_bound[best]:,} rows"
    wider = wider_condition(condition, rows, plan)
    if wider is not None:
        yield f"widen the tolerance: {wider}"
    fewer = most_steps(condition, rows, plan)
    if fewer:
        yield f"plan for at most {fewer:,} {'step' if fewer == 1 else 'steps'} instead of {plan.steps:,}"
    if rows < by_bound[best] < needed:
        yield f"add {by_bound[best] - rows:,} rows and use the bound {best}"
    yield f"add {needed - rows:,} rows: {needed:,} are needed"


def wider_condition(condition: Condition, rows: int, plan: Plan) -> Condition | None:
    """Return the condition with the smallest tolerances, to three digits, that the rows carry.

    None when a clause so widened could no longer become both TRUE and FALSE.
    """
    if rows < 1:
        return None
    clauses = list(condition.clauses)
    for i, needed in enumerate(plan.rows(condition)):
        if needed <= rows:
            continue
        clauses[i] = wider_clause(condition, i, needed, rows, plan)
        if not {Truth.TRUE, Truth.FALSE} <= reachable(clauses[i]):
            return None
    return Condition(tuple(clauses))


def wider_clause(condition: Condition, i: int, needed: int, rows: int, plan: Plan) -> Clause:
    """Return clause i with the smallest tolerance, to three digits, that the rows carry."""
    clause = condition.clauses[i]
    with decimal.localcontext(PRECISION):
        # Every bound falls with the square of the tolerance. Rounding up added less than a row to
        # what is needed, so no smaller tolerance than this one can fit.
        start = clause.epsilon * max(Decimal(needed - 1) / rows, Decimal(1)).sqrt()
        digit = Decimal(1).scaleb(start.adjusted() - 2)
        epsilon = start.quantize(digit, rounding=ROUND_CEILING)
        while True:
            clauses = list(condition.clauses)
            clauses[i] = replace(clause, epsilon=epsilon)
            if plan.rows(Condition(tuple(clauses)))[i] <= rows:
                return clauses[i]
            epsilon += digit


def most_steps(condition: Condition, rows: int, plan: Plan) -> int:
    """Return the largest number of steps below the planned one that the rows carry; 0 if none."""
    fits, too_many = 0, plan.steps
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if replace(plan, steps=middle).fits(condition, rows):
            fits = middle
        else:
            too_many = middle
    return fits


def log_outcomes(steps: int, adaptivity: str) -> Decimal:
    """Return ln M; 2^H itself is never formed."""
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise InvalidArgument(f"steps is {steps!r}, not a whole number from 1 up.", argument="steps")
    if adaptivity not in ADAPTIVITY:
        raise InvalidArgument(
            f"The adaptivity {adaptivity!r} is not known.",
            hint=f"one of {', '.join(ADAPTIVITY)}",
            argument="adaptivity",
        )
    return steps * Decimal(2).ln() if adaptivity == "full" else Decimal(steps).ln()


def error_probability(reliability: float | Decimal) -> Decimal:
    """Return δ, exact: a float counts as the decimal that it prints as."""
    try:
        value = Decimal(str(reliability))
    except decimal.InvalidOperation:
        value = Decimal("NaN")
    if not (value.is_finite() and Decimal("0.5") <= value < 1):
        raise InvalidArgument(
            f"The reliability {reliability!r} is not in [0.5, 1).",
            hint="such as 0.99: one wrong verdict in a hundred test sets",
            argument="reliability",
        )
    return 1 - value
