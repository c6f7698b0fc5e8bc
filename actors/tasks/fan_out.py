"""How a task spreads its work: plain functions as tasks of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from types import TracebackType
from typing import Any, Self

import ray
from ray.exceptions import RayError, RayTaskError

from actors.call import unwrapped
from easeml_ray.errors import WorkFailed

__all__ = ["TaskExecutor", "apply"]

_LOST = 3  # times that a function whose worker dies is given to another one


@ray.remote(num_cpus=0.5, max_retries=_LOST)
def apply(function: Callable[..., Any], *args: Any) -> Any:
    """Call a plain function. Ray runs it again if its worker dies: it is pure."""
    return function(*args)


class TaskExecutor:
    """The :class:`easeml_ray.component.base.Executor` of a task.

    What it submits are tasks of the task that submits them: they end with it, however it ends.
    """

    def __init__(self) -> None:
        self.width = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._pending: set[_TaskFuture] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for future in list(self._pending):
            future.cancel()

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Run a function as a task; see :class:`easeml_ray.component.base.Executor`."""
        future = _TaskFuture(apply.options(name=function.__qualname__).remote(function, *args))
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future

    def share(self, value: Any) -> Any:
        """Put a value into the object store, once."""
        return ray.put(value)


class _TaskFuture(Future[Any]):
    """A task's result, as soon as it is there, with the errors of the task as our own."""

    def __init__(self, reference: Any) -> None:
        super().__init__()
        self._reference = reference
        reference.future().add_done_callback(self._take)

    def result(self, timeout: float | None = None) -> Any:
        """Return what the function returned; while it waits, this task's processor is lent."""
        started = time.monotonic()
        if not self.done():
            # Only a wait of Ray's own tells the node that this task needs no processor now.
            ray.wait([self._reference], timeout=timeout, fetch_local=False)
        left = None if timeout is None else max(timeout - (time.monotonic() - started), 0.0)
        return super().result(left)

    def cancel(self) -> bool:
        """End the task, also in the middle of its work."""
        cancelled = super().cancel()  # never refused to a task that runs: it is not told of that
        if cancelled:
            ray.cancel(self._reference, force=True)
        return cancelled

    def _take(self, done: Future[Any]) -> None:
        error = done.exception()
        try:
            if error is None:
                self.set_result(done.result())
            else:
                self.set_exception(_own(error))
        except InvalidStateError:  # cancelled meanwhile
            pass


def _own(error: BaseException) -> BaseException:
    if isinstance(error, RayTaskError):
        return unwrapped(error)
    if isinstance(error, RayError):
        return WorkFailed(
            f"a task was lost {_LOST + 1} times: {error}",
            hint="Is there enough memory? easeml status shows the node.",
            cause=repr(error),
        )
    return error
