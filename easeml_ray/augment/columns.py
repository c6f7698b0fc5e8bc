"""Kinds of columns, their missing cells, and statistics to fill them with.

Symbols
-------
numeric     = a column of integers, floats or booleans
categorical = a column of strings, plain or dictionary-encoded
"""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from easeml_ray.errors import EmptyColumn, InvalidTable

__all__ = [
    "Fill",
    "Kind",
    "category_counts",
    "check_filled",
    "fill_column",
    "kind_of",
    "missing",
    "most_frequent_number",
    "numeric_values",
]

Fill: TypeAlias = float | str


class Kind(Enum):
    """How a column's missing cells can be repaired."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    OTHER = "other"


def kind_of(column: pa.DataType) -> Kind:
    """Return the kind of a column type: OTHER for dates, bytes, decimals and nested values."""
    plain = column.value_type if pa.types.is_dictionary(column) else column
    if pa.types.is_integer(plain) or pa.types.is_floating(plain) or pa.types.is_boolean(plain):
        return Kind.NUMERIC
    if pa.types.is_string(plain) or pa.types.is_large_string(plain):
        return Kind.CATEGORICAL
    return Kind.OTHER


def missing(column: Any) -> NDArray[np.bool_]:
    """Say which cells are missing, bool (n_rows,); NaN counts as missing."""
    plain = _plain(column)
    return np.asarray(pc.is_null(plain, nan_is_null=pa.types.is_floating(plain.type)).to_numpy(), dtype=bool)


def numeric_values(column: Any) -> NDArray[np.float64]:
    """Return a numeric column as floats (n_rows,), NaN where missing."""
    plain = _plain(column)
    if pa.types.is_boolean(plain.type):
        plain = plain.cast(pa.int8())
    floats = plain.cast(pa.float64(), safe=False)
    return np.asarray(floats.to_numpy(zero_copy_only=False), dtype=np.float64)


def category_counts(column: Any) -> list[tuple[str, int]]:
    """Count the categories of a column, most frequent first, equal ones in alphabetical order."""
    found = pc.value_counts(_plain(column).drop_null())
    counts = zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True)
    return sorted(counts, key=lambda item: (-item[1], item[0]))


def most_frequent_number(values: NDArray[np.float64]) -> float:
    """Return the most frequent of the values, (n_rows,), NaN where missing; ties to the smallest."""
    distinct, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    return float(distinct[counts.argmax()])


def fill_column(column: Any, fills: Fill | NDArray[np.float64]) -> Any:
    """Fill the missing cells of a column with one value or one a row (n_rows,), keeping its type."""
    # Rounded for whole numbers; a boolean is true from one half on.
    gaps = missing(column)
    if not gaps.any():
        return column
    plain = _plain(column)
    if isinstance(fills, str):
        filled = plain.fill_null(pa.scalar(fills, plain.type))
    else:
        values = np.broadcast_to(np.asarray(fills, dtype=np.float64), gaps.shape)[gaps]
        # Only missing cells are written: others, large integers too, keep every digit.
        filled = pc.replace_with_mask(
            plain.combine_chunks() if isinstance(plain, pa.ChunkedArray) else plain,
            pa.array(gaps),
            _as_type(values, plain.type),
        )
    return filled.dictionary_encode().cast(column.type) if pa.types.is_dictionary(column.type) else filled


def check_filled(table: pa.Table) -> None:
    """Raise EmptyColumn or InvalidTable unless each column has values, none infinite, and can be repaired."""
    for name in table.column_names:
        gaps = missing(table[name])
        if gaps.all():
            raise EmptyColumn(
                f"column {name!r} has no value in {table.num_rows} row(s)",
                hint="Leave it out of the features.",
                column=name,
            )
        kind = kind_of(table[name].type)
        if kind is Kind.NUMERIC and np.isinf(numeric_values(table[name])).any():
            raise InvalidTable(
                f"column {name!r} holds infinity",
                hint="Leave such cells empty, so that they are repaired.",
                column=name,
            )
        if gaps.any() and kind is Kind.OTHER:
            raise InvalidTable(
                f"column {name!r} of type {table[name].type} has {int(gaps.sum())} missing cell(s),"
                " and only numbers, booleans and strings can be repaired",
                hint="Turn it into numbers or strings, or leave it out of the features.",
                column=name,
            )


def _as_type(values: NDArray[np.float64], kind: pa.DataType) -> Any:
    if pa.types.is_boolean(kind):
        return pa.array(values >= 0.5)
    if pa.types.is_integer(kind):
        return pa.array(np.rint(values)).cast(kind)
    return pa.array(values).cast(kind)


def _plain(column: Any) -> Any:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
