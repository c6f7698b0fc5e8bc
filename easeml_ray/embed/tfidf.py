"""The embeddings of texts by their words, weighted by how rare they are.

Symbols
-------
tf = how often a word occurs in a text, n = train texts, df = train texts with the word
weight = (1 + ln tf) (1 + ln((1 + n) / (1 + df)))
A = weights, a row a text, divided by their Euclidean norm; sparse (n_rows, n_words)
V = leading right singular vectors of A of train, (n_words, k)

Rows have norm 1, so that the nearest text by Euclidean distance is that of the largest
cosine. A text without any known word is the zero row, at distance 1 from all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed.recipe import Recipe, Sized
from easeml_ray.embed.rows import Modality
from easeml_ray.errors import InvalidArgument

__all__ = ["MOST_TERMS", "MOST_WORDS", "Tfidf", "TfidfSvd", "unit_rows"]

MOST_WORDS = 2048
"""Words that ``tfidf`` keeps, the most frequent ones of train: 16 KiB for each embedded text."""

MOST_TERMS = 20_000
"""Words and pairs of neighbouring words that ``tfidf-svd-<k>`` decomposes."""

# Sparse rows become dense these many at a time.
DENSE_ROWS = 512


def unit_rows(Z: FloatArray) -> FloatArray:
    """Divide each row of Z (n_rows, k) by its Euclidean norm; zero rows stay."""
    norms = np.sqrt(np.square(Z).sum(axis=1, keepdims=True))
    return Z / np.where(norms == 0.0, 1.0, norms)


@dataclass(frozen=True, slots=True)
class WordWeights:
    """A fitted scikit-learn vectoriser, and singular vectors if there are any."""

    vectoriser: Any
    directions: FloatArray | None = None

    @property
    def n_dimensions(self) -> int:
        """The words, or the singular vectors."""
        return len(self.vectoriser.vocabulary_) if self.directions is None else self.directions.shape[1]

    def __call__(self, rows: list[str]) -> FloatArray:
        """Weigh the words of each text."""
        embedded = np.empty((len(rows), self.n_dimensions))
        for start in range(0, len(rows), DENSE_ROWS):
            part = slice(start, start + DENSE_ROWS)
            A = self.vectoriser.transform(rows[part])
            embedded[part] = A.toarray() if self.directions is None else unit_rows(A @ self.directions)
        return embedded


def _weights(embedding: str, texts: list[str], **options: Any) -> tuple[Any, Any]:
    """Fit a vectoriser; return it and the weights of the train texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectoriser = TfidfVectorizer(sublinear_tf=True, dtype=np.float64, **options)
    try:
        return vectoriser, vectoriser.fit_transform(texts)
    except ValueError as error:
        if "empty vocabulary" not in str(error):
            raise
        raise InvalidArgument(
            f"the embedding {embedding!r} finds no word of two letters or more in the train texts",
            hint="Take hashed-1024, which reads characters, or check the text column.",
            argument="X",
        ) from error


@dataclass(frozen=True, slots=True)
class Tfidf(Recipe):
    """Weights of the 2,048 most frequent words of train, dense, of norm 1.

    Words are runs of at least two letters or digits, in lower case. K. Spärck Jones, "A statistical
    interpretation of term specificity and its application in retrieval", 1972.
    """

    name: ClassVar[str] = "tfidf"
    modality: ClassVar[Modality] = "text"
    cost: ClassVar[float] = 120.0

    def learn(self, rows: list[str], y: IntArray) -> WordWeights:
        """Collect the words and count their texts."""
        return WordWeights(_weights(self.name, rows, max_features=MOST_WORDS)[0])


@dataclass(frozen=True, slots=True)
class TfidfSvd(Sized):
    """Leading k singular directions of the weights of words and pairs of words, of norm 1.

    Up to 20,000 words and pairs stay sparse. S. Deerwester et al., "Indexing by latent semantic analysis"
    (1990); N. Halko et al., "Finding structure with randomness" (2011), algorithm 4.4.
    """

    family: ClassVar[str] = "tfidf-svd"
    modality: ClassVar[Modality] = "text"
    cost: ClassVar[float] = 750.0
    seed: int = 0

    def learn(self, rows: list[str], y: IntArray) -> WordWeights:
        """Weigh words and pairs, and decompose the weights."""
        from sklearn.utils.extmath import randomized_svd

        vectoriser, A = _weights(self.name, rows, ngram_range=(1, 2), max_features=MOST_TERMS)
        k = min(self.size, *A.shape)
        V = randomized_svd(A, k, n_iter=5, random_state=self.seed)[2].T
        return WordWeights(vectoriser, np.ascontiguousarray(V))
