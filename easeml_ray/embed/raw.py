"""The embedding that leaves features as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed.recipe import Recipe

__all__ = ["Raw"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Gives back what it is given."""

    n_dimensions: int

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Return the rows."""
        return rows


@dataclass(frozen=True, slots=True)
class Raw(Recipe):
    """The identity.

    Examples
    --------
    >>> Raw().fit([[0, 0, 0]]).transform([[1, 1, 1]])
    array([[1., 1., 1.]])
    """

    name: ClassVar[str] = "raw"
    cost: ClassVar[float] = 0.2

    def learn(self, rows: FloatArray, y: IntArray) -> Identity:
        """Remember the width."""
        return Identity(rows.shape[1])
