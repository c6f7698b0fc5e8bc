"""Values of a million rows on one worker and on two: rate, scaling and memory.

1,000,000 rows of 64 features and 1,000 development rows, normal, drawn. Train rows are put into the
object store once; each task values a part of the development rows and returns one number a row, as
:func:`easeml_ray.market.spread.spread_values` does over the house's executor. Workers have compiled
before anything is timed; one worker values a share of the development rows (--one of them, for the
rate), two value all of them. Memory is the sum over all processes of Ray and of this one, sampled, each
with its own part of what it shares with others (pss).

    python tests/benchmarks/knn_shapley_on_ray.py [--json] [--rows 1000000] [--points 1000] [--one 256]
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import threading
import time
from collections import deque
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # read when numpy is imported
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_urlsafe(32)}

import numpy as np
import psutil
from nearest_neighbor import start_ray

from easeml_ray.market.spread import PART_ROWS, part_values, spread_values

FEATURES, K = 64, 5


class RayExecutor:
    """The house's executor, over plain tasks of this cluster."""

    def __init__(self, width: int) -> None:
        import ray

        self.width = width
        self.task = ray.remote(num_cpus=1)(part_values)

    def share(self, value: Any) -> Any:
        import ray

        return value if isinstance(value, ray.ObjectRef) else ray.put(value)

    def submit(self, function: Any, /, *args: Any) -> Any:
        assert function is part_values
        return Waiting(self.task.remote(*args))


class Waiting:
    def __init__(self, reference: Any) -> None:
        self.reference = reference

    def result(self) -> Any:
        import ray

        return ray.get(self.reference, timeout=600)


class Memory(threading.Thread):
    """Samples the memory of this process and of all that it started."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.done = threading.Event()

    def run(self) -> None:
        me = psutil.Process()
        while not self.done.wait(0.5):
            total = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)


def measure(n: int, points: int, one: int) -> dict[str, Any]:
    import ray

    rng = np.random.default_rng(0)
    Z = rng.standard_normal((points, FEATURES))
    z = (Z[:, 0] > 0).astype(np.int64)
    memory = Memory()
    start_ray()
    memory.start()
    try:
        X = rng.standard_normal((n, FEATURES))
        y = (X[:, 0] + rng.standard_normal(n) > 0).astype(np.int64)
        two, single = RayExecutor(2), RayExecutor(1)
        warm = [two.submit(part_values, X[:500], y[:500], Z[:8], z[:8], K, "jia", None, 2) for _ in range(4)]
        for waiting in warm:
            waiting.result()
        # What is left in the object store is all that the rate of one worker needs.
        rows, codes = ray.put(X), ray.put(y)
        began = time.perf_counter()
        waiting_parts: deque[Any] = deque()
        for begin in range(0, one, PART_ROWS):
            part = slice(begin, min(begin + PART_ROWS, one))
            waiting_parts.append(single.submit(part_values, rows, codes, Z[part], z[part], K, "jia", None, 2))
            waiting_parts.popleft().result()
        seconds_one = time.perf_counter() - began
        del rows, codes
        began = time.perf_counter()
        values = spread_values(X, y, Z, z, two, k=K, n_classes=2)  # type: ignore[arg-type]
        seconds_two = time.perf_counter() - began
        memory.done.set()
        memory.join(5.0)
        rates = one / seconds_one, points / seconds_two
        return {
            "rows": n,
            "features": FEATURES,
            "development_rows": points,
            "seconds_two_workers": round(seconds_two, 1),
            "development_rows_a_second": {"one": round(rates[0], 2), "two": round(rates[1], 2)},
            "times_faster": round(rates[1] / rates[0], 2),
            "limit": 1.5,
            "peak_gib": round(memory.peak / 2**30, 2),
            "limit_gib": 4.0,
            "sum_of_values": round(float(values.sum()), 6),
        }
    finally:
        memory.done.set()
        ray.shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--points", type=int, default=1_000)
    parser.add_argument("--one", type=int, default=256, help="development rows for the rate of one worker")
    given = parser.parse_args()
    result = measure(given.rows, given.points, given.one)
    if given.json:
        print(json.dumps(result, indent=1))
    else:
        for key, value in result.items():
            print(f"{key:26s} {value}")
