"""ModelPool's work: letting the picker walk over a window, and gathering what was labelled."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easeml_ray.arms.model import load
from easeml_ray.component.base import Bench, Job, Perform
from easeml_ray.pool.messages import AskedRow, CollectWindow, FinishRound, PickRound, ReleaseWindow
from easeml_ray.pool.picker import ModelPicker

__all__ = ["WORK", "collect_window", "pick_round"]

_ASKED_AT_ONCE = 8  # labels of one round; more at once would ask with a stale posterior


def _window_rows(job: Job, bench: Bench, segments: tuple[tuple[str, str, int], ...]) -> pa.Table:
    tables = [bench.blobs.get_table(job.tenant, digest) for _, digest, _ in segments]
    return pa.concat_tables(tables, promote_options="permissive")


def pick_round(job: Job, bench: Bench) -> FinishRound:
    """Throw coins row by row until a handful of labels is wanted, the rows or the labels are out."""
    body: PickRound = job.body
    rows = _window_rows(job, bench, body.segments)
    classes = load(bytes(bench.blobs.get(job.tenant, body.candidates[0]))).classes.names
    predictions: NDArray[np.int64] = np.stack(
        [bench.predict(job.tenant, model, rows) for model in body.candidates], axis=1
    )
    requests = [f"{segment}:{i}" for segment, _, count in body.segments for i in range(count)]
    picker = ModelPicker.resumed(
        list(body.losses),
        body.proposals,
        n_classes=len(classes),
        beta=body.beta,
        rng=np.random.default_rng(job.seed),
    )
    if body.labels_left == 0:
        # Without labels no row can tell anything: they pass by.
        return FinishRound(
            window=body.window,
            start=body.start,
            stop=rows.num_rows,
            asked=(),
            classes=tuple(classes),
            proposals=body.proposals,
        )
    asked: list[AskedRow] = []
    at_once = min(_ASKED_AT_ONCE, body.labels_left)
    stop = body.start
    while stop < rows.num_rows and len(asked) < at_once:
        said = predictions[stop]
        query = picker.propose(said)
        if query.ask:
            row = AskedRow(
                row=stop,
                request=requests[stop],
                probability=query.probability,
                predictions=tuple(int(p) for p in said),
            )
            asked.append(row)
        stop += 1
    return FinishRound(
        window=body.window,
        start=body.start,
        stop=stop,
        asked=tuple(asked),
        classes=tuple(classes),
        proposals=picker.proposals,
    )


def collect_window(job: Job, bench: Bench) -> ReleaseWindow:
    """Store the labelled rows of a window; a label is paid for once and kept."""
    body: CollectWindow = job.body
    if not body.labelled:
        return ReleaseWindow(window=body.window, digest="", rows=0)
    rows = _window_rows(job, bench, body.segments)
    taken = rows.take([row for row, _ in body.labelled])
    codes = pa.array([label for _, label in body.labelled], pa.int64())
    requests = [f"{segment}:{i}" for segment, _, count in body.segments for i in range(count)]
    taken = taken.append_column("_label_code", codes)
    taken = taken.append_column("_request", pa.array([requests[row] for row, _ in body.labelled]))
    return ReleaseWindow(
        window=body.window, digest=bench.blobs.put_table(job.tenant, taken), rows=taken.num_rows
    )


WORK: dict[type, Perform] = {PickRound: pick_round, CollectWindow: collect_window}
