"""Validation: the types of a clean table, and every way to be refused."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from easeml_ray.errors import (
    DuplicateIds,
    EasemlError,
    EmptyColumn,
    InvalidArgument,
    InvalidTable,
    MissingColumn,
    MissingLabels,
    NestedColumn,
    OneClass,
    TooFewRows,
)
from easeml_ray.ingest import Column, validate

N = 24
LABELS = ["yes", "no"] * (N // 2)


def table(**columns: Any) -> pa.Table:
    """Return a good table of 24 rows with these columns added or put in place."""
    return pa.table({"x": list(range(N)), "y": LABELS, **columns})


def filled(*values: Any, type: pa.DataType | None = None) -> pa.Array:
    """Return an array of 24 values that begins with these."""
    return pa.array([*values, *[values[0]] * (N - len(values))], type)


@pytest.mark.parametrize(
    ("array", "kind", "type_", "first"),
    [
        (filled(3, None, type=pa.int8()), "numeric", pa.int64(), 3),
        (filled(2**63 - 1, type=pa.uint64()), "numeric", pa.int64(), 2**63 - 1),
        (filled(2**63, type=pa.uint64()), "numeric", pa.float64(), 2.0**63),
        (filled(0.5, None, type=pa.float32()), "numeric", pa.float64(), 0.5),
        (filled(1.5, float("nan")), "numeric", pa.float64(), 1.5),
        (filled(Decimal("1.25")), "numeric", pa.float64(), 1.25),
        (filled(True, None), "numeric", pa.bool_(), True),
        (filled(dt.date(1970, 1, 3)), "numeric", pa.int64(), 2),
        (filled(2 * 86_400_000, type=pa.date64()), "numeric", pa.int64(), 2),
        (filled(1_500, type=pa.timestamp("ns")), "numeric", pa.int64(), 1),
        (filled(dt.datetime(1970, 1, 1, 0, 0, 2)), "numeric", pa.int64(), 2_000_000),
        (filled(7, type=pa.timestamp("s", "Europe/Zurich")), "numeric", pa.int64(), 7_000_000),
        (filled(dt.time(0, 0, 3), None), "numeric", pa.int64(), 3_000_000),
        (filled(5, type=pa.duration("ms")), "numeric", pa.int64(), 5_000),
        (filled("a", None), "categorical", pa.string(), "a"),
        (filled("a", type=pa.large_string()), "categorical", pa.string(), "a"),
        (filled("a", type=pa.string_view()), "categorical", pa.string(), "a"),
        (filled(b"a"), "categorical", pa.string(), "a"),
        (filled("a", None).dictionary_encode(), "categorical", pa.string(), "a"),
        (filled(4, None).dictionary_encode(), "numeric", pa.int64(), 4),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_features_come_in_four_types(array: pa.Array, kind: str, type_: pa.DataType, first: Any) -> None:
    clean = validate(table(f=array), label="y")
    feature = clean.features.column("f")
    assert clean.columns == (Column("x", "numeric"), Column("f", kind))  # type: ignore[arg-type]
    assert feature.type == type_
    assert feature[0].as_py() == first
    assert feature.num_chunks == 1
    missing = sum(value is None or value != value for value in array.to_pylist())
    assert feature.null_count == missing


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (filled(1, 0), ("0", "1")),
        (filled(1.0, 0.0), ("0", "1")),
        (filled(0.5, 1.0), ("0.5", "1")),
        (filled(1e300, 1.0), ("1", "1e+300")),
        (filled(True, False), ("false", "true")),
        (filled("b", "a").dictionary_encode(), ("a", "b")),
        (filled(2**64 - 1, 1, type=pa.uint64()), ("1", "18446744073709551615")),
        (filled(dt.date(2020, 1, 2), dt.date(2020, 1, 1)), ("2020-01-01", "2020-01-02")),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_labels_become_text(labels: pa.Array, classes: tuple[str, ...]) -> None:
    clean = validate(table(y=labels), label="y")
    assert clean.labels.type == pa.string()
    assert clean.classes == classes


def test_id_and_group_are_taken_out_of_the_features_as_text() -> None:
    source = table(id=list(range(N)), g=[n // 2 for n in range(N)])
    clean = validate(source, label="y", id_column="id", group_column="g")
    assert clean.features.column_names == ["x"]
    assert clean.ids is not None
    assert clean.groups is not None
    assert clean.ids.to_pylist() == [str(n) for n in range(N)]
    assert clean.groups.to_pylist() == [str(n // 2) for n in range(N)]
    reserved = table(row_id=list(range(N)), group_id=["g"] * N)
    assert validate(reserved, label="y", id_column="row_id", group_column="group_id").columns == (
        Column("x", "numeric"),
    )


def test_chunks_and_order_do_not_matter() -> None:
    whole = table(f=filled("a", "b").dictionary_encode())
    cut = pa.concat_tables([whole.slice(0, 5), whole.slice(5)])
    assert validate(cut, label="y").features.equals(validate(whole, label="y").features)


INF = float("inf")
DISTINCT = [f"v{n}" for n in range(13)] + ["v0"] * 11

REJECTED: dict[str, tuple[pa.Table, dict[str, Any], type[EasemlError], dict[str, Any], str]] = {
    "no label column": (
        table(),
        {"label": "yy"},
        MissingColumn,
        {"column": "yy", "columns": ["x", "y"]},
        "mean 'y'",
    ),
    "no id column": (
        table(),
        {"label": "y", "id_column": "key"},
        MissingColumn,
        {"column": "key"},
        "'x', 'y'",
    ),
    "no group column": (table(), {"label": "y", "group_column": "X"}, MissingColumn, {"column": "X"}, "'x'"),
    "label is id": (table(), {"label": "y", "id_column": "y"}, InvalidArgument, {"argument": "label"}, "'y'"),
    "label is group": (
        table(),
        {"label": "y", "group_column": "y"},
        InvalidArgument,
        {"argument": "label"},
        "'y'",
    ),
    "reserved feature": (
        table(probability=[1.0] * N),
        {"label": "y"},
        InvalidTable,
        {"column": "probability"},
        "name",
    ),
    "reserved label": (
        table(group_id=LABELS),
        {"label": "group_id"},
        InvalidTable,
        {"column": "group_id"},
        "Rename",
    ),
    "few rows": (
        table().slice(0, 19),
        {"label": "y"},
        TooFewRows,
        {"required": 20, "available": 19},
        "19 rows",
    ),
    "no rows": (table().slice(0, 0), {"label": "y"}, TooFewRows, {"available": 0}, "0 rows"),
    "missing labels": (
        table(y=filled("a", None, "b", None)),
        {"label": "y"},
        MissingLabels,
        {"column": "y", "rows": [1, 3]},
        "2 rows",
    ),
    "blank labels": (table(y=filled("a", "", "b")), {"label": "y"}, MissingLabels, {"rows": [1]}, "[1]"),
    "NaN labels": (table(y=filled(1.0, float("nan"))), {"label": "y"}, MissingLabels, {"rows": [1]}, "[1]"),
    "no labels": (table(y=pa.nulls(N)), {"label": "y"}, MissingLabels, {"rows": list(range(10))}, "24 rows"),
    "infinite label": (
        table(y=filled(1.0, INF)),
        {"label": "y"},
        InvalidTable,
        {"column": "y", "rows": [1]},
        "class",
    ),
    "one class": (table(y=["a"] * N), {"label": "y"}, OneClass, {"column": "y"}, "'a'"),
    "a number as label": (
        table(y=DISTINCT),
        {"label": "y"},
        InvalidTable,
        {"column": "y"},
        "13 different values in 24 rows",
    ),
    "nested label": (table(y=[[1]] * N), {"label": "y"}, NestedColumn, {"column": "y"}, "list"),
    "nested feature": (table(f=[{"a": 1}] * N), {"label": "y"}, NestedColumn, {"column": "f"}, "struct"),
    "map": (
        table(f=pa.array([[("a", 1)]] * N, pa.map_(pa.string(), pa.int64()))),
        {"label": "y"},
        NestedColumn,
        {"column": "f"},
        "map",
    ),
    "binary": (
        table(f=[b"\xff"] * N),
        {"label": "y"},
        InvalidTable,
        {"column": "f"},
        "neither numbers nor text",
    ),
    "empty column": (table(f=pa.nulls(N)), {"label": "y"}, EmptyColumn, {"column": "f"}, "Drop it"),
    "NaN column": (table(f=[float("nan")] * N), {"label": "y"}, EmptyColumn, {"column": "f"}, "no value"),
    "infinite": (
        table(f=filled(0.0, INF, -INF)),
        {"label": "y"},
        InvalidTable,
        {"column": "f", "rows": [1, 2]},
        "infinite",
    ),
    "duplicate ids": (
        table(id=filled("a", "b", *"cdefghijklmnopqrstuv", "b")),
        {"label": "y", "id_column": "id"},
        DuplicateIds,
        {"column": "id", "rows": [22, 23]},
        "'b'",
    ),
    "duplicate ids of two spellings": (
        table(id=[float(n % 23) for n in range(N)]),
        {"label": "y", "id_column": "id"},
        DuplicateIds,
        {"rows": [23]},
        "'0'",
    ),
    "missing id": (
        table(id=[None, *range(N - 1)]),
        {"label": "y", "id_column": "id"},
        InvalidTable,
        {"rows": [0]},
        "empty",
    ),
    "missing group": (
        table(g=filled("a", None)),
        {"label": "y", "group_column": "g"},
        InvalidTable,
        {"rows": [1]},
        "empty",
    ),
    "no feature": (table(), {"label": "y", "id_column": "x"}, InvalidTable, {}, "no feature"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_a_table_that_cannot_be_used_is_refused_with_where_and_what_to_do(name: str) -> None:
    source, arguments, error, fields, words = REJECTED[name]
    with pytest.raises(error) as caught:
        validate(source, **arguments)
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert caught.value.hint
    assert {key: getattr(caught.value, key) for key in fields} == fields


def test_only_the_first_rows_are_named() -> None:
    with pytest.raises(InvalidTable) as caught:
        validate(table(f=[INF] * N), label="y")
    assert caught.value.rows == list(range(10))


def test_half_as_many_classes_as_rows_are_allowed() -> None:
    assert len(validate(table(y=[str(n // 2) for n in range(N)]), label="y").classes) == N // 2
