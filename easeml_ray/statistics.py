"""Interval estimates of shares.

References
----------
C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the
case of the binomial", Biometrika 26(4), 1934.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arrays import FloatArray
from easeml_ray.errors import InvalidArgument

__all__ = ["clopper_pearson"]


def clopper_pearson(errors: ArrayLike, n: int, *, confidence: float = 0.90) -> tuple[FloatArray, FloatArray]:
    """Return exact two-sided confidence limits of error rates, lower and upper, of the shape of `errors`."""
    # `errors` are counts of wrong rows, of `n` each; 0 where nothing is wrong, 1 where everything is. Clopper
    # and Pearson (1934), by quantiles of the beta distribution.
    from scipy.stats import beta

    counts = np.asarray(errors)
    if n < 1 or (counts.size and (counts.min() < 0 or counts.max() > n)):
        raise InvalidArgument(
            f"error counts must lie between 0 and the {n} rows",
            hint="Count errors of n rows.",
            argument="errors",
        )
    if not 0.0 < confidence < 1.0:
        raise InvalidArgument(
            f"confidence is {confidence}",
            hint="Give a value between 0 and 1, e.g. 0.9.",
            argument="confidence",
        )
    tail = (1.0 - confidence) / 2.0
    # The beta distribution with a parameter of 0 is a point; its quantiles are set by hand.
    lower = np.where(counts == 0, 0.0, beta.ppf(tail, np.maximum(counts, 1), n - counts + 1))
    upper = np.where(counts == n, 1.0, beta.ppf(1.0 - tail, counts + 1, np.maximum(n - counts, 1)))
    return lower, upper
