"""What a task may touch: the bench of one component's work."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ray.exceptions import RayError

from actors.call import find_actor
from actors.config import SystemConfig
from actors.data import resolve, resolve_encoded
from actors.tasks.fan_out import TaskExecutor
from easeml_ray.component.base import Encoded, Progress
from easeml_ray.messages import DatasetRef, DataVersion, Pillar
from easeml_ray.registry.capability import mint
from easeml_ray.runtime.components import ACTORS
from easeml_ray.runtime.keys import new_key, read_or_make_key
from easeml_ray.store import open_blob_store

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["TaskBench"]

_QUIET = 0.25  # seconds between two notes of progress


class TaskBench:
    """The :class:`easeml_ray.component.base.Bench` of a task: one component's rights.

    Parameters
    ----------
    config : SystemConfig
        Of the system.
    component : str
        Whose work it is.
    action : str, optional
        Which work it is; without, nobody is told of its progress.
    """

    def __init__(self, config: SystemConfig, component: str, action: str | None = None) -> None:
        self.config = config
        self.component = component
        self.action = action
        self.blobs = open_blob_store(config.blobs)
        self._owner: Any = None
        self._told = ("", -_QUIET)  # the stage of the last note, and when that was
        self._notes = count()
        self._name = uuid4().hex  # notes are numbered for each attempt by itself

    def table(self, ref: DatasetRef) -> pa.Table:
        """Return a pillar, read with the component's capability."""
        capability = mint(ref.project, ref.pillar, self.component)
        return resolve(self.config.name, ref, capability)

    def encoded(self, tenant: str, version: DataVersion, pillar: Pillar) -> Encoded:
        """Return a pillar as arrays, read with the component's capability."""
        capability = mint(version.project, pillar, self.component)
        return resolve_encoded(self.config.name, version, pillar, capability)

    def gate_key(self) -> bytes:
        """Refuse: the gate's key is opened by CIGate's own process alone."""
        raise AssertionError(f"a task of {self.component} asked for the gate's key")

    def data_key(self) -> bytes:
        """Return the key of held-out digests."""
        return read_or_make_key(self.config.data_key_file, new_key)

    def predict(self, tenant: str, model: str, features: pa.Table) -> NDArray[np.int64]:
        """Return the class codes that a stored model gives to rows without labels."""
        from easeml_ray.arms.model import load

        return load(bytes(self.blobs.get(tenant, model))).codes(features)

    def latency(self, tenant: str, model: str, features: pa.Table) -> float:
        """Return the 95th percentile of the milliseconds that a stored model takes for one row."""
        from easeml_ray.arms.model import load
        from easeml_ray.gate.latency import row_latency

        return row_latency(load(bytes(self.blobs.get(tenant, model))).codes, features)

    def executor(self) -> TaskExecutor:
        """Return an executor whose functions are tasks of this one."""
        return TaskExecutor()

    def progress(self, done: int, total: int, stage: str) -> None:
        """Tell the component's actor, a few times a second at most; nobody waits for it."""
        now, (before, at) = time.monotonic(), self._told
        news = stage != before or 0 < total <= done
        if self.action is None or (now - at < _QUIET and not news):
            return
        self._told = (stage, now)
        try:
            self._owner = self._owner or find_actor(self.config.name, ACTORS[self.component].name)
            turn = (self._name, next(self._notes))
            self._owner.note.remote(self.action, Progress(done, total, stage), turn)
        except (ValueError, RayError):
            self._owner = None  # it restarts, and this work with it
