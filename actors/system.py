"""A system of actors as its surfaces see it, and how its nine actors come to be."""

from __future__ import annotations

import asyncio
import time
import uuid
from importlib import import_module
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError, RayTaskError

from actors.call import call, unwrapped
from actors.config import NAMESPACE, SystemConfig, actor_name
from easeml_ray.errors import DeadlineExceeded, StartupFailed, StoreError, WorkFailed
from easeml_ray.messages import DatasetRef, Principal
from easeml_ray.registry.capability import mint
from easeml_ray.runtime.components import ACTORS
from easeml_ray.runtime.intake import Offering, TestSet, Upload
from easeml_ray.runtime.system import System
from easeml_ray.store import open_blob_store

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ActorSystem", "connect", "ensure"]

_TAKE_SECONDS = 600.0


def ensure(config: SystemConfig, *, seconds: float = 180.0) -> ActorSystem:
    """Create the actors that are missing and return the system once all of them answer.

    Raises
    ------
    StartupFailed
        Some actor did not answer in time.
    """
    handles = {}
    for actor, module in ACTORS.values():
        remote = getattr(import_module(f"actors.{module}"), actor)
        handles[actor] = remote.options(
            name=actor_name(config.name, actor),
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=-1,
            max_task_retries=0,
            num_cpus=0,
        ).remote(config)
    # All were asked for before the first is waited for: they start side by side.
    waiting = {handle.ready.remote(): actor for actor, handle in handles.items()}
    until = time.monotonic() + seconds
    while waiting and time.monotonic() < until:
        done, _ = ray.wait(list(waiting), num_returns=1, timeout=max(until - time.monotonic(), 0.1))
        for reference in done:
            try:
                ray.get(reference, timeout=10)
            except RayTaskError as error:
                raise unwrapped(error) from error
            except RayError as error:
                # The constructor refused: its own error stands among the lines of Ray's.
                lines = [line.strip() for line in str(error).splitlines() if line.strip()]
                ours = [line for line in lines if line.startswith("easeml_ray.errors.")]
                told = (ours or lines)[-1].removeprefix("easeml_ray.errors.")
                hints = [line.removeprefix("Hint: ") for line in lines if line.startswith("Hint: ")]
                raise StoreError(
                    f"{waiting[reference]} did not start: {told}",
                    hint=hints[-1] if hints else "Its log under the state folder says more.",
                ) from error
            del waiting[reference]
    if waiting:
        raise StartupFailed(
            f"{', '.join(sorted(waiting.values()))} did not answer within {seconds:.0f} s",
            hint="Is the machine overloaded? Try again, or see the logs under the state folder.",
            attempts=1,
        )
    return ActorSystem(config)


def connect(name: str, *, seconds: float = 60.0) -> ActorSystem:
    """Return a running system by its name, from any process of the cluster.

    Raises
    ------
    DeadlineExceeded
        No such system answered.
    """
    config = asyncio.run(call(name, "Lifecycle", "describe", seconds=seconds))
    return ActorSystem(config)


class ActorSystem(System):
    """Nine actors on Ray."""

    def __init__(self, config: SystemConfig) -> None:
        super().__init__()
        self.config = config
        self.blobs = open_blob_store(config.blobs)

    async def handle(
        self,
        component: str,
        project: str,
        principal: Principal,
        body: Any,
        *,
        command_id: str | None = None,
    ) -> dict[str, Any]:
        """Send a command; see :class:`System`."""
        identity = command_id or uuid.uuid4().hex
        actor = ACTORS[component].name
        reply: dict[str, Any] = await call(
            self.config.name, actor, "handle", identity, project, principal, body
        )
        return reply

    async def replied(self, component: str, command_id: str) -> dict[str, Any] | None:
        """Ask the actor for its reply to a command; see :class:`System`."""
        reply: dict[str, Any] | None = await call(
            self.config.name, ACTORS[component].name, "replied", command_id
        )
        return reply

    async def read(self, component: str, project: str, query: Any) -> dict[str, Any]:
        """Send a query; see :class:`System`."""
        found: dict[str, Any] = await call(self.config.name, ACTORS[component].name, "read", project, query)
        return found

    async def table(self, ref: DatasetRef, holder: str) -> pa.Table:
        """Return a pillar; see :class:`System`."""
        from actors.data import resolve

        capability = mint(ref.project, ref.pillar, holder)
        return await asyncio.to_thread(resolve, self.config.name, ref, capability)

    async def take(self, asked: Upload | TestSet | Offering, data: bytes) -> Any:
        """Check bytes from outside in a task; see :class:`System`."""
        from actors.shell import awaited
        from actors.tasks.work import take
        from easeml_ray.sealing import new_private_key, public_key, seal

        key = new_private_key()
        sealed = await asyncio.to_thread(seal, data, public_key(key))
        try:
            return await asyncio.wait_for(
                awaited(take.remote(self.config, asked, sealed, key), force=True), _TAKE_SECONDS
            )
        except RayTaskError as error:
            raise unwrapped(error) from error
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"the file was not read within {_TAKE_SECONDS:.0f} s",
                hint="Is the system overloaded? Try again later, or give fewer rows.",
                seconds=_TAKE_SECONDS,
            ) from error
        except ConnectionError as error:
            raise WorkFailed(
                f"the worker that read the file was lost: {error}",
                hint="Was it out of memory? Give fewer rows, or try again.",
                cause=repr(error),
            ) from error

    async def watch_deployments(self, seen: dict[str, int], *, seconds: float) -> dict[str, Any]:
        """Wait at ModelPool for a deployment; see :class:`System`."""
        found: dict[str, Any] = await call(
            self.config.name, "ModelPool", "deployments", seen, seconds, seconds=seconds + 60
        )
        return found
