"""From tables to arrays: the encoder, the label codes, and embeddings of both."""

from __future__ import annotations

from easeml_ray.embed.arrays import as_features, as_labels, count_classes
from easeml_ray.embed.base import Embedding, FittedEmbedding
from easeml_ray.embed.classes import Classes
from easeml_ray.embed.embeddings import EMBEDDINGS, available_embeddings, embedding_named
from easeml_ray.embed.encoder import CategoricalColumn, Encoder, NumericColumn
from easeml_ray.embed.pca import Pca
from easeml_ray.embed.raw import Raw
from easeml_ray.embed.standardise import Standardise

__all__ = [
    "EMBEDDINGS",
    "CategoricalColumn",
    "Classes",
    "Embedding",
    "Encoder",
    "FittedEmbedding",
    "NumericColumn",
    "Pca",
    "Raw",
    "Standardise",
    "as_features",
    "as_labels",
    "available_embeddings",
    "count_classes",
    "embedding_named",
]
