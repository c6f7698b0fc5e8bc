"""What a seller is told of its offers: little enough that the development rows stay unknown.

What an offer is worth is measured on development rows that no seller may see. A seller who could read exact
values of as many offers as it liked would learn their features and labels row by row. So it is told a value
in steps of half an accuracy point, of its own offers only, and makes at most so many offers a day.
"""

from __future__ import annotations

from math import isfinite

from easeml_ray.errors import InvalidArgument

__all__ = ["MOST_OFFERS_A_DAY", "coarse"]

MOST_OFFERS_A_DAY = 20
"""Offers of one seller to one project in 24 hours."""

_STEP = 0.005


def coarse(gain: float) -> float:
    """Return what a seller is told of a gain: the largest multiple of half an accuracy point not above it."""
    # 0 is what brings nothing or harm, which are not told apart.
    if not isfinite(gain):
        raise InvalidArgument(f"a gain of {gain}", hint="Give a finite number.", argument="gain")
    # A hair is added so that 0.015, which is no float, stays where it is.
    return round(int(max(gain, 0.0) / _STEP + 1e-9) * _STEP, 3)
