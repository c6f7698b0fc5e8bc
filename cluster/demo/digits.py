"""Digits: images of which three in ten were labelled by somebody who did not look."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from cluster.demo.application import Application, csv_bytes, pillars
from easeml_ray.annotators import TruthTable
from easeml_ray.messages import Pillar

__all__ = ["digits"]

UPLOADED = 1_597  # the other 200 come to the endpoint
NOISE = 0.3
SEED = 0

TASK: dict[str, Any] = {
    "label": "digit",
    "id_column": "image",
    "target_accuracy": 0.9,
    "prices": {"label": 10},
    "budgets": {"improvement_cents": 10_000, "realtime_labels": 40},
    "shares": {"train": 0.58, "development": 0.2, "stable": 0.22},
    "gate": {"condition": "n > 0.82 +/- 0.06", "reliability": 0.95, "steps": 4, "adaptivity": "none"},
    "when_undecided": "improve",
    "batch_items": 100,
    "window_rows": 180,
    "seed": SEED,
}


def digits(project: str = "digits") -> Application:
    """Return the digits application; the same every time.

    Parameters
    ----------
    project : str
        Name of the project; the split into pillars depends on it.
    """
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(classes))
    pixels, truth = images[order].astype(int), classes[order]
    ids = [f"d{n:04d}" for n in range(len(truth))]
    parts = pillars(project, TASK, ids[:UPLOADED])
    seen = np.concatenate([parts[Pillar.TRAIN], parts[Pillar.DEVELOPMENT]])
    given = truth.copy()
    replaced = seen[rng.random(len(seen)) < NOISE]
    given[replaced] = rng.integers(0, 10, len(replaced))

    names = [f"p{row}{column}" for row in range(8) for column in range(8)]
    rows = [[ids[i], *pixels[i].tolist(), int(given[i])] for i in range(UPLOADED)]
    columns = {name: pixels[:, c] for c, name in enumerate(names)}
    whole = pa.table({"image": ids, **columns, "digit": truth})
    stream = tuple(dict(zip(names, pixels[i].tolist(), strict=True)) for i in range(UPLOADED, len(truth)))
    return Application(
        tenant="digits-lab",
        project=project,
        story=(
            f"{UPLOADED:,} images of digits; of the {len(seen):,} train and development labels "
            f"{len(replaced)} ({NOISE:.0%}) were replaced at random, {int((given != truth).sum())} are wrong"
        ),
        task=TASK,
        upload=csv_bytes(["image", *names, "digit"], rows),
        rows=UPLOADED,
        offers=(),
        annotator=TruthTable(
            whole.slice(0, UPLOADED), label="digit", id_column="image", later=whole.slice(UPLOADED)
        ),
        stream=stream,
    )
