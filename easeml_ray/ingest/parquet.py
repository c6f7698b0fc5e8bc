"""Parquet files with flat columns.

A few bytes of Parquet can stand for any amount of data, so sizes are added up before
anything is unpacked: rows from the footer, text from its dictionary.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from easeml_ray.errors import EasemlError, NestedColumn, TooLarge, UnreadableFile
from easeml_ray.ingest.base import EXPANSION, check_names, foreign_format

__all__ = ["read"]

_VALUE_BYTES = 8  # a number, or an index into a dictionary with its offset
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def read(data: bytes, *, limit: int) -> pa.Table:
    """Parse a Parquet file; see :func:`easeml_ray.ingest.base.read`.

    The nameless index that pandas writes beside the columns is left out.
    """
    try:
        return _read(data, EXPANSION * limit)
    except EasemlError:
        raise
    # A damaged file surfaces as errors of many kinds, from Unicode to memory.
    except Exception as error:
        raise UnreadableFile(f"this is no Parquet file: {error}", hint=foreign_format(data)) from error


def _read(data: bytes, limit: int) -> pa.Table:
    schema = pq.read_schema(pa.BufferReader(data))
    check_names(schema.names)
    for field in schema:
        value_type = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_nested(value_type):
            raise NestedColumn(
                f"column {field.name!r} holds {field.type}",
                hint="Flatten it into columns of numbers or text.",
                column=field.name,
            )
    table = _unpacked(data, schema, limit)
    keep = [name for name in table.column_names if not _PANDAS_INDEX.fullmatch(name)]
    return table.select(keep).replace_schema_metadata(None)


def _unpacked(data: bytes, schema: pa.Schema, limit: int) -> pa.Table:
    texts = [field.name for field in schema if _is_text(field.type)]
    file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts, page_checksum_verification=True)
    _check_size(file.metadata.num_rows * max(len(schema), 1) * _VALUE_BYTES, limit)
    packed = file.read()
    columns = [_decoded(column, limit) for column in packed.columns]
    table = pa.table(columns, names=packed.column_names)
    # Text that is none would pass here and fail in some later, unrelated step.
    table.validate(full=True)
    _check_size(table.nbytes, limit)
    return table


def _is_text(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(type_)
        or pa.types.is_large_string(type_)
        or pa.types.is_binary(type_)
        or pa.types.is_large_binary(type_)
    )


def _decoded(column: pa.ChunkedArray, limit: int) -> pa.ChunkedArray:
    if not pa.types.is_dictionary(column.type):
        return column
    if _is_text(column.type.value_type):
        size = 0
        for chunk in column.chunks:
            lengths = pc.binary_length(chunk.dictionary)
            size += pc.sum(pc.take(lengths, chunk.indices)).as_py() or 0
        _check_size(size, limit)
    return column.cast(column.type.value_type)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise TooLarge(
            f"the file unpacks to {size} bytes or more; the limit is {limit}",
            hint="Upload it in parts.",
            limit=limit,
            size=size,
        )
