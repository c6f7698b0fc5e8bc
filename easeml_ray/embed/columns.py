"""The columns of an encoder: how each is fitted, checked and turned into features.

Symbols
-------
mean, scale = of a numeric column's values in train (ddof 0; scale 1 where constant)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from easeml_ray.arrays import FloatArray
from easeml_ray.embed.standardise import column_scale
from easeml_ray.errors import InvalidTable, NestedColumn, SchemaMismatch

__all__ = [
    "CategoricalColumn",
    "Column",
    "NumericColumn",
    "check_kind",
    "fit_column",
    "kind_of",
    "one_hot",
    "standardise",
]

FLOAT = pa.float64()

# Rows encoded at a time: what is at work stays in the processor's cache.
BATCH_ROWS = 4096


@dataclass(frozen=True, slots=True)
class NumericColumn:
    """A column of integers, floats or booleans.

    Parameters
    ----------
    name : str
        Column of the table.
    mean, scale : float
        Of the values present in train.
    """

    name: str
    mean: float
    scale: float

    @property
    def feature_names(self) -> list[str]:
        """The one feature, called like the column."""
        return [self.name]

    @property
    def n_features(self) -> int:
        """Number of its features."""
        return 1


@dataclass(frozen=True, slots=True)
class CategoricalColumn:
    """A column of text or of a dictionary.

    Parameters
    ----------
    name : str
        Column of the table.
    categories : tuple of str
        Categories that have a feature, sorted.
    other : bool
        Whether the remaining categories share one.
    """

    name: str
    categories: tuple[str, ...]
    other: bool

    @property
    def feature_names(self) -> list[str]:
        """One name a kept category, then the other, then the missing one."""
        kept = [f"{self.name}={category}" for category in self.categories]
        return [*kept, *([f"{self.name}:other"] if self.other else []), f"{self.name}:missing"]

    @property
    def n_features(self) -> int:
        """Number of its features."""
        return len(self.categories) + self.other + 1


Column: TypeAlias = NumericColumn | CategoricalColumn


def kind_of(column: Column) -> str:
    """Return numeric or categorical."""
    return "numeric" if isinstance(column, NumericColumn) else "categorical"


def check_kind(column: Column, type_: pa.DataType) -> None:
    """Raise SchemaMismatch if a column was of the other kind in train."""
    kind, fitted = _kind(column.name, type_), kind_of(column)
    # A column without a single value has no type of its own and fits either kind.
    if kind not in ("empty", fitted):
        raise SchemaMismatch(
            f"column {column.name!r} is {kind} here but was {fitted} in train",
            hint=f"Give it as {fitted} values; its type is {type_}",
            column=column.name,
        )


def _kind(name: str, type_: pa.DataType) -> str:
    """Return how a column of this type is encoded: numeric, categorical or empty."""
    if type_ == FLOAT:  # as most are
        return "numeric"
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
        if not _is_text(type_):
            raise InvalidTable(
                f"column {name!r} is a dictionary of {type_}, not of text",
                hint="Decode it to numbers, or cast its values to text.",
                column=name,
            )
    if pa.types.is_null(type_):
        return "empty"
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_boolean(type_):
        return "numeric"
    if pa.types.is_decimal(type_):
        return "numeric"
    if _is_text(type_):
        return "categorical"
    if pa.types.is_nested(type_):
        raise NestedColumn(
            f"column {name!r} is nested ({type_})", hint="Flatten it into plain columns.", column=name
        )
    raise InvalidTable(
        f"column {name!r} of type {type_} has no encoding",
        hint="Give numbers, booleans or text; turn a date into numbers first.",
        column=name,
    )


def _is_text(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)
    )


def fit_column(name: str, column: pa.ChunkedArray, max_categories: int) -> Column:
    """Fit one column of train; see :class:`easeml_ray.embed.Encoder`."""
    if _kind(name, column.type) == "categorical":
        counts = pc.value_counts(_texts(column).drop_null())
        ranked = sorted(
            zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True),
            key=lambda pair: (-pair[1], pair[0]),
        )
        kept = sorted(category for category, _ in ranked[:max_categories])
        return CategoricalColumn(name, tuple(kept), other=len(ranked) > len(kept))
    values = _numbers(name, column)
    present = values[~np.isnan(values)]
    if not present.size:
        return NumericColumn(name, 0.0, 1.0)
    return NumericColumn(name, float(present.mean()), float(column_scale(present[:, None])[0]))


def standardise(
    fitted: Sequence[NumericColumn], table: pa.Table, encoded: FloatArray, into: slice | list[int]
) -> None:
    """Write numeric columns, and all at once: to call Arrow for each costs more than its cells."""
    mean, scale = np.array([(column.mean, column.scale) for column in fitted]).T
    floats = table
    if any(type_ != FLOAT for type_ in table.schema.types):
        floats = pa.Table.from_arrays([_floats(column) for column in table.columns], table.column_names)
    start = 0
    for batch in floats.to_batches(BATCH_ROWS):
        values: FloatArray = batch.to_tensor(null_to_nan=True, row_major=True).to_numpy()
        if np.isinf(values).any():
            for name, column in zip(table.column_names, table.columns, strict=True):
                _numbers(name, column)
        values -= mean
        values /= scale
        values[np.isnan(values)] = 0.0
        encoded[start : start + len(values), into] = values
        start += len(values)


def _floats(column: pa.ChunkedArray) -> pa.ChunkedArray:
    # Not a safe cast: an integer beyond 2**53 is a feature as well as its neighbour is.
    return column.cast(FLOAT, safe=False)


def _numbers(name: str, column: pa.ChunkedArray) -> FloatArray:
    """Return the values as float64, NaN where the cell is missing; refuse infinite ones."""
    values: FloatArray = _floats(column).to_numpy().astype(np.float64, copy=False)
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise InvalidTable(
            f"column {name!r} holds infinity in {infinite.size} row(s), the first is row {infinite[0]}",
            hint="Replace infinite values by numbers, or leave the cells empty.",
            column=name,
            rows=infinite[:20].tolist(),
        )
    return values


def _texts(column: pa.ChunkedArray) -> pa.Array:
    """Return the values as one array of text."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    chunks = column.cast(pa.large_string()).chunks
    return pa.concat_arrays(chunks) if chunks else pa.array([], pa.large_string())


def one_hot(column: CategoricalColumn, given: pa.ChunkedArray, block: FloatArray) -> None:
    """Write the ones of a categorical column into its zeroed features."""
    texts = _texts(given)
    missing = np.asarray(texts.is_null())
    # Rows whose value is not in the set (and missing ones) have no index.
    found = pc.index_in(texts, value_set=pa.array(column.categories, pa.large_string()))
    position = found.fill_null(-1).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero((position >= 0) & ~missing)
    block[rows, position[rows]] = 1.0
    if column.other:
        block[np.flatnonzero((position < 0) & ~missing), len(column.categories)] = 1.0
    block[missing, -1] = 1.0
