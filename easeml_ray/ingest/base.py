"""What the formats share: their registry, the limits, and how a missing value is spelt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Literal, Protocol, cast

import pyarrow as pa

from easeml_ray.errors import InvalidArgument, TooLarge, UnreadableFile

__all__ = [
    "EXPANSION",
    "FORMATS",
    "MAX_COLUMNS",
    "MAX_UPLOAD_BYTES",
    "NULL_SPELLINGS",
    "Column",
    "Reader",
    "check_names",
    "foreign_format",
    "read",
]

NULL_SPELLINGS = ("", "NA", "N/A", "NaN", "nan", "null", "None", "?")
"""What stands for a missing value in a text file."""

MAX_UPLOAD_BYTES = 128 * 2**20
"""Default upper limit of one file, in bytes."""

MAX_COLUMNS = 100_000
"""Upper limit of the columns of one file: each costs memory even when it is empty."""

EXPANSION = 8
"""A table may take this many times the limit of its file in memory.

One byte of CSV (an empty cell) becomes at most eight; a packed format may do no more.
"""

FORMATS = {"csv": "easeml_ray.ingest.csv", "parquet": "easeml_ray.ingest.parquet"}
"""Format name -> the module whose ``read`` parses it."""

# First bytes of files that people upload under a wrong name, for the hint.
_MAGIC = {
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip archive",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"ARROW1": "an Arrow file",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A feature: its name and whether it is a number or one of several values."""

    name: str
    kind: Literal["numeric", "categorical"]


class Reader(Protocol):
    """What a module of :data:`FORMATS` has to offer."""

    def read(self, data: bytes, *, limit: int) -> pa.Table:
        """Parse the bytes of one file; the table may take at most :data:`EXPANSION` times `limit` bytes.

        Raises UnreadableFile if they are of another format, NestedColumn, or TooLarge.
        """
        ...


def read(data: bytes, format: str | None = None, *, limit: int = MAX_UPLOAD_BYTES) -> pa.Table:
    r"""Parse the bytes of a file into a table.

    Parameters
    ----------
    data : bytes
        The whole file.
    format : {"csv", "parquet"}, optional
        None looks at the first bytes: Parquet where they say so, else CSV.
    limit : int
        Upper limit of the file, in bytes.

    Returns
    -------
    pyarrow.Table
        Columns as they stand in the file, without metadata.

    Raises
    ------
    UnreadableFile, NestedColumn, TooLarge
        As :meth:`Reader.read`.
    InvalidArgument
        If the format is not known.

    Examples
    --------
    >>> read(b"zip,price\n00123,1.5\n04567,NA\n").to_pylist()
    [{'zip': '00123', 'price': 1.5}, {'zip': '04567', 'price': None}]
    """
    if len(data) > limit:
        raise TooLarge(
            f"a file of {len(data)} bytes is over the limit of {limit}",
            hint="Upload it in parts, or as Parquet.",
            limit=limit,
            size=len(data),
        )
    if not data.strip():
        raise UnreadableFile("the file is empty", hint="Upload a CSV or a Parquet file with a header.")
    chosen = format or ("parquet" if data.startswith(b"PAR1") else "csv")
    if chosen not in FORMATS:
        raise InvalidArgument(
            f"no format {chosen!r}", hint=f"One of {', '.join(sorted(FORMATS))}.", argument="format"
        )
    reader = cast(Reader, import_module(FORMATS[chosen]))
    return reader.read(data, limit=limit)


def foreign_format(data: bytes) -> str:
    """Return a hint that names what the bytes seem to be, or a general one."""
    for magic, name in _MAGIC.items():
        if data.startswith(magic):
            return f"This looks like {name}: export the table as CSV (UTF-8) or Parquet."
    return "Export the table as CSV (UTF-8, comma separated, one header line) or as Parquet."


def check_names(names: Sequence[str], *, line: int | None = None) -> None:
    """Raise UnreadableFile for names that are empty or stand twice, TooLarge beyond :data:`MAX_COLUMNS`."""
    if len(names) > MAX_COLUMNS:
        raise TooLarge(
            f"{len(names)} columns are over the limit of {MAX_COLUMNS}",
            hint="Drop columns, or reduce them before the upload.",
            limit=MAX_COLUMNS,
            size=len(names),
        )
    seen: set[str] = set()
    for position, name in enumerate(names):
        if not name:
            raise UnreadableFile(
                f"column {position + 1} has no name",
                hint="Give every column a name; an index without one is best left out of the export.",
                line=line,
            )
        if name in seen:
            raise UnreadableFile(
                f"column {name!r} stands twice in the header",
                hint="Rename one of them.",
                column=name,
                line=line,
            )
        seen.add(name)
