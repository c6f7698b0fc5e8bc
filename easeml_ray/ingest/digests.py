"""Keyed digests of rows and groups: what tells later that a held-out row comes back.

A digest is HMAC-SHA256 under a key of the project, so it says nothing about a row to those
without the key, and yet the same row has the same digest in every upload. Equal numbers are
equal whatever their type (1, 1.0 and true); -0.0 is 0.0; NaN and missing are one; a missing
value differs from every other. The order of the columns does not matter.

What is kept of digests is their first :data:`DIGEST_BYTES` bytes, sorted, in one piece: so a million of
them is 16 MB, and another one is looked up where they lie.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence, Set
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from easeml_ray.errors import InvalidArgument

__all__ = [
    "DIGEST_BYTES",
    "Digests",
    "contained",
    "group_digests",
    "join",
    "overlap",
    "pack",
    "row_digests",
    "shorten",
]

DIGEST_BYTES = 16
"""Bytes that are kept of a digest: two of 2**40 different rows share them less often than once in 2**48."""

Digests: TypeAlias = npt.NDArray[np.bytes_]
"""Digests of :data:`DIGEST_BYTES` each, dtype S16."""

_KEPT = f"S{DIGEST_BYTES}"
_BATCH = 65_536  # rows that are laid out as bytes at a time
_INTEGER_END = 2.0**63  # the first float over int64
_MISSING, _FLOAT, _INTEGER, _TEXT = 0, 1, 2, 3  # first byte of a cell


def row_digests(table: pa.Table, feature_columns: Sequence[str], key: bytes) -> list[bytes]:
    """Return the keyed digest of every row's features.

    Parameters
    ----------
    table : pyarrow.Table
        With the features as float64, int64, bool or string.
    feature_columns : sequence of str
        Which columns are features, in any order.
    key : bytes
        The project's key, not empty.

    Returns
    -------
    list of bytes
        32 bytes a row.

    Examples
    --------
    >>> table = pa.table({"x": [1.0, -0.0, None], "y": ["a", "b", "a"]})
    >>> first = row_digests(table, ["x", "y"], b"key")
    >>> again = row_digests(pa.table({"y": ["b", "a"], "x": [0, 1]}), ["y", "x"], b"key")
    >>> overlap(again, set(first)), overlap(first, set(again))
    ([0, 1], [0, 1])
    """
    names = sorted(feature_columns)
    base = _keyed(key, b"row\0" + hashlib.sha256(json.dumps(names).encode()).digest())
    digests: list[bytes] = []
    for batch in table.select(names).to_batches(max_chunksize=_BATCH):
        cells = [_cells(name, column) for name, column in zip(names, batch.columns, strict=True)]
        rows = np.concatenate([np.empty((batch.num_rows, 0), np.uint8), *cells], axis=1)
        for row in rows:
            state = base.copy()
            state.update(row.data)
            digests.append(state.digest())
    return digests


def group_digests(groups: Iterable[str], key: bytes) -> list[bytes]:
    """Return the keyed digest of every group key, 32 bytes each."""
    base = _keyed(key, b"group\0")
    digests: list[bytes] = []
    for group in groups:
        state = base.copy()
        state.update(group.encode())
        digests.append(state.digest())
    return digests


def overlap(new_digests: Iterable[bytes], held_out: Set[bytes]) -> list[int]:
    """Return the positions of the digests that a held-out pillar already holds."""
    return [row for row, digest in enumerate(new_digests) if digest in held_out]


def shorten(digests: Sequence[bytes]) -> Digests:
    """Return the part of digests that is kept, of shape (n,)."""
    whole = np.frombuffer(b"".join(digests), dtype=f"S{hashlib.sha256().digest_size}")
    return whole.astype(_KEPT)


def pack(digests: Digests) -> bytes:
    """Return digests of any shape as the bytes that :func:`contained` looks them up in.

    Examples
    --------
    >>> held = shorten(group_digests(["ann", "bob"], b"key"))
    >>> len(pack(held)), contained(shorten(group_digests(["bob", "cyd"], b"key")), pack(held))
    (32, array([ True, False]))
    """
    return np.unique(digests).tobytes()


def join(packed: Iterable[bytes]) -> bytes:
    """Return packed digests of several pieces as one."""
    return pack(np.frombuffer(b"".join(packed), dtype=_KEPT))


def contained(digests: Digests, packed: bytes | pa.Buffer) -> npt.NDArray[np.bool_]:
    """Say which digests are among packed ones, in the shape that they have."""
    held = np.frombuffer(packed, dtype=_KEPT)
    if not len(held):
        return np.zeros(digests.shape, dtype=bool)
    places = np.searchsorted(held, digests)
    found: npt.NDArray[np.bool_] = held[np.minimum(places, len(held) - 1)] == digests
    return found


def _keyed(key: bytes, domain: bytes) -> hmac.HMAC:
    if not key:
        raise InvalidArgument("the key is empty", hint="Give the project's secret.", argument="key")
    return hmac.new(key, domain, hashlib.sha256)


def _cells(name: str, column: pa.Array) -> npt.NDArray[np.uint8]:
    """Return the cells of a column as bytes, of shape (n_rows, 9) or, for text, (n_rows, 33)."""
    types = pa.types
    if types.is_string(column.type):
        return _text_cells(column)
    if types.is_floating(column.type):
        values = column.to_numpy(zero_copy_only=False).astype(np.float64)  # nulls become NaN
        return _laid_out(values + 0.0, np.where(np.isnan(values), _MISSING, _FLOAT))
    if types.is_integer(column.type) or types.is_boolean(column.type):
        missing = column.is_null().to_numpy(zero_copy_only=False)
        values = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        as_float = values.astype(np.float64)
        in_range = as_float < _INTEGER_END
        exact = in_range & (np.where(in_range, as_float, 0.0).astype(np.int64) == values)
        tags = np.where(missing, _MISSING, np.where(exact, _FLOAT, _INTEGER))
        bits = np.where(exact, as_float.view(np.int64), values)
        return _laid_out(bits, tags)
    raise InvalidArgument(
        f"column {name!r} of type {column.type} has no digest",
        hint="Bring the table through validate first.",
        argument="table",
    )


def _laid_out(values: npt.NDArray[np.generic], tags: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    cells = np.zeros((len(values), 9), np.uint8)
    cells[:, 0] = tags
    # Big-endian whatever the machine: digests outlive it.
    cells[:, 1:] = values.astype(values.dtype.newbyteorder(">")).view(np.uint8).reshape(-1, 8)
    cells[tags == _MISSING, 1:] = 0
    return cells


def _text_cells(column: pa.StringArray) -> npt.NDArray[np.uint8]:
    encoded = column.dictionary_encode()
    known = encoded.dictionary.to_pylist()
    table = np.zeros((len(known) + 1, 33), np.uint8)  # the last row: missing
    for position, text in enumerate(known):
        table[position, 0] = _TEXT
        table[position, 1:] = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
    codes = encoded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
    cells: npt.NDArray[np.uint8] = table[codes]
    return cells
