"""One step of CPClean over the workers of an executor: parts of the points, one sum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from easeml_ray.arrays import FloatArray
from easeml_ray.cleaning.cpclean import CPClean

if TYPE_CHECKING:
    from easeml_ray.component.base import Executor

__all__ = ["SPREAD_POINTS", "part_information", "spread_information"]

SPREAD_POINTS = 5_000
"""Uncertain points from which several workers are quicker than one that has all at hand."""


def spread_information(
    clean: CPClean, executor: Executor, *, spread_points: int = SPREAD_POINTS
) -> FloatArray:
    """Return what each row tells of all points, (N,) bits, by as many workers as there are."""
    # With one worker, or fewer uncertain points than `spread_points`, nothing is sent anywhere.
    open_ = np.flatnonzero(~clean.certain)
    if executor.width < 2 or open_.size < spread_points:
        return clean.information()
    parts = np.array_split(open_, executor.width)
    futures: list[Any] = [executor.submit(part_information, clean.shard(part)) for part in parts]
    total = np.zeros(clean.n_rows)
    for future in futures:
        total += future.result()
    return total


def part_information(part: CPClean) -> FloatArray:
    """Return what each row tells of a part of the points, which is not changed: it may be read-only."""
    return part.shard(np.arange(part.n_points)).information()
