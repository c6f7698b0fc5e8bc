"""Rows of three kinds (features, texts, images) and the check that later rows are alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from easeml_ray.arrays import FloatArray, as_features
from easeml_ray.errors import InvalidArgument

__all__ = [
    "MODALITIES",
    "Modality",
    "RowSchema",
    "Rows",
    "as_images",
    "as_texts",
    "flat_pixels",
    "modality_of",
    "unit_floats",
]

Modality: TypeAlias = Literal["table", "text", "image"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)

Rows: TypeAlias = ArrayLike | Sequence[str] | pa.Array | pa.ChunkedArray


def modality_of(X: Rows) -> Modality:
    """Return the kind of rows: by dimensions and type, not by looking at every value.

    Parameters
    ----------
    X : rows
        Numbers (n_rows, n_features), texts (n_rows,), or numbers (n_rows, height, width) or
        (n_rows, height, width, channels).

    Returns
    -------
    str
        ``"table"``, ``"text"`` or ``"image"``.

    Raises
    ------
    InvalidArgument
        If the rows are none of these.

    Examples
    --------
    >>> modality_of([[1.0, 2.0]]), modality_of(["a text"]), modality_of(np.zeros((5, 8, 8)))
    ('table', 'text', 'image')
    """
    if isinstance(X, pa.Array | pa.ChunkedArray):
        found, kind = f"an Arrow array of {X.type}", 1 if _is_text(X.type) else 0
    elif isinstance(X, list | tuple) and X and isinstance(X[0], str):
        found, kind = "texts", 1
    else:
        array = np.asarray(X)
        found = f"an array of {array.dtype} with {array.ndim} dimension(s)"
        # A column of texts may come as objects; so may None among them, which fitting refuses.
        text = array.dtype.kind in "UT" or (
            array.dtype.kind == "O" and array.size > 0 and isinstance(array.flat[0], str | None)
        )
        if text:
            kind = 1 if array.ndim == 1 else 0
        else:
            kind = array.ndim if array.dtype.kind in "biuf" and array.ndim in (2, 3, 4) else 0
    modalities: dict[int, Modality] = {1: "text", 2: "table", 3: "image", 4: "image"}
    if kind not in modalities:
        raise InvalidArgument(
            f"X is {found}: neither features, nor texts, nor images",
            hint="Give numbers of (rows, features), a sequence of str, or numbers of "
            "(rows, height, width[, channels]).",
            argument="X",
        )
    return modalities[kind]


def as_texts(X: Rows, argument: str = "X") -> list[str]:
    """Return texts as a list, each with a UTF-8 form, or say what is wrong with `argument`."""
    try:
        if isinstance(X, str | bytes):
            raise TypeError("one text, not a sequence of them")
        if not isinstance(X, pa.Array | pa.ChunkedArray):
            X = pa.array(list(X), pa.large_string())  # type: ignore[arg-type]
        elif not _is_text(X.type):
            raise pa.ArrowTypeError(f"an Arrow array of {X.type}")
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise InvalidArgument(
            f"{argument} is not a sequence of texts: {error}",
            hint="Give a list of str or an Arrow array of strings.",
            argument=argument,
        ) from error
    if X.null_count:
        missing = np.flatnonzero(X.is_null().to_numpy(zero_copy_only=False))
        raise InvalidArgument(
            f"{argument} has {missing.size} missing text(s), the first is row {missing[0]}",
            hint='Leave these rows out, or give "" for a text that is empty.',
            argument=argument,
        )
    texts: list[str] = X.to_pylist()
    return texts


def as_images(X: ArrayLike, argument: str = "X") -> NDArray[Any]:
    """Return images as uint8 or finite float64, C-contiguous, or say what is wrong with `argument`."""
    # Shape (n_rows, height, width, channels), given with or without the last axis; not copied when the form
    # is right already.
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise InvalidArgument(
            f"{argument} holds images of several shapes",
            hint="Bring all images to one height and width.",
            argument=argument,
        ) from error
    if array.ndim not in (3, 4) or 0 in array.shape[1:]:
        raise InvalidArgument(
            f"{argument} has shape {array.shape}, not (rows, height, width[, channels])",
            hint="Stack the images along a first axis.",
            argument=argument,
        )
    if array.dtype != np.uint8 and array.dtype.kind not in "fb":
        raise InvalidArgument(
            f"{argument} holds {array.dtype} values, whose range is not known",
            hint="Give uint8 (0 to 255) or floats, e.g. of 0 to 1.",
            argument=argument,
        )
    if array.ndim == 3:
        array = array[..., None]
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    return as_features(_flat(array), argument, min_rows=0).reshape(array.shape)


def unit_floats(images: NDArray[Any]) -> FloatArray:
    """Return images as float64: uint8 values divided by 255, floats as they are."""
    if images.dtype == np.uint8:
        return images / 255.0
    return images.astype(np.float64, copy=False)


def flat_pixels(images: NDArray[Any]) -> FloatArray:
    """Return each image's pixels in one row, (n_rows, height * width * channels), as :func:`unit_floats`."""
    return unit_floats(_flat(images))


@dataclass(frozen=True, slots=True)
class RowSchema:
    """The rows that a fitted embedding accepts.

    Parameters
    ----------
    modality : str
        ``"table"``, ``"text"`` or ``"image"``.
    shape : tuple of int
        Of one row: (n_features,), () for a text, (height, width, channels).

    Examples
    --------
    >>> schema, rows = RowSchema.of("table", [[1, 2], [3, 4]])
    >>> schema.shape
    (2,)
    """

    modality: Modality
    shape: tuple[int, ...]

    @classmethod
    def of(cls, modality: Modality, X: Rows, argument: str = "X") -> tuple[RowSchema, Any]:
        """Return the schema of train rows, and the rows as embeddings read them.

        These are float64 features, float64 or uint8 images with a channel axis, or texts. `argument` is the
        caller's name of the rows, for the InvalidArgument: of another modality, unusable, or none at all.
        """
        rows = _READERS[modality](X, argument)
        if len(rows) == 0:
            raise InvalidArgument(
                f"{argument} has no rows to fit on", hint="Give at least one row.", argument=argument
            )
        return cls(modality, _shape(rows)), rows

    def read(self, X: Rows, argument: str = "X") -> Any:
        """Return later rows, any number, as embeddings read them, once they are like the train rows.

        `argument` and what is returned as in :meth:`of`.
        """
        rows = _READERS[self.modality](X, argument)
        if _shape(rows) != self.shape:
            raise InvalidArgument(
                f"a row of {argument} has shape {_shape(rows)}, the rows fitted on had {self.shape}",
                hint="Prepare all rows the same way: one Encoder for tables, one size for images.",
                argument=argument,
            )
        return rows


def _flat(images: NDArray[Any]) -> NDArray[Any]:
    # Not -1, which cannot be inferred when there are no rows.
    return images.reshape(len(images), math.prod(images.shape[1:]))


def _shape(rows: Any) -> tuple[int, ...]:
    return () if isinstance(rows, list) else rows.shape[1:]


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or (pa.types.is_dictionary(kind) and _is_text(kind.value_type))
    )


def _features(X: Any, argument: str) -> FloatArray:
    return as_features(X, argument, min_rows=0)


_READERS: dict[Modality, Callable[[Any, str], Any]] = {
    "table": _features,
    "text": as_texts,
    "image": as_images,
}
