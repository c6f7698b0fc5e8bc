"""How long a model takes for one row."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["row_latency"]

ROWS = 100
WARM_UP = 5  # the first calls load code and fill caches, which a served model does once


def row_latency(predict: Callable[[pa.Table], Any], features: pa.Table) -> float:
    """Measure the 95th percentile of the milliseconds of a prediction of one row, over 100 calls."""
    took = []
    for i in range(WARM_UP + ROWS):
        row = features.slice(i % features.num_rows, 1)
        started = time.perf_counter()
        predict(row)
        took.append(1000 * (time.perf_counter() - started))
    return float(np.quantile(took[WARM_UP:], 0.95))
