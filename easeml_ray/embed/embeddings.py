"""The family of embeddings by name: those of the library and those that the operator installed.

A name is fixed (``raw``) or that of a family with a number (``pca-12``), which stands in lists
as ``pca-<k>``. An installed package adds names by the entry point group
``easeml_ray.embeddings``, each a callable that makes an :class:`Embedding`.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from easeml_ray.embed import efficientnet, sentence
from easeml_ray.embed.base import Embedding
from easeml_ray.embed.extras import installed, made
from easeml_ray.embed.own import FAMILIES, FIXED, is_reserved, own_embedding
from easeml_ray.embed.rows import MODALITIES
from easeml_ray.errors import InvalidArgument

__all__ = ["ENTRY_POINT_GROUP", "available_embeddings", "default_embeddings", "embedding_named"]

ENTRY_POINT_GROUP = "easeml_ray.embeddings"


def available_embeddings(modality: str | None = None) -> list[str]:
    """Return the names that :func:`embedding_named` knows, the library's own first.

    Parameters
    ----------
    modality : str, optional
        ``"table"``, ``"text"`` or ``"image"``: only embeddings of such rows.

    Returns
    -------
    list of str
        Names. One that ends in ``-<k>`` stands for all with a number in its place. Those whose extra is not
        installed are left out. An installed embedding cannot take the name of one of the library's.

    Raises
    ------
    InvalidArgument
        If there is no such modality, or an installed embedding cannot be made.

    Examples
    --------
    >>> available_embeddings("table")[:4]
    ['raw', 'standardise', 'quantile', 'discriminant']
    """
    _check_modality(modality)
    missing = {name for name, modules in _EXTRAS.items() if not installed(*modules)}
    names = [name for name in FIXED if name not in missing] + [f"{family}-<k>" for family in FAMILIES]
    others = {point.name for point in entry_points(group=ENTRY_POINT_GROUP)}
    names += sorted(name for name in others if not is_reserved(name))
    if modality is None:
        return names
    return [name for name in names if embedding_named(name.replace("<k>", "1")).modality == modality]


def embedding_named(name: str) -> Embedding:
    """Return a new, unfitted embedding.

    Parameters
    ----------
    name : str
        One of :func:`available_embeddings`, with a number for ``<k>``.

    Returns
    -------
    Embedding
        What the factory of that name makes.

    Raises
    ------
    InvalidArgument
        If there is none of that name, its number is out of range, its extra is not
        installed, or an installed one cannot be made.

    Examples
    --------
    >>> embedding_named("pca-12").name
    'pca-12'
    """
    own = own_embedding(name)
    if own is not None:
        return own
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name == name:
            found: Embedding = made("embedding", point, Embedding, "name, modality, supervised, cost and fit")
            return found
    raise InvalidArgument(
        f"there is no embedding named {name!r}",
        hint=f"Known: {', '.join(available_embeddings())}; others are entry points of {ENTRY_POINT_GROUP}",
        argument="embeddings",
    )


def default_embeddings(modality: str = "table", n_features: int | None = None) -> list[str]:
    """Return the names of the embeddings to look through when none are named.

    Each can show a neighbour that the others hide. Random projections and random Fourier features of
    standardised rows cannot: they repeat the distances of ``standardise``, with noise.

    Parameters
    ----------
    modality : str
        ``"table"``, ``"text"`` or ``"image"``.
    n_features : int, optional
        Width of a table, or pixels times channels of an image; principal components that
        would keep all of it are left out, as they only rotate.

    Returns
    -------
    list of str
        Names for :func:`embedding_named`, simple ones first. Those of an extra only where it is installed.

    Raises
    ------
    InvalidArgument
        If there is no such modality.

    Examples
    --------
    >>> default_embeddings("table", 12)
    ['raw', 'standardise', 'quantile', 'pca-8', 'discriminant', 'nca-8', 'forest-256']
    """
    _check_modality(modality)
    width = float("inf") if n_features is None else n_features
    if modality == "table":
        components = [f"pca-{k}" for k in (8, 16) if k < width]
        return ["raw", "standardise", "quantile", *components, "discriminant", "nca-8", "forest-256"]
    if modality == "text":
        names = ["tfidf", "hashed-1024", "tfidf-svd-64", "sentence"]
    else:
        components = ["pixels-pca-32"] if width > 32 else []
        names = ["pixels", *components, "random-conv-64", "efficientnet-lite0"]
    return [name for name in names if installed(*_EXTRAS.get(name, ()))]


_EXTRAS = {"sentence": sentence.MODULES, "efficientnet-lite0": efficientnet.MODULES}


def _check_modality(modality: str | None) -> None:
    if modality is not None and modality not in MODALITIES:
        raise InvalidArgument(
            f"there is no modality {modality!r}", hint=f"Known: {', '.join(MODALITIES)}", argument="modality"
        )
