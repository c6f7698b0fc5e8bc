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
    """Embed rows in blocks of always the same number of rows; (n_rows, n_dimensions), C-contiguous."""
    # A matrix product rounds by the shape of its operands: with one shape for all blocks, the last one filled
    # up with zeros, a row's bits do not depend on how many rows are given.
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
    """A fitted embedding: the rows that it accepts, and what it does with them."""

    name: str
    schema: RowSchema
    map: Map

    @property
    def n_dimensions(self) -> int:
        """Width of what it returns."""
        return self.map.n_dimensions

    def transform(self, X: Rows) -> FloatArray:
        """Embed rows; see :class:`easeml_ray.embed.FittedEmbedding`."""
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
        """Make the map, which holds no reference to the rows, from rows as :class:`RowSchema` reads them.

        y (n_rows,) are class codes, all zero if the embedding is not supervised.
        """

    def fit(self, X: Rows, y: ArrayLike | None = None) -> Fitted:
        """Fit on the train rows; see :class:`easeml_ray.embed.Embedding`."""
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
    """Base of a family whose members differ by a number, the ``k`` of the name, from 1 to `most`."""

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
