"""The family of embeddings by name: those of the library and those that the operator installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import entry_points

from easeml_ray.embed.base import Embedding
from easeml_ray.embed.pca import Pca
from easeml_ray.embed.raw import Raw
from easeml_ray.embed.standardise import Standardise
from easeml_ray.errors import InvalidArgument

__all__ = ["EMBEDDINGS", "ENTRY_POINT_GROUP", "available_embeddings", "embedding_named"]

ENTRY_POINT_GROUP = "easeml_ray.embeddings"

EMBEDDINGS: dict[str, Callable[[], Embedding]] = {
    "raw": Raw,
    "standardise": Standardise,
    "pca-16": partial(Pca, 16),
    "pca-8": partial(Pca, 8),
}


def available_embeddings() -> list[str]:
    """Return the names that :func:`embedding_named` knows, the library's own first.

    Returns
    -------
    list of str
        Names; an installed embedding cannot take the name of one of the library's.

    Examples
    --------
    >>> available_embeddings()[:2]
    ['raw', 'standardise']
    """
    installed = {point.name for point in entry_points(group=ENTRY_POINT_GROUP)}
    return [*EMBEDDINGS, *sorted(installed - set(EMBEDDINGS))]


def embedding_named(name: str) -> Embedding:
    """Return a new, unfitted embedding.

    Parameters
    ----------
    name : str
        One of :func:`available_embeddings`.

    Returns
    -------
    Embedding
        What the factory of that name makes.

    Raises
    ------
    InvalidArgument
        If there is none of that name.

    Examples
    --------
    >>> embedding_named("pca-8").name
    'pca-8'
    """
    if name in EMBEDDINGS:
        return EMBEDDINGS[name]()
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name == name:
            made: Embedding = point.load()()
            return made
    raise InvalidArgument(
        f"there is no embedding named {name!r}",
        hint=f"Known: {', '.join(available_embeddings())}; others are entry points of {ENTRY_POINT_GROUP}",
        argument="embeddings",
    )
