"""What a person who says nothing gets: a project's name, and a condition that its test set can decide."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from easeml_ray.errors import TooFewTestRows
from easeml_ray.gate import parse, sample_size

__all__ = ["DefaultCondition", "default_condition", "project_name"]

_DIGIT = Decimal("0.01")
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class DefaultCondition:
    """A condition and how many models may be judged by it on one test set."""

    condition: str
    steps: int
    tolerance: Decimal
    rows: int


def default_condition(
    rows: int, target: float, *, reliability: float = 0.95, steps: int = 4
) -> DefaultCondition:
    """Return the sharpest condition on accuracy that a small test set can honestly decide.

    Its tolerance is the smallest, in whole points, that the rows carry, and its threshold lies
    below the target by that tolerance: a model passes when it reaches the target on the test
    rows, and the guarantee speaks of the threshold.

    Parameters
    ----------
    rows : int
        Rows of the stable test set.
    target : float
        Target accuracy, above 0 and below 1.
    reliability : float
        Probability that all verdicts hold.
    steps : int
        Models that the set is to judge; fewer if the rows carry no more.

    Returns
    -------
    DefaultCondition

    Raises
    ------
    TooFewTestRows
        Not even one model can be judged.

    Examples
    --------
    >>> default_condition(200, 0.9).condition
    'n > 0.82 +/- 0.08'
    """
    bar = Decimal(str(target)).quantize(_DIGIT, rounding=ROUND_FLOOR)
    for judged in sorted({steps, min(steps, 2), 1}, reverse=True):
        tolerance = _smallest_tolerance(rows, bar, reliability, judged)
        if tolerance is not None:
            return DefaultCondition(f"n > {bar - tolerance} +/- {tolerance}", judged, tolerance, rows)
    needed = sample_size(
        parse(f"n > {bar / 2} +/- {bar / 2}"),
        reliability=reliability,
        steps=1,
        adaptivity="none",
        bound="best",
    ).rows
    raise TooFewTestRows(
        f"{rows} test rows cannot judge even one model against a target of {target:g}",
        hint=f"Give at least {needed} test rows, which is about {5 * needed} rows in all.",
        required=needed,
        available=rows,
        ways_out=[f"add {needed - rows} test rows"],
    )


def _smallest_tolerance(rows: int, bar: Decimal, reliability: float, steps: int) -> Decimal | None:
    """Return the smallest tolerance, in whole points and at most half the bar, that fits."""
    tolerance = _DIGIT
    while tolerance <= bar / 2:
        condition = parse(f"n > {bar - tolerance} +/- {tolerance}")
        needed = sample_size(condition, reliability=reliability, steps=steps, adaptivity="none", bound="best")
        if needed.total <= rows:
            return tolerance
        tolerance += _DIGIT
    return None


def project_name(stem: str) -> str:
    """Return a name for a project, made of a file's.

    Examples
    --------
    >>> project_name("My Stars_2024"), project_name("---")
    ('my-stars-2024', 'project')
    """
    slug = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")
    return slug[:_LONGEST].strip("-") or "project"
