"""The embedding onto the leading principal components of the standardised features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed.linear import Linear, principal_directions
from easeml_ray.embed.recipe import Sized
from easeml_ray.embed.standardise import standardisation

__all__ = ["Pca"]


@dataclass(frozen=True, slots=True)
class Pca(Sized):
    """Principal components of standardised features by a full decomposition.

    Parameters
    ----------
    size : int
        Components to keep; fewer when the rows or the features are fewer.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.random.default_rng(0).standard_normal((20, 5))
    >>> Pca(2).fit(rows).transform(rows).shape
    (20, 2)
    >>> Pca(2).name
    'pca-2'
    """

    family: ClassVar[str] = "pca"
    cost: ClassVar[float] = 2.5

    def learn(self, rows: FloatArray, y: IntArray) -> Linear:
        """Find the directions of the largest variance."""
        scaler = standardisation(rows)
        return Linear(scaler.mean, scaler.scale, principal_directions(scaler(rows), self.size))
