"""The one way to call an actor: with a deadline, over restarts, with our own errors."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import ray
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    PendingCallsLimitExceeded,
    RayTaskError,
    WorkerCrashedError,
)

from actors.config import NAMESPACE, actor_name
from easeml_ray.errors import DeadlineExceeded, EasemlError, WorkFailed

__all__ = ["call", "find_actor", "unwrapped"]

_PAUSE = 0.2  # seconds between tries while an actor restarts
_MISSING = (ActorUnavailableError, ActorDiedError, PendingCallsLimitExceeded, WorkerCrashedError)


def find_actor(system: str, actor: str) -> Any:
    """Return the handle of a named actor.

    Raises
    ------
    ValueError
        If there is none (yet, or any more).
    """
    return ray.get_actor(actor_name(system, actor), namespace=NAMESPACE)


def unwrapped(error: RayTaskError) -> Exception:
    """Return the error that a remote call raised, as its own class."""
    cause = error.cause
    if isinstance(cause, EasemlError):
        return cause
    return WorkFailed(
        f"a remote call failed: {type(cause).__name__}: {cause}",
        hint="This is a fault of easeml_ray; the log of the actor has the whole story.",
        cause=repr(cause),
    )


async def call(system: str, actor: str, method: str, *args: Any, seconds: float = 60.0) -> Any:
    """Call a method of a named actor.

    While the actor restarts the call is repeated: commands carry ids, so that a repeated one is
    handled once.

    Raises
    ------
    DeadlineExceeded
        No answer within ``seconds``.
    EasemlError
        What the actor raised.
    """
    until = time.monotonic() + seconds
    last: BaseException | None = None
    while (left := until - time.monotonic()) > 0:
        try:
            handle = find_actor(system, actor)
            return await asyncio.wait_for(_awaited(getattr(handle, method).remote(*args)), left)
        except RayTaskError as error:
            raise unwrapped(error) from error
        except (*_MISSING, ValueError) as error:  # ValueError: no actor of this name
            last = error
            await asyncio.sleep(min(_PAUSE, max(left, 0.0)))
        except TimeoutError as error:
            last = error
    raise DeadlineExceeded(
        f"{actor} did not answer {method} within {seconds:.0f} s ({type(last).__name__})",
        hint="Is the system overloaded or down? See easeml status.",
        seconds=seconds,
    )


async def _awaited(reference: Any) -> Any:
    return await reference
