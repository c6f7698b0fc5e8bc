"""What Ray tasks run: the plain work functions of the components, and nothing of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ray

from actors.config import SystemConfig
from actors.tasks.bench import TaskBench
from easeml_ray.component.base import Encoded, Job
from easeml_ray.component.data import encode_pillar
from easeml_ray.messages import DataVersion, Pillar
from easeml_ray.runtime.components import work_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from easeml_ray.runtime.intake import Offering, TestSet, Upload

__all__ = ["encode", "perform", "predict", "run", "take"]


def perform(config: SystemConfig, component: str, job: Job) -> Any:
    """Do a piece of work in this process and return the command body that reports it."""
    return work_of(component)[type(job.body)](job, TaskBench(config, component, job.id))


@ray.remote(num_cpus=0.5, max_retries=0)
def run(config: SystemConfig, component: str, job: Job) -> Any:
    """Do a piece of work as a task. Not retried by Ray: the action stays due and is issued again."""
    return perform(config, component, job)


@ray.remote(num_cpus=0, max_retries=2)
def encode(config: SystemConfig, tenant: str, version: DataVersion, pillar: Pillar) -> Encoded:
    """Encode a pillar. Takes no processor of its own: those that hold one may be waiting for it."""
    bench = TaskBench(config, "registry")
    return encode_pillar(bench, tenant, version, bench.table(version.pillar(pillar)))


@ray.remote(num_cpus=0.5, max_retries=2)
def predict(config: SystemConfig, tenant: str, model: str, features: pa.Table) -> NDArray[np.int64]:
    """Predict features for the gate; no label is among the arguments."""
    return TaskBench(config, "gate").predict(tenant, model, features)


@ray.remote(num_cpus=0.5, max_retries=2)
def latency(config: SystemConfig, tenant: str, model: str, features: pa.Table) -> float:
    """Measure how long a model takes for one row; no label is among the arguments."""
    return TaskBench(config, "gate").latency(tenant, model, features)


@ray.remote(num_cpus=0.5, max_retries=0)
def take(config: SystemConfig, asked: Upload | TestSet | Offering, sealed: bytes, key: bytes) -> Any:
    """Parse and check bytes from outside, away from every actor.

    They come sealed to a key of this one call: Ray may write a large argument to disk, and labels of a
    test set are among them. The key is too small to be written anywhere.
    """
    from easeml_ray.runtime import intake
    from easeml_ray.runtime.keys import new_key, read_or_make_key
    from easeml_ray.sealing import unseal
    from easeml_ray.store import open_blob_store

    data, data_key = unseal(sealed, key), read_or_make_key(config.data_key_file, new_key)
    return intake.take(asked, data, blobs=open_blob_store(config.blobs), data_key=data_key)
