"""What the library's own embeddings share: reading rows, reading labels, blocks of one size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easeml_ray.arrays import FloatArray, IntArray, as_labels
from easeml_ray.embed.rows import Modality, Rows, RowSchema
from easeml_ray.errors import InvalidArgument

__all__ = ["MOST_DIMENSIONS", "Fitted", "Map", "Recipe", "Sized", "in_blocks"]

MOST_DIMENSIONS = 4096
"""Largest k of a name such as ``pca-<k>``: 32 KiB for each embedded row."""

BLOCK_ROWS = 128


def in_blocks(
    embed: Callable[[NDArray[Any]], FloatArray],
    rows: NDArray[Any],
    n_dimensions: int,
    block_rows: int = BLOCK_ROWS,
) -> FloatArray:
    """Embed rows in blocks of always the same number of rows.

    A matrix product rounds by the shape of its operands. With one shape for all blocks, the
    last one filled up with zeros, a row's bits do not depend on how many rows are given.

    Parameters
    ----------
    embed : callable
        Maps a block (block_rows, …) to (block_rows, n_dimensions), row by row.
    rows : ndarray of shape (n_rows, …)
        C-contiguous rows.
    n_dimensions : int
        Width of the result.
    block_rows : int
        Rows a block.

    Returns
    -------
    ndarray of shape (n_rows, n_dimensions)
        C-contiguous float64.

    Examples
    --------
    >>> in_blocks(lambda block: block @ np.ones((2, 1)), np.arange(6.0).reshape(3, 2), 1)
    array([[1.],
           [5.],
           [9.]])
    """
    embedded = np.empty((len(rows), n_dimensions))
    for start in range(0, len(rows), block_rows):
        block = rows[start : start + block_rows]
        kept = len(block)
        if kept < block_rows:
            block = np.concatenate([block, np.zeros((block_rows - kept, *rows.shape[1:]), rows.dtype)])
        embedded[start : start + kept] = embed(block)[:kept]
    return embedded


class Map(Protocol):
    """A fitted map of rows that are already checked."""

    @property
    def n_dimensions(self) -> int:
        """Width of what it returns."""
        ...

    def __call__(self, rows: Any, /) -> FloatArray:
        """Embed rows as :class:`RowSchema` reads them."""
        ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted embedding: what it accepts, and the map.

    Parameters
    ----------
    name : str
        Of the embedding.
    schema : RowSchema
        The rows that it accepts.
    map : Map
        What it does with them.
    """

    name: str
    schema: RowSchema
    map: Map

    @property
    def n_dimensions(self) -> int:
        """Width of what it returns."""
        return self.map.n_dimensions

    def transform(self, X: Rows) -> FloatArray:
        """Embed rows.

        Parameters
        ----------
        X : rows
            Of the modality and shape of those that it was fitted on.

        Returns
        -------
        ndarray of shape (n_rows, n_dimensions)
            C-contiguous float64.

        Raises
        ------
        InvalidArgument
            If the rows are of another modality or shape.
        """
        return self.map(self.schema.read(X))


class Recipe(ABC):
    """Base of embeddings: `fit` checks what it is given, `learn` makes the map."""

    __slots__ = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """The name under which it stands in reports."""

    @property
    def modality(self) -> Modality:
        """The kind of rows that it embeds."""
        return "table"

    @property
    def supervised(self) -> bool:
        """Whether it needs the labels of the train rows."""
        return False

    @property
    @abstractmethod
    def cost(self) -> float:
        """Microseconds of one core for fitting and embedding a row, to order work by."""

    @abstractmethod
    def learn(self, rows: Any, y: IntArray) -> Map:
        """Make the map.

        Parameters
        ----------
        rows : ndarray or list of str
            Train rows as :class:`RowSchema` reads them, at least one.
        y : ndarray of int64, shape (n_rows,)
            Class codes; all zero if the embedding is not supervised.

        Returns
        -------
        Map
            Holds no reference to the rows.
        """

    def fit(self, X: Rows, y: ArrayLike | None = None) -> Fitted:
        """Fit on the train rows.

        Parameters
        ----------
        X : rows
            Of the embedding's modality, at least one.
        y : array-like of int, shape (n_rows,), optional
            Class codes. Needed by supervised embeddings, ignored by the others.

        Returns
        -------
        Fitted
            The fitted embedding.

        Raises
        ------
        InvalidArgument
            If the rows are of another modality or the labels are missing or unusable.
        """
        schema, rows = RowSchema.of(self.modality, X)
        if not self.supervised:
            codes = np.zeros(len(rows), dtype=np.int64)
        elif y is None:
            raise InvalidArgument(
                f"the embedding {self.name!r} learns from labels, but none are given",
                hint="Give the class codes of the train rows as y.",
                argument="y",
            )
        else:
            codes = as_labels(y, n_rows=len(rows))
        return Fitted(self.name, schema, self.learn(rows, codes))


@dataclass(frozen=True, slots=True)
class Sized(Recipe):
    """Base of a family whose members differ by a number, the ``k`` of the name.

    Parameters
    ----------
    size : int
        From 1 to `most`; what it counts, the family says.
    """

    family: ClassVar[str]
    most: ClassVar[int] = MOST_DIMENSIONS
    size: int

    def __post_init__(self) -> None:
        if not 1 <= self.size <= self.most:
            raise InvalidArgument(
                f"the size of {self.family}-<k> is {self.size}",
                hint=f"Give a k from 1 to {self.most}.",
                argument="embeddings",
            )

    @property
    def name(self) -> str:
        """The family with the number."""
        return f"{self.family}-{self.size}"
