"""What all nine actors share: a thin asynchronous shell around a component's pure state.

A command is handled as decide → append → fold → reply under one lock, store calls in a thread.
Effects are never issued from a handler: the pump issues what the state says is due, after the
append, and again after every restart.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import time
from typing import Any, ClassVar

import ray
from ray.exceptions import RayError, RayTaskError

from actors.call import call, unwrapped
from actors.config import SystemConfig
from easeml_ray.component.base import ComponentState, Job, Progress
from easeml_ray.errors import BlobCorrupt, BlobMissing, EasemlError, StaleIncarnation, WorkFailed
from easeml_ray.messages import Action, Command, Principal, kind_of
from easeml_ray.runtime.components import ACTORS
from easeml_ray.runtime.host import Host
from easeml_ray.runtime.issue import command_of, is_final, refusal
from easeml_ray.store import open_stores

__all__ = ["Shell", "awaited"]

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2  # how often a follower looks for events of others
_IDLE_SECONDS = 5.0  # how often the others look at the clock
_WORK_SECONDS = 900.0  # a piece of work without a sign of progress for so long is issued again
_ATTEMPTS = 3  # of work that fails without a typed error
_LOST_ATTEMPTS = 8  # of work whose worker dies
_MAX_PAUSE = 10.0


class Shell:
    """One long-lived actor; subclasses name their state and may say how work is performed.

    Parameters
    ----------
    config : SystemConfig
        Of the system that the actor belongs to.
    """

    state_type: ClassVar[type[ComponentState]]
    patient_with: ClassVar[tuple[type[Exception], ...]] = ()
    """Errors that its work waits out, however long: its result could not be taken back."""

    async def __init__(self, config: SystemConfig) -> None:  # type: ignore[misc]
        # Ray runs an asynchronous constructor in the actor's own event loop.
        logging.basicConfig(level=os.environ.get("EASEML_LOG", "WARNING"))
        self.config = config
        self.component = self.state_type.component
        self.lock = asyncio.Lock()
        self.changed = asyncio.Event()
        self.flying: dict[str, asyncio.Task[None]] = {}
        self.attempts: dict[str, int] = {}
        self.working: dict[str, asyncio.Task[Any]] = {}  # action id -> what performs it
        self.heard: dict[str, float] = {}  # action id of those -> when it began or was last heard of
        self.turns: dict[str, tuple[str, int]] = {}  # action id of those -> its last note: sender, number
        store, self.blobs = await asyncio.to_thread(open_stores, config.store, config.blobs)
        self.host = Host(self.state_type(), store, actor=ACTORS[self.component].name)
        await asyncio.to_thread(self.host.start)
        gc.collect()
        gc.freeze()  # this process is the actor's alone: what is folded stays, and need not be looked through
        await self.prepare()
        self.pump = asyncio.create_task(self._pump())

    async def prepare(self) -> None:
        """Do what must be done before the first command; for subclasses."""

    # -- what others call ---------------------------------------------------------------------

    async def ready(self) -> dict[str, Any]:
        """Answer once the state is folded: who this is, in which incarnation and process."""
        async with self.lock:
            return {
                "actor": ACTORS[self.component].name,
                "epoch": self.host.epoch,
                "pid": os.getpid(),
                "seq": self.host.cursor,
                "due": len(self.host.state.due()),
            }

    async def describe(self) -> SystemConfig:
        """Return the configuration of the system."""
        return self.config

    async def handle(self, command_id: str, project: str, principal: Principal, body: Any) -> dict[str, Any]:
        """Handle a command; the shell stamps the time and the seed."""
        seed = secrets.randbits(63)
        return await self._handle(Command(command_id, project, principal, time.time(), seed, body))

    async def replied(self, command_id: str) -> dict[str, Any] | None:
        """Return the reply to a command that was handled, None if none of this id was."""
        done = await asyncio.to_thread(self.host.store.find, command_id)
        return dict(done[-1].reply or {}) if done else None

    async def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query from the state."""
        async with self.lock:
            if self.host.state.follows:
                await asyncio.to_thread(self.host.follow)
            return self.host.state.read(project, query)

    async def note(self, action: str, progress: Progress, turn: tuple[str, int]) -> None:
        """Remember how far a piece of work is; in memory only.

        Ray begins the calls of an asynchronous actor in any order: ``turn``, the sender and the
        number of its note, tells those that were overtaken.
        """
        async with self.lock:  # a thread may be folding
            sender, number = self.turns.get(action, turn)
            if sender == turn[0] and number > turn[1]:
                return
            if self.host.state.note(action, progress) and action in self.heard:
                self.turns[action] = turn
                self.heard[action] = time.monotonic()

    # -- the machinery ------------------------------------------------------------------------

    async def _handle(self, command: Command) -> dict[str, Any]:
        async with self.lock:
            try:
                reply = await asyncio.to_thread(self.host.handle, command)
            except StaleIncarnation:
                log.error("%s: a newer incarnation lives; this process ends", self.component)
                os._exit(1)
        self._wake()
        return reply

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    async def _pump(self) -> None:
        pause = _POLL_SECONDS if self.host.state.follows else _IDLE_SECONDS
        while True:
            changed = self.changed
            try:
                await self._follow()
                async with self.lock:  # a thread may be folding
                    next_at = self._issue_due()
                left = pause if next_at is None else min(pause, max(next_at - time.time(), 0.05))
                await asyncio.wait_for(changed.wait(), left)
            except TimeoutError:
                continue
            except Exception:  # the pump must outlive a store that is away for a moment
                log.exception("%s: the pump stumbled", self.component)
                await asyncio.sleep(1.0)

    async def _follow(self) -> None:
        if self.host.state.follows:
            async with self.lock:
                await asyncio.to_thread(self.host.follow)

    def _issue_due(self) -> float | None:
        """Issue what is due and not in flight; return when the next timed action is due."""
        now, next_at = time.time(), None
        busy: set[tuple[str, str]] = set()
        self._call_off()
        for action in self.host.state.due():
            if action.at > now:
                next_at = min(action.at, next_at or action.at)
                continue
            # Sends of one project to one component keep their order: one at a time.
            lane = (action.project, action.to) if action.to else (action.id, "")
            if action.id not in self.flying and lane not in busy:
                self.flying[action.id] = asyncio.create_task(self._issue(action))
            busy.add(lane)
        return next_at

    def _call_off(self) -> None:
        """End work that is not owed any more: somebody cancelled it."""
        for identity, work in self.working.items():
            if identity not in self.host.state.actions:
                work.cancel()

    async def _issue(self, action: Action) -> None:
        attempt = self.attempts.get(action.id, 0)
        try:
            await (self._send(action) if action.to else self._work(action))
            self.attempts.pop(action.id, None)
            # What was sent is settled by an event that is followed: look before it is issued again.
            await self._follow()
        except Exception as error:
            if action.id not in self.host.state.actions:  # a result came too late to be wanted
                self.attempts.pop(action.id, None)
                return
            self.attempts[action.id] = attempt + 1
            log.warning("%s: %s again: %r", self.component, kind_of(action.body), error)
            await asyncio.sleep(min(0.5 * 2**attempt, _MAX_PAUSE))
        finally:
            self.flying.pop(action.id, None)
            self._wake()

    async def _send(self, action: Action) -> None:
        command = command_of(action, self.component, action.body, now=time.time())
        try:
            if action.to == self.component:
                await self._handle(command)
            else:
                await call(
                    self.config.name,
                    ACTORS[str(action.to)].name,
                    "handle",
                    command.command_id,
                    command.project,
                    command.principal,
                    command.body,
                )
        except EasemlError as error:
            if not is_final(error):
                raise
            await self._settle(action, refusal(action, error))

    async def _work(self, action: Action) -> None:
        work = self.working[action.id] = asyncio.create_task(self.perform(Job.of(action)))
        try:
            await self._outlast(action.id, work)
            body = work.result()
        except asyncio.CancelledError:
            if action.id in self.host.state.actions:
                raise
            return  # it was called off: nobody waits for a result
        except Exception as error:
            body = self._given_up(action, unwrapped(error) if isinstance(error, RayTaskError) else error)
        finally:
            work.cancel()  # it may go on if this issue of it was cancelled; a finished one does not mind
            del self.working[action.id]
            self.heard.pop(action.id, None)
            self.turns.pop(action.id, None)
        await self._settle(action, body)

    async def _outlast(self, action: str, work: asyncio.Task[Any]) -> None:
        """Wait for the end of a piece of work as long as it shows progress.

        Raises
        ------
        TimeoutError
            It did not for too long, and was ended.
        """
        heard = self.heard[action] = time.monotonic()
        while not work.done():
            await asyncio.wait({work}, timeout=heard + _WORK_SECONDS - time.monotonic())
            before, heard = heard, self.heard[action]
            if not work.done() and heard == before:
                work.cancel()
                await asyncio.wait({work})
                raise TimeoutError(f"no sign of progress for {_WORK_SECONDS:.0f} s")

    def _given_up(self, action: Action, error: Exception) -> Any:
        """Return the body that records a failure for good; raise while trying again may help."""
        if isinstance(error, EasemlError) and is_final(error):
            return refusal(action, error)
        lost = (ConnectionError, BlobMissing, BlobCorrupt)
        if isinstance(error, self.patient_with) and not isinstance(error, lost):
            raise error
        # A lost worker is not the work's fault, unless it takes every worker with it.
        most = _LOST_ATTEMPTS if isinstance(error, ConnectionError) else _ATTEMPTS
        if self.attempts.get(action.id, 0) + 1 < most:
            raise error
        failed = WorkFailed(
            f"{kind_of(action.body)} failed {most} times: {type(error).__name__}: {error}",
            hint="The log of the actor has the whole story.",
            action=action.id,
            cause=repr(error),
        )
        return refusal(action, failed)

    async def _settle(self, action: Action, body: Any) -> None:
        await self._handle(command_of(action, self.component, body, now=time.time()))

    async def perform(self, job: Job) -> Any:
        """Do a piece of work: by default as a Ray task."""
        from actors.tasks.work import run

        return await awaited(run.remote(self.config, self.component, job), force=True)


async def awaited(reference: Any, *, force: bool = False) -> Any:
    """Await a task; one whose worker died is a ConnectionError.

    One that is given up is cancelled with all its own tasks; ``force`` ends their processes, which
    only pure work may suffer, and no method of an actor.
    """
    try:
        return await reference
    except asyncio.CancelledError:
        ray.cancel(reference, force=force, recursive=True)
        raise
    except RayTaskError:
        raise
    except RayError as error:
        raise ConnectionError(f"a worker was lost: {error}") from error
