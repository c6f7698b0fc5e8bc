"""Rows of released test sets and closed windows on their way back into train and development."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["released", "to_train"]


def released(rows: pa.Table, schema: dict[str, Any]) -> pa.Table:
    """Bring the rows of an era or a window into the form of a pillar."""
    if "_label_code" not in rows.column_names:
        return rows
    classes = schema["classes"]
    labels = pa.array([classes[code] for code in rows["_label_code"].to_pylist()], pa.string())
    rows = rows.append_column(schema["label"], labels)
    return rows.append_column("group_id", rows["_request"])


def to_train(rows: pa.Table, schema: dict[str, Any]) -> NDArray[np.bool_]:
    """Say which released rows join train; the others join development, by group hash."""
    # A salt of its own: under the split's, every group of an era would be a stable one again.
    salt = bytes.fromhex(schema["salt"]) + b"released"

    def fraction(group: str) -> float:
        return int(hashlib.sha256(salt + group.encode()).hexdigest()[:13], 16) / 16**13

    cut = schema["train_share"]
    return np.array([fraction(group) < cut for group in rows["group_id"].to_pylist()], dtype=bool)
