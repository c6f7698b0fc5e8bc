"""What to do when a test set is too small for its condition: refuse it, and name the cheapest ways out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from easeml_ray.errors import TooFewTestRows
from easeml_ray.gate.condition import Clause, Condition, Subset
from easeml_ray.gate.evaluation import Truth, reachable
from easeml_ray.gate.meter import OverfittingMeter
from easeml_ray.gate.sizes import Plan, SampleSize

__all__ = ["require", "ways_out"]


def require(
    condition: Condition,
    rows: int,
    *,
    reliability: float | Decimal,
    steps: int,
    adaptivity: str,
    bound: str = "hoeffding",
    discordance: float | Decimal | None = None,
    meter: Sequence[float | Decimal] = (),
    subsets: Mapping[Subset, int] | None = None,
) -> SampleSize:
    """Return what a condition needs, or refuse a test set that is too small for it.

    Parameters
    ----------
    condition : Condition
        What every model is tested for.
    rows : int
        Rows of the test set at hand.
    reliability, steps, adaptivity, bound, discordance
        As in :func:`sample_size`.
    meter : sequence of float or Decimal
        Edges of an :class:`OverfittingMeter` that is read with every verdict; none without one.
    subsets : mapping of Subset to int, optional
        Rows at hand of each slice and class; one that is missing counts as empty.

    Returns
    -------
    SampleSize
        With ``.total`` at most ``rows``.

    Raises
    ------
    TooFewTestRows
        With the rows required and available, and the ways out.
    """
    plan = Plan(reliability, steps, adaptivity, bound, discordance, len(meter) + 1)
    size = plan.size(condition)
    for part in size.clauses:
        subset = part.clause.subset
        if subset and part.rows > (subsets or {}).get(subset, 0):
            have = (subsets or {}).get(subset, 0)
            raise TooFewTestRows(
                f"The clause {part.clause} needs {part.rows:,} {subset} in the test set, which has {have:,}.",
                hint=f"add {part.rows - have:,} such rows, or widen the tolerance of the clause",
                required=part.rows,
                available=have,
                ways_out=[f"add {part.rows - have:,} {subset}"],
            )
    if size.total <= rows:
        if meter:
            OverfittingMeter(meter, reliability=reliability, steps=steps, adaptivity=adaptivity).require(rows)
        return size
    ways = _ways(condition, rows, plan)
    raise TooFewTestRows(
        f"The condition {condition} needs {size.total:,} test rows for {steps:,} steps at reliability "
        f"{reliability}, and the stable test set has {rows:,}.",
        hint="; or ".join(ways),
        required=size.total,
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
    discordance: float | Decimal | None = None,
    bands: int = 1,
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
    reliability, steps, adaptivity, bound, discordance, bands
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
    use the bound best, which needs 6,456 rows
    widen the tolerance: n - o > 0.02 +/- 0.0501
    plan for at most 31 steps instead of 32
    """
    return _ways(condition, rows, Plan(reliability, steps, adaptivity, bound, discordance, bands))


def _ways(condition: Condition, rows: int, plan: Plan) -> list[str]:
    if plan.size(condition).total <= rows:
        return []
    # A generator: what comes after the third is not searched for.
    return list(itertools.islice(possible_ways(condition, rows, plan), 3))


def possible_ways(condition: Condition, rows: int, plan: Plan) -> Iterator[str]:
    """Yield the ways out, cheapest first."""
    needed = plan.size(condition).total
    best = replace(plan, bound="best").size(condition).total
    if best <= rows:
        yield f"use the bound best, which needs {best:,} rows"
    # Exact tails take long to search with; what the sharp bound allows, they allow too.
    quick = replace(plan, bound="tilted") if plan.bound in ("exact", "best") else plan
    wider = wider_condition(condition, rows, quick)
    if wider is not None:
        yield f"widen the tolerance: {wider}"
    fewer = most_steps(condition, rows, quick)
    if fewer:
        yield f"plan for at most {fewer:,} {'step' if fewer == 1 else 'steps'} instead of {plan.steps:,}"
    if plan.bands > 1 and plan.adaptivity != "none":
        without = replace(plan, bands=1).size(condition).total
        if without <= rows:
            yield f"leave the meter out, whose readings cost {needed - without:,} rows"
    if rows < best < needed:
        yield f"add {best - rows:,} rows and use the bound best"
    yield f"add {needed - rows:,} rows: {needed:,} are needed"


def wider_condition(condition: Condition, rows: int, plan: Plan) -> Condition | None:
    """Return the condition with the smallest tolerances, to three digits, that the rows carry."""
    # None when a clause so widened could no longer become both TRUE and FALSE.
    if rows < 1:
        return None
    for i, size in enumerate(plan.size(condition).clauses):
        if size.rows > rows:
            wider = wider_clause(condition, i, size.rows, rows, plan)
            if wider is None or not {Truth.TRUE, Truth.FALSE} <= reachable(wider):
                return None
            condition = with_clause(condition, i, wider)
    return condition


def wider_clause(condition: Condition, i: int, needed: int, rows: int, plan: Plan) -> Clause | None:
    """Return clause i with the smallest tolerance, to three digits, that the rows carry."""
    clause = condition.clauses[i]
    # Bounds fall with about the square of the tolerance; the search goes half as far each way.
    about = clause.epsilon * (Decimal(needed) / rows).sqrt()
    digit = Decimal(1).scaleb(about.adjusted() - 2)

    def fits(multiple: int) -> bool:
        wider = with_clause(condition, i, replace(clause, epsilon=multiple * digit))
        return plan.size(wider).clauses[i].rows <= rows

    low, high = int(max(about / 2, clause.epsilon) / digit), int(2 * about / digit)
    if not fits(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return replace(clause, epsilon=high * digit)


def with_clause(condition: Condition, i: int, clause: Clause) -> Condition:
    """Return the condition with another i-th clause."""
    clauses = list(condition.clauses)
    old, clauses[i] = clauses[i], clause
    return Condition(tuple(clause if part is old else part for part in condition.parts))


def most_steps(condition: Condition, rows: int, plan: Plan) -> int:
    """Return the largest number of steps below the planned one that the rows carry; 0 if none."""
    fits, too_many = 0, plan.steps
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if replace(plan, steps=middle).size(condition).total <= rows:
            fits = middle
        else:
            too_many = middle
    return fits
