"""What a study is given, or an error that says what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arrays import IntArray, as_labels, count_classes
from easeml_ray.embed import Embedding, default_embeddings, embedding_named
from easeml_ray.errors import InvalidArgument, OneClass, TooFewRows

__all__ = ["checked_labels", "checked_target", "chosen_embeddings"]


def checked_target(target_accuracy: float) -> None:
    """Refuse a target accuracy that is none."""
    if not 0.0 < target_accuracy <= 1.0:
        raise InvalidArgument(
            f"target_accuracy is {target_accuracy}",
            hint="Give a share above 0 and at most 1, e.g. 0.9.",
            argument="target_accuracy",
        )


def chosen_embeddings(embeddings: Sequence[str | Embedding] | None, modality: str, X: Any) -> list[Embedding]:
    """Return the embeddings asked for, or the default ones for such rows."""
    if embeddings is None:
        embeddings = default_embeddings(modality, X.shape[1] if modality == "table" else None)
    if not embeddings:
        raise InvalidArgument("no embedding is named", hint="Name one, e.g. raw.", argument="embeddings")
    chosen = [embedding_named(given) if isinstance(given, str) else given for given in embeddings]
    names = [embedding.name for embedding in chosen]
    if len(set(names)) != len(names):
        raise InvalidArgument(
            f"an embedding is named twice: {', '.join(names)}", hint="Name each once.", argument="embeddings"
        )
    for embedding in chosen:
        if embedding.modality != modality:
            raise InvalidArgument(
                f"{embedding.name} embeds {embedding.modality}, the rows are {modality}",
                hint=f"Known: {', '.join(default_embeddings(modality, None))}",
                argument="embeddings",
            )
    return chosen


def checked_labels(
    X: Any, y_train: ArrayLike, dev: Any, y_dev: ArrayLike, n_classes: int | None
) -> tuple[IntArray, IntArray, int]:
    """Return the class codes of train and development rows, and the number of classes."""
    for rows, name in ((len(X), "train"), (len(dev), "development")):
        if rows < 2:
            raise TooFewRows(
                f"{name} has {rows} row(s); a study needs two", hint="Add rows.", required=2, available=rows
            )
    y = as_labels(y_train, "y_train", n_rows=len(X))
    z = as_labels(y_dev, "y_dev", n_rows=len(dev))
    classes = count_classes(n_classes, y, z)
    if np.unique(y).size < 2:
        raise OneClass(
            "all train rows have the same label", hint="Give rows of at least two classes.", rows=[]
        )
    return y, z, classes
