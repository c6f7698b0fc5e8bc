"""The embeddings of images by their pixels.

Symbols
-------
I = images, uint8 or float64 (n_rows, height, width, channels)
p = pixels of one image, height × width × channels values, those of uint8 divided by 255
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed.linear import Linear, principal_directions
from easeml_ray.embed.recipe import Recipe, Sized, in_blocks
from easeml_ray.embed.rows import Modality, flat_pixels

__all__ = ["Pixels", "PixelsPca"]


@dataclass(frozen=True, slots=True)
class FlatPixels:
    """The pixels in one row."""

    n_dimensions: int

    def __call__(self, rows: NDArray[Any]) -> FloatArray:
        """Flatten images."""
        return flat_pixels(rows)


@dataclass(frozen=True, slots=True)
class Pixels(Recipe):
    """All pixels as they are."""

    name: ClassVar[str] = "pixels"
    modality: ClassVar[Modality] = "image"
    cost: ClassVar[float] = 1.0

    def learn(self, rows: NDArray[Any], y: IntArray) -> FlatPixels:
        """Remember the number of pixels."""
        return FlatPixels(int(np.prod(rows.shape[1:])))


@dataclass(frozen=True, slots=True)
class PixelComponents:
    """A projection of the pixels."""

    projection: Linear

    @property
    def n_dimensions(self) -> int:
        """The components."""
        return self.projection.n_dimensions

    def __call__(self, rows: NDArray[Any]) -> FloatArray:
        """Project images, turning them into floats a block at a time."""
        return in_blocks(lambda block: self.projection.project(flat_pixels(block)), rows, self.n_dimensions)


@dataclass(frozen=True, slots=True)
class PixelsPca(Sized):
    """Principal components of the pixels, which have one scale already; at most as many as images."""

    family: ClassVar[str] = "pixels-pca"
    modality: ClassVar[Modality] = "image"
    cost: ClassVar[float] = 150.0

    def learn(self, rows: NDArray[Any], y: IntArray) -> PixelComponents:
        """Find the directions of the largest variance."""
        pixels = flat_pixels(rows)
        mean = pixels.mean(axis=0)
        directions = principal_directions(pixels - mean, self.size)
        return PixelComponents(Linear(mean, np.ones_like(mean), directions))
