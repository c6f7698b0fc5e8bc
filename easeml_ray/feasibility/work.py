"""FeasibilityEstimator's work: one study of one version, from the study before where that helps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from easeml_ray.arrays import IntArray
from easeml_ray.component.base import Bench, Encoded, Executor, Job, Perform
from easeml_ray.component.data import VersionData
from easeml_ray.component.executor import LocalExecutor
from easeml_ray.embed import default_embeddings
from easeml_ray.feasibility.memory import Memory, prints_of
from easeml_ray.feasibility.messages import Report, StudyVersion
from easeml_ray.feasibility.study import Study

__all__ = ["WORK", "study_version"]

SEED = 0
"""The same blocks and bootstrap worlds for every version of a project, so that two reports differ
by the data and not by the draw."""

SPREAD_ROWS = 5_000
"""Fewer train rows are studied in this process: tasks would cost more than they save."""


def study_version(job: Job, bench: Bench) -> Report:
    """Study a version in its most probable world; report and memory become blobs."""
    body: StudyVersion = job.body
    asked = body.command
    data = VersionData(bench, job.tenant, asked.version)
    train, development = data.train, data.development
    with bench.executor() as spread:
        executor: Executor = spread if train.y.size >= SPREAD_ROWS else LocalExecutor()
        memory = _remembered(job, bench, body)
        study = None
        if memory is not None:
            study, memory = _updated(job, bench, body, memory, executor)
        if study is None:
            study = Study(
                train.X, train.y, development.X, development.y, n_classes=asked.version.n_classes, seed=SEED
            ).run(executor=executor, progress=bench.progress)
            memory = _memory(body, study, train, development)
        elif study.stale:
            study.retrain(executor=executor, progress=bench.progress)
    assert memory is not None
    report = study.report(asked.target_accuracy)
    return Report(
        number=asked.version.number,
        target_accuracy=asked.target_accuracy,
        decision=report.decision.value,
        belief=report.belief,
        ber_lower=report.ber_lower,
        ber_upper=report.ber_upper,
        ber_interval=report.ber_interval,
        best_embedding=report.best_embedding,
        advice=report.advice,
        method=report.method,
        report=bench.blobs.put_json(job.tenant, report.to_dict()),
        ber_estimate=report.ber_estimate,
        model_error=report.model_error,
        memory=bench.blobs.put(job.tenant, replace(memory, evidence=study.evidence).to_bytes()),
        cost_cents=study.cpu_seconds * asked.second_cents,
    )


def _memory(body: StudyVersion, study: Study, train: Encoded, development: Encoded) -> Memory:
    return Memory(
        evidence=study.evidence,
        encoder=body.command.version.encoder,
        seed=SEED,
        fit_labels=study.fit_labels,
        row_ids=train.row_ids,
        prints=prints_of(train.X),
        dev_ids=development.row_ids,
        dev_prints=prints_of(development.X),
    )


def _remembered(job: Job, bench: Bench, body: StudyVersion) -> Memory | None:
    if body.memory is None:
        return None
    memory = Memory.from_bytes(bytes(bench.blobs.get(job.tenant, body.memory)))
    if memory is None or memory.evidence.n_classes != body.command.version.n_classes or memory.seed != SEED:
        return None
    # An embedding that is not there any more asks for a study of its own.
    known = default_embeddings("table", None)
    return memory if set(memory.evidence.curves) <= set(known) else None


def _updated(
    job: Job, bench: Bench, body: StudyVersion, memory: Memory, executor: Executor
) -> tuple[Study | None, Memory | None]:
    """Take the changed labels and the new rows into an earlier study.

    Without a study where features of a row changed or a row is gone: its neighbours are not known then.
    """
    # The features must be those of the first study, also where later rows moved their means.
    data = VersionData(bench, job.tenant, replace(body.command.version, encoder=memory.encoder))
    train, development = data.train, data.development
    old = _places(memory.row_ids, train.row_ids)
    old_dev = _places(memory.dev_ids, development.row_ids)
    if old is None or old_dev is None or old_dev.size != development.row_ids.size:
        return None, None
    if not (
        np.array_equal(prints_of(train.X[old]), memory.prints)
        and np.array_equal(prints_of(development.X[old_dev]), memory.dev_prints)
    ):
        return None, None
    new = np.setdiff1d(np.arange(train.row_ids.size), old)
    study = Study.resumed(
        memory.evidence, train.X[old], development.X[old_dev], fit_labels=memory.fit_labels, seed=memory.seed
    )
    for relabel, before, now in (
        (study.relabel_train, memory.evidence.y_train, train.y[old]),
        (study.relabel_dev, memory.evidence.y_dev, development.y[old_dev]),
    ):
        changed = np.flatnonzero(before != now)
        relabel(changed, now[changed])
    study.append(train.X[new], train.y[new], executor=executor)
    return study, replace(
        memory,
        row_ids=np.concatenate([memory.row_ids, train.row_ids[new]]),
        prints=np.concatenate([memory.prints, prints_of(train.X[new])]),
    )


def _places(known: IntArray, rows: IntArray) -> IntArray | None:
    """Return where each known row id stands among the rows; None if one is gone."""
    order = np.argsort(rows)
    at = np.minimum(np.searchsorted(rows[order], known), max(rows.size - 1, 0))
    places: IntArray = order[at]
    return places if rows.size and np.array_equal(rows[places], known) else None


WORK: dict[type, Perform] = {StudyVersion: study_version}
