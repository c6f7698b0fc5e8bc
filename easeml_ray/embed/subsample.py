"""A few train rows that stand for all of them."""

from __future__ import annotations

import numpy as np

from easeml_ray.arrays import IntArray

__all__ = ["stratified_rows"]


def stratified_rows(y: IntArray, most: int, seed: int) -> IntArray:
    """Return rising positions of at most so many rows, every class in its share, rounded down or up."""
    n = len(y)
    if n <= most:
        return np.arange(n)
    order = np.lexsort((np.random.default_rng(seed).random(n), y))
    # Equal steps through the rows in order of their classes meet each class by its share.
    return np.sort(order[np.arange(most) * n // most])
