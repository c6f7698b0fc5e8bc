"""The library's own embeddings by name.

A name is fixed (``raw``) or that of a family with a number (``pca-12``).
"""

from __future__ import annotations

from easeml_ray.embed.convolution import RandomConv
from easeml_ray.embed.discriminant import Discriminant
from easeml_ray.embed.efficientnet import EfficientNet
from easeml_ray.embed.forest import Forest
from easeml_ray.embed.fourier import RandomFourier
from easeml_ray.embed.hashed import Hashed
from easeml_ray.embed.nca import Nca
from easeml_ray.embed.pca import Pca
from easeml_ray.embed.pixels import Pixels, PixelsPca
from easeml_ray.embed.projection import RandomProjection
from easeml_ray.embed.quantile import Quantile
from easeml_ray.embed.raw import Raw
from easeml_ray.embed.recipe import Recipe, Sized
from easeml_ray.embed.sentence import Sentence
from easeml_ray.embed.standardise import Standardise
from easeml_ray.embed.tfidf import Tfidf, TfidfSvd

__all__ = ["FAMILIES", "FIXED", "is_reserved", "own_embedding"]

FIXED: dict[str, type[Recipe]] = {
    "raw": Raw,
    "standardise": Standardise,
    "quantile": Quantile,
    "discriminant": Discriminant,
    "tfidf": Tfidf,
    "sentence": Sentence,
    "pixels": Pixels,
    "efficientnet-lite0": EfficientNet,
}
"""Embeddings without a number."""

FAMILIES: dict[str, type[Sized]] = {
    family.family: family
    for family in (
        Pca, RandomProjection, RandomFourier, Nca, Forest, TfidfSvd, Hashed, PixelsPca, RandomConv,
    )
}  # fmt: skip
"""Embeddings with a number: of a name ``pca-12``, the part before the last hyphen."""


def own_embedding(name: str) -> Recipe | None:
    """Return a new embedding of the library, None if the name is none of its own."""
    if name in FIXED:
        return FIXED[name]()
    family, size = _split(name)
    return FAMILIES[family](size) if family in FAMILIES and size is not None else None


def is_reserved(name: str) -> bool:
    """Return whether a name means one of the library's embeddings, its extra installed or not."""
    family, size = _split(name)
    return name in FIXED or (family in FAMILIES and size is not None)


def _split(name: str) -> tuple[str, int | None]:
    """Return the part before the last hyphen, and the number after it as people write numbers."""
    family, _, size = name.rpartition("-")
    plain = size.isascii() and size.isdigit() and size == str(int(size))
    return family, int(size) if plain else None
