"""The nearest-neighbour search against its peers, in CPU time, one thread each.

All methods run in one process, in turn, round after round, so that whatever else the machine
does falls on all of them; ratios are medians of the ratios within a round.

ours            NearestNeighbor with whatever products the processor is best at: of whole
                numbers in eight bits where it has instructions for them and torch is loaded
ours_float32    the same with products in float32 only, as without torch
products_only   the bare float32 matrix products of the same blocks, nothing looked at
scikit_learn    pairwise_distances_argmin_min
faiss           IndexFlatL2, filled and searched (optional: pip install faiss-cpu)

Then the time that new labels of 1 % of train take in eight states, with the bounds; and with
``--ray`` two tasks against one on half a million train rows.

    python tests/benchmarks/nearest_neighbor.py [--json] [--small] [--rounds 5] [--ray]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import secrets
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from easeml_ray.feasibility.bounds import cover_hart_lower_bound
from easeml_ray.neighbors import passes
from easeml_ray.neighbors.kernel import TEST_BLOCK, TRAIN_BLOCK
from easeml_ray.neighbors.nearest import NearestNeighbor
from easeml_ray.neighbors.neighbors import Found, NearestNeighbors
from easeml_ray.statistics import clopper_pearson

FloatRows = NDArray[np.float32]
WIDTH = 64
CLASSES = 10


def rows(n_train: int, n_test: int, seed: int = 0) -> tuple[FloatRows, FloatRows]:
    """Return standard normal train and test rows of width 64."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_train, WIDTH), dtype=np.float32)
    return X, rng.standard_normal((n_test, WIDTH), dtype=np.float32)


def cpu_seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def ours(X: FloatRows, X_test: FloatRows) -> NDArray[np.int64]:
    state = NearestNeighbor(X_test, np.zeros(len(X_test), dtype=np.int64), 2)
    return state.append(X, np.zeros(len(X), dtype=np.int64)).nearest


def ours_float32(X: FloatRows, X_test: FloatRows) -> NDArray[np.int64]:
    usual, passes.INTEGER_WORK = passes.INTEGER_WORK, np.inf
    try:
        return ours(X, X_test)
    finally:
        passes.INTEGER_WORK = usual


def products_only(X: FloatRows, X_test: FloatRows) -> Callable[[], None]:
    """Return the bare loop of matrix products, over factors that are laid out beforehand."""
    left = np.hstack((X_test, np.ones((len(X_test), 1), dtype=np.float32)))
    augmented = np.hstack((-2.0 * X, np.square(X).sum(axis=1, keepdims=True))).astype(np.float32)
    right = [np.ascontiguousarray(augmented[i : i + TRAIN_BLOCK].T) for i in range(0, len(X), TRAIN_BLOCK)]
    room = np.empty(TEST_BLOCK * TRAIN_BLOCK, dtype=np.float32)

    def loop() -> None:
        for columns in right:
            for begin in range(0, len(left), TEST_BLOCK):
                block = left[begin : begin + TEST_BLOCK]
                out = room[: len(block) * columns.shape[1]].reshape(len(block), columns.shape[1])
                np.matmul(block, columns, out=out)

    return loop


def scikit_learn(X: FloatRows, X_test: FloatRows) -> NDArray[np.int64]:
    from sklearn.metrics import pairwise_distances_argmin_min

    return pairwise_distances_argmin_min(X_test, X)[0]


def faiss_flat(X: FloatRows, X_test: FloatRows) -> NDArray[np.int64]:
    import faiss

    index = faiss.IndexFlatL2(X.shape[1])
    index.add(X)
    return index.search(X_test, 1)[1][:, 0]


def agreement(
    X: FloatRows, X_test: FloatRows, mine: NDArray[np.int64], theirs: NDArray[np.int64]
) -> dict[str, int]:
    """Compare answers; where they differ, say whose train row is farther in float64."""
    at = np.flatnonzero(mine != theirs)
    queries = X_test[at].astype(np.float64)
    my, their = (np.square(queries - X[answer[at]]).sum(axis=1) for answer in (mine, theirs))
    return {
        "same": len(mine) - len(at),
        "ours_farther": int((my > their).sum()),
        "theirs_farther": int((my < their).sum()),
        "equally_far": int((my == their).sum()),
    }


def search(n_train: int, n_test: int, rounds: int) -> dict[str, Any]:
    """Time a whole search by every method, `rounds` times in turn."""
    import sklearn.metrics  # noqa: F401  # its threads are limited only once it is loaded
    import torch

    torch.set_num_threads(1)
    X, X_test = rows(n_train, n_test)
    methods: dict[str, Callable[[], Any]] = {
        "ours": lambda: ours(X, X_test),
        "ours_float32": lambda: ours_float32(X, X_test),
        "products_only": products_only(X, X_test),
        "scikit_learn": lambda: scikit_learn(X, X_test),
    }
    if importlib.util.find_spec("faiss"):
        import faiss

        faiss.omp_set_num_threads(1)
        methods["faiss"] = lambda: faiss_flat(X, X_test)
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    answers: dict[str, Any] = {}
    with threadpool_limits(limits=1):
        for warm in methods.values():
            warm()
        for _ in range(rounds):
            for name, method in methods.items():
                taken, answers[name] = cpu_seconds(method)
                seconds[name].append(taken)
        tracemalloc.start()
        methods["ours"]()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        whole = passes.integers_pay(WIDTH, float(n_train) * n_test * WIDTH)
    work = 2.0 * n_train * n_test * WIDTH / 1e9
    times = {name: np.array(values) for name, values in seconds.items()}
    result: dict[str, Any] = {
        "train_rows": n_train,
        "test_rows": n_test,
        "features": WIDTH,
        "rounds": rounds,
        "ours_multiplies": "int8" if whole else "float32",
        "cpu_seconds": {name: [round(v, 4) for v in values] for name, values in seconds.items()},
        "gflop_per_cpu_second": {name: round(work / float(t.min()), 1) for name, t in times.items()},
        "times_faster_than": {
            mine: {
                name: round(float(np.median(t / times[mine])), 2)
                for name, t in times.items()
                if not name.startswith("ours")
            }
            for mine in ("ours", "ours_float32")
        },
        "agreement": {
            name: agreement(X, X_test, answers["ours"], answers[name])
            for name in answers
            if name not in ("ours", "products_only")
        },
        "ours_peak_mib": round(peak / 2**20, 1),
    }
    if "faiss" not in methods:
        result["faiss"] = "not installed: pip install faiss-cpu"
    return result


def relabelling(n_train: int, n_test: int, repeats: int = 30) -> dict[str, Any]:
    """Time new labels of 1 % of train in eight states, their error counts and the bounds."""
    rng = np.random.default_rng(1)
    y_test = rng.integers(0, CLASSES, n_test)
    X, X_test = rows(1, 1)
    states = []
    for _ in range(8):
        state = NearestNeighbor(np.repeat(X_test, n_test, axis=0), y_test, CLASSES)
        state.append(X, [0], start=n_train - 1)
        # Neighbours as a search among n_train rows would leave them, without the search.
        found = Found(
            np.zeros((n_test, 1)), rng.integers(0, n_train, (n_test, 1)), n_train, state.queries.digest
        )
        states.append(state.merge_found(found, rng.integers(0, CLASSES, n_train)))
    parts: dict[str, list[float]] = {"relabel_and_errors": [], "cover_hart": [], "clopper_pearson": []}
    for _ in range(repeats + 1):
        changed = rng.choice(n_train, n_train // 100, replace=False)
        codes = rng.integers(0, CLASSES, changed.size)
        marks = [time.process_time()]
        errors = np.array([state.relabel_train(changed, codes).errors for state in states])
        marks.append(time.process_time())
        cover_hart_lower_bound(errors / n_test, CLASSES)
        marks.append(time.process_time())
        clopper_pearson(errors, n_test, confidence=1.0 - 0.1 / 8)
        marks.append(time.process_time())
        for part, taken in zip(parts.values(), np.diff(marks), strict=True):
            part.append(1e3 * float(taken))
    total = np.sum(list(parts.values()), axis=0)
    return {
        "states": 8,
        "train_labels": n_train,
        "changed": n_train // 100,
        "test_rows": n_test,
        # The first call imports scipy and sorts the neighbours once.
        "first_cpu_ms": {name: round(values[0], 3) for name, values in parts.items()},
        "median_cpu_ms": {name: round(float(np.median(values[1:])), 3) for name, values in parts.items()}
        | {"total": round(float(np.median(total[1:])), 3)},
    }


def on_ray(n_train: int, n_test: int, rounds: int) -> dict[str, Any]:
    """Time two tasks against one: half of train each, through the object store."""
    # Ray reads these once, when it is imported; its workers inherit the thread count.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_urlsafe(32)
    import ray

    start_ray()
    try:
        X, X_test = rows(n_train, n_test)
        test = ray.put(X_test)
        half = n_train // 2
        parts = [(ray.put(X), 0)], [(ray.put(X[:half]), 0), (ray.put(X[half:]), half)]

        @ray.remote(num_cpus=1)
        def look(X_test: FloatRows, block: FloatRows, start: int) -> tuple[Found, float]:
            started = time.process_time()
            with threadpool_limits(limits=1):
                found = NearestNeighbors(X_test, 1).append(block, start=start).found()
            return found, time.process_time() - started

        def run(tasks: list[tuple[Any, int]]) -> tuple[float, list[float], NearestNeighbors]:
            began = time.perf_counter()
            state = NearestNeighbors(X_test, 1)
            results = ray.get([look.remote(test, block, first) for block, first in tasks], timeout=600)
            for found, _ in results:
                state.merge(found)
            return time.perf_counter() - began, [cpu for _, cpu in results], state

        # Both workers exist and have imported what they need.
        few = ray.put(X[:1000])
        run([(few, 0), (few, 0)])
        walls: list[tuple[float, float]] = []
        cpus: list[list[list[float]]] = []
        for _ in range(rounds):
            (one, cpu_one, whole), (two, cpu_two, merged) = run(parts[0]), run(parts[1])
            walls.append((round(one, 3), round(two, 3)))
            cpus.append([[round(v, 3) for v in cpu] for cpu in (cpu_one, cpu_two)])
            same = np.array_equal(whole.nearest, merged.nearest)
            assert same and np.array_equal(whole.distance, merged.distance)
        found = merged.found()
        return {
            "train_rows": n_train,
            "test_rows": n_test,
            "wall_seconds_one_two": walls,
            "cpu_seconds_one_two": cpus,
            "wall_speedup": round(float(np.median([one / two for one, two in walls])), 3),
            # What the wall clock shows where both tasks have a core to themselves.
            "cpu_speedup": round(float(np.median([sum(one) / max(two) for one, two in cpus])), 3),
            "bytes_returned_a_test_row": (found.distance.nbytes + found.nearest.nbytes) / n_test,
            "same_answer_bit_for_bit": True,
        }
    finally:
        ray.shutdown()


def start_ray(tries: int = 3) -> None:
    """Start a cluster of two CPUs; a loaded machine may need more than one try."""
    import ray

    for left in range(tries - 1, -1, -1):
        try:
            ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
            return
        except Exception:
            ray.shutdown()
            if not left:
                raise
            time.sleep(5.0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--small", action="store_true", help="a fifth of the rows, for a quick look")
    parser.add_argument("--rounds", type=int, default=5, help="times every method runs")
    parser.add_argument("--ray", action="store_true", help="also two Ray tasks against one")
    options = parser.parse_args()
    shrink = 5 if options.small else 1
    report: dict[str, Any] = {
        "search": search(50_000 // shrink, 5_000 // shrink, options.rounds),
        "relabelling": relabelling(50_000, 5_000),
    }
    report["process_peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    if options.ray:
        report["ray"] = on_ray(500_000 // shrink, 5_000, max(1, options.rounds // 2))
    if options.json:
        print(json.dumps(report, indent=2))
        return
    for part, values in report.items():
        print(part)
        for key, value in values.items() if isinstance(values, dict) else [("", values)]:
            print(f"  {key:28s} {value}")


if __name__ == "__main__":
    main()
