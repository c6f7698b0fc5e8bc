"""What all tests share: no writing into HOME, and one Ray cluster for those that need it."""

from __future__ import annotations

import gc
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

# Test modules are imported by path; what they share stands beside this file.
sys.path.insert(0, str(Path(__file__).parent))

# Thousands of small tests make little garbage in cycles; looking for it often costs seconds.
gc.set_threshold(50_000, 20, 20)

_home = tempfile.mkdtemp(prefix="easeml-home-")
os.environ["HOME"] = _home
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Ray reads both once, when it is imported.
os.environ["RAY_AUTH_MODE"] = "token"
os.environ["RAY_AUTH_TOKEN"] = secrets.token_urlsafe(32)
# Small enough for a test to make Ray spill.
os.environ["RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES"] = str(256 * 2**20)
for name in ("STATE", "URL", "TOKEN", "STORE", "BLOBS", "PORT", "RAY_ADDRESS"):
    os.environ.pop(f"EASEML_{name}", None)


def pytest_sessionfinish() -> None:
    shutil.rmtree(_home, ignore_errors=True)


@pytest.fixture(scope="module")
def quick_probes() -> Iterator[None]:
    """Studies without their three slowest probes, for tests of what happens around a study."""
    from easeml_ray.probes.models import PROBES

    with pytest.MonkeyPatch.context() as patch:
        for name in ("boosted", "kernel", "forest"):
            patch.setitem(PROBES, name, replace(PROBES[name], most_classes=0))
        yield


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One local system with a job server, for the whole session; the test process is a driver of it."""
    import ray

    from actors.config import NAMESPACE
    from cluster import local

    state = tmp_path_factory.mktemp("cluster")
    endpoint = local.up(state, local.Options(jobs=True, cpus=4))
    try:
        ray.init(address=endpoint.ray_address, namespace=NAMESPACE, log_to_driver=False)
        yield endpoint
    finally:
        ray.shutdown()
        local.down(state)
