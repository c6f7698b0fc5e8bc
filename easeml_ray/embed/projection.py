"""The embedding onto random directions of the standardised features.

Symbols
-------
d = features, k = dimensions
G = independent standard normal numbers, (d, k); the directions are G / sqrt(k)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed.linear import Linear
from easeml_ray.embed.recipe import Sized
from easeml_ray.embed.standardise import standardisation

__all__ = ["RandomProjection"]


@dataclass(frozen=True, slots=True)
class RandomProjection(Sized):
    """Gaussian random projection of standardised features; k dimensions also when the features are fewer.

    Squared distances keep their expectation, with a relative deviation of sqrt(2 / k)
    (W. B. Johnson, J. Lindenstrauss, 1984).
    """

    family: ClassVar[str] = "random-projection"
    cost: ClassVar[float] = 1.0
    seed: int = 0

    def learn(self, rows: FloatArray, y: IntArray) -> Linear:
        """Draw the directions."""
        scaler = standardisation(rows)
        G = np.random.default_rng(self.seed).standard_normal((rows.shape[1], self.size))
        return Linear(scaler.mean, scaler.scale, G / np.sqrt(self.size))
