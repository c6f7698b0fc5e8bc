"""A data version as arrays: what every component's work starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easeml_ray.embed import Classes, Encoder
from easeml_ray.messages import DataVersion, Pillar
from easeml_ray.uncertain import UncertainTable

if TYPE_CHECKING:
    from easeml_ray.component.base import Bench

__all__ = ["Encoded", "encoded", "load_encoder", "load_schema", "most_probable"]


@dataclass(frozen=True)
class Encoded:
    """One pillar in its most probable world.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_features), float64
    y : ndarray of shape (n_rows,), int64
    row_ids : ndarray of shape (n_rows,), int64
    """

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    row_ids: NDArray[np.int64]


def load_schema(bench: Bench, tenant: str, version: DataVersion) -> dict[str, Any]:
    """Return {label, features: [[name, kind], …], classes, …} of a version."""
    schema: dict[str, Any] = bench.blobs.get_json(tenant, version.schema)
    return schema


def load_encoder(bench: Bench, tenant: str, version: DataVersion) -> Encoder:
    """Return the encoder that was fitted when the version was made."""
    return Encoder.from_json(bytes(bench.blobs.get(tenant, version.encoder)).decode())


def most_probable(table: pa.Table) -> pa.Table:
    """Return the most probable world of a pillar; a certain pillar is its own."""
    if "probability" not in table.column_names:
        return table
    return UncertainTable(table).most_probable()


def encoded(bench: Bench, tenant: str, version: DataVersion, pillar: Pillar) -> Encoded:
    """Read a pillar through the bench's capability and encode its most probable world."""
    schema = load_schema(bench, tenant, version)
    ref = version.train if pillar is Pillar.TRAIN else version.development
    table = most_probable(bench.table(ref))
    classes = Classes(tuple(schema["classes"]))
    return Encoded(
        X=load_encoder(bench, tenant, version).transform(table),
        y=classes.encode(table[schema["label"]]),
        row_ids=np.asarray(table["row_id"].to_numpy(zero_copy_only=False), dtype=np.int64),
    )
