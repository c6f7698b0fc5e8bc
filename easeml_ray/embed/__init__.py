"""From rows to arrays: the encoder, the label codes, and embeddings of tables, texts and images."""

from __future__ import annotations

from easeml_ray.embed.base import Embedding, FittedEmbedding
from easeml_ray.embed.classes import Classes
from easeml_ray.embed.columns import CategoricalColumn, NumericColumn
from easeml_ray.embed.custom import FunctionEmbedding, TransformerEmbedding
from easeml_ray.embed.embeddings import available_embeddings, default_embeddings, embedding_named
from easeml_ray.embed.encoder import Encoder
from easeml_ray.embed.pca import Pca
from easeml_ray.embed.raw import Raw
from easeml_ray.embed.rows import RowSchema, modality_of
from easeml_ray.embed.standardise import Standardise

__all__ = [
    "CategoricalColumn",
    "Classes",
    "Embedding",
    "Encoder",
    "FittedEmbedding",
    "FunctionEmbedding",
    "NumericColumn",
    "Pca",
    "Raw",
    "RowSchema",
    "Standardise",
    "TransformerEmbedding",
    "available_embeddings",
    "default_embeddings",
    "embedding_named",
    "modality_of",
]
