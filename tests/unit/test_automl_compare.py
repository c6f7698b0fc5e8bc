"""What a step brought a model of the tenant's own arm: the comparison of two versions, and its slot."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from projects import small_project

from easeml_ray.arms import train
from easeml_ray.automl.messages import CompareVersions
from easeml_ray.automl.work import compare_versions
from easeml_ray.component.base import Job
from easeml_ray.messages import Pillar, Principal, Role
from easeml_ray.process.messages import CreateProject
from easeml_ray.runtime.local import LocalBench, LocalSystem
from easeml_ray.store.blobs import ArrowBlobStore
from easeml_ray.store.memory import MemoryEventStore

WHO = Principal("lab", Role.TENANT, "ann")


def test_an_arm_is_trained_on_both_versions_and_asked_about_the_newer_rows(
    tmp_path: Path, quick_probes: None
) -> None:
    """Between the two versions missing cells were repaired: the newer train is not the older one."""
    known = small_project(missing=0.3)
    system = LocalSystem(MemoryEventStore(), ArrowBlobStore(str(tmp_path)))
    asyncio.run(system.handle("process", "small", WHO, CreateProject(name="small", task=known.task)))
    asyncio.run(system.upload("small", WHO, known.data, format="csv"))
    kept = system.hosts["registry"].state.projects["small"].versions
    before, after = (kept[number].version for number in sorted(kept)[:2])
    body = CompareVersions(
        option="clean:v1", kind="CLEAN_CELL", arm="logistic", before=before, after=after, target_accuracy=1.0
    )
    bench = LocalBench(system, "automl", "check")
    report = compare_versions(Job("check", "small", WHO.tenant, 7, body), bench)
    rows, development = (bench.encoded(WHO.tenant, after, p) for p in (Pillar.TRAIN, Pillar.DEVELOPMENT))
    model = train("logistic", rows.X, rows.y, development.X, development.y, n_classes=2, seed=7)
    assert report.after == model.dev_accuracy
    assert report.rows == len(development.y) and report.command == body
    assert report.gain.mean == pytest.approx(report.after - report.before)
    assert report == compare_versions(Job("check", "small", WHO.tenant, 7, body), bench)
