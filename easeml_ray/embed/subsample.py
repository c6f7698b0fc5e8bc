"""A few train rows that stand for all of them."""

from __future__ import annotations

import numpy as np

from easeml_ray.arrays import IntArray

__all__ = ["stratified_rows"]


def stratified_rows(y: IntArray, most: int, seed: int) -> IntArray:
    """Return the positions of at most so many rows, every class in its share.

    Parameters
    ----------
    y : ndarray of int64, shape (n_rows,)
        Class codes; all equal for a plain random sample.
    most : int
        Positions wanted; all are returned when the rows are not more.
    seed : int
        Of the draw.

    Returns
    -------
    ndarray of int64, shape (min(n_rows, most),)
        Rising positions; a class has its share of them, rounded down or up.

    Examples
    --------
    >>> y = np.repeat([0, 1], [80, 20])
    >>> np.bincount(y[stratified_rows(y, 10, seed=0)])
    array([8, 2])
    """
    n = len(y)
    if n <= most:
        return np.arange(n)
    order = np.lexsort((np.random.default_rng(seed).random(n), y))
    # Equal steps through the rows in order of their classes meet each class by its share.
    return np.sort(order[np.arange(most) * n // most])
