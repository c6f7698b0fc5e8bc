"""CPClean on the data of its authors, against its own clear form, and against other orders.

runs      Supreme, Bank and BabyProduct cleaned until every development point is certain: rows,
          test accuracy of the default repairs, of the ground truth and of ours, seconds, memory.
          Reads ``*_{random,real}.npz`` from --data (or the folder EASEML_BENCHMARK_DATA): cand_X,
          row_ptr, y_train, gt_index, mean_index, X_val, y_val, X_test, y_test.
step      one greedy step on 8 uncertain points of Supreme, against SortScan written as published:
          every boundary by a dynamic program over the rows, every answer by asking again.
orders    a real table of three classes with cells blanked out: how many rows until the accuracy
          of full cleaning, by CPClean, at random, and by a model's uncertainty, over seeds.

    python tests/benchmarks/cpclean.py [--json] [--data FOLDER] [--only runs|step|orders]
        [--points 1000 | --all] [--sample 32] [--seeds 5] [--dataset wine] [--dataset satimage:3]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from real_data import features_and_labels

from easeml_ray.cleaning import CPClean
from easeml_ray.cleaning.pointwise import CONDITIONAL, row_information, sweep
from easeml_ray.cleaning.ranking import RankedPoints

SETS = ("Supreme_random", "Bank_random", "BabyProduct_real")
K = 3
MOST_ROWS = 400


def load(folder: Path, name: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a data set, labels as int64."""
    with np.load(folder / f"{name}.npz") as file:
        data = {key: file[key] for key in file.files}
    for key in ("y_train", "y_val", "y_test", "gt_index", "mean_index", "row_ptr"):
        data[key] = data[key].astype(np.int64)
    return data


def accuracy(X: NDArray[Any], y: NDArray[Any], X_test: NDArray[Any], y_test: NDArray[Any]) -> float:
    """Accuracy of the vote of k nearest rows, ties as everywhere: smaller row, smaller label."""
    from scipy.spatial.distance import cdist

    order = np.argsort(cdist(X_test, X, "sqeuclidean"), axis=1, kind="stable")[:, :K]
    votes = (y[order][:, :, None] == np.arange(y.max() + 1)).sum(axis=1)
    return float((votes.argmax(axis=1) == y_test).mean())


# -- runs ---------------------------------------------------------------------------------


def run(data: dict[str, NDArray[Any]], n_points: int, sample: int | None) -> dict[str, Any]:
    """Clean by CPClean until every development point is certain."""
    X, first = data["cand_X"], data["row_ptr"][:-1]
    n_points = min(n_points, len(data["y_val"]))
    started = time.perf_counter()
    clean = CPClean(
        X, data["row_ptr"], data["y_train"], data["X_val"][:n_points], data["y_val"][:n_points], k=K
    )
    certain_at_start = clean.certain_fraction
    ranked = time.perf_counter() - started
    cleaned: list[int] = []
    first_step = 0.0
    while (row := clean.next_row(sample=sample, seed=len(cleaned))) is not None:
        cleaned.append(row)
        first_step = first_step or time.perf_counter() - started - ranked
        clean.condition(row, int(data["gt_index"][row]))
    seconds = time.perf_counter() - started
    chosen = data["mean_index"].copy()
    chosen[cleaned] = data["gt_index"][cleaned]
    test = data["X_test"], data["y_test"]
    default, truth, ours = (
        accuracy(X[first + index], data["y_train"], *test)
        for index in (data["mean_index"], data["gt_index"], chosen)
    )
    return {
        "points": n_points,
        "rows": len(first),
        "dirty": int((np.diff(data["row_ptr"]) > 1).sum()),
        "certain_at_start": round(certain_at_start, 4),
        "certain_at_end": clean.certain_fraction,
        "cleaned": len(cleaned),
        "accuracy_default": round(default, 4),
        "accuracy_truth": round(truth, 4),
        "accuracy_ours": round(ours, 4),
        "gap_closed": round((ours - default) / (truth - default), 3) if truth != default else None,
        "seconds": round(seconds, 2),
        "seconds_to_rank": round(ranked, 2),
        "seconds_of_first_step": round(first_step, 3),
        "seconds_a_later_step": round((seconds - ranked - first_step) / max(1, len(cleaned) - 1), 4),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


# -- one step -----------------------------------------------------------------------------


def published_probabilities(
    elements: list[int], row_of: NDArray[Any], labels: NDArray[Any], prior: NDArray[Any], n_rows: int
) -> list[float]:
    """Q2 of two classes by SortScan: a dynamic program over the rows for every boundary."""
    beta = [0.0] * n_rows
    label_of = labels
    near = sorted({int(row_of[e]) for e in elements})
    result = [0.0, 0.0]
    for element in elements:
        own, weight = int(row_of[element]), float(prior[element])
        if weight > 0.0:
            support = [[1.0] + [0.0] * K, [1.0] + [0.0] * K]
            for row in near:
                if row != own:
                    polynomial, b = support[label_of[row]], beta[row]
                    if b > 0.0:
                        for degree in range(K, 0, -1):
                            polynomial[degree] = polynomial[degree] * (1 - b) + polynomial[degree - 1] * b
                        polynomial[0] *= 1 - b
            polynomial = support[label_of[own]]
            support[label_of[own]] = [0.0, *polynomial[:K]]
            for tally in range(K + 1):
                result[0 if 2 * tally > K else 1] += weight * support[0][tally] * support[1][K - tally]
        beta[own] += weight
    return result


def published_gains(ranked: RankedPoints, prior: NDArray[Any], y_train: NDArray[Any]) -> NDArray[Any]:
    """Information of every row: each candidate of each row fixed in turn, everything asked again."""
    rows = ranked.rows

    def bits(p: list[float]) -> float:
        return -sum(x * np.log2(x) for x in p if x > 0)

    total = np.zeros(rows.n_rows)
    for v in range(ranked.n_points):
        elements = [int(e) for e in ranked.nearest(v)]
        before = bits(published_probabilities(elements, rows.row_of, y_train, prior, rows.n_rows))
        for row in sorted({int(rows.row_of[e]) for e in elements}):
            start, end = rows.row_ptr[row], rows.row_ptr[row + 1]
            if end - start > 1:
                left = 0.0
                for candidate in range(start, end):
                    fixed = prior.copy()
                    fixed[start:end] = 0.0
                    fixed[candidate] = 1.0
                    found = published_probabilities(elements, rows.row_of, y_train, fixed, rows.n_rows)
                    left += prior[candidate] * bits(found)
                total[row] += before - left
    return total


def step(data: dict[str, NDArray[Any]], n_points: int = 8, repeats: int = 50) -> dict[str, Any]:
    """Time one greedy step by both, in one process, on points that are not certain."""
    every = CPClean(
        data["cand_X"], data["row_ptr"], data["y_train"], data["X_val"][:200], data["y_val"][:200], k=K
    )
    few = every.shard(np.flatnonzero(~every.certain)[:n_points])
    ranked, prior = few.knowledge.ranked, few.knowledge.prior
    started = time.perf_counter()
    published = published_gains(ranked, prior, data["y_train"])
    slow = time.perf_counter() - started
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        ours = np.zeros(ranked.rows.n_rows)
        for swept in sweep(ranked, prior, np.arange(n_points), CONDITIONAL):
            _, row, bits = row_information(swept)
            ours += np.bincount(row, bits, minlength=len(ours))
        int(np.round(ours / n_points, 10).argmax())
        times.append(time.perf_counter() - started)
    return {
        "points": n_points,
        "published_seconds": round(slow, 3),
        "ours_seconds_median": round(float(np.median(times)), 6),
        "times_faster": round(slow / float(np.median(times))),
        "largest_difference_bits": float(np.abs(published - ours).max()),
    }


# -- orders -------------------------------------------------------------------------------


def blanked(dataset: str, seed: int) -> dict[str, NDArray[Any]]:
    """A table of which high values of most train rows are gone, with six alternatives for each.

    What is missing is not missing at random: a value above its column's median with probability
    0.9, one below with 0.1, in nine of ten rows. Repairs fill all missing cells of a row with the
    column's mean (the default), minimum, quartiles or maximum of what is left; one more
    alternative is the true row, which is the answer.
    """
    rng = np.random.default_rng(seed)
    name, _, classes = dataset.partition(":")
    X, y = features_and_labels(name)
    order = rng.permutation(np.flatnonzero(y < int(classes)) if classes else len(y))[:MOST_ROWS]
    X, y = X[order], y[order]
    n_train, n_dev = int(0.4 * len(y)), int(0.3 * len(y))
    X = (X - X[:n_train].mean(axis=0)) / (X[:n_train].std(axis=0) + 1e-12)
    train = X[:n_train]
    chance = np.where(train > np.median(train, axis=0), 0.9, 0.1)
    missing = (rng.random(train.shape) < chance) & (rng.random(n_train) < 0.9)[:, None]
    kept = np.where(missing, np.nan, train)
    fills = np.stack([np.nanmean(kept, axis=0), *np.nanquantile(kept, [0.0, 0.25, 0.75, 1.0], axis=0)])
    rows, sizes = [], []
    for i in range(n_train):
        repairs = [np.where(missing[i], fill, train[i]) for fill in fills] if missing[i].any() else []
        rows += [*repairs, train[i]]
        sizes.append(len(repairs) + 1)
    truth = np.array(sizes) - 1
    return {
        "candidates": np.array(rows),
        "row_ptr": np.concatenate([[0], np.cumsum(sizes)]),
        "labels": y[:n_train],
        "truth": truth,
        "X_dev": X[n_train : n_train + n_dev],
        "y_dev": y[n_train : n_train + n_dev],
        "X_test": X[n_train + n_dev :],
        "y_test": y[n_train + n_dev :],
    }


def model_uncertainty(X: NDArray[Any], y: NDArray[Any], left: NDArray[Any]) -> int:
    """Row of which a logistic regression on the present train rows is least sure."""
    from sklearn.linear_model import LogisticRegression

    p = LogisticRegression(max_iter=300).fit(X, y).predict_proba(X[left])
    return int(left[(-p * np.log2(np.maximum(p, 1e-300))).sum(axis=1).argmax()])


def clean_in_order(data: dict[str, NDArray[Any]], order: str, seed: int) -> list[dict[str, float]]:
    """Clean row after row; return the accuracies after each."""
    rng = np.random.default_rng(seed)
    first, labels = data["row_ptr"][:-1], data["labels"]
    clean = CPClean(data["candidates"], data["row_ptr"], labels, data["X_dev"], data["y_dev"], k=K)
    now = np.zeros(len(labels), dtype=np.int64)
    curve = []
    while True:
        X = data["candidates"][first + now]
        curve.append(
            {
                "development": accuracy(X, labels, data["X_dev"], data["y_dev"]),
                "test": accuracy(X, labels, data["X_test"], data["y_test"]),
                "certain": clean.certain_fraction,
            }
        )
        left = clean.uncertain_rows
        if not left.size:
            return curve
        if order == "cpclean":
            chosen = clean.next_row()
            row = int(left[0]) if chosen is None else chosen
        else:
            row = int(rng.choice(left)) if order == "random" else model_uncertainty(X, labels, left)
        clean.condition(row, int(data["truth"][row]))
        now[row] = data["truth"][row]


def rows_until(curve: list[dict[str, float]], reached: Callable[[dict[str, float]], bool]) -> int:
    """Rows after which something holds and goes on holding."""
    failing = [n for n, point in enumerate(curve) if not reached(point)]
    return failing[-1] + 1 if failing else 0


def orders(dataset: str, seeds: int) -> dict[str, Any]:
    """Rows until the accuracy of full cleaning, to stay, with 90 % t intervals over seeds."""
    from scipy.stats import t as student

    names = ("cpclean", "random", "uncertainty")
    found: dict[str, dict[str, list[float]]] = {
        name: {"development": [], "test": [], "certain": []} for name in names
    }
    dirty: list[int] = []
    ends: list[dict[str, float]] = []
    for seed in range(seeds):
        data = blanked(dataset, seed)
        dirty.append(int((np.diff(data["row_ptr"]) > 1).sum()))
        for name in names:
            curve = clean_in_order(data, name, seed)
            end = curve[-1]
            for part in ("development", "test"):
                goal = end[part]
                found[name][part].append(rows_until(curve, lambda x, p=part, g=goal: x[p] >= g))
            found[name]["certain"].append(rows_until(curve, lambda x: x["certain"] == 1.0))
        ends.append({"start": curve[0]["test"], "end": end["test"]})
    half = float(student.ppf(0.95, seeds - 1)) / np.sqrt(seeds)

    def interval(values: list[float]) -> dict[str, float]:
        mean, width = float(np.mean(values)), half * float(np.std(values, ddof=1))
        return {
            name: round(float(x), 1)
            for name, x in (("mean", mean), ("low", mean - width), ("high", mean + width))
        }

    return {
        "dataset": dataset,
        "seeds": seeds,
        "dirty_rows": float(np.mean(dirty)),
        "test_accuracy_default": round(float(np.mean([e["start"] for e in ends])), 4),
        "test_accuracy_full": round(float(np.mean([e["end"] for e in ends])), 4),
        "rows_until": {
            name: {part: interval(values) for part, values in parts.items()} for name, parts in found.items()
        },
        "fewer_rows_than": {
            name: {
                part: interval(list(np.array(found[name][part]) - np.array(found["cpclean"][part])))
                for part in ("development", "test", "certain")
            }
            for name in names[1:]
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--data", type=Path, help="folder of the npz files")
    parser.add_argument("--only", choices=("runs", "step", "orders"), help="one part only")
    parser.add_argument("--points", type=int, default=1000, help="first development points of a run")
    parser.add_argument("--all", action="store_true", help="all development points")
    parser.add_argument("--sample", type=int, help="uncertain points that each step looks at")
    parser.add_argument("--seeds", type=int, default=5, help="of the orders")
    parser.add_argument(
        "--dataset",
        action="append",
        help="of the orders: wine, a keel table, or NAME:C for the first C classes of one",
    )
    options = parser.parse_args()
    folder = options.data or Path(os.environ.get("EASEML_BENCHMARK_DATA", "."))
    parts = [options.only] if options.only else ["runs", "step", "orders"]
    report: dict[str, Any] = {}
    for name in SETS if "runs" in parts else ():
        if (folder / f"{name}.npz").exists():
            points = 10**9 if options.all else options.points
            report[name] = run(load(folder, name), points, options.sample)
        else:
            report[name] = f"skipped: no {name}.npz in {folder}, give --data"
    if "step" in parts:
        name = SETS[0]
        report["step"] = (
            step(load(folder, name))
            if (folder / f"{name}.npz").exists()
            else f"skipped: no {name}.npz in {folder}, give --data"
        )
    if "orders" in parts:
        for dataset in options.dataset or ["wine"]:
            report[f"orders of {dataset}"] = orders(dataset, options.seeds)
    if options.json:
        print(json.dumps(report, indent=2))
        return
    for part, values in report.items():
        print(part)
        for key, value in values.items() if isinstance(values, dict) else [("", values)]:
            print(f"  {key:28s} {value}")


if __name__ == "__main__":
    main()
