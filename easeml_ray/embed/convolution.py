"""The embedding of images by how they answer to random patches of train images.

Symbols
-------
h = side of a patch, c = channels, d = h h c values of a patch
P = patches, each less its mean and divided by its standard deviation, (n_patches, d)
m = mean of the train patches, (d,)
W = whitening, (covariance of the train patches + 0.1)^-1/2, (d, d)
D = filters: k whitened train patches of norm 1, (k, d)
a = answers max(0, (P - m) W D' - 1/2), (n_patches, k)

An image's embedding is the mean answer in each of its four quarters, 4 k numbers of norm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed.recipe import Sized, in_blocks
from easeml_ray.embed.rows import Modality, unit_floats
from easeml_ray.embed.tfidf import unit_rows

__all__ = ["RandomConv", "patches_of"]

PATCH_SIDE = 6
SMALLEST_CUT = 3
LARGEST_SIDE = 32
"""Larger images are averaged down by a whole factor to at most twice this, less one."""

LEARNED_IMAGES = 400
LEARNED_PATCHES = 10_000
CONTRAST = 10.0 / 255.0**2
WHITENING = 0.1
THRESHOLD = 0.5
BLOCK_IMAGES = 32


def patches_of(images: NDArray[Any], side: int) -> FloatArray:
    """Return all square patches of images, each less its mean and of unit contrast."""
    # Images (n_rows, height, width, channels) give (n_rows, height - side + 1, width - side + 1, d), where d
    # is side * side * channels.
    windows = sliding_window_view(unit_floats(images), (side, side), axis=(1, 2))
    patches = windows.reshape(*windows.shape[:3], -1)
    patches = patches - patches.mean(axis=3, keepdims=True)
    normalised: FloatArray = patches / np.sqrt(np.square(patches).mean(axis=3, keepdims=True) + CONTRAST)
    return normalised


def _shrunk(images: NDArray[Any]) -> NDArray[Any]:
    """Average squares of pixels so that the smaller side is below twice the largest wanted."""
    n, height, width, channels = images.shape
    factor = min(height, width) // LARGEST_SIDE
    if factor < 2:
        return images
    rows, columns = height // factor, width // factor
    cut = unit_floats(images[:, : rows * factor, : columns * factor])
    shrunk: FloatArray = cut.reshape(n, rows, factor, columns, factor, channels).mean(axis=(2, 4))
    return shrunk


@dataclass(frozen=True, slots=True)
class PatchAnswers:
    """Filters of patches of a side: mean (d,) is subtracted from every patch, filters (d, k) are W D'."""

    side: int
    mean: FloatArray
    filters: FloatArray

    @property
    def n_dimensions(self) -> int:
        """Four numbers a filter."""
        return 4 * int(self.filters.shape[1])

    def __call__(self, rows: NDArray[Any]) -> FloatArray:
        """Filter images and average the answers."""
        return in_blocks(self._block, rows, self.n_dimensions, BLOCK_IMAGES)

    def _block(self, block: NDArray[Any]) -> FloatArray:
        patches = patches_of(_shrunk(block), self.side)
        answers = np.maximum((patches - self.mean) @ self.filters - THRESHOLD, 0.0)
        # Halves overlap in the middle where the number of positions is odd.
        high, wide = ((1 + length) // 2 for length in answers.shape[1:3])
        quarters = [
            answers[:, i, j].mean(axis=(1, 2))
            for i in (slice(None, high), slice(-high, None))
            for j in (slice(None, wide), slice(-wide, None))
        ]
        return unit_rows(np.concatenate(quarters, axis=1))


@dataclass(frozen=True, slots=True)
class RandomConv(Sized):
    """Mean answers of an image's quarters to k random patches of train.

    That makes 4 k dimensions, so that k is at most 1,024. Patches are 6 × 6, or half the smaller side;
    images of 64 pixels and more are averaged down first.
    A. Coates, A. Y. Ng, "The importance of encoding versus training with sparse coding", ICML 2011.
    """

    family: ClassVar[str] = "random-conv"
    modality: ClassVar[Modality] = "image"
    most: ClassVar[int] = 1024
    cost: ClassVar[float] = 450.0
    seed: int = 0

    def learn(self, rows: NDArray[Any], y: IntArray) -> PatchAnswers:
        """Whiten some train patches and keep k of them."""
        rng = np.random.default_rng(self.seed)
        images = _shrunk(rows[np.sort(rng.permutation(len(rows))[:LEARNED_IMAGES])])
        smaller = min(images.shape[1:3])
        side = max(min(PATCH_SIDE, smaller // 2), min(SMALLEST_CUT, smaller))
        patches = _some_patches(images, side, rng)
        mean = patches.mean(axis=0)
        variances, V = np.linalg.eigh((patches - mean).T @ (patches - mean) / len(patches))
        W = (V / np.sqrt(np.maximum(variances, 0.0) + WHITENING)) @ V.T
        D = unit_rows((patches[rng.permutation(len(patches))[: self.size]] - mean) @ W)
        return PatchAnswers(side, mean, np.ascontiguousarray(W @ D.T))


def _some_patches(images: NDArray[Any], side: int, rng: np.random.Generator) -> FloatArray:
    """Return at most LEARNED_PATCHES patches, as many of each image, shape (n_patches, d)."""
    wanted = -(-LEARNED_PATCHES // len(images))
    kept = []
    for image in images:
        patches = patches_of(image[None], side)
        patches = patches.reshape(-1, patches.shape[-1])
        kept.append(patches[rng.permutation(len(patches))[:wanted]])
    return np.concatenate(kept)
