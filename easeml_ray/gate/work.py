"""CIGate's work: verdicts and releases, both inside the process that holds the private key.

Labels of stable rows never leave this process: predictions come from features alone.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easeml_ray.component.base import Bench, Job, Perform
from easeml_ray.embed import Classes
from easeml_ray.errors import ModelFailed
from easeml_ray.gate.condition import Condition, Subset
from easeml_ray.gate.estimate import estimate
from easeml_ray.gate.evaluation import Truth, Verdict, compare_latency
from easeml_ray.gate.label_messages import SealedLabel, WantTestLabels
from easeml_ray.gate.labelling import Wanted, judge_asking, unseal_label
from easeml_ray.gate.language import parse
from easeml_ray.gate.messages import Evidence, GivesVerdict, JudgeModel, ReleasedEra, ReleaseEra
from easeml_ray.gate.meter import OverfittingMeter
from easeml_ray.gate.subsets import members
from easeml_ray.sealing import public_key, seal, unseal

__all__ = ["WORK", "judge_model", "release_era", "seal_table", "unseal_table"]

T = TypeVar("T")

NO_ANSWER = -1  # the class of rows that a model could not answer
_FOR_EVER = 1e9  # milliseconds
_TOLD_BYTES = 48 * 1024  # of evidence that a released era tells
_SEALED_BYTES = 4096  # of evidence, beside the clauses' text
_FAILURE = 200  # characters of what a model raised
_SKIPPED = -1  # stands for the label that nobody gave, where labels are kept


@dataclass(frozen=True, slots=True)
class _Said:
    """What the old and the new model answer to the rows of an era, and the new one's milliseconds a row."""

    old: NDArray[np.int64]
    new: NDArray[np.int64]
    latency: float | None
    failure: str = ""

    @property
    def nothing(self) -> bool:
        """Whether the new model has no answer to any row: then it fails, whatever the mode."""
        return bool((self.new == NO_ANSWER).all())


def seal_table(table: pa.Table, schema: dict[str, Any], public: bytes) -> bytes:
    """Return a table as Arrow IPC bytes, sealed to the gate's key."""
    # Labels are written as codes of one width: the length of what is sealed must not tell how often which
    # class occurs.
    label = schema["label"]
    if table[label].null_count < table.num_rows:
        codes = Classes(tuple(schema["classes"])).encode(table[label])
    else:
        codes = np.full(table.num_rows, _SKIPPED, dtype=np.int64)
    coded = table.set_column(table.column_names.index(label), label, pa.array(codes))
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, coded.schema) as writer:
        writer.write_table(coded)
    return seal(sink.getvalue(), public)


def unseal_table(job: Job, bench: Bench, digest: str, schema: dict[str, Any]) -> pa.Table:
    """Return a sealed table as it was; labels of a test set that came without are missing."""
    data = bytes(bench.blobs.get(job.tenant, digest))
    coded = pa.ipc.open_file(pa.py_buffer(unseal(data, bench.gate_key()))).read_all()
    return _with_labels(coded, schema, coded[schema["label"]].to_numpy())


def _with_labels(table: pa.Table, schema: dict[str, Any], codes: NDArray[np.int64]) -> pa.Table:
    names = pa.array(schema["classes"], pa.string()).take(pa.array(codes, mask=codes == _SKIPPED))
    return table.set_column(table.column_names.index(schema["label"]), schema["label"], names)


def judge_model(job: Job, bench: Bench) -> GivesVerdict | WantTestLabels:
    """Estimate the condition's clauses on all rows of the era and evaluate it."""
    # A model that fails on the rows fails the gate: the stream goes on without it.
    body: JudgeModel = job.body
    terms = body.era.command
    schema = bench.blobs.get_json(job.tenant, terms.schema)
    table = unseal_table(job, bench, terms.sealed, schema)
    condition = parse(terms.condition)
    features = table.select([name for name, _ in schema["features"]])
    said = _said(job, bench, condition, features)
    inside = {subset: members(table, schema["label"], subset) for subset in condition.subsets}
    if not terms.labelled:
        return _judge_asking(job, bench, condition, schema, features, said, inside)
    labels = Classes(tuple(schema["classes"])).encode(table[schema["label"]])
    found = estimate(
        condition, said.old, said.new, labels, members=inside, mode=terms.mode, latency=said.latency
    )
    correct, earlier = (int((answers == labels).sum()) for answers in (said.new, said.old))
    different = int((said.new != said.old).sum())
    evidence = Evidence(
        rows=len(labels),
        new_correct=correct,
        old_correct=earlier,
        different=different,
        truth=found.truth.value,
        clauses=found.told,
        latency_ms=said.latency,
        labels=None,
        failure=said.failure,
    )
    passed = found.verdict is Verdict.PASS and not said.nothing
    return replace(_outcome(job, bench, passed, evidence), band=_band(body, correct, len(labels)))


def _band(body: JudgeModel, correct: int, rows: int) -> int | None:
    """Return what the overfitting meter reads."""
    terms = body.era.command
    if not terms.meter or body.development is None:
        return None
    meter = OverfittingMeter(
        terms.meter, reliability=terms.reliability, steps=terms.steps, adaptivity=terms.adaptivity
    )
    return meter.read(body.development, correct=correct, rows=rows).band


def _judge_asking(
    job: Job,
    bench: Bench,
    condition: Condition,
    schema: dict[str, Any],
    features: pa.Table,
    said: _Said,
    inside: dict[Subset, NDArray[np.bool_]],
) -> GivesVerdict | WantTestLabels:
    """Judge with the labels that people gave so far, or want more of them."""
    body: JudgeModel = job.body
    terms = body.era.command
    if body.asked:
        # People saw these rows; from now on they are sealed like the others.
        bench.blobs.delete(job.tenant, body.asked.table)
    known = _known(job, bench, body.known, body.fresh)
    kept = _keep(job, bench, known) if body.fresh else body.known
    rows, different = features.num_rows, int((said.new != said.old).sum())
    limit = condition.latency
    slow = limit is not None and compare_latency(limit, said.latency) is Truth.FALSE
    if slow or said.nothing:
        # No label is asked for a model that fails without one.
        failed = Evidence(
            rows=rows,
            new_correct=0,
            old_correct=0,
            different=different,
            truth="FALSE",
            clauses=(),
            latency_ms=said.latency,
            labels=0,
            failure=said.failure,
        )
        return _outcome(job, bench, False, failed, kept)
    found = judge_asking(
        condition,
        said.old,
        said.new,
        known,
        members=inside,
        mode=terms.mode,
        reliability=terms.reliability,
        steps=terms.steps,
        adaptivity=terms.adaptivity,
        # Of the sealed bytes: nobody who chose the rows could choose their order.
        seed=int(terms.sealed[:16], 16),
    )
    if isinstance(found, Wanted):
        rows_of = f"{job.project}:{body.era.era}:{body.model}"  # no other project may delete this blob
        chosen = features.take(pa.array(found.rows)).replace_schema_metadata({"rows of": rows_of})
        wanted = bench.blobs.put_table(job.tenant, chosen)
        if body.asked:
            answers = body.asked.answers
        else:
            answers = bench.blobs.put(job.tenant, np.stack([said.old, said.new]).tobytes())
        classes = tuple(schema["classes"])
        return WantTestLabels(
            era=body.era.era,
            model=body.model,
            known=kept,
            table=wanted,
            rows=found.rows,
            classes=classes,
            answers=answers,
            latency_ms=said.latency,
        )
    labels = [(row, code) for row, code in known.items() if code is not None]
    right = sum(int(said.new[row] == code) for row, code in labels)
    before = sum(int(said.old[row] == code) for row, code in labels)
    evidence = Evidence(
        rows=rows,
        new_correct=right,
        old_correct=before,
        different=different,
        truth=found.truth.value,
        clauses=found.clauses,
        latency_ms=said.latency,
        labels=found.labels,
    )
    return _outcome(job, bench, found.verdict is Verdict.PASS, evidence, kept)


def _said(job: Job, bench: Bench, condition: Condition, features: pa.Table) -> _Said:
    """Ask the models, or read what they said before: a second measurement would be a second chance."""
    body: JudgeModel = job.body
    if body.asked:
        kept = np.frombuffer(bytes(bench.blobs.get(job.tenant, body.asked.answers)), dtype=np.int64)
        old, new = kept.reshape(2, -1)
        return _Said(old, new, body.asked.latency_ms)
    old, broken = _predicted(job, bench, body.old, features)
    if broken and condition.variables & {"o", "d"}:
        # Against a model that answers nothing every other one would look good.
        raise ModelFailed(
            f"the deployed model cannot answer the test rows: {broken}",
            hint="Deploy another one, or give a test set of rows that it can answer.",
            cause=broken,
        )
    bench.progress(1, 3, "predicting")
    new, failure = _predicted(job, bench, body.model, features)
    bench.progress(2, 3, "predicting")
    if condition.latency is None:
        return _Said(old, new, None, failure)
    latency = _FOR_EVER
    if not failure:
        measured, failure = _tried(bench.latency, job.tenant, body.model, features)
        latency = _FOR_EVER if measured is None else measured
    return _Said(old, new, latency, failure)


def _predicted(job: Job, bench: Bench, model: str, features: pa.Table) -> tuple[NDArray[np.int64], str]:
    """Return a model's answers; one that cannot answer the rows gets none of them right."""
    codes, failure = _tried(bench.predict, job.tenant, model, features)
    return np.full(features.num_rows, NO_ANSWER, dtype=np.int64) if codes is None else codes, failure


def _tried(
    ask: Callable[[str, str, pa.Table], T], tenant: str, model: str, features: pa.Table
) -> tuple[T | None, str]:
    """Return what a model says, or None and what it raised: that is its own failure, whatever it is."""
    try:
        return ask(tenant, model, features), ""
    except ModelFailed as error:
        return None, error.message[:_FAILURE]


def _known(job: Job, bench: Bench, digest: str, fresh: tuple[SealedLabel, ...]) -> dict[int, int | None]:
    """Return the labels that people gave, by row."""
    key = bench.gate_key()
    known: dict[int, int | None] = {}
    if digest:
        pairs = np.frombuffer(unseal(bytes(bench.blobs.get(job.tenant, digest)), key), dtype=np.int64)
        known = {int(row): None if code == _SKIPPED else int(code) for row, code in pairs.reshape(-1, 2)}
    for label in fresh:
        known[label.row] = None if label.sealed is None else unseal_label(label.sealed, key)
    return known


def _keep(job: Job, bench: Bench, known: dict[int, int | None]) -> str:
    """Seal labels, each in as many bytes as any other, and return the blob's name."""
    pairs = [(row, _SKIPPED if code is None else code) for row, code in sorted(known.items())]
    data = np.array(pairs, dtype=np.int64).tobytes()
    return bench.blobs.put(job.tenant, seal(data, public_key(bench.gate_key())))


def _outcome(job: Job, bench: Bench, passed: bool, evidence: Evidence, known: str = "") -> GivesVerdict:
    """Let the evidence out only where no later model can learn from it."""
    body: JudgeModel = job.body
    terms = body.era.command
    told = GivesVerdict(
        era=body.era.era, model=body.model, passed=passed, evidence=evidence, sealed_evidence="", known=known
    )
    if terms.adaptivity == "none":
        return told
    # Padded: the length of what is sealed must not tell the counts or the truth.
    # In JSON a character of the condition takes up to six bytes, or twelve as a pair.
    text = json.dumps(asdict(evidence)).encode().ljust(_SEALED_BYTES + 12 * len(terms.condition))
    sealed = bench.blobs.put(job.tenant, seal(text, public_key(bench.gate_key())))
    return replace(told, evidence=None, sealed_evidence=sealed)


def release_era(job: Job, bench: Bench) -> ReleasedEra:
    """Unseal an exhausted era: its rows join train and development, what verdicts rested on is told."""
    body: ReleaseEra = job.body
    terms = body.era.command
    schema = bench.blobs.get_json(job.tenant, terms.schema)
    table = unseal_table(job, bench, terms.sealed, schema)
    if body.known is not None:
        table = _labelled(table, schema, _known(job, bench, body.known, body.fresh))
    digest = bench.blobs.put_table(job.tenant, table)
    evidence: list[Evidence | None] = []
    told = 0
    for name in body.evidence:
        text = unseal(bytes(bench.blobs.get(job.tenant, name)), bench.gate_key()).rstrip() if name else b""
        told += len(text)
        if told > _TOLD_BYTES:
            break  # one message holds no more; the verdicts themselves are all there
        evidence.append(_evidence(text) if text else None)
    return ReleasedEra(era=body.era.era, digest=digest, rows=table.num_rows, evidence=tuple(evidence))


def _labelled(table: pa.Table, schema: dict[str, Any], known: dict[int, int | None]) -> pa.Table:
    """Return the rows that were labelled, with their labels."""
    labels = {row: code for row, code in sorted(known.items()) if code is not None}
    chosen = table.take(pa.array(list(labels), pa.int64()))
    return _with_labels(chosen, schema, np.array(list(labels.values()), dtype=np.int64))


def _evidence(data: bytes) -> Evidence:
    found = json.loads(data)
    return Evidence(**{**found, "clauses": tuple(found["clauses"])})


WORK: dict[type, Perform] = {JudgeModel: judge_model, ReleaseEra: release_era}
