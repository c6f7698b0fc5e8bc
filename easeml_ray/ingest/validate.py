"""A table as it came from a file, checked and brought to four column types.

==================  =======  ============================================
in the file         becomes  meaning of the value
==================  =======  ============================================
integers            int64    as it is (float64 when over 2^63)
floats, decimals    float64  as it is; NaN becomes missing
booleans            bool     as it is
dates               int64    days since 1970-01-01
timestamps          int64    microseconds since 1970-01-01 UTC
times of day        int64    microseconds since midnight
durations           int64    microseconds
text, dictionaries  string   as it is
==================  =======  ============================================

All but text are of kind ``numeric``; text is ``categorical``. The label becomes text whatever
it was; whole numbers lose a ``.0``.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from easeml_ray.errors import (
    DuplicateIds,
    EmptyColumn,
    InvalidArgument,
    InvalidTable,
    MissingColumn,
    MissingLabels,
    NestedColumn,
    OneClass,
    TooFewRows,
)
from easeml_ray.ingest.base import Column

__all__ = ["MIN_ROWS", "RESERVED_NAMES", "CleanTable", "validate"]

MIN_ROWS = 20
"""Fewer rows than this cannot be split into four pillars that mean anything."""

RESERVED_NAMES = ("row_id", "parent_id", "group_id", "probability")
"""Columns that a dataset version adds; no feature and no label may be called so."""

_SHOWN = 10  # how many rows an error names
_COUNTING = "counting the first row after the header as 0"


@dataclass(frozen=True, slots=True)
class CleanTable:
    """What :func:`validate` found to be usable."""

    features: pa.Table  # the features in file order, each float64, int64, bool or string, in one chunk
    labels: pa.StringArray  # the label of each row, never missing
    label: str  # name of the label column
    columns: tuple[Column, ...]  # names and kinds of the features
    classes: tuple[str, ...]  # the labels that occur, sorted
    # ids, groups: the id and the entity group of each row, where such a column was named
    ids: pa.StringArray | None = None
    groups: pa.StringArray | None = None


def validate(
    table: pa.Table,
    *,
    label: str,
    id_column: str | None = None,
    group_column: str | None = None,
    further: bool = False,
) -> CleanTable:
    """Check a table and bring its columns to the types above.

    Parameters
    ----------
    table : pyarrow.Table
        As :func:`easeml_ray.ingest.read` gives it.
    label : str
        Name of the column to predict.
    id_column : str, optional
        A column whose values name the rows; not a feature.
    group_column : str, optional
        A column that says which rows belong to one entity; not a feature.
    further : bool
        Rows that join a project which has data already: how many there are, and of how many
        classes, is then the project's affair.

    Raises
    ------
    MissingColumn, NestedColumn, EmptyColumn, MissingLabels, OneClass, DuplicateIds, TooFewRows
        What their names say, with the column and the first rows.
    InvalidTable
        For infinite values, missing ids or groups, reserved names, types that are neither
        number nor text, a label with nearly as many values as rows, or no features at all.

    Examples
    --------
    >>> table = pa.table({"size": list(range(20)), "sold": [True, False] * 10})
    >>> clean = validate(table, label="sold")
    >>> clean.columns, clean.classes
    ((Column(name='size', kind='numeric'),), ('false', 'true'))
    """
    _check_roles(table, label, id_column, group_column)
    required = 1 if further else MIN_ROWS
    if table.num_rows < required:
        raise TooFewRows(
            f"the table has {table.num_rows} rows",
            hint=f"Give at least {required}.",
            required=required,
            available=table.num_rows,
        )
    labels = _labels(table, label)
    if not further:
        _check_classes(label, labels)
    ids = _names(table, id_column)
    groups = _names(table, group_column)
    if ids is not None:
        _check_unique(str(id_column), ids)
    arrays, columns = [], []
    for name in table.column_names:
        if name not in (label, id_column, group_column):
            array, column = _feature(name, _one_chunk(table.column(name)))
            arrays.append(array)
            columns.append(column)
    if not columns:
        raise InvalidTable("the table has no feature", hint="Add a column that is not label, id or group.")
    return CleanTable(
        features=pa.table(arrays, names=[column.name for column in columns]),
        labels=labels,
        label=label,
        columns=tuple(columns),
        classes=tuple(sorted(labels.unique().to_pylist())),
        ids=ids,
        groups=groups,
    )


def _check_roles(table: pa.Table, label: str, id_column: str | None, group_column: str | None) -> None:
    names = table.column_names
    for name in (label, id_column, group_column):
        if name is not None and name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            raise MissingColumn(
                f"there is no column {name!r}",
                hint=(f"Did you mean {near[0]!r}? " if near else "") + f"The columns are {_listed(names)}.",
                column=name,
                columns=names,
            )
    if label in (id_column, group_column):
        raise InvalidArgument(
            f"column {label!r} is the label and cannot name or group the rows too",
            hint="Choose another column, or none.",
            argument="label",
        )
    for name in names:
        if name in RESERVED_NAMES and name not in (id_column, group_column):
            raise InvalidTable(
                f"column {name!r} has a name that the system uses itself",
                hint=f"Rename it, or use it as id or group. Reserved: {', '.join(RESERVED_NAMES)}.",
                column=name,
            )


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _rows(mask: pa.Array) -> list[int]:
    """Return the first positions at which a mask is true."""
    found: list[int] = pc.indices_nonzero(mask)[:_SHOWN].to_pylist()
    return found


def _is_text(type_: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_))


def _plain(name: str, array: pa.Array) -> pa.Array:
    """Return the array as int64, float64 (NaN missing), bool, string or null."""
    types, type_ = pa.types, array.type
    if types.is_null(type_) or types.is_boolean(type_):
        return array
    if types.is_integer(type_):
        fits = type_ != pa.uint64() or (pc.max(array).as_py() or 0) < 2**63
        return array.cast(pa.int64() if fits else pa.float64(), safe=False)
    if types.is_floating(type_) or types.is_decimal(type_):
        values = array.cast(pa.float64(), safe=False)
        return pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
    if types.is_date(type_):
        return array.cast(pa.date32()).cast(pa.int32()).cast(pa.int64())
    if types.is_timestamp(type_):
        return array.cast(pa.timestamp("us", type_.tz), safe=False).cast(pa.int64())
    if types.is_time(type_):
        return array.cast(pa.time64("us"), safe=False).cast(pa.int64())
    if types.is_duration(type_):
        return array.cast(pa.duration("us"), safe=False).cast(pa.int64())
    return _text(name, array)


def _text(name: str, array: pa.Array) -> pa.Array:
    if _is_text(array.type):
        return array.cast(pa.string())
    if pa.types.is_nested(array.type):
        raise NestedColumn(
            f"column {name!r} holds {array.type}",
            hint="Flatten it into columns of numbers or text.",
            column=name,
        )
    try:
        return array.cast(pa.string())  # old writers store text as binary
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InvalidTable(
            f"column {name!r} of type {array.type} is neither numbers nor text",
            hint="Convert it, or drop it.",
            column=name,
        ) from None


def _feature(name: str, raw: pa.Array) -> tuple[pa.Array, Column]:
    array = _plain(name, raw)
    if array.null_count == len(array):
        raise EmptyColumn(f"column {name!r} has no value", hint="Drop it.", column=name)
    if pa.types.is_floating(array.type):
        rows = _rows(pc.is_inf(array))
        if rows:
            raise InvalidTable(
                f"column {name!r} has infinite values in rows {rows} ({_COUNTING})",
                hint="Leave the cells empty, or write a finite number.",
                column=name,
                rows=rows,
            )
    return array, Column(name, "categorical" if pa.types.is_string(array.type) else "numeric")


def _as_names(name: str, raw: pa.Array) -> pa.Array:
    """Return the values as text, null where missing; 1.0 and 1 are the same name."""
    array = _plain(name, raw)
    if pa.types.is_floating(array.type) and not pa.types.is_integer(raw.type):
        whole = pc.and_(pc.equal(pc.trunc(array), array), pc.less(pc.abs(array), 2.0**63))
        array = array.cast(pa.int64(), safe=False) if pc.all(whole).as_py() else array
    elif not pa.types.is_string(array.type):
        array = raw  # dates stay legible, and large integers exact
    text = array.cast(pa.string())
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _labels(table: pa.Table, label: str) -> pa.Array:
    raw = _one_chunk(table.column(label))
    labels = _as_names(label, raw)
    missing = _rows(pc.is_null(labels))
    if missing:
        raise MissingLabels(
            f"column {label!r} has no label in {labels.null_count} rows, the first of them {missing} "
            f"({_COUNTING})",
            hint="Label them, or leave the rows out.",
            column=label,
            rows=missing,
        )
    if pa.types.is_floating(raw.type):
        infinite = _rows(pc.is_inf(raw))
        if infinite:
            raise InvalidTable(
                f"column {label!r} has infinite labels in rows {infinite} ({_COUNTING})",
                hint="A label names a class.",
                column=label,
                rows=infinite,
            )
    return labels


def _check_classes(label: str, labels: pa.Array) -> None:
    n_classes = len(labels.unique())
    if n_classes < 2:
        raise OneClass(
            f"every row has the label {labels[0].as_py()!r}",
            hint="Give rows of at least two classes.",
            column=label,
        )
    if 2 * n_classes > len(labels):
        raise InvalidTable(
            f"column {label!r} has {n_classes} different values in {len(labels)} rows: "
            "it looks like a measured number or an id, not like a class",
            hint="Choose the column that holds the class; to predict a number, put it into bins first.",
            column=label,
        )


def _names(table: pa.Table, column: str | None) -> pa.Array | None:
    if column is None:
        return None
    names = _as_names(column, _one_chunk(table.column(column)))
    missing = _rows(pc.is_null(names))
    if missing:
        raise InvalidTable(
            f"column {column!r} is empty in {names.null_count} rows, the first of them {missing} "
            f"({_COUNTING})",
            hint="Every row needs its value.",
            column=column,
            rows=missing,
        )
    return names


def _check_unique(column: str, ids: pa.Array) -> None:
    codes = ids.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    seen: set[int] = set()
    repeated: list[int] = []
    if len(ids.unique()) == len(ids):
        return
    for row, code in enumerate(codes.tolist()):
        if code in seen:
            repeated.append(row)
        seen.add(code)
        if len(repeated) == _SHOWN:
            break
    raise DuplicateIds(
        f"column {column!r} repeats an earlier id in rows {repeated} ({_COUNTING}), "
        f"the first is {ids[repeated[0]].as_py()!r}",
        hint="Give each row its own id; if equal ids mean one entity, name it as the group column.",
        column=column,
        rows=repeated,
    )
