"""The embedding onto the leading principal components of the standardised features.

Symbols
-------
k = components kept, at most min(n_rows, n_features)
V = component directions, (k, n_features)
c = mean of the standardised train rows, (n_features,)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from easeml_ray.embed.arrays import FloatArray
from easeml_ray.embed.standardise import FittedStandardise, Standardise

__all__ = ["FittedPca", "Pca"]


@dataclass(frozen=True, slots=True)
class FittedPca:
    """Scales, centre and directions."""

    scaler: FittedStandardise
    centre: FloatArray
    directions: FloatArray

    def transform(self, X: FloatArray) -> FloatArray:
        """Project standardised rows onto the directions."""
        return np.ascontiguousarray((self.scaler.transform(X) - self.centre) @ self.directions.T)


@dataclass(frozen=True, slots=True)
class Pca:
    """Principal components of standardised features by a full decomposition.

    Parameters
    ----------
    components : int
        How many to keep; fewer when the rows or the features are fewer.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((20, 5))
    >>> Pca(2).fit(rows).transform(rows).shape
    (20, 2)
    >>> Pca(2).name
    'pca-2'
    """

    components: int

    @property
    def name(self) -> str:
        """The family with the number of components."""
        return f"pca-{self.components}"

    def fit(self, X: FloatArray) -> FittedPca:
        """Find the directions of the largest variance."""
        from sklearn.decomposition import PCA

        scaler = Standardise().fit(X)
        kept = min(self.components, *X.shape)
        # The full solver has no random start: the same rows give the same map.
        model = PCA(kept, svd_solver="full").fit(scaler.transform(X))
        return FittedPca(scaler, model.mean_, model.components_)
