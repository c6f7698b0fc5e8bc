"""The embedding onto the directions that hold the class means apart.

Symbols
-------
S = standardised train rows, (n_rows, d); C = classes that occur
B = covariance of the class means, weighted by the rows of each class, (d, d)
W = mean covariance inside the classes, shrunk towards a multiple of the identity, (d, d)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed.linear import Linear, principal_directions
from easeml_ray.embed.recipe import Recipe
from easeml_ray.embed.standardise import standardisation

__all__ = ["Discriminant", "discriminant_directions"]

MOST_FEATURES = 256
"""Above this, the leading principal components are taken first: the time grows with d³."""

RIDGE = 1e-6

LEAST = 1e-100
"""Rows of smaller values have no variance: their squares vanish."""


def discriminant_directions(S: FloatArray, y: IntArray) -> FloatArray:
    """Return directions v (d, min(C - 1, d)) of the largest ``v'Bv / v'Wv``, with ``v'Wv = 1``, best first.

    S (n_rows, d) has mean zero. With one class or no variance: the first principal direction. R. A. Fisher
    (1936); shrinkage of O. Ledoit, M. Wolf, "A well-conditioned estimator for … covariance matrices" (2004).
    """
    n, d = S.shape
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(classes) < 2 or np.abs(S).max(initial=0.0) < LEAST:
        return principal_directions(S, 1)
    from scipy.linalg import eigh
    from sklearn.covariance import ledoit_wolf_shrinkage

    sums = np.zeros((len(classes), d))
    np.add.at(sums, codes, S)
    means = sums / counts[:, None]
    B = (means.T * (counts / n)) @ means
    inside = S - means[codes]
    W = inside.T @ inside / n
    shrinkage = float(ledoit_wolf_shrinkage(inside, assume_centered=True))
    W = (1.0 - shrinkage) * W
    # The last term keeps W positive when the rows of each class are all alike.
    W[np.diag_indices(d)] += shrinkage * np.square(inside).mean() + RIDGE * np.square(S).mean()
    V = eigh(B, W)[1][:, ::-1]
    return np.ascontiguousarray(V[:, : len(classes) - 1])


@dataclass(frozen=True, slots=True)
class Discriminant(Recipe):
    """Linear discriminants of standardised features: one less than there are classes."""

    name: ClassVar[str] = "discriminant"
    supervised: ClassVar[bool] = True
    cost: ClassVar[float] = 5.0

    def learn(self, rows: FloatArray, y: IntArray) -> Linear:
        """Standardise, drop trailing components of wide tables, and solve."""
        scaler = standardisation(rows)
        S = scaler(rows)
        if S.shape[1] <= MOST_FEATURES:
            return Linear(scaler.mean, scaler.scale, discriminant_directions(S, y))
        P = principal_directions(S, MOST_FEATURES)
        return Linear(scaler.mean, scaler.scale, P @ discriminant_directions(S @ P, y))
