"""The models that this process answers with: pulled when deployed, swapped while it serves.

A background task watches what is deployed. A new model is loaded in a thread, beside the old
one, which answers until the new one is there; a model that does not load is tried again later
and stops nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from easeml_ray.arms.model import ServableModel, load
from easeml_ray.errors import NoModel, NotReady
from easeml_ray.runtime.system import System

__all__ = ["Deployment", "ModelCache", "Served"]

log = logging.getLogger(__name__)

_PAUSE = 0.5  # seconds after the first failure; doubled after each further one
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """What ModelPool said: ``number`` counts a project's deployments, ``version`` is of its data."""

    model: str
    arm: str
    version: int
    number: int


@dataclass(frozen=True, slots=True)
class Served:
    """A loaded model with the deployment that it answers for."""

    deployment: Deployment
    model: ServableModel


@dataclass
class _Retry:
    at: float  # monotonic seconds
    pause: float


class ModelCache:
    """Deployed models by project, loaded ones by digest, the least recently used dropped first.

    Parameters
    ----------
    system : System
        Says what is deployed and holds the blobs.
    owner : callable
        Gives the tenant of a project, under which its blobs are.
    capacity : int
        Models that are kept loaded.
    seconds : float
        One look at what is deployed waits at most so long for a change.
    """

    def __init__(
        self,
        system: System,
        owner: Callable[[str], Awaitable[str]],
        *,
        capacity: int = 32,
        seconds: float = 20.0,
    ) -> None:
        self._system = system
        self._owner = owner
        self._capacity = capacity
        self._seconds = seconds
        self._serving: dict[str, Deployment] = {}  # project -> what answers
        self._wanted: dict[str, Deployment] = {}  # project -> what should
        self._retries: dict[str, _Retry] = {}  # project -> when to load its wanted model again
        self._models: OrderedDict[str, ServableModel] = OrderedDict()  # digest -> model
        self._loading: dict[str, asyncio.Task[ServableModel]] = {}  # digest -> load under way
        self._task: asyncio.Task[None] | None = None
        self.ready = False

    def start(self) -> None:
        """Begin to watch."""
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop watching."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def get(self, project: str) -> Served:
        """Return the model that answers for a project.

        Raises
        ------
        NoModel
            None of its models has passed the gate.
        NotReady
            What is deployed is not known yet, or cannot be loaded at present.
        """
        if not self.ready:
            raise NotReady(
                "the endpoint has just started and asks what is deployed", hint="Try again in a second."
            )
        deployment = self._serving.get(project) or self._wanted.get(project)
        if deployment is None:
            raise NoModel(
                f"no model of {project} has passed its gate yet",
                hint="easeml status shows what the project waits for.",
                project=project,
            )
        try:
            model = await self._model(project, deployment)
        except Exception as error:
            log.warning("model %s of %s does not load", deployment.model, project, exc_info=error)
            raise NotReady(
                f"model {deployment.model[:12]} of {project} does not load at present",
                hint="Try again in a moment; the log of the server says why.",
            ) from error
        self._serving.setdefault(project, deployment)
        return Served(deployment, model)

    # -- what is deployed ---------------------------------------------------------------------

    async def _watch(self) -> None:
        seen: dict[str, int] = {}
        pause = _PAUSE
        while True:
            try:
                # The first look does not wait: on a new system there may be nothing to come.
                seconds = self._patience() if self.ready else 0.0
                found = await self._system.watch_deployments(seen, seconds=seconds)
                seen = {project: told["deployment"] for project, told in found.items()}
                self._tell(found)
                self.ready = True
                await self._swap()
                pause = _PAUSE
            except Exception:
                log.warning("what is deployed could not be learnt; again in %.1f s", pause, exc_info=True)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _patience(self) -> float:
        """Return how long to wait for news: not past the next attempt to load."""
        soonest = min((retry.at for retry in self._retries.values()), default=float("inf"))
        return min(self._seconds, max(soonest - time.monotonic(), 0.05))

    def _tell(self, found: dict[str, Any]) -> None:
        for project, told in found.items():
            wanted = Deployment(told["model"], told["arm"], told["version"], told["deployment"])
            if self._wanted.get(project) != wanted:
                self._wanted[project] = wanted
                self._retries.pop(project, None)

    async def _swap(self) -> None:
        for project, wanted in list(self._wanted.items()):
            retry = self._retries.get(project)
            if self._serving.get(project) == wanted or (retry and retry.at > time.monotonic()):
                continue
            if not self._in_use(project):
                self._serving[project] = wanted  # its first caller loads it
                continue
            try:
                await self._model(project, wanted)
            except Exception:
                pause = min(2 * retry.pause if retry else _PAUSE, _LONGEST_PAUSE)
                self._retries[project] = _Retry(time.monotonic() + pause, pause)
                log.warning("%s: %s does not load; again in %.1f s", project, wanted, pause, exc_info=True)
                continue
            self._retries.pop(project, None)
            self._serving[project] = wanted

    def _in_use(self, project: str) -> bool:
        """Tell whether to load before the swap: not if that would only drop others' models."""
        before = self._serving.get(project)
        if before is None:
            return len(self._models) < self._capacity
        return before.model in self._models

    # -- what is loaded -----------------------------------------------------------------------

    async def _model(self, project: str, deployment: Deployment) -> ServableModel:
        digest = deployment.model
        if digest in self._models:
            self._models.move_to_end(digest)
            return self._models[digest]
        if digest not in self._loading:
            self._loading[digest] = asyncio.create_task(self._load(project, digest))
        # Shielded: a caller that goes away does not end the load that others wait for.
        return await asyncio.shield(self._loading[digest])

    async def _load(self, project: str, digest: str) -> ServableModel:
        try:
            tenant = await self._owner(project)

            def read() -> ServableModel:
                return load(bytes(self._system.blobs.get(tenant, digest)))

            model = await asyncio.to_thread(read)
            self._models[digest] = model
            while len(self._models) > self._capacity:
                self._models.popitem(last=False)
            return model
        finally:
            del self._loading[digest]
