"""The embedding of texts by their characters, without a vocabulary.

Symbols
-------
k = dimensions
c = for each dimension, the signed number of 3-, 4- and 5-grams of characters that are hashed
    to it, each with a sign of its own, (k,)
z = sign(c) ln(1 + |c|), divided by its Euclidean norm
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed.recipe import Sized
from easeml_ray.embed.rows import Modality
from easeml_ray.embed.tfidf import unit_rows

__all__ = ["Hashed"]

DENSE_ROWS = 512


@dataclass(frozen=True, slots=True)
class CharacterCounts:
    """A scikit-learn vectoriser that has nothing to fit."""

    vectoriser: Any

    @property
    def n_dimensions(self) -> int:
        """As many as asked for."""
        return int(self.vectoriser.n_features)

    def __call__(self, rows: list[str]) -> FloatArray:
        """Count and damp the grams of each text."""
        embedded = np.empty((len(rows), self.n_dimensions))
        for start in range(0, len(rows), DENSE_ROWS):
            part = slice(start, start + DENSE_ROWS)
            counts = self.vectoriser.transform(rows[part])
            counts.data = np.sign(counts.data) * np.log1p(np.abs(counts.data))
            embedded[part] = unit_rows(counts.toarray())
        return embedded


@dataclass(frozen=True, slots=True)
class Hashed(Sized):
    """Signed hashing of 3- to 5-grams of characters inside words into k dimensions, of norm 1.

    It knows no words, so it bears misspellings, inflections and texts unlike those of train.
    K. Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009.
    """

    family: ClassVar[str] = "hashed"
    modality: ClassVar[Modality] = "text"
    cost: ClassVar[float] = 290.0

    def learn(self, rows: list[str], y: IntArray) -> CharacterCounts:
        """Set up the hashing; the texts teach it nothing."""
        from sklearn.feature_extraction.text import HashingVectorizer

        return CharacterCounts(
            HashingVectorizer(
                n_features=self.size, analyzer="char_wb", ngram_range=(3, 5), norm=None, alternate_sign=True
            )
        )
