"""A small project that all levels of the tests share: two classes, noisy labels, missing cells.

Imported by path (see tests/conftest.py); not collected.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from easeml_ray.ingest import prepare
from easeml_ray.messages import Pillar


@dataclass(frozen=True)
class SmallProject:
    """A file, its task, and the truth that a programmed annotator knows."""

    task: dict[str, Any]
    data: bytes
    labels: dict[int, str]  # row_id -> true label
    cells: dict[tuple[int, str], float]  # (row_id, column) -> true value
    stream: list[dict[str, Any]]
    stream_labels: list[str]

    def answer(self, request: dict[str, Any]) -> Any:
        """Return the true answer to a request."""
        payload = request["payload"]
        match request["kind"]:
            case "RELABEL":
                return self.labels[payload["row_id"]]
            case "CLEAN_CELL":
                return self.cells[payload["row_id"], payload["column"]]
            case "BUY_ROW":
                return "yes"
            case "OVERRIDE_TARGET":
                return "train"
            case "LABEL_REALTIME":
                row = request["row"]
                return self.stream_labels[self.stream.index(row)]
        raise AssertionError(request["kind"])


def two_moons(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return interleaved half-circles and a feature that says nothing: models differ on them."""
    y = rng.integers(0, 2, n)
    angle = rng.uniform(0, np.pi, n)
    x = np.where(y == 0, np.cos(angle), 1 - np.cos(angle))
    z = np.where(y == 0, np.sin(angle), 0.5 - np.sin(angle))
    X = np.stack([x, z, 0.3 * rng.normal(size=n)], axis=1) + 0.15 * rng.normal(size=(n, 3))
    return np.round(X, 4), y


def csv_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pyarrow.csv.write_csv(table, sink)
    return sink.getvalue()


def small_project(
    name: str = "small", *, n: int = 600, noise: float = 0.4, missing: float = 0.1, seed: int = 3
) -> SmallProject:
    """Return a project that needs relabelling first: train and development labels are noisy."""
    rng = np.random.default_rng(seed)
    X, y = two_moons(n + 120, rng)
    X, y, Xs, ys = X[:n], y[:n], X[n:], y[n:]
    names = ["a", "b", "c"]
    task = {
        "label": "y",
        "id_column": "id",
        "target_accuracy": 0.92,
        "shares": {"train": 0.5, "development": 0.2, "stable": 0.3},
        "gate": {"condition": "n > 0.75 +/- 0.12", "reliability": 0.95, "steps": 4},
        "when_undecided": "improve",
        "batch_items": 60,
        "window_rows": 40,
        "minimum_gain": 0.001,
        "budgets": {"improvement_cents": 4000, "realtime_labels": 12},
        "seed": seed,
    }
    clean = table_of(X, y, names)
    shares = {Pillar(k): v for k, v in task["shares"].items()}
    parts = prepare(
        csv_bytes(clean),
        format="csv",
        label="y",
        id_column="id",
        shares=shares,
        salt=f"{name}:{seed}".encode(),
    )
    held = set(parts.tables[Pillar.STABLE]["row_id"].to_pylist())
    train = set(parts.tables[Pillar.TRAIN]["row_id"].to_pylist())
    noisy = y.copy()
    cells: dict[tuple[int, str], float] = {}
    damaged = X.astype(object)
    for row in range(n):
        if row not in held and rng.random() < noise:
            noisy[row] = rng.integers(0, 2)
        if row in train and rng.random() < missing:
            column = int(rng.integers(0, 3))
            cells[row, names[column]] = float(X[row, column])
            damaged[row, column] = None
    return SmallProject(
        task=task,
        data=csv_bytes(table_of(damaged, noisy, names)),
        labels={row: str(label) for row, label in enumerate(y)},
        cells=cells,
        stream=[dict(zip(names, map(float, x), strict=True)) for x in Xs],
        stream_labels=[str(label) for label in ys],
    )


def table_of(X: np.ndarray, y: np.ndarray, names: list[str]) -> pa.Table:
    columns = {name: pa.array(list(X[:, j]), pa.float64()) for j, name in enumerate(names)}
    ids = pa.array([f"r{i}" for i in range(len(y))])
    return pa.table({"id": ids, **columns, "y": pa.array(y)})
