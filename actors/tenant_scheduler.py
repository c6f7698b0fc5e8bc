"""TenantScheduler: all tenants' trials on one pool of warm workers."""

from __future__ import annotations

import asyncio
from typing import Any

import ray

from actors.shell import Shell, awaited
from actors.trials.worker import TrialWorker
from easeml_ray.automl.messages import SetSlots
from easeml_ray.automl.state import SchedulerState
from easeml_ray.component.base import Job
from easeml_ray.messages import SYSTEM, Principal, Role

__all__ = ["TenantScheduler", "TenantSchedulerActor"]


class TenantSchedulerActor(Shell):
    """The shell of :class:`SchedulerState`; its trial workers are its children."""

    state_type = SchedulerState

    async def prepare(self) -> None:
        """Start the pool (workers import in the background) and tell the state its size."""
        self.free: asyncio.Queue[Any] = asyncio.Queue()
        for _ in range(self.config.slots):
            self.free.put_nowait(self._worker())
        state = self.host.state
        assert isinstance(state, SchedulerState)
        if state.slots != self.config.slots:
            who = Principal(SYSTEM, Role.SYSTEM, "automl")
            identity = f"slots-{self.host.epoch}-{self.config.slots}"
            await self.handle(identity, SYSTEM, who, SetSlots(slots=self.config.slots))

    async def perform(self, job: Job) -> Any:
        """Run a trial on the next free worker; a worker that died is replaced."""
        worker = await self.free.get()
        try:
            return await awaited(worker.run.remote(job))
        except (asyncio.CancelledError, ConnectionError):
            # It died, or it is still at what nobody waits for any more.
            ray.kill(worker)
            worker = self._worker()
            raise
        finally:
            self.free.put_nowait(worker)

    def _worker(self) -> Any:
        options = {"num_cpus": self.config.trial_cpus, "num_gpus": self.config.trial_gpus}
        return TrialWorker.options(**options).remote(self.config)


TenantScheduler = ray.remote(TenantSchedulerActor)
