"""Splitting money into whole cents that sum to what there was.

Symbols
-------
phi = shares as valued, may be negative; cut at 0 for payment
q_i = cents * phi_i / sum(phi), the exact quota of i
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from numbers import Integral

from easeml_ray.errors import InvalidArgument

__all__ = ["split_payment", "whole_cents"]


def split_payment(shares: Iterable[float], cents: int) -> list[int]:
    """Split an amount in proportion to shares, by largest remainder.

    Parameters
    ----------
    shares : iterable of float
        One share a payee; a negative one counts as 0.
    cents : int
        The amount, at least 0.

    Returns
    -------
    list of int
        Cents of each payee, all at least 0; they sum to `cents`, each within one cent of
        its quota. Equal parts when no share is positive. Spare cents go to the largest
        remainders, ties to the payee named first.

    Raises
    ------
    InvalidArgument
        If there is nobody to pay, a share is not finite, or the amount is negative or not whole.

    Examples
    --------
    >>> split_payment([0.5, 0.25, 0.25], 101)
    [51, 25, 25]
    >>> split_payment([-0.1, 0.0], 3)
    [2, 1]
    """
    given = [float(share) for share in shares]
    if not given:
        raise InvalidArgument("there is nobody to pay", hint="Give at least one share.", argument="shares")
    if not all(math.isfinite(share) for share in given):
        raise InvalidArgument(
            "a share is not a finite number", hint="Give the values as computed.", argument="shares"
        )
    amount = whole_cents(cents, "the amount", "cents")
    # Fractions of the floats themselves: no rounding can lose or make a cent.
    parts = [Fraction(max(share, 0.0)) for share in given]
    total = sum(parts)
    if total == 0:
        parts, total = [Fraction(1)] * len(given), Fraction(len(given))
    quotas = [amount * part / total for part in parts]
    paid = [math.floor(quota) for quota in quotas]
    spare = amount - sum(paid)
    by_remainder = sorted(range(len(paid)), key=lambda i: (paid[i] - quotas[i], i))
    for i in by_remainder[:spare]:
        paid[i] += 1
    return paid


def whole_cents(cents: int, what: str, argument: str) -> int:
    """Return an amount of money, or say that it is none; `what` and `argument` name it there."""
    if not isinstance(cents, Integral) or cents < 0:
        raise InvalidArgument(
            f"{what} is {cents!r} cents", hint="Give a whole number of at least 0.", argument=argument
        )
    return int(cents)
