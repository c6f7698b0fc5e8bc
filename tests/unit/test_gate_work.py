"""Judging inside the gate's process: models that fail, what is measured once, what lengths tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from easeml_ray.component.base import Job
from easeml_ray.errors import BlobMissing, ModelFailed, WorkFailed
from easeml_ray.gate.label_messages import SealedLabel, WantTestLabels
from easeml_ray.gate.labelling import seal_label
from easeml_ray.gate.messages import (
    EraSealed,
    GivesVerdict,
    JudgeModel,
    OpenEra,
    ReleasedEra,
    ReleaseEra,
)
from easeml_ray.gate.work import judge_model, release_era, seal_table, unseal_table
from easeml_ray.sealing import new_private_key, public_key, unseal
from easeml_ray.store.blobs import ArrowBlobStore

ROWS = 200
CLASSES = ["no", "maybe", "yes"]
SCHEMA: dict[str, Any] = {"label": "y", "classes": sorted(CLASSES), "features": [["x", "number"]]}


class Bench:
    """Blobs on disk, models that are functions of x; counts how often each is asked."""

    def __init__(self, folder: Any) -> None:
        self.blobs = ArrowBlobStore(str(folder))
        self.key = new_private_key()
        self.models: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
        self.milliseconds = iter(())
        self.asked: list[str] = []

    def gate_key(self) -> bytes:
        return self.key

    def predict(self, tenant: str, model: str, features: pa.Table) -> np.ndarray:
        assert features.column_names == ["x"]
        self.asked.append(model)
        return self.models[model](features["x"].to_numpy())

    def latency(self, tenant: str, model: str, features: pa.Table) -> float:
        self.asked.append("latency")
        return next(self.milliseconds)

    def progress(self, done: int, total: int, stage: str) -> None:
        assert done <= total


@pytest.fixture
def bench(tmp_path: Any) -> Bench:
    made = Bench(tmp_path)
    made.models = {
        "old": lambda x: np.zeros(len(x), dtype=np.int64),
        "new": lambda x: (x > 100).astype(np.int64),
    }
    return made


def table(labels: np.ndarray | None = None) -> pa.Table:
    names = pa.nulls(ROWS, pa.string())
    if labels is not None:
        names = pa.array([SCHEMA["classes"][code] for code in labels])
    rows = pa.array(np.arange(ROWS, dtype=np.int64))
    return pa.table({"row_id": rows, "x": pa.array(np.arange(ROWS, dtype=np.float64)), "y": names})


def job(bench: Bench, condition: str, *, labels: np.ndarray | None = None, **changes: Any) -> Job:
    """Return the work of judging ``new`` against ``old``."""
    sealed = bench.blobs.put("lab", seal_table(table(labels), SCHEMA, public_key(bench.key)))
    terms = {"mode": "fp-free", "adaptivity": "none", "reliability": 0.9, "steps": 2} | changes
    schema = bench.blobs.put_json("lab", SCHEMA)
    opened = OpenEra(
        sealed=sealed,
        rows=ROWS,
        schema=schema,
        condition=condition,
        bound="best",
        labelled=labels is not None,
        **terms,
    )
    era = EraSealed(command=opened, era=1, required=ROWS)
    body = JudgeModel(era=era, model="new", old="old")
    return Job("job", "p", "lab", 0, body)


def truth() -> np.ndarray:
    return (np.arange(ROWS) > 100).astype(np.int64)


def test_a_table_is_unsealed_as_it_was_with_labels_or_without(bench: Bench) -> None:
    for labels in (truth(), None):
        made = job(bench, "n > 0.5 +/- 0.2", labels=labels)
        found = unseal_table(made, bench, made.body.era.command.sealed, SCHEMA)
        assert found.to_pydict() == table(labels).to_pydict()


def test_the_length_of_a_sealed_table_does_not_tell_how_often_a_class_occurs(bench: Bench) -> None:
    every = [None, *(np.full(ROWS, code) for code in range(3)), truth()]
    public = public_key(bench.key)
    assert len({len(seal_table(table(labels), SCHEMA, public)) for labels in every}) == 1


def fail(x: np.ndarray) -> np.ndarray:
    raise ModelFailed("it says nothing", hint="", cause="")


@pytest.mark.parametrize("labelled", [True, False])
def test_a_model_that_cannot_answer_fails_in_every_mode(bench: Bench, labelled: bool) -> None:
    bench.models["new"] = fail
    for mode in ("fp-free", "fn-free"):
        work = job(bench, "n > 0.1 +/- 0.2", labels=truth() if labelled else None, mode=mode)
        found = judge_model(work, bench)
        assert isinstance(found, GivesVerdict)
        assert not found.passed
        assert found.evidence is not None
        assert found.evidence.failure == "it says nothing"


def test_nothing_is_judged_against_a_model_that_cannot_answer(bench: Bench) -> None:
    bench.models["old"] = fail
    with pytest.raises(ModelFailed, match="deployed model"):
        judge_model(job(bench, "n - o > 0.02 +/- 0.05", labels=truth()), bench)
    found = judge_model(job(bench, "n > 0.1 +/- 0.2", labels=truth()), bench)
    assert isinstance(found, GivesVerdict) and found.passed  # what it says is of no matter


def test_two_projects_with_the_same_rows_do_not_share_what_people_are_shown(bench: Bench) -> None:
    work = job(bench, "n - o > 0.02 +/- 0.2", adaptivity="full")
    first, second = judge_model(work, bench), judge_model(replace(work, project="q"), bench)
    assert isinstance(first, WantTestLabels) and isinstance(second, WantTestLabels)
    assert first.rows == second.rows
    assert first.table != second.table


def test_a_store_that_is_away_is_no_failure_of_the_model(bench: Bench) -> None:
    for error in (BlobMissing("gone", hint=""), OSError("network"), WorkFailed("a bug", hint="")):

        def away(x: np.ndarray, error: Exception = error) -> np.ndarray:
            raise error

        bench.models["new"] = away
        with pytest.raises(type(error)):
            judge_model(job(bench, "n > 0.1 +/- 0.2", labels=truth()), bench)


def answered(found: WantTestLabels, bench: Bench) -> tuple[SealedLabel, ...]:
    public = public_key(bench.key)
    return tuple(SealedLabel(row=row, sealed=seal_label(int(truth()[row]), public)) for row in found.rows)


@pytest.mark.parametrize("adaptivity", ["none", "full"])
def test_models_are_asked_and_timed_once_however_many_rounds_of_labels_it_takes(
    bench: Bench, adaptivity: str
) -> None:
    bench.milliseconds = iter([1.0, 99.0])
    work = job(bench, "n - o > 0.02 +/- 0.05 /\\ latency < 5 ms", adaptivity=adaptivity)
    rounds, wanted = 0, []
    while isinstance(found := judge_model(work, bench), WantTestLabels):
        rounds += 1
        assert bench.blobs.has("lab", found.table)
        wanted.append(found.table)
        fresh = answered(found, bench)
        body = replace(work.body, known=found.known, fresh=fresh, asked=found)
        work = replace(work, body=body)
    assert rounds > 1
    assert found.passed
    assert bench.asked == ["old", "new", "latency"]
    # Rows that people have labelled are in clear no longer.
    assert not any(bench.blobs.has("lab", name) for name in wanted)
    release = ReleaseEra(era=work.body.era, evidence=(), known=found.known)
    released = release_era(replace(work, body=release), bench)
    rows = bench.blobs.get_table("lab", released.digest)
    assert rows["y"].to_pylist() == [SCHEMA["classes"][code] for code in truth()[rows["row_id"].to_numpy()]]


def test_labels_beside_the_sealed_blob_are_released_too(bench: Bench) -> None:
    work = job(bench, "n - o > 0.02 +/- 0.2", adaptivity="full")
    found = judge_model(work, bench)
    assert isinstance(found, WantTestLabels)
    body = ReleaseEra(era=work.body.era, evidence=(), known="", fresh=answered(found, bench))
    assert release_era(replace(work, body=body), bench).rows == len(found.rows)


def test_evidence_of_long_conditions_is_told_at_the_release(bench: Bench) -> None:
    condition = " /\\ ".join(f"n > 0.{i}{'1' * 24} +/- 0.{'2' * 25}" for i in range(1, 10))
    work = job(bench, condition, labels=truth(), adaptivity="full", steps=40)
    given = [judge_model(work, bench) for _ in range(40)]
    assert {found.evidence for found in given} == {None}  # type: ignore[union-attr]
    names = tuple(found.sealed_evidence for found in given)  # type: ignore[union-attr]
    body = ReleaseEra(era=work.body.era, evidence=names, known=None)
    released = release_era(replace(work, body=body), bench)
    assert isinstance(released, ReleasedEra)
    assert len([evidence for evidence in released.evidence if evidence]) >= 20


def bytes_of(bench: Bench, names: list[str]) -> list[int]:
    return [len(bytes(bench.blobs.get("lab", name))) for name in names]


def test_the_bytes_of_sealed_evidence_do_not_tell_counts_truth_or_failure(bench: Bench) -> None:
    models = {
        "right": lambda x: (x > 100).astype(np.int64),
        "wrong": lambda x: np.full(len(x), 2),
        "close": lambda x: (x > 103).astype(np.int64),
        "fails": fail,
    }
    for condition in ("n > 0.9 +/- 0.02", "n > 0.9 +/- 0.02 /\\ n - o > 0.1 +/- 0.05"):
        names, told = [], set()
        for answers in models.values():
            bench.models["new"] = answers
            found = judge_model(job(bench, condition, labels=truth(), adaptivity="full"), bench)
            assert isinstance(found, GivesVerdict) and found.evidence is None
            names.append(found.sealed_evidence)
            text = unseal(bytes(bench.blobs.get("lab", found.sealed_evidence)), bench.key)
            told.add(len(text.rstrip()))
        assert len(told) > 2  # what is told has other lengths: the padding is at work
        assert len(set(bytes_of(bench, names))) == 1


def test_the_bytes_of_kept_labels_do_not_tell_which_they_are(bench: Bench) -> None:
    work = job(bench, "n - o > 0.02 +/- 0.2", adaptivity="full")
    wanted = judge_model(work, bench)
    assert isinstance(wanted, WantTestLabels)
    public, names = public_key(bench.key), []
    for code in (0, 2, None):
        fresh = tuple(
            SealedLabel(row=r, sealed=None if code is None else seal_label(code, public)) for r in wanted.rows
        )
        body = replace(work.body, fresh=fresh, asked=wanted)
        found = judge_model(replace(work, body=body), bench)
        assert isinstance(found, WantTestLabels)
        names.append(found.known)
    assert len(set(bytes_of(bench, names))) == 1


def test_sealed_labels_are_codes_of_one_width_whatever_their_text(bench: Bench) -> None:
    long = {**SCHEMA, "classes": ["a", "b" * 4000, "c"]}
    public = public_key(bench.key)
    sizes = set()
    for code in range(3):
        names = pa.array([long["classes"][code]] * ROWS)
        rows = table().set_column(2, "y", names)
        sealed = seal_table(rows, long, public)
        coded = pa.ipc.open_file(pa.py_buffer(unseal(sealed, bench.key))).read_all()
        assert coded.schema.field("y").type == pa.int64() and set(coded["y"].to_pylist()) == {code}
        sizes.add(len(sealed))
    assert len(sizes) == 1
