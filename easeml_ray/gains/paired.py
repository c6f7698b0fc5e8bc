"""The rise of the accuracy from one model to another, on rows that both answered.

Symbols
-------
n = development rows; b, c = rows that only the newer, only the older model has right
d = (b - c) / n, rise of the accuracy
z = 1.645, half-width of a 90 % interval in standard deviations
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.errors import InvalidArgument
from easeml_ray.messages import Gain

__all__ = ["paired_gain"]

_HALF_WIDTH = 1.645


def paired_gain(before: ArrayLike, after: ArrayLike, *, target: float) -> Gain:
    """Return the rise of the accuracy from one model to another on the same rows.

    Parameters
    ----------
    before, after : array-like of bool, shape (n,)
        Whether the older and the newer model have each row right.
    target : float
        Accuracy beyond which nothing is gained.

    Returns
    -------
    Gain
        The rise ``min(after, target) - min(before, target)``, with the 90 % interval of the
        difference of paired shares by adding half a row to each of the four outcomes.

    Raises
    ------
    InvalidArgument
        If the two do not have one value a row, or there are no rows.

    References
    ----------
    A. Agresti and Y. Min, "Simple improved confidence intervals for comparing matched
    proportions", Statistics in Medicine 24 (2005).

    Examples
    --------
    Of ten rows the newer model has two right that the older one had not:

    >>> gain = paired_gain([1] * 7 + [0] * 3, [1] * 9 + [0], target=1.0)
    >>> round(gain.mean, 2), round(gain.lower, 2), round(gain.upper, 2)
    (0.2, -0.06, 0.3)
    """
    old, new = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    if old.ndim != 1 or old.shape != new.shape or not old.size:
        raise InvalidArgument(
            f"answers of shapes {old.shape} and {new.shape}",
            hint="Give one value a row for each model.",
            argument="after",
        )
    n, won, lost = old.size, int((new & ~old).sum()), int((old & ~new).sum())
    padded = n + 2
    centre = (won - lost) / padded
    half = _HALF_WIDTH * sqrt(((won + lost + 1) / padded - centre**2) / padded)
    rise = (won - lost) / n
    low, high = min(centre - half, rise), max(centre + half, rise)
    base = float(old.mean())
    capped = [min(base + change, target) - min(base, target) for change in (rise, low, high)]
    return Gain(*capped)
