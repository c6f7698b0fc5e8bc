"""A data version as every component's work sees it: schema, classes, encoder, pillars as arrays."""

from __future__ import annotations

import json
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from easeml_ray.component.base import Bench, Encoded
from easeml_ray.embed import Classes, Encoder
from easeml_ray.messages import DataVersion, Pillar
from easeml_ray.uncertain import UncertainTable

__all__ = ["VersionData", "encode_pillar", "most_probable"]


class VersionData:
    """A version's schema, classes, encoder and encoded pillars, each read when it is first asked for.

    Schema and encoder are kept by digest for the whole process; encoded pillars come from the bench, which
    shares them with all work on the same version. Arrays may be read-only.
    """

    def __init__(self, bench: Bench, tenant: str, version: DataVersion) -> None:
        self.version = version
        self._bench = bench
        self._tenant = tenant

    @cached_property
    def schema(self) -> dict[str, Any]:
        """{label, features: [[name, kind], …], classes, …}; not to be changed."""
        return _schema(bytes(self._bench.blobs.get(self._tenant, self.version.schema)))

    @property
    def label(self) -> str:
        """The name of the label column."""
        return str(self.schema["label"])

    @cached_property
    def classes(self) -> Classes:
        """The labels by their codes."""
        return Classes(tuple(self.schema["classes"]))

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder that was fitted when the version was made."""
        return _encoder(bytes(self._bench.blobs.get(self._tenant, self.version.encoder)))

    @cached_property
    def train(self) -> Encoded:
        """Train, encoded."""
        return self._bench.encoded(self._tenant, self.version, Pillar.TRAIN)

    @cached_property
    def development(self) -> Encoded:
        """Development, encoded."""
        return self._bench.encoded(self._tenant, self.version, Pillar.DEVELOPMENT)

    def encode(self, table: pa.Table) -> Encoded:
        """Encode further rows with labels, e.g. alternatives; ``row_ids`` count them where they have none."""
        if "row_id" in table.column_names:
            row_ids = np.asarray(table["row_id"].to_numpy(zero_copy_only=False), dtype=np.int64)
        else:
            row_ids = np.arange(table.num_rows, dtype=np.int64)
        y = self.classes.encode(table[self.label])
        return Encoded(X=self.encoder.transform(table), y=y, row_ids=row_ids)


@lru_cache(maxsize=64)
def _schema(data: bytes) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(data)
    return schema


@lru_cache(maxsize=64)
def _encoder(data: bytes) -> Encoder:
    return Encoder.from_json(data.decode())


def most_probable(table: pa.Table) -> pa.Table:
    """Return the most probable world of a pillar; a certain pillar is its own."""
    if "probability" not in table.column_names:
        return table
    return UncertainTable(table).most_probable()


def encode_pillar(bench: Bench, tenant: str, version: DataVersion, table: pa.Table) -> Encoded:
    """Encode a pillar of a version; what :meth:`Bench.encoded` shares."""
    return VersionData(bench, tenant, version).encode(most_probable(table))
