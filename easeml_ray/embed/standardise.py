"""The embedding that gives every feature the same scale.

Symbols
-------
mean = column means of train, (n_features,)
scale = column standard deviations of train (ddof 0), 1 where the column is constant, (n_features,)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed.linear import Linear
from easeml_ray.embed.recipe import Recipe

__all__ = ["Standardise", "column_scale", "standardisation"]


def column_scale(X: FloatArray) -> FloatArray:
    """Return the standard deviation (ddof 0) of each column of X, 1 for a constant one; (n_features,)."""
    scale: FloatArray = X.std(axis=0)
    # Compared by values: the rounded deviation of a constant column need not be zero.
    constant = (X == X[:1]).all(axis=0)
    return np.where(constant | (scale == 0.0), 1.0, scale)


def standardisation(X: FloatArray) -> Linear:
    """Return the map to zero mean and unit standard deviation in every column of X."""
    # Exact where the column is constant, so that it is zero and not a rounding error.
    constant = (X == X[:1]).all(axis=0)
    return Linear(np.where(constant, X[0], X.mean(axis=0)), column_scale(X))


@dataclass(frozen=True, slots=True)
class Standardise(Recipe):
    """Zero mean and unit standard deviation in every column.

    Examples
    --------
    >>> Standardise().fit([[0.0], [2.0]]).transform([[4.0]])
    array([[3.]])
    """

    name: ClassVar[str] = "standardise"
    cost: ClassVar[float] = 1.5

    def learn(self, rows: FloatArray, y: IntArray) -> Linear:
        """Measure means and scales."""
        return standardisation(rows)
