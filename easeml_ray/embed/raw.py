"""The embedding that leaves features as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from easeml_ray.embed.arrays import FloatArray

__all__ = ["Raw"]


@dataclass(frozen=True, slots=True)
class Raw:
    """The identity.

    Examples
    --------
    >>> Raw().fit(np.zeros((2, 3))).transform(np.ones((1, 3)))
    array([[1., 1., 1.]])
    """

    name: str = "raw"

    def fit(self, X: FloatArray) -> Raw:
        """Return itself: there is nothing to fit."""
        return self

    def transform(self, X: FloatArray) -> FloatArray:
        """Return the rows as they are."""
        return np.ascontiguousarray(X, dtype=np.float64)
