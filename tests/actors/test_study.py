"""A study through the actors is the study that one process makes, and the next one goes on with it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest
import ray
from projects import csv_bytes

from actors.config import NAMESPACE, SystemConfig, actor_name
from actors.data_registry import DataRegistry
from actors.feasibility_estimator import FeasibilityEstimator
from actors.system import ActorSystem
from easeml_ray.component.base import Job
from easeml_ray.feasibility.collect import Work
from easeml_ray.feasibility.memory import Memory
from easeml_ray.feasibility.messages import ShowReport, Studied, Study, StudyStarted, StudyVersion
from easeml_ray.feasibility.report import FeasibilityReport
from easeml_ray.feasibility.study import Study as WholeStudy
from easeml_ray.feasibility.work import SEED, SPREAD_ROWS, study_version
from easeml_ray.messages import Command, DataVersion, Pillar, Principal, Role
from easeml_ray.process.task import parse_task
from easeml_ray.registry.messages import Correction, Revise
from easeml_ray.runtime.intake import Upload
from easeml_ray.runtime.local import LocalBench, LocalSystem
from easeml_ray.sealing import new_private_key, public_key
from easeml_ray.store import open_blob_store, open_event_store
from easeml_ray.store.memory import MemoryEventStore

pytestmark = pytest.mark.ray

WHO = Principal("lab", Role.TENANT, "ann")
NAME, PROJECT, TARGET = "study", "p", 0.9
ROWS = {"train": SPREAD_ROWS + 50, "development": 120, "stable": 60}


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


def table() -> pa.Table:
    """Two normal classes in the plane: few features, so that many rows are soon studied."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, sum(ROWS.values()))
    X = rng.standard_normal((len(y), 2)) + 2.0 * y[:, None]
    return pa.table({"a": X[:, 0], "b": X[:, 1], "y": y})


class Studies:
    """The two actors that a study needs, as their callers see them."""

    def __init__(self, config: SystemConfig, node: psutil.Process) -> None:
        self.config, self.node = config, node
        self.system = ActorSystem(config)
        shares = {name: rows / sum(ROWS.values()) for name, rows in ROWS.items()}
        task = parse_task({"label": "y", "target_accuracy": TARGET, "shares": shares})
        public = public_key(new_private_key())
        asked = Upload(project=PROJECT, tenant=WHO.tenant, task=task, format="csv", public_key=public)
        self.sealed = run(self.system.take(asked, csv_bytes(table())))
        run(self.system.handle("registry", PROJECT, WHO, self.sealed))

    @property
    def beliefs(self) -> list[dict[str, Any]]:
        return run(self.system.read("feasibility", PROJECT, ShowReport()))["beliefs"]

    def study(self, version: DataVersion) -> int:
        """Study a version; return how many processes were seen at work on tasks at once."""
        actors = self.workers()
        run(self.system.handle("feasibility", PROJECT, WHO, Study(version=version, target_accuracy=TARGET)))
        most = 0
        started = time.monotonic()
        while not any(belief["number"] == version.number for belief in self.beliefs):
            assert time.monotonic() - started < 120.0
            most = max(most, len(self.workers() - actors))
            time.sleep(0.1)
        return most

    def workers(self) -> set[int]:
        """Return the processes that Ray shows at work; an actor always is."""
        found = set()
        for process in self.node.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                title = "".join(process.cmdline())
                if title.startswith("ray::") and not title.startswith(("ray::IDLE", "ray::encode")):
                    found.add(process.pid)
        return found

    def revised(self, corrections: tuple[Correction, ...]) -> DataVersion:
        run(
            self.system.handle(
                "registry",
                PROJECT,
                WHO,
                Revise(number=1, corrections=corrections, purchases=(), reason="relabelling"),
            )
        )
        started = time.monotonic()
        while (version := run(self.system._latest(PROJECT))[0]).number == 1:
            assert time.monotonic() - started < 60.0
            time.sleep(0.05)
        return version

    def events(self) -> list[Any]:
        store = open_event_store(self.config.store)
        return [event.body for event in store.read(prefix="feasibility/")]


@pytest.fixture(scope="module")
def studies(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studies]:
    config = SystemConfig.local(tmp_path_factory.mktemp("study"), name=NAME)
    actors = {"DataRegistry": DataRegistry, "FeasibilityEstimator": FeasibilityEstimator}
    handles = [
        actor.options(
            name=actor_name(NAME, name), namespace=NAMESPACE, max_restarts=-1, num_cpus=0
        ).remote(config)
        for name, actor in actors.items()
    ]  # fmt: skip
    ray.get([handle.ready.remote() for handle in handles], timeout=120)
    yield Studies(config, psutil.Process(cluster.pid))
    for handle in handles:
        ray.kill(handle)


def test_a_study_spread_over_tasks_is_bit_for_bit_the_study_of_one_process(studies: Studies) -> None:
    version = studies.sealed.version
    assert version.train.rows >= SPREAD_ROWS
    assert studies.study(version) > 1

    local = LocalSystem(MemoryEventStore(), open_blob_store(studies.config.blobs))
    local.hosts["registry"].handle(Command("seal", PROJECT, WHO, 0.0, 0, studies.sealed))
    job = Job(
        "study", PROJECT, WHO.tenant, 0, StudyVersion(command=Study(version=version, target_accuracy=TARGET))
    )
    here = study_version(job, LocalBench(local, "feasibility", job.id))
    (there,) = studies.beliefs
    # By digest: the whole report, and the neighbours and the models' probabilities behind it.
    assert (there["report"], there["memory"]) == (here.report, here.memory)


def test_the_next_version_is_studied_from_memory_as_if_it_were_all_there_is(studies: Studies) -> None:
    """All curves are those of a study from nothing whose embeddings learned the labels of the first."""
    first = studies.sealed.version
    if not studies.events():
        studies.study(first)
    local = LocalSystem(MemoryEventStore(), studies.system.blobs)
    local.hosts["registry"].handle(Command("seal", PROJECT, WHO, 0.0, 0, studies.sealed))
    bench = LocalBench(local, "feasibility", "study")
    train, development = (
        bench.encoded(WHO.tenant, first, pillar) for pillar in (Pillar.TRAIN, Pillar.DEVELOPMENT)
    )
    corrections, labels = [], {}
    for name, rows, count in (("train", train, 60), ("development", development, 4)):
        labels[name] = rows.y.copy()
        labels[name][:count] = 1 - labels[name][:count]
        corrections += [
            Correction(pillar=name, row_id=int(row), column=None, value=str(code), evidence="")
            for row, code in zip(rows.row_ids[:count], labels[name][:count], strict=True)
        ]
    second = studies.revised(tuple(corrections))
    assert second.encoder == first.encoder
    started = time.monotonic()
    assert studies.study(second) <= 1
    print(f"studied from memory in {time.monotonic() - started:.2f} s")

    before, after = (body.command for body in studies.events() if isinstance(body, Studied))
    (_, resumed) = (body for body in studies.events() if isinstance(body, StudyStarted))
    assert resumed.memory == before.memory != after.memory
    again = WholeStudy(train.X, labels["train"], development.X, labels["development"], seed=SEED)
    again.fit_labels = train.y
    again._race("uniform", None, Work(None, None, 1))  # the models are no part of what is claimed
    report = FeasibilityReport.from_dict(local.blobs.get_json(WHO.tenant, after.report))
    assert report.curves == again.report(TARGET).curves
    assert report.stale_rows == 60
    memory = Memory.from_bytes(bytes(local.blobs.get(WHO.tenant, str(after.memory))))
    assert memory is not None and memory.fit_labels.tolist() == train.y.tolist()
    assert memory.evidence.y_train.tolist() == labels["train"].tolist()
