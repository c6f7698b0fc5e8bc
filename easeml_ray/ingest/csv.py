"""Delimited text: UTF-8, one header line, fields parted by a comma, semicolon, tab or bar.

Types are inferred over the whole file, never over its first block. Codes stay text: a column
of numbers in which a value begins with a zero (``00123``), is written in hexadecimal, or has
more digits than a float can hold.
"""

from __future__ import annotations

import csv
import io
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from easeml_ray.errors import InvalidArgument, InvalidTable, UnreadableFile
from easeml_ray.ingest.base import NULL_SPELLINGS, check_names, foreign_format

__all__ = ["read"]

_BOM = b"\xef\xbb\xbf"
_DELIMITERS = ",;\t|"  # in order of preference
_MAX_BYTES = 2**31 - 1  # pyarrow takes one block of this at most

_PERHAPS_CODE = re.compile(rb"(?<![0-9.])0[0-9xX]|[0-9]{16}")
_CODE = r"^\s*[+-]?(?:0\d+|0[xX][0-9a-fA-F]+)\s*$"
_LONG = r"^\s*[+-]?\d{16,}\s*$"
_PLAIN = r"[+-]?\d+"
_WITH_COMMA = rf"^(?:{_PLAIN},\d+|[+-]?\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?)$"
_NUMBER_OR_WITH_COMMA = rf"{_WITH_COMMA}|^{_PLAIN}(?:\.\d+)?$"

_field_limit = threading.Lock()


def read(data: bytes, *, limit: int) -> pa.Table:
    """Parse delimited text; see :func:`easeml_ray.ingest.base.read`."""
    if limit > _MAX_BYTES:
        raise InvalidArgument(
            f"a limit of {limit} bytes is over what one CSV file may have ({_MAX_BYTES})",
            hint="Upload in parts.",
            argument="limit",
        )
    data = data.removeprefix(_BOM)
    _check_text(data)
    if not data.endswith((b"\n", b"\r")):
        data += b"\n"  # pyarrow takes a header without an end for an empty file
    delimiter, header, line = _header(data)
    check_names(header, line=line)
    # pyarrow joins what stands around a stray quote; only a strict reader tells.
    if b'"' in data:
        _check_structure(data, delimiter, len(header))
    table = _keep_codes(data, delimiter, _parse(data, delimiter, len(header)))
    columns = [_trimmed(column) for column in table.columns]
    for name, column in zip(header, columns, strict=True):
        _refuse_number_with_comma(name, column)
    return pa.table(columns, names=list(header))


def _check_text(data: bytes) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableFile(
            f"line {_line_of(data, error.start)} is not UTF-8 text (byte {error.start})",
            hint=foreign_format(data),
            line=_line_of(data, error.start),
        ) from None
    zero = data.find(b"\0")
    if zero >= 0:
        raise UnreadableFile(
            f"line {_line_of(data, zero)} holds a zero byte: this is no text",
            hint=foreign_format(data),
            line=_line_of(data, zero),
        )


def _line_of(data: bytes, position: int) -> int:
    return len(data[:position].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))


def _header(data: bytes) -> tuple[str, tuple[str, ...], int]:
    """Return the delimiter, the trimmed column names and the line they end on."""
    found: list[tuple[str, list[str], int]] = []
    malformed: UnreadableFile | None = None
    for delimiter in _DELIMITERS:
        try:
            with _records(data, delimiter) as records:
                _, line, fields = next(records)
        except UnreadableFile as error:  # quotes that another delimiter may explain
            malformed = malformed or error
        except StopIteration:
            break
        else:
            found.append((delimiter, fields, line))
    if not found:
        raise malformed or UnreadableFile("the file is empty", hint=foreign_format(data))
    delimiter, fields, line = max(found, key=lambda item: len(item[1]))  # the first of equals
    if len(fields) == 1 and malformed is not None:
        raise malformed
    if len(fields) == 1:
        raise UnreadableFile(
            f"line {line} has one column only: {fields[0][:60]!r}", hint=foreign_format(data), line=line
        )
    return delimiter, tuple(name.strip() for name in fields), line


def _check_structure(data: bytes, delimiter: str, n_columns: int) -> None:
    """Read the file strictly, field by field, and refuse the first row that breaks the rules."""
    with _records(data, delimiter) as records:
        for start, _, fields in records:
            if len(fields) != n_columns:
                raise UnreadableFile(
                    f"line {start} has {len(fields)} fields, the header has {n_columns}",
                    hint="Remove lines that are no rows; quote values that hold the delimiter.",
                    line=start,
                )


@contextmanager
def _records(data: bytes, delimiter: str) -> Iterator[Iterator[tuple[int, int, list[str]]]]:
    """Give the records that are not empty as (first line, last line, fields)."""

    def records() -> Iterator[tuple[int, int, list[str]]]:
        text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        start = 1
        try:
            for fields in reader:
                if fields:
                    yield start, reader.line_num, fields
                start = reader.line_num + 1
        except csv.Error as error:
            raise UnreadableFile(
                f"the row that begins on line {start} is malformed: {error}",
                hint="Close every quote; write a quote inside a value twice.",
                line=start,
            ) from None

    # The limit of a field is one for the whole process; a cell may hold a document.
    with _field_limit:
        before = csv.field_size_limit(max(len(data), 1))
        try:
            yield records()
        finally:
            csv.field_size_limit(before)


def _parse(data: bytes, delimiter: str, n_columns: int, as_text: Sequence[str] | None = None) -> pa.Table:
    spellings = [f"{left}{s}{right}" for s in NULL_SPELLINGS for left in ("", " ") for right in ("", " ")]
    options = pacsv.ConvertOptions(null_values=spellings, strings_can_be_null=True)
    if as_text is not None:
        options.include_columns = list(as_text)
        options.column_types = dict.fromkeys(as_text, pa.string())
    try:
        return pacsv.read_csv(
            pa.BufferReader(data),
            # One block: types are inferred over all of it, and no row can be too long for it.
            read_options=pacsv.ReadOptions(block_size=len(data) + 1),
            parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=options,
        )
    except pa.ArrowInvalid as error:
        _check_structure(data, delimiter, n_columns)  # knows the line
        raise UnreadableFile(f"the file does not parse: {error}", hint=foreign_format(data)) from error


def _keep_codes(data: bytes, delimiter: str, table: pa.Table) -> pa.Table:
    """Put columns of codes back to the text that stands in the file."""
    numbers = [
        field.name
        for field in table.schema
        if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    ]
    if not numbers or not _PERHAPS_CODE.search(data):
        return table
    texts = _parse(data, delimiter, table.num_columns, numbers)
    for name in numbers:
        position = table.column_names.index(name)
        text = texts.column(name)
        pattern = _CODE
        if pa.types.is_floating(table.schema.field(position).type):
            pattern = f"{_CODE}|{_LONG}"
        if pc.any(pc.match_substring_regex(text, pattern)).as_py():
            table = table.set_column(position, name, text)
    return table


def _trimmed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take the spaces around text away; what is then spelt as missing is missing."""
    if not pa.types.is_string(column.type):
        return column
    text = pc.utf8_trim_whitespace(column)
    missing = pc.is_in(text, value_set=pa.array(NULL_SPELLINGS))
    return pc.if_else(missing, pa.scalar(None, pa.string()), text)


def _refuse_number_with_comma(name: str, column: pa.ChunkedArray) -> None:
    """Refuse ``1,5`` and ``1,234``: either reading would be a guess, and text would be wrong."""
    if not pa.types.is_string(column.type):
        return
    commas = pc.match_substring_regex(column, _WITH_COMMA)
    numbers = pc.match_substring_regex(column, _NUMBER_OR_WITH_COMMA)
    if pc.any(commas).as_py() and pc.all(numbers).as_py():
        row = pc.index(commas, True).as_py()
        raise InvalidTable(
            f"column {name!r} holds numbers with a comma, such as {column[row].as_py()!r} in row {row}",
            hint="Export with a decimal point and without thousands separators.",
            column=name,
            rows=[row],
        )
