"""Breast cancer: measurements with holes in them, and three sellers, one of whom sells noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cluster.demo.application import Application, SellerOffer, csv_bytes, pillars
from easeml_ray.annotators import TruthTable
from easeml_ray.messages import Pillar

__all__ = ["clinic"]

UPLOADED = 390
OFFERED = 20  # rows of each seller; what is left comes to the endpoint
HOLES = 0.2
SEED = 17

SELLERS = (
    ("north", 300, "measured and diagnosed at the northern hospital"),
    ("south", 300, "measured and diagnosed at the southern hospital"),
    ("bulk", 100, "cheap: measured, and diagnosed by nobody who says how"),
)

TASK: dict[str, Any] = {
    "label": "diagnosis",
    "id_column": "patient",
    "target_accuracy": 0.97,
    "prices": {"label": 10, "cell": 5},
    "budgets": {"improvement_cents": 2_000, "realtime_labels": 20},
    "shares": {"train": 0.46, "development": 0.25, "stable": 0.29},
    "gate": {"condition": "n > 0.78 +/- 0.11", "reliability": 0.95, "steps": 4, "adaptivity": "none"},
    "when_undecided": "improve",
    "batch_items": 20,
    "window_rows": 105,
    "seed": SEED,
}


def clinic(project: str = "breast-cancer") -> Application:
    """Return the breast cancer application; the same every time.

    Parameters
    ----------
    project : str
        Name of the project; the split into pillars depends on it.
    """
    names, X, truth = _patients()
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(truth))
    X, truth = X[order], truth[order]
    ids = [f"p{n:04d}" for n in range(len(truth))]
    parts = pillars(project, TASK, ids[:UPLOADED])
    holes = _holes(parts[Pillar.TRAIN], len(names), rng)
    cells = [
        [None if (i, c) in holes else value for c, value in enumerate(X[i].tolist())]
        for i in range(len(truth))
    ]
    offers, sold = _offers(ids, names, X, truth, rng)
    whole = pa.table({"patient": ids, **{n: X[:, c] for c, n in enumerate(names)}, "diagnosis": truth})
    first = UPLOADED + sold
    return Application(
        tenant="clinic",
        project=project,
        story=(
            f"{UPLOADED} tumours, measured; of the {len(parts[Pillar.TRAIN])} train rows "
            f"{len({i for i, _ in holes})} ({HOLES:.0%}) lack one or two cells, {len(holes)} in all; "
            f"{len(offers)} sellers offer {OFFERED} rows each"
        ),
        task=TASK,
        upload=csv_bytes(
            ["patient", *names, "diagnosis"],
            ([ids[i], *cells[i], truth[i]] for i in range(UPLOADED)),
        ),
        rows=UPLOADED,
        offers=offers,
        annotator=TruthTable(
            whole.slice(0, UPLOADED),
            label="diagnosis",
            id_column="patient",
            later=whole.slice(UPLOADED),
            offer_cents=500,
        ),
        stream=tuple(dict(zip(names, X[i].tolist(), strict=True)) for i in range(first, len(truth))),
    )


def _patients() -> tuple[list[str], NDArray[np.float64], NDArray[np.str_]]:
    """Return the ten mean measurements of each tumour and its diagnosis."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    chosen = [c for c, name in enumerate(data.feature_names) if name.startswith("mean ")]
    names = [str(data.feature_names[c]).replace(" ", "_") for c in chosen]
    return names, data.data[:, chosen], np.asarray(data.target_names)[data.target]


def _holes(train: NDArray[np.int64], n_columns: int, rng: np.random.Generator) -> set[tuple[int, int]]:
    """Choose train rows and one or two cells of each: (row, column)."""
    rows = rng.choice(train, size=round(HOLES * len(train)), replace=False)
    return {
        (int(row), int(column))
        for row in rows
        for column in rng.choice(n_columns, size=rng.integers(1, 3), replace=False)
    }


def _offers(
    ids: list[str],
    names: list[str],
    X: NDArray[np.float64],
    truth: NDArray[np.str_],
    rng: np.random.Generator,
) -> tuple[tuple[SellerOffer, ...], int]:
    """Return what the sellers offer, and how many rows that is. The last one's labels are drawn."""
    offers = []
    first = UPLOADED
    for name, price, terms in SELLERS:
        rows = range(first, first + OFFERED)
        first += OFFERED
        labels = truth[rows.start : rows.stop]
        if name == "bulk":
            labels = rng.choice(np.unique(truth), size=OFFERED)
        lines = [[ids[i], *X[i].tolist(), label] for i, label in zip(rows, labels, strict=True)]
        data = csv_bytes(["patient", *names, "diagnosis"], lines)
        offers.append(SellerOffer(name, f"{name}-hospital", data, OFFERED, price, terms))
    return tuple(offers), first - UPLOADED
