"""Running pure functions in the thread that submits them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np

from easeml_ray.errors import EasemlError, WorkFailed

__all__ = ["LocalExecutor"]


class LocalExecutor:
    """The executor that runs each function when it is submitted, in this thread.

    A future is done when ``submit`` returns it: functions run one after another in the order in which they
    were submitted, which is what an oracle wants, and nothing is held but the results that the caller holds.
    """

    width = 1

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Run a function now; see :class:`easeml_ray.component.base.Executor`."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args))
        except EasemlError as error:
            future.set_exception(error)
        except Exception as error:
            failed = WorkFailed(
                f"{function.__qualname__} failed: {type(error).__name__}: {error}",
                hint="This is a fault of easeml_ray.",
                cause=repr(error),
            )
            failed.__cause__ = error
            future.set_exception(failed)
        return future

    def share(self, value: Any) -> Any:
        """Return the value itself, an array as a view that refuses to be written to."""
        if isinstance(value, np.ndarray):
            value = value.view()
            value.flags.writeable = False
        return value
