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
    """``((x - mean) / scale) V``.

    Parameters
    ----------
    mean : ndarray of shape (d,)
        Subtracted from every row.
    scale : ndarray of shape (d,)
        Every row is divided by it.
    directions : ndarray of shape (d, k), optional
        The identity if none are given.

    Examples
    --------
    >>> Linear(np.array([1.0, 1.0]), np.array([1.0, 2.0]), np.ones((2, 1)))(np.array([[2.0, 5.0]]))
    array([[3.]])
    """

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
    """Return the directions of the largest variance.

    Parameters
    ----------
    C : ndarray of shape (n_rows, d)
        Rows, each column of mean zero.
    k : int
        Directions wanted.

    Returns
    -------
    ndarray of shape (d, min(k, n_rows, d))
        Orthonormal columns, by falling variance; the largest entry of each is positive.

    Examples
    --------
    >>> principal_directions(np.array([[1.0, 0.1], [-1.0, -0.1]]), 1).round(2)
    array([[1. ],
           [0.1]])
    """
    n, d = C.shape
    if n < d:
        V = np.linalg.svd(C, full_matrices=False)[2].T
    else:
        # n d² operations, where a decomposition of C itself takes several times that.
        V = np.linalg.eigh(C.T @ C)[1][:, ::-1]
    V = V[:, : min(k, n)]
    signs = np.sign(V[np.abs(V).argmax(axis=0), np.arange(V.shape[1])])
    return np.ascontiguousarray(V * signs)
