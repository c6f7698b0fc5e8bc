"""The map that standardises and then projects: shared by all linear embeddings.

Symbols
-------
d = features, k = dimensions
mean, scale = of the train columns, (d,)
V = directions, (d, k)
C = centred train rows, (n_rows, d)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from easeml_ray.arrays import FloatArray
from easeml_ray.embed.recipe import in_blocks

__all__ = ["Linear", "principal_directions"]


@dataclass(frozen=True, slots=True)
class Linear:
    """``((x - mean) / scale) V``: mean and scale (d,), directions V (d, k), by default the identity."""

    mean: FloatArray
    scale: FloatArray
    directions: FloatArray | None = None

    @property
    def n_dimensions(self) -> int:
        """The directions, or the features."""
        return len(self.mean) if self.directions is None else self.directions.shape[1]

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Embed rows of shape (n_rows, d)."""
        if self.directions is None:
            return (rows - self.mean) / self.scale
        return in_blocks(self.project, rows, self.n_dimensions)

    def project(self, block: FloatArray) -> FloatArray:
        """Embed one block of rows at once."""
        standardised: FloatArray = (block - self.mean) / self.scale
        return standardised if self.directions is None else standardised @ self.directions


def principal_directions(C: FloatArray, k: int) -> FloatArray:
    """Return orthonormal directions (d, min(k, n_rows, d)) by falling variance."""
    # The rows C (n_rows, d) have mean zero. The largest entry of each is positive.
    n, d = C.shape
    if n < d:
        V = np.linalg.svd(C, full_matrices=False)[2].T
    else:
        # n d² operations, where a decomposition of C itself takes several times that.
        V = np.linalg.eigh(C.T @ C)[1][:, ::-1]
    V = V[:, : min(k, n)]
    signs = np.sign(V[np.abs(V).argmax(axis=0), np.arange(V.shape[1])])
    return np.ascontiguousarray(V * signs)
