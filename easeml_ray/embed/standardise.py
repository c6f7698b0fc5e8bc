"""The embedding that gives every feature the same scale.

Symbols
-------
mean = column means of train, (n_features,)
scale = column standard deviations of train (ddof 0), 1 where the column is constant, (n_features,)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from easeml_ray.embed.arrays import FloatArray

__all__ = ["FittedStandardise", "Standardise", "column_scale"]


def column_scale(X: FloatArray) -> FloatArray:
    """Return the standard deviation (ddof 0) of each column, 1 for a constant one.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Features.

    Returns
    -------
    ndarray of shape (n_features,)
        Positive scales.

    Examples
    --------
    >>> column_scale(np.array([[0.0, 5.0], [2.0, 5.0]]))
    array([1., 1.])
    """
    scale: FloatArray = X.std(axis=0)
    # Compared by values: the rounded deviation of a constant column need not be zero.
    constant = (X == X[:1]).all(axis=0)
    return np.where(constant | (scale == 0.0), 1.0, scale)


@dataclass(frozen=True, slots=True)
class FittedStandardise:
    """Means and scales of the train columns."""

    mean: FloatArray
    scale: FloatArray

    def transform(self, X: FloatArray) -> FloatArray:
        """Subtract the means and divide by the scales."""
        return np.ascontiguousarray((X - self.mean) / self.scale)


@dataclass(frozen=True, slots=True)
class Standardise:
    """Zero mean and unit standard deviation in every column.

    Examples
    --------
    >>> Standardise().fit(np.array([[0.0], [2.0]])).transform(np.array([[4.0]]))
    array([[3.]])
    """

    name: str = "standardise"

    def fit(self, X: FloatArray) -> FittedStandardise:
        """Measure means and scales."""
        return FittedStandardise(X.mean(axis=0), column_scale(X))
