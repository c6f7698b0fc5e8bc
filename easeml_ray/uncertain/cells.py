"""Comparing and writing single cells of Arrow columns."""

from __future__ import annotations

from math import isinf
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easeml_ray.errors import InvalidArgument

__all__ = ["agreeing", "as_cell", "with_cell"]

SAME_VALUE = 1e-9


def as_cell(value: Any, kind: pa.DataType, column: str) -> Any:
    """Return a Python or numpy value as an Arrow scalar of a column's type, or raise InvalidArgument.

    None is a missing cell; of a dictionary column, its values' type counts.
    """
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    if isinstance(value, pa.Scalar):
        value = value.as_py()
    if isinstance(value, np.generic):
        value = value.item()
    # Arrow would cut 1.5 to 1, take True for 1 and turn a number too large for float32 to infinity.
    if isinstance(value, float) and pa.types.is_integer(plain):
        if not value.is_integer():
            raise _refused(value, plain, column)
        value = int(value)
    if isinstance(value, bool) and not (pa.types.is_boolean(plain) or pa.types.is_null(plain)):
        raise _refused(value, plain, column)
    try:
        cell = pa.scalar(value, type=plain)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise _refused(value, plain, column) from error
    if pa.types.is_floating(plain) and value is not None and isinf(cell.as_py()) and not isinf(value):
        raise _refused(value, plain, column)
    return cell


def agreeing(cells: Any, cell: Any) -> NDArray[np.bool_]:
    """Say which cells agree: floats within 1e-9 relative, missing with missing, others when equal."""
    value = cell.as_py()
    if pa.types.is_floating(cell.type) and value is not None:
        return np.array([_close(other, value) for other in cells.to_pylist()], dtype=bool)
    return np.array([other == value for other in cells.to_pylist()], dtype=bool)


def with_cell(records: pa.Table, column: str, cell: Any) -> pa.Table:
    """Write a value into a column of every record, keeping the schema."""
    index = records.column_names.index(column)
    field = records.schema.field(index)
    values = pa.array([cell.as_py()] * records.num_rows, type=cell.type)
    if pa.types.is_dictionary(field.type):
        values = values.dictionary_encode().cast(field.type)
    return records.set_column(index, field, values)


def _close(a: float | None, b: float) -> bool:
    if a is None:
        return False
    if a == b or (a != a and b != b):
        return True
    return abs(a - b) <= SAME_VALUE * max(abs(a), abs(b))


def _refused(value: Any, kind: pa.DataType, column: str) -> InvalidArgument:
    return InvalidArgument(
        f"column {column!r} holds {kind} values, not {value!r}",
        hint=f"Give a value of type {kind}.",
        argument="value",
    )
