"""What an embedding is: a map of features that is fitted on train rows only.

Symbols
-------
X = features from the Encoder, float64 (n_rows, n_features)
Z = embedded features, float64 (n_rows, n_dimensions)
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from easeml_ray.embed.arrays import FloatArray

__all__ = ["Embedding", "FittedEmbedding"]


@runtime_checkable
class FittedEmbedding(Protocol):
    """An embedding that has seen the train rows.

    It holds no reference to them, is not changed by `transform`, and may be used by
    several threads and sent to other processes.
    """

    def transform(self, X: FloatArray) -> FloatArray:
        """Embed rows.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
            Features, of the width of the rows that it was fitted on.

        Returns
        -------
        ndarray of shape (n_rows, n_dimensions)
            C-contiguous float64. A row's result does not depend on the other rows given.
        """
        ...


@runtime_checkable
class Embedding(Protocol):
    """A recipe for an embedding. It never sees labels or held-out rows.

    Fitting the same rows twice gives the same map: an embedding that needs randomness
    holds its seed.
    """

    @property
    def name(self) -> str:
        """The name under which it stands in reports."""
        ...

    def fit(self, X: FloatArray) -> FittedEmbedding:
        """Fit on the features of the train rows.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
            Finite train features; columns may be constant.

        Returns
        -------
        FittedEmbedding
            The fitted map.
        """
        ...
