"""Values of rows over the workers of an executor: parts of the development rows, n numbers from each."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arrays import FloatArray
from easeml_ray.market.shapley import Utility, checked, shard_values

if TYPE_CHECKING:
    from easeml_ray.component.base import Executor

__all__ = ["PART_ROWS", "part_values", "spread_values"]

PART_ROWS = 128
"""Development rows of a part; the same for any number of workers, so that the answer is."""

WORTH_SENDING = 1 << 26
"""Train rows times development rows from which parts are sent: about a second of work."""


def spread_values(
    X: ArrayLike,
    y: ArrayLike,
    X_dev: ArrayLike,
    y_dev: ArrayLike,
    executor: Executor,
    *,
    k: int = 5,
    utility: Utility = "jia",
    epsilon: float | None = None,
    n_classes: int | None = None,
) -> FloatArray:
    """Return the Shapley value of each train row, computed by as many workers as there are."""
    rows, codes, dev_rows, dev_codes, classes = checked(
        X, y, X_dev, y_dev, k=k, utility=utility, n_classes=n_classes
    )
    total = np.zeros(len(rows))
    settings = k, utility, epsilon, classes
    if len(rows) * len(dev_rows) < WORTH_SENDING:
        total += part_values(rows, codes, dev_rows, dev_codes, *settings)
        return total / len(dev_rows)
    sent = executor.share(rows), executor.share(codes)
    waiting: deque[Any] = deque()
    for begin in range(0, len(dev_rows), PART_ROWS):
        part = slice(begin, begin + PART_ROWS)
        if len(waiting) > executor.width:
            total += waiting.popleft().result()
        waiting.append(executor.submit(part_values, *sent, dev_rows[part], dev_codes[part], *settings))
    while waiting:
        total += waiting.popleft().result()
    return total / len(dev_rows)


def part_values(
    X: ArrayLike,
    y: ArrayLike,
    X_dev: ArrayLike,
    y_dev: ArrayLike,
    k: int,
    utility: Utility,
    epsilon: float | None,
    n_classes: int,
) -> FloatArray:
    """Return the values summed over a part of the development rows, by position for an executor."""
    return shard_values(X, y, X_dev, y_dev, k=k, utility=utility, epsilon=epsilon, n_classes=n_classes)
