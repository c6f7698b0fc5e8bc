"""What an embedding is: a map from rows to features, fitted on train rows only.

Symbols
-------
X = rows: features (n_rows, n_features), n_rows texts, or images (n_rows, height, width[, channels])
y = class codes of train rows, int (n_rows,)
Z = embedded rows, float64 (n_rows, n_dimensions)

The contract. Fitting the same rows twice gives the same map: what needs randomness holds its seed. A fitted
embedding holds no reference to the train rows, is not changed by `transform`, and may be used by several
threads and sent to other processes. A row's result does not depend on the rows given beside it: with the
library's own embeddings its bits are the same in any company, on one machine with one number of BLAS threads;
between machines, or between numbers of threads, sums may round differently in their last digits. Supervised
embeddings see the labels of train, never a held-out row.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from numpy.typing import ArrayLike

from easeml_ray.arrays import FloatArray
from easeml_ray.embed.rows import Modality, Rows, RowSchema

__all__ = ["Embedding", "FittedEmbedding"]


@runtime_checkable
class FittedEmbedding(Protocol):
    """An embedding that has seen the train rows."""

    @property
    def schema(self) -> RowSchema:
        """The rows that it accepts."""
        ...

    @property
    def n_dimensions(self) -> int:
        """Width of what it returns."""
        ...

    def transform(self, X: Rows) -> FloatArray:
        """Embed rows: (n_rows, n_dimensions), C-contiguous, finite float64.

        InvalidArgument if they are not of the modality and shape of those that it was fitted on.
        """
        ...


@runtime_checkable
class Embedding(Protocol):
    """A recipe for an embedding."""

    @property
    def name(self) -> str:
        """The name under which it stands in reports."""
        ...

    @property
    def modality(self) -> Modality:
        """The kind of rows that it embeds."""
        ...

    @property
    def supervised(self) -> bool:
        """Whether it needs the labels of the train rows."""
        ...

    @property
    def cost(self) -> float:
        """Microseconds of one core for fitting and embedding a row, to order work by.

        Measured once, on 2,000 rows of 64 features, 1,000 texts of 300 characters or 1,000
        images of 28 × 28; another machine or shape changes it, its order hardly.
        """
        ...

    def fit(self, X: Rows, y: ArrayLike | None = None) -> FittedEmbedding:
        """Fit on the train rows, at least one; columns may be constant and rows may repeat.

        Class codes `y`, (n_rows,), are needed by supervised embeddings and ignored by the others.
        InvalidArgument if the rows are of another modality or the labels are missing or unusable.
        """
        ...
