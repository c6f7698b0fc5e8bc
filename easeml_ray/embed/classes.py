"""The codes of a label column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from easeml_ray.arrays import IntArray, as_labels
from easeml_ray.errors import InvalidArgument, MissingLabels

__all__ = ["Classes"]


@dataclass(frozen=True, slots=True)
class Classes:
    """The label values of a task, in the order of their codes.

    A value is known by its text (``str(value)``), so that a label column read as numbers
    once and as text another time gets the same codes; the texts are sorted.

    Parameters
    ----------
    names : tuple of str
        Sorted, distinct label texts; the code of a label is its position.

    Examples
    --------
    >>> classes = Classes.fit(pa.array(["cat", "dog", "cat"]))
    >>> classes.encode(pa.array(["dog", "cat"]))
    array([1, 0])
    >>> classes.decode([1, 1])
    ['dog', 'dog']
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.names or list(self.names) != sorted(set(self.names)):
            raise InvalidArgument(
                "the class names are not sorted and distinct",
                hint="Make them with Classes.fit.",
                argument="names",
            )

    @classmethod
    def fit(cls, column: pa.Array | pa.ChunkedArray | Sequence[Any]) -> Classes:
        """Collect the classes of a label column.

        MissingLabels if a label is missing, InvalidArgument if there are none at all.
        """
        texts, _ = _dictionary(column)
        if not texts:
            raise InvalidArgument(
                "the label column has no rows", hint="Give labelled rows.", argument="column"
            )
        return cls(tuple(sorted(set(texts))))

    def __len__(self) -> int:
        return len(self.names)

    def encode(self, column: pa.Array | pa.ChunkedArray | Sequence[Any]) -> IntArray:
        """Return the code of each label, (n_rows,) int64, in 0 .. len(self) - 1.

        MissingLabels if a label is missing, InvalidArgument if one is none of the classes.
        """
        texts, indices = _dictionary(column)
        code = {name: i for i, name in enumerate(self.names)}
        unseen = sorted(set(texts) - set(code))
        if unseen:
            raise InvalidArgument(
                f"the label(s) {', '.join(map(repr, unseen[:5]))} are none of the {len(self)} classes",
                hint=f"Known: {', '.join(self.names[:10])}{' …' if len(self) > 10 else ''}",
                argument="column",
            )
        return np.array([code[text] for text in texts], dtype=np.int64)[indices]

    def decode(self, codes: ArrayLike) -> list[str]:
        """Return the label text of each code, or raise InvalidArgument for one that is out of range."""
        return [self.names[i] for i in as_labels(codes, "codes", n_classes=len(self))]


def _dictionary(column: pa.Array | pa.ChunkedArray | Sequence[Any]) -> tuple[list[str], IntArray]:
    """Return the distinct label texts and, a row, the position of its own."""
    if not isinstance(column, pa.Array | pa.ChunkedArray):
        try:
            column = pa.array(column)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InvalidArgument(
                "the labels are not of one kind",
                hint="Give all labels as text or all as numbers.",
                argument="column",
            ) from error
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    missing = np.flatnonzero(column.is_null(nan_is_null=pa.types.is_floating(column.type)))
    if missing.size:
        raise MissingLabels(
            f"{missing.size} row(s) have no label, the first is row {missing[0]}",
            hint="Drop the rows or have them labelled.",
            rows=missing[:20].tolist(),
        )
    encoded = column.dictionary_encode()
    indices = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return [str(value) for value in encoded.dictionary.to_pylist()], indices
