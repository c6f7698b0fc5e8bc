"""Rows that a project knows again: keyed digests of their features and groups, kept as blobs.

Two questions are asked of them. A row that is offered for training is looked up among those that are
held out now. A row of a fresh test set is looked up among all that ever came, as they came: what became
of them since (cells filled in, sets released) does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from easeml_ray.ingest import Digests, contained, group_digests, join, pack, row_digests, shorten
from easeml_ray.store.base import BlobStore

__all__ = ["put_digests", "seen", "settled_cells", "table_digests"]

_AT_ONCE = 2**18  # rows whose whole digests are in memory at a time
_LARGE = 2**20  # bytes of a blob that is looked into where it lies; smaller ones are joined first


def table_digests(table: pa.Table, schema: dict[str, Any], key: bytes) -> Digests:
    """Return the keyed digests of every row's features and of its ``group_id``, (n_rows, 2)."""
    names = [name for name, _ in schema["features"]]
    pieces = [shorten([]).reshape(0, 2)]
    for start in range(0, table.num_rows, _AT_ONCE):
        piece = table.slice(start, _AT_ONCE)
        rows = shorten(row_digests(piece, names, key))
        groups = shorten(group_digests(piece["group_id"].to_pylist(), key))
        pieces.append(np.stack([rows, groups], axis=1))
    return np.concatenate(pieces)


def put_digests(blobs: BlobStore, tenant: str, digests: Sequence[Digests]) -> str:
    """Store digests as one blob and return its name; none make no blob and the name is empty."""
    flat = [part.reshape(-1) for part in digests if part.size]
    return blobs.put(tenant, pack(np.concatenate(flat))) if flat else ""


def seen(digests: Digests, blobs: BlobStore, tenant: str, names: Iterable[str]) -> NDArray[np.bool_]:
    """Say of which rows, bool (n_rows,), the features or the group stand in one of the named blobs."""
    # `digests`, (n_rows, 2), are of :func:`table_digests`; `names` are blobs of :func:`put_digests`.
    found = np.zeros(len(digests), dtype=bool)
    small = []
    for name in names:
        packed = blobs.get(tenant, name)
        if len(packed) < _LARGE:
            small.append(bytes(packed))
        else:
            found |= contained(digests, packed).any(axis=1)
    return found | contained(digests, join(small)).any(axis=1)


def settled_cells(records: pa.Table, schema: dict[str, Any]) -> pa.Table:
    """Return a record a row: ``group_id``, and of the features only the cells that all alternatives agree on.

    So a row looked before its missing cells were filled in, but for those that are certain by now.
    """
    names = ["group_id", *(name for name, _ in schema["features"])]
    first = [(name, "first") for name in names]
    distinct = [(name, "count_distinct", pc.CountOptions(mode="all")) for name in names]
    rows = records.group_by("row_id", use_threads=False).aggregate([*first, *distinct])
    cells = {
        name: pc.if_else(pc.equal(rows[f"{name}_count_distinct"], 1), rows[f"{name}_first"], None)
        for name in names
    }
    return pa.table(cells)
