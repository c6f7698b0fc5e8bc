"""What the numbers of a race must be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from easeml_ray.errors import InvalidArgument

__all__ = ["as_arms", "as_count", "as_number", "as_worst_error"]


def as_count(value: Any, argument: str, *, least: int = 1) -> int:
    """Return a whole number, or say what is wrong with it.

    Parameters
    ----------
    value : int
        Python's or numpy's.
    argument : str
        The name that the caller gave to it, for the message.
    least : int
        The smallest that is accepted.

    Returns
    -------
    int
        The same.

    Raises
    ------
    InvalidArgument
        If it is not a whole number or too small.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InvalidArgument(
            f"{argument} is {value!r}",
            hint=f"Give a whole number of at least {least}.",
            argument=argument,
        )
    return int(value)


def as_number(value: Any, argument: str, *, most: float = math.inf, what: str | None = None) -> float:
    """Return a finite number from 0, or say what is wrong with it.

    Parameters
    ----------
    value : float
        Python's or numpy's.
    argument : str
        The name that the caller gave to it, for the message.
    most : float
        The largest that is accepted.
    what : str, optional
        What the message calls it; `argument` by default.

    Returns
    -------
    float
        The same.

    Raises
    ------
    InvalidArgument
        If it is not a number or out of range.
    """
    number = float(value) if isinstance(value, Real) else math.nan
    if not 0.0 <= number <= most or math.isinf(number):
        raise InvalidArgument(
            f"{what or argument} is {value!r}",
            hint=f"Give a number from 0 to {most:g}." if most < math.inf else "Give a number from 0.",
            argument=argument,
        )
    return number


def as_worst_error(value: Any) -> float:
    """Return the error before the first pull, or say what is wrong with it.

    Parameters
    ----------
    value : float
        A positive number.

    Returns
    -------
    float
        The same.

    Raises
    ------
    InvalidArgument
        If it is not a positive number.
    """
    if as_number(value, "worst_error") == 0.0:
        raise InvalidArgument(
            "worst_error is 0",
            hint="Give 1 where errors are rates, the development rows where they are counts.",
            argument="worst_error",
        )
    return float(value)


def as_arms(arms: Mapping[str, int]) -> dict[str, int]:
    """Return the arms of a race, or say what is wrong with them.

    Parameters
    ----------
    arms : mapping of str to int
        Pulls of each arm to its end.

    Returns
    -------
    dict of str to int
        A copy.

    Raises
    ------
    InvalidArgument
        If there is no arm or one has no pull.
    """
    if not arms:
        raise InvalidArgument("there are no arms", hint="Race at least one.", argument="arms")
    for arm, pulls in arms.items():
        if not isinstance(pulls, Integral) or isinstance(pulls, bool) or pulls < 1:
            raise InvalidArgument(
                f"arm {arm!r} has {pulls!r} pulls to its end",
                hint="Give a whole number of at least 1.",
                argument="arms",
            )
    return {arm: int(pulls) for arm, pulls in arms.items()}
