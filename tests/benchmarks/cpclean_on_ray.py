"""One step of CPClean over more than 1,000 uncertain points: two Ray tasks against one.

The data are drawn: normal classes, four rows of five with a cell that has 25 candidates. A step is the
expected information of every row about all points; its parts are :meth:`CPClean.shard`, and each task
returns one number a row. Workers have compiled the sweep before anything is timed; one task and two
take turns, and every time is from submission to the sum.

    python tests/benchmarks/cpclean_on_ray.py [--json] [--rounds 7] [--points 1200]
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import time
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # read when numpy is imported
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_urlsafe(32)}

import numpy as np
from nearest_neighbor import start_ray

from easeml_ray.cleaning import CPClean
from easeml_ray.cleaning.spread import part_information

ROWS, FEATURES, CANDIDATES = 4_000, 6, 25


def problem(n_points: int, seed: int = 0) -> CPClean:
    """Return the state before the first step."""
    rng = np.random.default_rng(seed)
    y, y_dev = rng.integers(0, 2, ROWS), rng.integers(0, 2, n_points)
    X = rng.standard_normal((ROWS, FEATURES)) + 0.6 * y[:, None]
    X_dev = rng.standard_normal((n_points, FEATURES)) + 0.6 * y_dev[:, None]
    sizes = np.where(rng.random(ROWS) < 0.8, CANDIDATES, 1)
    candidates = np.repeat(X, sizes, axis=0)
    place = np.arange(len(candidates)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    dirty = np.repeat(sizes, sizes) > 1
    candidates[dirty, 0] = np.linspace(-4.0, 4.5, CANDIDATES)[place[dirty]]
    return CPClean(candidates, np.concatenate([[0], np.cumsum(sizes)]), y, X_dev, y_dev)


def measure(n_points: int, rounds: int) -> dict[str, Any]:
    import ray

    began = time.perf_counter()
    clean = problem(n_points)
    open_ = np.flatnonzero(~clean.certain)
    made = time.perf_counter() - began
    halves = np.array_split(np.random.default_rng(0).permutation(open_), 2)
    start_ray()
    try:
        task = ray.remote(num_cpus=1)(part_information)
        parts = {1: [ray.put(clean.shard(open_))], 2: [ray.put(clean.shard(half)) for half in halves]}

        def step(tasks: int) -> tuple[float, np.ndarray]:
            started = time.perf_counter()
            total = sum(ray.get([task.remote(part) for part in parts[tasks]], timeout=300))
            return time.perf_counter() - started, total

        for _ in range(3):  # both workers start, import and compile
            step(2)
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(rounds):
            for tasks in seconds:
                taken, total = step(tasks)
                seconds[tasks].append(taken)
                largest = np.abs(total - clean.information()).max()
                assert largest < 1e-9, largest
        ratio = np.median(np.array(seconds[1]) / np.array(seconds[2]))
        return {
            "rows": clean.n_rows,
            "points": n_points,
            "uncertain_points": int(open_.size),
            "ranking_seconds": round(made, 2),
            "seconds_one": [round(v, 4) for v in seconds[1]],
            "seconds_two": [round(v, 4) for v in seconds[2]],
            "times_faster": round(float(ratio), 2),
            "limit": 1.5,
        }
    finally:
        ray.shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--points", type=int, default=1_200)
    given = parser.parse_args()
    result = measure(given.points, given.rounds)
    if given.json:
        print(json.dumps(result, indent=1))
    else:
        for key, value in result.items():
            print(f"{key:18s} {value}")
