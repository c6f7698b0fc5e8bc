"""What of a new version is studied anew, and what is taken over from the study before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from easeml_ray.component.base import Encoded, Job
from easeml_ray.component.data import encode_pillar
from easeml_ray.component.executor import LocalExecutor
from easeml_ray.embed import Encoder
from easeml_ray.feasibility import collect, memory, work
from easeml_ray.feasibility.memory import Memory
from easeml_ray.feasibility.messages import Report, StudyVersion
from easeml_ray.feasibility.messages import Study as AskedStudy
from easeml_ray.feasibility.report import FeasibilityReport
from easeml_ray.feasibility.work import SEED, Study, study_version
from easeml_ray.messages import DatasetRef, DataVersion, Pillar
from easeml_ray.registry.manifest import make_version
from easeml_ray.registry.messages import Correction, Part, Revise, ReviseVersion
from easeml_ray.registry.work import revise_version
from easeml_ray.store import open_blob_store

TENANT, PROJECT, TARGET = "lab", "p", 0.9
TRAIN, DEVELOPMENT = 80, 40  # one changed label more than 4 makes probes stale
SCHEMA = {"label": "y", "features": [["a", "number"], ["b", "number"]], "classes": ["0", "1"]}

STUDY = sys.modules[Study.__module__]  # the package has a function of this name


class Bench:
    """A bench on a blob store; versions are known by the parts that the registry made of them."""

    def __init__(self, folder: Path) -> None:
        self.blobs = open_blob_store(str(folder))
        self.parts: dict[str, tuple[Part, ...]] = {}
        self.told: list[tuple[int, int, str]] = []
        self.submitted: list[str] = []

    def table(self, ref: DatasetRef) -> pa.Table:
        parts = self.parts[ref.digest]
        return pa.concat_tables([self.blobs.get_table(TENANT, part.digest) for part in parts])

    def encoded(self, tenant: str, version: DataVersion, pillar: Pillar) -> Encoded:
        return encode_pillar(self, tenant, version, self.table(version.pillar(pillar)))

    def data_key(self) -> bytes:
        return b"key"

    @contextmanager
    def executor(self) -> Iterator[Any]:
        bench = self

        class Recording(LocalExecutor):
            def submit(self, function: Any, /, *args: Any) -> Future[Any]:
                bench.submitted.append(args[0].__name__)  # what is timed
                return super().submit(function, *args)

        yield Recording()

    def progress(self, done: int, total: int, stage: str) -> None:
        self.told.append((done, total, stage))

    def known(self, version: DataVersion, train: Any, development: Any) -> DataVersion:
        self.parts |= {version.train.digest: train, version.development.digest: development}
        return version

    def version(self, number: int, train: pa.Table, development: pa.Table) -> DataVersion:
        made = make_version(
            self.blobs, TENANT, project=PROJECT, number=number, parent=number - 1,
            train=train, development=development, schema=SCHEMA, answered=[],
        )  # fmt: skip
        return self.known(*made)

    def revised(
        self, base: DataVersion, *, labels: dict[str, int] | None = None, bought: pa.Table | None = None
    ) -> DataVersion:
        """Let the registry flip the labels of the first rows of pillars, and append rows."""
        corrections = []
        for pillar, count in (labels or {}).items():
            table = self.table(base.train if pillar == "train" else base.development)
            for row, label in zip(table["row_id"].to_pylist()[:count], table["y"].to_pylist(), strict=False):
                corrections.append(
                    Correction(pillar=pillar, row_id=row, column=None, value="10"[int(label)], evidence="")
                )
        purchases = () if bought is None else (self.blobs.put_table(TENANT, bought),)
        made = tuple(corrections)
        revise = Revise(number=base.number, corrections=made, purchases=purchases, reason="test")
        body = ReviseVersion(
            command=revise,
            version=base,
            absorbed=(),
            held_out=(),
            next_row_id=1000,
        )
        added = revise_version(Job("revise", PROJECT, TENANT, 0, body), self)
        return self.known(added.version, added.train, added.development)

    def study(self, version: DataVersion, before: Report | None = None, *, target: float = TARGET) -> Report:
        digest = None if before is None else before.memory
        asked = AskedStudy(version=version, target_accuracy=target, second_cents=1.0)
        body = StudyVersion(command=asked, memory=digest)
        return study_version(Job("study", PROJECT, TENANT, 0, body), self)

    def report(self, studied: Report) -> FeasibilityReport:
        return FeasibilityReport.from_dict(self.blobs.get_json(TENANT, studied.report))

    def memory(self, studied: Report) -> Memory:
        found = Memory.from_bytes(bytes(self.blobs.get(TENANT, str(studied.memory))))
        assert found is not None
        return found


def rows(count: int, seed: int, first: int = 0) -> pa.Table:
    """Two normal classes in the plane, their Bayes error a sixth."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    X = rng.standard_normal((count, 2)) + 1.4 * y[:, None]
    return pa.table(
        {
            "row_id": np.arange(first, first + count),
            "parent_id": pa.nulls(count, pa.int64()),
            "group_id": [f"g{i}" for i in range(first, first + count)],
            "a": X[:, 0],
            "b": X[:, 1],
            "y": [str(code) for code in y],
        }
    )


class Calls:
    """What a study did: the train rows that it searched, how often it fitted and trained."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.searched: list[np.ndarray] = []
        self.count = {"fit_embeddings": 0, "train_probes": 0}
        search = collect.search

        def searching(fitted: Any, X: Any, index: Any, Z: Any) -> Any:
            self.searched.append(index)
            return search(fitted, X, index, Z)

        for module in (collect, STUDY):
            monkeypatch.setattr(module, "search", searching)
        for name in self.count:
            monkeypatch.setattr(STUDY, name, self.counting(name, getattr(STUDY, name)))

    def counting(self, name: str, function: Any) -> Any:
        def called(*args: Any) -> Any:
            self.count[name] += 1
            return function(*args)

        return called

    @property
    def rows(self) -> set[int]:
        return {int(row) for index in self.searched for row in index}

    def whole(self, size: int) -> bool:
        """Whether all was studied anew."""
        return self.rows == set(range(size)) and set(self.count.values()) == {1}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("blobs"))


@pytest.fixture(scope="module")
def first(bench: Bench) -> DataVersion:
    return bench.version(1, rows(TRAIN, 0), rows(DEVELOPMENT, 1, first=TRAIN))


@pytest.fixture(scope="module")
def studied(bench: Bench, first: DataVersion) -> Report:
    return bench.study(first)


def arrays(bench: Bench, version: DataVersion, encoder: str) -> tuple[np.ndarray, ...]:
    """Return the features and codes of both pillars, by the encoder of a version of one's choice."""
    read = Encoder.from_json(bytes(bench.blobs.get(TENANT, encoder)).decode())
    tables = bench.table(version.train), bench.table(version.development)
    return tuple(
        a for t in tables for a in (read.transform(t), np.array([int(y) for y in t["y"].to_pylist()]))
    )


def raced(bench: Bench, version: DataVersion, fit_labels: np.ndarray) -> Study:
    """Search all rows anew, through embeddings that learn from these labels; no models."""
    study = Study(*arrays(bench, version, version.encoder), seed=SEED)
    study.fit_labels = fit_labels
    study._race("uniform", None, collect.Work(None, None, 1))
    return study


def test_a_first_study_leaves_a_report_a_memory_and_what_it_cost(
    bench: Bench, first: DataVersion, studied: Report
) -> None:
    report, kept = bench.report(studied), bench.memory(studied)
    assert (report.n_train, report.n_dev, report.n_classes) == (TRAIN, DEVELOPMENT, 2)
    assert (studied.number, studied.decision, studied.belief) == (1, report.decision.value, report.belief)
    assert studied.ber_interval == report.ber_interval and studied.advice == report.advice
    assert studied.cost_cents > 0.0
    assert kept.encoder == first.encoder and kept.row_ids.tolist() == list(range(TRAIN))
    assert kept.dev_ids.tolist() == list(range(TRAIN, TRAIN + DEVELOPMENT))
    steps = [done for done, _, _ in bench.told]
    assert steps == sorted(steps) and bench.told[-1][:2] == (steps[-1], steps[-1])


def test_another_target_for_the_same_version_searches_and_trains_nothing(
    bench: Bench, first: DataVersion, studied: Report, calls: Calls
) -> None:
    lower = bench.study(first, studied, target=0.6)
    again = bench.study(first, lower)
    assert not calls.searched and not any(calls.count.values())
    assert lower.belief > again.belief and again.report == studied.report


def test_changed_labels_are_looked_up_and_few_of_them_leave_the_probes(
    bench: Bench, first: DataVersion, studied: Report, calls: Calls
) -> None:
    second = bench.revised(first, labels={"train": 4, "development": 2})
    assert second.encoder == first.encoder
    after = bench.study(second, studied)
    assert not calls.searched and not any(calls.count.values())
    report, kept = bench.report(after), bench.memory(after)
    _, y, _, z = arrays(bench, second, first.encoder)
    assert report.stale_rows == 4
    assert kept.evidence.y_train.tolist() == y.tolist() and kept.evidence.y_dev.tolist() == z.tolist()
    before = arrays(bench, first, first.encoder)[1]
    assert kept.fit_labels.tolist() == before.tolist() != y.tolist()
    assert report.curves == raced(bench, second, before).report(TARGET).curves


def test_one_changed_label_more_and_the_probes_are_trained_again(
    bench: Bench, first: DataVersion, studied: Report, calls: Calls
) -> None:
    second = bench.revised(first, labels={"train": 5})
    report = bench.report(bench.study(second, studied))
    assert not calls.searched and calls.count == {"fit_embeddings": 0, "train_probes": 1}
    assert report.stale_rows == 0
    anew = bench.report(bench.study(second))
    assert report.model_error == anew.model_error
    # The neighbours are those of embeddings that learned the labels of the first version.
    assert report.ber_estimate == pytest.approx(anew.ber_estimate, abs=0.01)


def test_few_changes_of_version_after_version_add_up(
    bench: Bench, first: DataVersion, studied: Report, calls: Calls
) -> None:
    second = bench.revised(first, labels={"train": 3})
    third = bench.revised(second, labels={"train": 3})  # back to the first labels: no news any more
    after = bench.study(second, studied)
    assert calls.count["train_probes"] == 0
    last = bench.study(third, after)
    assert not calls.searched and not any(calls.count.values())
    # Neighbours, labels and probes are those of the first version again.
    assert last.report == studied.report


def test_appended_rows_alone_are_searched_by_the_encoder_of_the_first_study(
    bench: Bench, first: DataVersion, studied: Report, calls: Calls
) -> None:
    bought = rows(3, 2, first=500).drop_columns(["row_id", "parent_id"])
    second = bench.revised(first, labels={"train": 1}, bought=bought)
    assert second.encoder != first.encoder and second.train.rows == TRAIN + 3
    after = bench.study(second, studied)
    report, kept = bench.report(after), bench.memory(after)
    assert calls.rows == {TRAIN, TRAIN + 1, TRAIN + 2}
    assert calls.count == {"fit_embeddings": 1, "train_probes": 0} and report.stale_rows == 4
    assert kept.row_ids.tolist() == [*range(TRAIN), 1000, 1001, 1002] and kept.encoder == first.encoder
    blocks = len(bench.report(studied).curves["raw"])
    X, y, Z, z = arrays(bench, second, first.encoder)
    nearest = np.square(Z[:, None] - X[None]).sum(axis=2).argmin(axis=1)
    assert len(report.curves["raw"]) == blocks + 1
    assert report.curves["raw"][-1][:2] == (TRAIN + 3, int((y[nearest] != z).sum()))

    # The version after it goes on from there, in whatever order its rows stand.
    third = bench.revised(second, labels={"development": 2})
    tables = bench.table(third.train), bench.table(third.development)
    turned = bench.version(4, *(table.take(np.arange(table.num_rows)[::-1]) for table in tables))
    last = bench.report(bench.study(turned, after))
    assert len(calls.searched) == len(report.curves) and calls.count["train_probes"] == 0
    z = arrays(bench, third, first.encoder)[3]
    assert last.curves["raw"][-1][:2] == (TRAIN + 3, int((y[nearest] != z).sum()))
    assert last.stale_rows == 4 and last.curves["raw"] != report.curves["raw"]


def changed_feature(table: pa.Table) -> pa.Table:
    values = table["a"].to_pylist()
    return table.set_column(table.column_names.index("a"), "a", pa.array([values[0] + 0.5, *values[1:]]))


@pytest.mark.parametrize(
    ("train", "development"),
    [
        (changed_feature, lambda table: table),
        (lambda table: table, changed_feature),
        (lambda table: table.slice(1), lambda table: table),
        (lambda table: table, lambda table: table.slice(1)),
        (lambda table: table, lambda table: pa.concat_tables([table, rows(1, 3, first=600)])),
    ],
    ids=["train-cell", "development-cell", "train-gone", "development-gone", "development-more"],
)
def test_changed_features_gone_rows_and_other_development_rows_are_studied_anew(
    bench: Bench, first: DataVersion, studied: Report, calls: Calls, train: Any, development: Any
) -> None:
    second = bench.version(2, train(bench.table(first.train)), development(bench.table(first.development)))
    after = bench.study(second, studied)
    assert calls.whole(second.train.rows)
    assert bench.memory(after).encoder == second.encoder
    assert bench.report(after).n_dev == second.development.rows


def test_a_memory_of_another_format_is_not_used(
    bench: Bench, first: DataVersion, studied: Report, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "FORMAT", 2)
    assert bench.study(first, studied).report == studied.report
    assert calls.whole(TRAIN)


def test_many_rows_are_spread_and_the_report_is_the_same(
    bench: Bench, first: DataVersion, studied: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench.submitted == []
    monkeypatch.setattr(work, "SPREAD_ROWS", TRAIN)
    assert bench.study(first).report == studied.report
    assert set(bench.submitted) == {"fit_embedding", "search", "predictions"}
