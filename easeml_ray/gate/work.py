"""CIGate's work: verdicts and releases, both inside the process that holds the private key.

Labels of stable rows never leave this process: predictions come from features alone.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easeml_ray.embed import Classes
from easeml_ray.errors import EasemlError
from easeml_ray.gate.condition import Condition
from easeml_ray.gate.evaluation import Truth, Verdict, compare_latency, evaluate
from easeml_ray.gate.label_messages import WantTestLabels
from easeml_ray.gate.labelling import Wanted, judge_asking, unseal_label
from easeml_ray.gate.language import parse
from easeml_ray.gate.messages import Evidence, GivesVerdict, JudgeModel, ReleasedEra, ReleaseEra
from easeml_ray.gate.meter import OverfittingMeter
from easeml_ray.gate.sealing import public_key, seal, unseal
from easeml_ray.gate.subsets import members
from easeml_ray.process.component import Bench, Job, Perform
from easeml_ray.process.issue import is_final

__all__ = ["WORK", "judge_model", "release_era", "seal_table"]


NO_ANSWER = -1  # the class of rows that a model could not answer
_FOR_EVER = 1e9  # milliseconds
_TOLD_BYTES = 48 * 1024  # of evidence that a released era tells
_SEALED_BYTES = 1024  # of evidence, beside the clauses' text


def seal_table(table: pa.Table, public: bytes) -> bytes:
    """Return a table as Arrow IPC bytes, sealed to the gate's key."""
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return seal(sink.getvalue(), public)


def _unsealed(job: Job, bench: Bench, digest: str) -> pa.Table:
    data = bytes(bench.blobs.get(job.tenant, digest))
    return pa.ipc.open_file(pa.py_buffer(unseal(data, bench.gate_key()))).read_all()


def judge_model(job: Job, bench: Bench) -> GivesVerdict | WantTestLabels:
    """Estimate n, o and d on all rows of the era and evaluate the condition.

    A model that fails on the rows fails the gate: the stream goes on without it.
    """
    body: JudgeModel = job.body
    table = _unsealed(job, bench, body.sealed)
    schema = bench.blobs.get_json(job.tenant, body.schema)
    if not body.labelled:
        return _judge_asking(job, bench, table, schema)
    labels = Classes(tuple(schema["classes"])).encode(table[schema["label"]])
    features = table.select([name for name, _ in schema["features"]])
    condition = parse(body.condition)
    old, new, latency = _answers(job, bench, condition, features)
    right, before, different = new == labels, old == labels, new != old
    subsets = {}
    for subset in condition.subsets:
        inside = members(table, schema["label"], subset)
        hits = {"n": right, "o": before, "d": different}
        subsets[subset] = {v: Fraction(int(hit[inside].sum()), int(inside.sum())) for v, hit in hits.items()}
    rows = len(labels)
    correct, earlier, changed = (int(hit.sum()) for hit in (right, before, different))
    n, o, d = (Fraction(count, rows) for count in (correct, earlier, changed))
    evaluation = evaluate(condition, mode=body.mode, n=n, o=o, d=d, subsets=subsets, latency=latency)
    clauses = tuple(f"{part.clause}: {float(part.value):.4f} {part.truth}" for part in evaluation.clauses)
    evidence = Evidence(rows, correct, earlier, changed, evaluation.truth.value, clauses, latency)
    given = _outcome(job, bench, evaluation.verdict is Verdict.PASS, evidence)
    if not body.meter or body.development is None:
        return given
    meter = OverfittingMeter(
        body.meter, reliability=body.reliability, steps=body.steps, adaptivity=body.adaptivity
    )
    return replace(given, band=meter.read(body.development, correct=correct, rows=rows).band)


def _judge_asking(
    job: Job, bench: Bench, table: pa.Table, schema: dict[str, Any]
) -> GivesVerdict | WantTestLabels:
    """Judge with the labels that people gave so far, or want more of them."""
    body: JudgeModel = job.body
    key = bench.gate_key()
    known = _known(job, bench, body.known)
    for label in body.fresh:
        known[label.row] = None if label.sealed is None else unseal_label(label.sealed, key)
    kept = body.known
    if body.fresh:
        text = json.dumps({str(row): code for row, code in sorted(known.items())}).encode()
        kept = bench.blobs.put(job.tenant, seal(text, public_key(key)))
    features = table.select([name for name, _ in schema["features"]])
    condition = parse(body.condition)
    old, new, latency = _answers(job, bench, condition, features)
    different = int((new != old).sum())
    slow = condition.latency is not None and compare_latency(condition.latency, latency) is Truth.FALSE
    if slow or (new == NO_ANSWER).all():
        # No label is asked for a model that fails without one.
        failed = Evidence(table.num_rows, 0, 0, different, "FALSE", (), latency, 0)
        return _outcome(job, bench, False, failed, kept)
    found = judge_asking(
        condition,
        old,
        new,
        known,
        members={subset: members(table, schema["label"], subset) for subset in condition.subsets},
        mode=body.mode,
        reliability=body.reliability,
        steps=body.steps,
        adaptivity=body.adaptivity,
        # Of the sealed bytes: nobody who chose the rows could choose their order.
        seed=int(body.sealed[:16], 16),
    )
    if isinstance(found, Wanted):
        wanted = bench.blobs.put_table(job.tenant, features.take(pa.array(found.rows)))
        classes = tuple(schema["classes"])
        return WantTestLabels(body.era, body.model, kept, wanted, found.rows, classes)
    labels = [(row, code) for row, code in known.items() if code is not None]
    right = sum(int(new[row] == code) for row, code in labels)
    before = sum(int(old[row] == code) for row, code in labels)
    truth, clauses = found.truth.value, found.clauses
    rows = table.num_rows
    evidence = Evidence(rows, right, before, different, truth, clauses, latency, found.labels)
    return _outcome(job, bench, found.verdict is Verdict.PASS, evidence, kept)


def _answers(
    job: Job, bench: Bench, condition: Condition, features: pa.Table
) -> tuple[NDArray[np.int64], NDArray[np.int64], float | None]:
    """Return what the old and the new model say, and the new one's latency if the condition limits it."""
    body: JudgeModel = job.body
    old = bench.predict(job.tenant, body.old, features)
    latency = None
    try:
        new = bench.predict(job.tenant, body.model, features)
        if condition.latency is not None:
            latency = bench.latency(job.tenant, body.model, features)
    except EasemlError as error:
        if not is_final(error):
            raise  # a store or a worker that is away says nothing about the model
        # A model that cannot answer the rows got none of them right, and took for ever.
        new = np.full(features.num_rows, NO_ANSWER, dtype=np.int64)
        latency = None if condition.latency is None else _FOR_EVER
    return old, new, latency


def _known(job: Job, bench: Bench, digest: str) -> dict[int, int | None]:
    """Return the labels that people gave, by row."""
    if not digest:
        return {}
    found = json.loads(unseal(bytes(bench.blobs.get(job.tenant, digest)), bench.gate_key()))
    return {int(row): code for row, code in found.items()}


def _outcome(job: Job, bench: Bench, passed: bool, evidence: Evidence, known: str = "") -> GivesVerdict:
    """Let the evidence out only where no later model can learn from it."""
    body: JudgeModel = job.body
    if body.adaptivity == "none":
        return GivesVerdict(body.era, body.model, passed, evidence, "", known)
    # Padded: the length of what is sealed must not tell the counts or the truth.
    # In JSON a character of the condition takes up to six bytes, or twelve as a pair.
    text = json.dumps(asdict(evidence)).encode().ljust(_SEALED_BYTES + 12 * len(body.condition))
    sealed = bench.blobs.put(job.tenant, seal(text, public_key(bench.gate_key())))
    return GivesVerdict(body.era, body.model, passed, None, sealed, known)


def release_era(job: Job, bench: Bench) -> ReleasedEra:
    """Unseal an exhausted era: its rows join train and development, what verdicts rested on is told."""
    body: ReleaseEra = job.body
    table = _unsealed(job, bench, body.sealed)
    if body.known is not None:
        table = _labelled(job, bench, table, body)
    digest = bench.blobs.put_table(job.tenant, table)
    evidence: list[Evidence | None] = []
    told = 0
    for name in body.evidence:
        data = unseal(bytes(bench.blobs.get(job.tenant, name)), bench.gate_key()) if name else b""
        told += len(data)
        if told > _TOLD_BYTES:
            break  # one message holds no more; the verdicts themselves are all there
        evidence.append(_evidence(data) if data else None)
    return ReleasedEra(body.era, digest, table.num_rows, tuple(evidence))


def _labelled(job: Job, bench: Bench, table: pa.Table, body: ReleaseEra) -> pa.Table:
    """Return the rows that were labelled, with their labels."""
    labels = {row: code for row, code in _known(job, bench, body.known or "").items() if code is not None}
    rows = sorted(labels)
    schema = bench.blobs.get_json(job.tenant, body.schema)
    place = table.column_names.index(schema["label"])
    names = pa.array([schema["classes"][labels[row]] for row in rows], pa.string())
    return table.take(pa.array(rows, pa.int64())).set_column(place, schema["label"], names)


def _evidence(data: bytes) -> Evidence:
    found = json.loads(data)
    return Evidence(**{**found, "clauses": tuple(found["clauses"])})


WORK: dict[type, Perform] = {JudgeModel: judge_model, ReleaseEra: release_era}
