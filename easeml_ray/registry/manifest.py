"""From tables to a version: part blobs, digests, the schema, the encoder of the version."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pyarrow as pa

from easeml_ray.component.data import most_probable
from easeml_ray.embed import Encoder
from easeml_ray.messages import DatasetRef, DataVersion, Pillar
from easeml_ray.registry.messages import Part
from easeml_ray.store.base import BlobStore

__all__ = ["PART_BYTES", "ROW_COLUMNS", "make_version", "put_parts"]

PART_BYTES = 128 * 2**20
"""Upper limit of one part blob, in bytes of the table in memory."""

ROW_COLUMNS = ("row_id", "parent_id", "group_id", "probability")
"""Columns of a pillar that are neither features nor the label."""


def put_parts(blobs: BlobStore, tenant: str, table: pa.Table) -> tuple[Part, ...]:
    """Store a table as blobs of at most :data:`PART_BYTES` and return their list."""
    pieces = max(1, -(-table.nbytes // PART_BYTES))
    step = max(1, -(-table.num_rows // pieces))
    parts = []
    for start in range(0, max(table.num_rows, 1), step):
        piece = table.slice(start, step).combine_chunks()
        parts.append(Part(digest=blobs.put_table(tenant, piece), records=piece.num_rows, bytes=piece.nbytes))
    return tuple(parts)


def make_version(
    blobs: BlobStore,
    tenant: str,
    *,
    project: str,
    number: int,
    parent: int,
    train: pa.Table,
    development: pa.Table,
    schema: dict[str, Any],
    answered: list[str],
) -> tuple[DataVersion, tuple[Part, ...], tuple[Part, ...]]:
    """Store two pillars as a version: it, its train parts, its development parts."""
    # The encoder is fitted on train's most probable world. `schema` is {label, features: [[name, kind], …],
    # classes: sorted list, …}, JSON-able; `answered` are the item keys that people answered, over all
    # versions.
    encoder = Encoder.fit(most_probable(train), [name for name, _ in schema["features"]])
    train_parts = put_parts(blobs, tenant, train)
    development_parts = put_parts(blobs, tenant, development)
    schema_digest = blobs.put_json(tenant, schema)

    def ref(pillar: Pillar, parts: tuple[Part, ...], table: pa.Table) -> DatasetRef:
        text = json.dumps([part.digest for part in parts])
        digest = hashlib.sha256(text.encode()).hexdigest()
        return DatasetRef(project, pillar, number, digest, schema_digest, _n_rows(table))

    version = DataVersion(
        project=project,
        number=number,
        parent=parent,
        train=ref(Pillar.TRAIN, train_parts, train),
        development=ref(Pillar.DEVELOPMENT, development_parts, development),
        schema=schema_digest,
        encoder=blobs.put(tenant, encoder.to_json().encode()),
        n_classes=len(schema["classes"]),
        uncertain_rows=_n_uncertain(train),
        answered=blobs.put_json(tenant, sorted(set(answered))) if answered else "",
    )
    return version, train_parts, development_parts


def _n_rows(table: pa.Table) -> int:
    return len(table["row_id"].unique()) if table.num_rows else 0


def _n_uncertain(table: pa.Table) -> int:
    if "probability" not in table.column_names:
        return 0
    counts = table["row_id"].value_counts().field("counts").to_numpy(zero_copy_only=False)
    return int((counts > 1).sum())
