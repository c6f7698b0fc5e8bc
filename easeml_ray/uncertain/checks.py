"""Bringing records into the form of an uncertain table, or saying what is wrong with them.

Symbols
-------
row_ptr = records of row i are row_ptr[i] .. row_ptr[i + 1] - 1, int64 (n_rows + 1,)
"""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from easeml_ray.errors import DuplicateIds, InvalidTable, MissingColumn, NestedColumn

__all__ = ["BOOKKEEPING", "MOST_ALTERNATIVES", "FloatArray", "IntArray", "merge_equal", "read_records"]

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

BOOKKEEPING = ("row_id", "parent_id", "group_id", "probability")
MOST_ALTERNATIVES = 32
SUM_TOLERANCE = 1e-9
# Closer than this a sum is 1 already, and dividing would only move the last digit each time.
ROUNDING = 1e-14


def read_records(table: pa.Table) -> tuple[pa.Table, IntArray]:
    """Return the records of positive probability, those of a row together, and `row_ptr`.

    Rows in order of first appearance, the four bookkeeping columns first, probabilities scaled to sum 1.
    Raises as :class:`easeml_ray.uncertain.UncertainTable` says.
    """
    names = table.column_names
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise DuplicateIds(f"column {twice[0]!r} occurs twice", hint="Rename one.", column=twice[0])
    missing = [name for name in ("row_id", "probability") if name not in names]
    if missing:
        raise MissingColumn(
            f"the table has no column {' and no '.join(repr(name) for name in missing)}",
            hint="Use UncertainTable.certain for a table without probabilities; row_id is always needed.",
            columns=missing,
        )
    columns: dict[str, Any] = {
        "row_id": _integers(table["row_id"], "row_id"),
        "parent_id": _parents(table),
        "group_id": _groups(table),
        "probability": _probabilities(table["probability"]),
    }
    columns |= {name: table[name] for name in names if name not in BOOKKEEPING}
    return _by_row(pa.table(columns))


def merge_equal(table: pa.Table, row_ptr: IntArray) -> tuple[pa.Table, IntArray]:
    """Merge alternatives of a row that are equal in every cell; their probabilities add.

    Raises NestedColumn for cells that cannot be compared, InvalidTable beyond 32 alternatives a row.
    """
    sizes = np.diff(row_ptr)
    several = np.flatnonzero(np.repeat(sizes > 1, sizes))
    if not several.size:
        return table.combine_chunks(), row_ptr
    row = np.repeat(np.arange(len(sizes)), sizes)
    codes = _codes(table.drop_columns(list(BOOKKEEPING)).take(pa.array(several)))
    _, first, same = np.unique(
        np.column_stack([row[several], *codes]), axis=0, return_index=True, return_inverse=True
    )
    probability = table["probability"].to_numpy().copy()
    probability[several[first]] = np.bincount(same.ravel(), probability[several])
    keep = np.ones(len(row), dtype=bool)
    keep[several] = False
    keep[several[first]] = True
    counts = np.bincount(row[keep], minlength=len(sizes))
    many = np.flatnonzero(counts > MOST_ALTERNATIVES)
    if many.size:
        ids = table["row_id"].to_numpy()[row_ptr[many]]
        raise InvalidTable(
            f"row {ids[0]} has {counts[many[0]]} alternatives, more than {MOST_ALTERNATIVES}",
            hint=f"Keep its {MOST_ALTERNATIVES} most probable ones and scale their probabilities.",
            column="row_id",
            rows=[int(i) for i in ids[:10]],
        )
    # One alternative left is certain, whatever the last digit of the sum says.
    probability[keep & (counts[row] == 1)] = 1.0
    index = table.column_names.index("probability")
    merged = table.set_column(index, "probability", pa.array(probability)).filter(pa.array(keep))
    return merged.combine_chunks(), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _codes(cells: pa.Table) -> list[IntArray]:
    """One integer a cell; equal cells of a column have equal integers."""
    codes = []
    for name in cells.column_names:
        column = cells[name].combine_chunks()
        if pa.types.is_nested(column.type):
            raise NestedColumn(
                f"column {name!r} holds {column.type} values, which cannot be compared",
                hint="Flatten it into columns of single values.",
                column=name,
            )
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        encoded = column.dictionary_encode(null_encoding="encode")
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        codes.append(encoded.indices.to_numpy().astype(np.int64))
    return codes


def _by_row(table: pa.Table) -> tuple[pa.Table, IntArray]:
    ids, probability = table["row_id"].to_numpy(), table["probability"].to_numpy()
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    order = np.lexsort([np.arange(len(ids)), first[inverse]])
    sums = np.bincount(inverse, probability, minlength=len(first))
    off = np.flatnonzero(np.abs(sums - 1.0) > SUM_TOLERANCE)
    if off.size:
        raise InvalidTable(
            f"the probabilities of row {ids[first[off[0]]]} sum to {sums[off[0]]:.12g}, not 1"
            f" ({off.size} such row(s))",
            hint="Divide each row's probabilities by their sum.",
            column="probability",
            rows=[int(i) for i in ids[first[off[:10]]]],
        )
    scale = np.where(np.abs(sums - 1.0) > ROUNDING, sums, 1.0)[inverse]
    probability = np.minimum(probability / scale, 1.0)
    _check_alike(table, ids, first[inverse])
    index = table.column_names.index("probability")
    table = table.set_column(index, "probability", pa.array(probability))
    order = order[probability[order] > 0]
    if not np.array_equal(order, np.arange(len(ids))):
        table = table.take(pa.array(order))
    starts = np.flatnonzero(np.diff(ids[order], prepend=ids[order][:1] - 1)) if len(order) else order
    return table, np.concatenate([starts, [len(order)]]).astype(np.int64)


def _check_alike(table: pa.Table, ids: IntArray, first: IntArray) -> None:
    """Check that the alternatives of a row have one parent and one group."""
    for name in ("parent_id", "group_id"):
        codes = _codes(table.select([name]))[0]
        differs = np.flatnonzero(codes != codes[first])
        if differs.size:
            raise InvalidTable(
                f"alternatives of row {ids[differs[0]]} differ in {name}",
                hint="Alternatives of one row share its parent and its group.",
                column=name,
                rows=[int(i) for i in np.unique(ids[differs])[:10]],
            )


def _integers(column: Any, name: str) -> Any:
    if not pa.types.is_integer(column.type):
        raise InvalidTable(
            f"column {name!r} holds {column.type} values, not whole numbers",
            hint="Give int64 ids.",
            column=name,
        )
    if name == "row_id":
        _refuse_nulls(column, name)
    try:
        return column.cast(pa.int64()).combine_chunks()
    except pa.ArrowInvalid as error:
        raise InvalidTable(
            f"column {name!r} holds a value beyond int64", hint="Give smaller ids.", column=name
        ) from error


def _parents(table: pa.Table) -> Any:
    if "parent_id" not in table.column_names or pa.types.is_null(table["parent_id"].type):
        return pa.nulls(table.num_rows, pa.int64())
    return _integers(table["parent_id"], "parent_id")


def _groups(table: pa.Table) -> Any:
    if "group_id" not in table.column_names:
        return _integers(table["row_id"], "row_id")
    column = table["group_id"]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (
        pa.types.is_integer(column.type)
        or pa.types.is_string(column.type)
        or pa.types.is_large_string(column.type)
    ):
        raise InvalidTable(
            f"column 'group_id' holds {column.type} values",
            hint="Give whole numbers or strings.",
            column="group_id",
        )
    _refuse_nulls(column, "group_id")
    return column


def _probabilities(column: Any) -> Any:
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise InvalidTable(
            f"column 'probability' holds {column.type} values, not numbers",
            hint="Give float64 probabilities.",
            column="probability",
        )
    _refuse_nulls(column, "probability")
    values = column.cast(pa.float64()).combine_chunks()
    if values.to_numpy().size:
        bad = np.flatnonzero(~(np.isfinite(values.to_numpy()) & (values.to_numpy() >= 0)))
        if bad.size:
            raise InvalidTable(
                f"{bad.size} probabilities are negative, infinite or NaN, the first in record {bad[0]}",
                hint="Give numbers from 0 to 1.",
                column="probability",
                rows=[int(i) for i in bad[:10]],
            )
    return values


def _refuse_nulls(column: Any, name: str) -> None:
    if column.null_count:
        rows = np.flatnonzero(pc.is_null(column).to_numpy())
        raise InvalidTable(
            f"column {name!r} is empty in {len(rows)} record(s), the first is record {rows[0]}",
            hint="Fill it.",
            column=name,
            rows=[int(i) for i in rows[:10]],
        )
