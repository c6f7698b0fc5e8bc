"""CIGate: the only process that opens the gate's private key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import ray

from actors.config import SystemConfig
from actors.data import TaskBench
from actors.shell import Shell
from easeml_ray.gate.messages import AnnounceKey
from easeml_ray.gate.sealing import new_private_key, public_key
from easeml_ray.gate.state import GateState
from easeml_ray.messages import SYSTEM, Principal, Role
from easeml_ray.process.component import Job
from easeml_ray.process.components import work_of
from easeml_ray.process.keys import read_or_make_key

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["CIGate", "CIGateActor"]

_PREDICT_SECONDS = 600.0


class GateBench(TaskBench):
    """A bench inside CIGate's process: it has the key, and lets tasks see features alone."""

    def __init__(self, config: SystemConfig, key: bytes, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config, "gate")
        self._key = key
        self._loop = loop

    def gate_key(self) -> bytes:
        """Return the private key."""
        return self._key

    def predict(self, tenant: str, model: str, features: pa.Table) -> NDArray[np.int64]:
        """Have a task predict rows without labels."""
        from actors.tasks.work import predict

        codes: NDArray[np.int64] = self._in_a_task(predict, tenant, model, features)
        return codes

    def latency(self, tenant: str, model: str, features: pa.Table) -> float:
        """Have a task measure how long a row takes."""
        from actors.tasks.work import latency

        return float(self._in_a_task(latency, tenant, model, features))

    def _in_a_task(self, task: Any, *arguments: Any) -> Any:
        async def answered() -> Any:
            return await task.remote(self.config, *arguments)

        # Judging runs in a thread; what it waits for, the actor's own loop awaits.
        return asyncio.run_coroutine_threadsafe(answered(), self._loop).result(_PREDICT_SECONDS)


class CIGateActor(Shell):
    """The shell of :class:`GateState`; verdicts are computed in this process."""

    state_type = GateState

    async def prepare(self) -> None:
        """Make or read the key and announce its public half."""
        key = await asyncio.to_thread(read_or_make_key, self.config.gate_key_file, new_private_key)
        self.bench = GateBench(self.config, key, asyncio.get_running_loop())
        public = public_key(key).hex()
        await self.handle(
            f"gate-key-{public}", SYSTEM, Principal(SYSTEM, Role.SYSTEM, "gate"), AnnounceKey(public)
        )

    async def perform(self, job: Job) -> Any:
        """Judge or release in a thread of this process: the key and the labels stay in it."""
        return await asyncio.to_thread(work_of("gate")[type(job.body)], job, self.bench)


CIGate = ray.remote(CIGateActor)
