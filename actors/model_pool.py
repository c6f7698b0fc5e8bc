"""ModelPool: the stream of models and what is deployed; replicas wait here for news."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import ray

from actors.shell import Shell
from easeml_ray.messages import SYSTEM
from easeml_ray.pool.messages import ShowDeployments
from easeml_ray.pool.state import PoolState

__all__ = ["ModelPool", "ModelPoolActor"]


class ModelPoolActor(Shell):
    """The shell of :class:`PoolState`, with a long poll on deployments."""

    state_type = PoolState

    async def deployments(self, seen: dict[str, int], seconds: float) -> dict[str, Any]:
        """Return what is deployed, by project, as soon as it differs from ``seen``."""
        until = time.monotonic() + seconds
        while True:
            changed = self.changed
            found = await self.read(SYSTEM, ShowDeployments())
            left = until - time.monotonic()
            if {name: d["deployment"] for name, d in found.items()} != seen or left <= 0:
                return found
            try:
                await asyncio.wait_for(changed.wait(), left)
            except TimeoutError:
                continue


ModelPool = ray.remote(ModelPoolActor)
