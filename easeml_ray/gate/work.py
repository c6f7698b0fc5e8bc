"""CIGate's work: verdicts and releases, both inside the process that holds the private key.

Labels of stable rows never leave this process: predictions come from features alone.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from fractions import Fraction

import numpy as np
import pyarrow as pa

from easeml_ray.embed import Classes
from easeml_ray.errors import EasemlError
from easeml_ray.gate.evaluation import Verdict, evaluate
from easeml_ray.gate.language import parse
from easeml_ray.gate.messages import Evidence, GivesVerdict, JudgeModel, ReleasedEra, ReleaseEra
from easeml_ray.gate.sealing import public_key, seal, unseal
from easeml_ray.process.component import Bench, Job, Perform
from easeml_ray.process.issue import is_final

__all__ = ["WORK", "judge_model", "release_era", "seal_table"]


_SEALED_BYTES = 256


def seal_table(table: pa.Table, public: bytes) -> bytes:
    """Return a table as Arrow IPC bytes, sealed to the gate's key."""
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return seal(sink.getvalue(), public)


def _unsealed(job: Job, bench: Bench, digest: str) -> pa.Table:
    data = bytes(bench.blobs.get(job.tenant, digest))
    return pa.ipc.open_file(pa.py_buffer(unseal(data, bench.gate_key()))).read_all()


def judge_model(job: Job, bench: Bench) -> GivesVerdict:
    """Estimate n, o and d on all rows of the era and evaluate the condition.

    A model that fails on the rows fails the gate: the stream goes on without it.
    """
    body: JudgeModel = job.body
    table = _unsealed(job, bench, body.sealed)
    schema = bench.blobs.get_json(job.tenant, body.schema)
    labels = Classes(tuple(schema["classes"])).encode(table[schema["label"]])
    features = table.select([name for name, _ in schema["features"]])
    rows = len(labels)
    old = bench.predict(job.tenant, body.old, features)
    try:
        new = bench.predict(job.tenant, body.model, features)
    except EasemlError as error:
        if not is_final(error):
            raise  # a store or a worker that is away says nothing about the model
        # A model that cannot answer the rows got none of them right.
        new = np.full(rows, -1, dtype=np.int64)
    correct, before, different = (int(np.sum(hit)) for hit in (new == labels, old == labels, new != old))
    evaluation = evaluate(
        parse(body.condition),
        mode=body.mode,
        n=Fraction(correct, rows),
        o=Fraction(before, rows),
        d=Fraction(different, rows),
    )
    evidence = Evidence(rows, correct, before, different, evaluation.truth.value)
    return _outcome(bench, body, evaluation.verdict is Verdict.PASS, evidence)


def _outcome(bench: Bench, body: JudgeModel, passed: bool, evidence: Evidence) -> GivesVerdict:
    """Let the evidence out only where no later model can learn from it."""
    if body.adaptivity == "none":
        return GivesVerdict(body.era, body.model, passed, evidence, "")
    # Padded: the length of what is sealed must not tell the counts or the truth.
    text = json.dumps(asdict(evidence)).encode().ljust(_SEALED_BYTES)
    sealed = seal(text, public_key(bench.gate_key())).hex()
    return GivesVerdict(body.era, body.model, passed, None, sealed)


def release_era(job: Job, bench: Bench) -> ReleasedEra:
    """Unseal an exhausted era: its rows join train and development at the next version."""
    body: ReleaseEra = job.body
    table = _unsealed(job, bench, body.sealed)
    return ReleasedEra(body.era, bench.blobs.put_table(job.tenant, table), table.num_rows)


WORK: dict[type, Perform] = {JudgeModel: judge_model, ReleaseEra: release_era}
