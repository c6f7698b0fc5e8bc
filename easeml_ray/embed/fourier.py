"""The embedding by random Fourier features of a Gaussian kernel.

Symbols
-------
d = features, k = dimensions
sigma = median distance of two standardised train rows
W = independent normal numbers of standard deviation 1 / sigma, (d, k)
b = independent uniform phases in [0, 2 pi), (k,)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed.linear import Linear
from easeml_ray.embed.recipe import Sized, in_blocks
from easeml_ray.embed.standardise import standardisation
from easeml_ray.embed.subsample import stratified_rows

__all__ = ["RandomFourier", "median_distance"]

PAIR_ROWS = 500


@dataclass(frozen=True, slots=True)
class Waves:
    """Frequencies and phases."""

    frequencies: Linear
    phases: FloatArray

    @property
    def n_dimensions(self) -> int:
        """One a wave."""
        return len(self.phases)

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Evaluate ``sqrt(2 / k) cos(x W + b)``."""
        return in_blocks(self._block, rows, self.n_dimensions)

    def _block(self, block: FloatArray) -> FloatArray:
        waves: FloatArray = np.cos(self.frequencies.project(block) + self.phases)
        waves *= np.sqrt(2.0 / len(self.phases))
        return waves


def median_distance(S: FloatArray) -> float:
    """Return the median distance of the pairs of rows (n_rows, d) that differ; 1 if there are none."""
    from scipy.spatial.distance import pdist

    distances: FloatArray = pdist(S)
    apart = distances[distances > 0.0]
    return float(np.median(apart)) if apart.size else 1.0


@dataclass(frozen=True, slots=True)
class RandomFourier(Sized):
    """Random Fourier features of a Gaussian kernel on standardised features, k dimensions.

    The bandwidth is the median distance of at most 500 train rows. Neighbours are those of ``standardise``
    with some noise: of use to linear models only. A. Rahimi, B. Recht, NIPS 2007, algorithm 1.
    """

    family: ClassVar[str] = "random-fourier"
    cost: ClassVar[float] = 8.0
    seed: int = 0

    def learn(self, rows: FloatArray, y: IntArray) -> Waves:
        """Choose the bandwidth, then draw frequencies and phases."""
        scaler = standardisation(rows)
        sigma = median_distance(scaler(rows[stratified_rows(y, PAIR_ROWS, self.seed)]))
        rng = np.random.default_rng(self.seed)
        W = rng.standard_normal((rows.shape[1], self.size)) / sigma
        return Waves(Linear(scaler.mean, scaler.scale, W), rng.uniform(0.0, 2.0 * np.pi, self.size))
