"""Reading files: what comes out of good ones, and how bad ones are refused."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from easeml_ray.errors import (
    EasemlError,
    InvalidArgument,
    InvalidTable,
    NestedColumn,
    TooLarge,
    UnreadableFile,
)
from easeml_ray.ingest import NULL_SPELLINGS, read


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def column(text: str, *, name: str = "x") -> pa.ChunkedArray:
    """Read a column of a CSV whose second column is constant."""
    lines = [f"{name},k", *(f"{value},c" for value in text.split("\n"))]
    return read("\n".join(lines).encode(), "csv").column(name)


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        ("1\n2\n-3", pa.int64(), [1, 2, -3]),
        ("1\n2.5\n1e3", pa.float64(), [1.0, 2.5, 1000.0]),
        ("0\n0.5\n10", pa.float64(), [0.0, 0.5, 10.0]),
        ("0\n10\n100", pa.int64(), [0, 10, 100]),
        ("true\nFalse\n", pa.bool_(), [True, False, None]),
        ("00123\n4567\n", pa.string(), ["00123", "4567", None]),
        ("4567\nNA\n 007", pa.string(), ["4567", None, "007"]),
        ("-01\n5\n6", pa.string(), ["-01", "5", "6"]),
        ("0x10\n3\n4", pa.string(), ["0x10", "3", "4"]),
        ("0123\n1.5\n2", pa.string(), ["0123", "1.5", "2"]),
        ("12345678901234567890\n1\n2", pa.string(), ["12345678901234567890", "1", "2"]),
        ("1234567890123456789\n1\n2", pa.int64(), [1234567890123456789, 1, 2]),
        (" a \nb\n ?", pa.string(), ["a", "b", None]),
        ("a\n5\n", pa.string(), ["a", "5", None]),
        ("NA\n\n?", pa.null(), [None, None, None]),
    ],
)
def test_csv_columns_get_the_type_that_loses_nothing(
    values: str, type_: pa.DataType, expected: list[Any]
) -> None:
    read_column = column(values)
    assert read_column.type == type_
    assert read_column.to_pylist() == expected


def test_csv_types_are_inferred_over_the_whole_file() -> None:
    late = column("\n".join(["1"] * 300_000 + ["x"]))
    assert late.type == pa.string()
    assert late[-1].as_py() == "x"


@pytest.mark.parametrize("spelling", NULL_SPELLINGS)
def test_every_spelling_of_a_missing_value_is_one(spelling: str) -> None:
    assert column(f"1\n{spelling}\n{spelling} \n2").to_pylist() == [1, None, None, 2]
    assert column(f"a\n{spelling}\n {spelling}\nb").to_pylist() == ["a", None, None, "b"]
    assert column(f'a\n"{spelling}"\nb').to_pylist() == ["a", None, "b"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends_are_recognised(delimiter: str, newline: str) -> None:
    text = newline.join(["", f"a{delimiter} b ", f"1{delimiter}x", "", f"2{delimiter}y", ""])
    assert read(text.encode()).to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


def test_quotes_keep_delimiters_newlines_and_quotes() -> None:
    table = read(b'a,"b, ""c"""\n1,"x,\ny"\n2,"say ""hi"""\n3,5" pipe\n')
    assert table.column_names == ["a", 'b, "c"']
    assert table.column(1).to_pylist() == ["x,\ny", 'say "hi"', '5" pipe']


def test_a_quoted_delimiter_in_the_header_does_not_hide_the_right_one() -> None:
    assert read(b'"a,b";c\n1;2\n').column_names == ["a,b", "c"]


def test_a_byte_order_mark_and_letters_of_any_kind_are_read() -> None:
    assert read("\ufeffä,b\né,😀\n".encode()).to_pylist() == [{"ä": "é", "b": "😀"}]


def test_a_cell_may_hold_a_document() -> None:
    text = "word " * 100_000
    assert read(f'a,b\n"{text}x",1\n'.encode()).column("a")[0].as_py() == f"{text}x"


def test_a_csv_with_a_header_only_has_no_rows() -> None:
    assert read(b"a,b\n").num_rows == 0
    assert read(b"a,b").column_names == ["a", "b"]


def test_parquet_keeps_types_and_reads_text_in_any_coding() -> None:
    table = pa.table(
        {
            "i": pa.array([1, None, 3], pa.int32()),
            "f": [0.5, None, 2.0],
            "s": ["NA", None, "x"],
            "d": pa.array(["u", "v", None]).dictionary_encode(),
            "t": pa.array([0, 1, None], pa.timestamp("ms")),
            "b": pa.array([b"1", b"2", None]),
        }
    )
    for options in ({}, {"use_dictionary": False}, {"compression": "zstd"}):
        back = read(parquet(table, **options))
        assert back.drop_columns(["d"]).to_pylist() == table.drop_columns(["d"]).to_pylist()
        assert back.column("d").type == pa.string()
        assert back.column("d").to_pylist() == ["u", "v", None]
        assert back.schema.metadata is None


def test_the_nameless_index_of_pandas_is_left_out() -> None:
    table = pa.table({"a": [1], "__index_level_0__": [7]})
    assert read(parquet(table)).column_names == ["a"]


BOMB = pa.table({"s": pa.array(["x" * 10_000] * 10_000)})

REJECTED: dict[str, tuple[bytes, str | None, type[EasemlError], dict[str, Any], str]] = {
    "empty": (b"", None, UnreadableFile, {}, "empty"),
    "blank": (b" \n\r\n", "csv", UnreadableFile, {}, "empty"),
    "byte order mark only": (b"\xef\xbb\xbf", None, UnreadableFile, {}, "empty"),
    "prose": (b"Dear all\nno table\n", "csv", UnreadableFile, {"line": 1}, "one column"),
    "prose with commas": (b"Dear all, hello\nno table\n", None, UnreadableFile, {"line": 2}, "1 fields"),
    "late prose": (b"\n\nDear all\n", None, UnreadableFile, {"line": 3}, "one column"),
    "comment first": (b"# from x\na,b\n1,2\n", None, UnreadableFile, {"line": 1}, "one column"),
    "ragged short": (b"a,b\n1,2\n\n3\n4,5\n", None, UnreadableFile, {"line": 4}, "1 fields"),
    "ragged long": (b'a,b\n"1\n1",2\n3,4,5\n', None, UnreadableFile, {"line": 4}, "3 fields"),
    "open quote": (b'a,b\n1,x\n2,"y\n3,z\n', None, UnreadableFile, {"line": 3}, "malformed"),
    "stray quote": (b'a,b\n1,x\n2,"y"y\n', None, UnreadableFile, {"line": 3}, "malformed"),
    "open quote in header": (b'a,"b\n1,2\n', None, UnreadableFile, {"line": 1}, "malformed"),
    "latin-1": ("a,b\n1,Genève\n".encode("latin-1"), None, UnreadableFile, {"line": 2}, "UTF-8"),
    "latin-1, old Mac": ("a,b\r1,x\r2,é\r".encode("latin-1"), None, UnreadableFile, {"line": 3}, "UTF-8"),
    "utf-16": ("a,b\n1,2\n".encode("utf-16"), None, UnreadableFile, {"line": 1}, "UTF-16"),
    "picture": (b"\x89PNG\r\n\x1a\n\x00\x00", "csv", UnreadableFile, {"line": 1}, "PNG"),
    "workbook": (b"PK\x03\x04\x14\x00\x00\x00", "csv", UnreadableFile, {"line": 1}, "Excel"),
    "zero byte": (b"a,b\n1,2\n3,\x004\n", None, UnreadableFile, {"line": 3}, "zero byte"),
    "name twice": (b"a,b, a\n1,2,3\n", None, UnreadableFile, {"column": "a", "line": 1}, "twice"),
    "no name": (b",a,b\n0,1,2\n", None, UnreadableFile, {"line": 1}, "column 1 has no name"),
    "decimal comma": (b"a;b\n1,5;x\n2;y\n", None, InvalidTable, {"column": "a", "rows": [0]}, "comma"),
    "thousands": (b'a,b\n5,x\n"1,234",y\n', None, InvalidTable, {"column": "a", "rows": [1]}, "'1,234'"),
    "not Parquet": (b"a,b\n1,2\n", "parquet", UnreadableFile, {}, "no Parquet"),
    "Parquet as CSV": (parquet(pa.table({"a": [1]})), "csv", UnreadableFile, {}, "a Parquet file"),
    "cut Parquet": (parquet(pa.table({"a": [1]}))[:-9], None, UnreadableFile, {}, "no Parquet"),
    "list": (parquet(pa.table({"a": [1], "l": [[1]]})), None, NestedColumn, {"column": "l"}, "list"),
    "struct": (parquet(pa.table({"s": [{"x": 1}]})), None, NestedColumn, {"column": "s"}, "struct"),
    "Parquet name twice": (
        parquet(pa.table([[1], [2]], names=["a", "a"])), None, UnreadableFile, {"column": "a"}, "twice"
    ),
    "unknown format": (b"x", "xlsx", InvalidArgument, {"argument": "format"}, "csv, parquet"),
}  # fmt: skip


@pytest.mark.parametrize("name", REJECTED)
def test_a_file_that_cannot_be_used_is_refused_with_where_and_what_to_do(name: str) -> None:
    data, format_, error, fields, words = REJECTED[name]
    with pytest.raises(error) as caught:
        read(data, format_)
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert caught.value.hint
    assert {key: getattr(caught.value, key) for key in fields} == fields


def test_a_damaged_page_is_no_crash() -> None:
    data = bytearray(parquet(pa.table({"a": list(range(1000))}), write_page_checksum=True))
    data[40] ^= 0xFF
    with pytest.raises(UnreadableFile):
        read(bytes(data))


def test_a_file_over_its_limit_is_refused() -> None:
    with pytest.raises(TooLarge) as caught:
        read(b"a,b\n1,2\n", limit=7)
    assert (caught.value.limit, caught.value.size) == (7, 8)
    assert read(b"a,b\n1,2\n", limit=8).num_rows == 1
    with pytest.raises(InvalidArgument):
        read(b"a,b\n1,2\n", limit=2**31)


def test_a_few_packed_bytes_cannot_become_a_huge_table() -> None:
    data = parquet(BOMB)
    assert len(data) < 30_000
    before = pa.total_allocated_bytes()
    with pytest.raises(TooLarge, match="unpacks"):
        read(data, limit=10 * len(data))
    assert pa.total_allocated_bytes() - before < 1_000_000
    rows = parquet(pa.table({"n": pa.nulls(10_000_000, pa.int8())}))
    with pytest.raises(TooLarge, match="unpacks"):
        read(rows, limit=100_000)
