"""CIGate: the only process that opens the gate's private key."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayTaskError

from actors.call import unwrapped
from actors.config import SystemConfig
from actors.shell import Shell, awaited
from actors.tasks.bench import TaskBench
from easeml_ray.component.base import Job
from easeml_ray.errors import DeadlineExceeded, InvalidArgument, InvalidSpec, NotReady, StoreError
from easeml_ray.gate.messages import AnnounceKey
from easeml_ray.gate.state import GateState
from easeml_ray.messages import SYSTEM, Principal, Role
from easeml_ray.runtime.components import work_of
from easeml_ray.runtime.keys import read_or_make_key
from easeml_ray.sealing import new_private_key, public_key

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["CIGate", "CIGateActor"]

_PREDICT_SECONDS = 600.0
_JUDGEMENTS = 64
_VARIABLE = "EASEML_GATE_KEY"


class GateBench(TaskBench):
    """A bench inside CIGate's process: it has the key, and lets tasks see features alone."""

    def __init__(
        self, config: SystemConfig, action: str, key: bytes, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(config, "gate", action)
        self._key = key
        self._loop = loop
        self._waiting: Future[Any] | None = None

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
        """Run a task to its end; NotReady where no worker was to be had, which is no model's fault."""

        async def answered() -> Any:
            return await awaited(task.remote(self.config, *arguments), force=True)

        # Judging runs in a thread; what it waits for, the actor's own loop awaits.
        self._waiting = asyncio.run_coroutine_threadsafe(answered(), self._loop)
        try:
            return self._waiting.result(_PREDICT_SECONDS)
        except RayTaskError as error:
            raise self._cause(error) from error
        except (TimeoutError, CancelledError) as error:
            self.stop()
            raise NotReady(
                f"no worker answered within {_PREDICT_SECONDS:.0f} s", hint="Others keep them busy."
            ) from error

    @staticmethod
    def _cause(error: RayTaskError) -> Exception:
        """Return what a task raised: a store that is away there is away here too."""
        return error.cause if isinstance(error.cause, OSError) else unwrapped(error)

    def stop(self) -> None:
        """End the task that is waited for: nobody wants its result."""
        if self._waiting is not None:
            self._waiting.cancel()


class CIGateActor(Shell):
    """The shell of :class:`GateState`; verdicts are computed in this process."""

    state_type = GateState
    # A verdict cannot be taken back: a store or a worker that is away must not become one.
    patient_with = (OSError, StoreError, NotReady, DeadlineExceeded)

    async def prepare(self) -> None:
        """Make or read the key and announce its public half."""
        # Threads of their own: judgements that wait for workers must not keep commands from the store.
        self.threads = ThreadPoolExecutor(_JUDGEMENTS, "judge")
        self.key = await asyncio.to_thread(gate_key, self.config)
        public = public_key(self.key).hex()
        await self.handle(
            f"gate-key-{public}",
            SYSTEM,
            Principal(SYSTEM, Role.SYSTEM, "gate"),
            AnnounceKey(public_key=public),
        )

    async def perform(self, job: Job) -> Any:
        """Judge or release in a thread of this process: the key and the labels stay in it."""
        loop = asyncio.get_running_loop()
        bench = GateBench(self.config, job.id, self.key, loop)
        try:
            return await loop.run_in_executor(self.threads, work_of("gate")[type(job.body)], job, bench)
        finally:
            bench.stop()


def gate_key(config: SystemConfig) -> bytes:
    """Return the private key: of the environment if it is there, else of the state folder."""
    text = os.environ.get(_VARIABLE)
    if not text:
        return read_or_make_key(config.gate_key_file, new_private_key)
    try:
        key = bytes.fromhex(text)
        public_key(key)
    except (ValueError, InvalidArgument) as error:
        # Never the key itself in the message.
        raise InvalidSpec(
            f"{_VARIABLE} is no key",
            hint="Give 32 bytes in hex, e.g. of: openssl rand -hex 32.",
            field=_VARIABLE,
        ) from error
    return key


CIGate = ray.remote(CIGateActor)
