"""The embedding learned so that train rows find their own class among their neighbours.

Symbols
-------
S = standardised train rows, (n_rows, d)
k = dimensions
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed.linear import Linear, principal_directions
from easeml_ray.embed.recipe import Sized
from easeml_ray.embed.standardise import standardisation
from easeml_ray.embed.subsample import stratified_rows

__all__ = ["MOST_ROWS", "Nca", "nca_directions"]

MOST_ROWS = 1000
"""Train rows learned from; the time grows with their square."""


def nca_directions(S: FloatArray, y: IntArray, k: int, *, iterations: int = 20, seed: int = 0) -> FloatArray:
    """Return directions (d, min(k, n_rows, d)) of neighbourhood components, started at principal components.

    S (n_rows, d) has mean zero. With one class or no variance: the principal ones.
    J. Goldberger et al., "Neighbourhood components analysis", NIPS 2004, equation 5.
    """
    if len(np.unique(y)) < 2 or not S.any():
        return principal_directions(S, k)
    from sklearn.neighbors import NeighborhoodComponentsAnalysis

    model = NeighborhoodComponentsAnalysis(
        min(k, *S.shape), init="pca", max_iter=iterations, random_state=seed
    )
    return np.ascontiguousarray(model.fit(S, y).components_.T)


@dataclass(frozen=True, slots=True)
class Nca(Sized):
    """Neighbourhood components of standardised features.

    Learned on at most 1,000 train rows, every class in its share, in at most 20 steps.
    """

    family: ClassVar[str] = "nca"
    supervised: ClassVar[bool] = True
    cost: ClassVar[float] = 350.0
    seed: int = 0

    def learn(self, rows: FloatArray, y: IntArray) -> Linear:
        """Standardise all rows and learn from some."""
        scaler = standardisation(rows)
        kept = stratified_rows(y, MOST_ROWS, self.seed)
        directions = nca_directions(scaler(rows[kept]), y[kept], self.size, seed=self.seed)
        return Linear(scaler.mean, scaler.scale, directions)
