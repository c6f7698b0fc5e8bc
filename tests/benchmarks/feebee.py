"""How far are estimates of the Bayes error outside of what is possible on real data?

The Bayes error of real data is unknown, but it lies between 0 and the error of any classifier.
Noise of rate rho, convention ``uniform``, moves both limits by known amounts, and at rho = 1 they meet.
An estimate is charged for its distance to the nearer limit; that is the FeeBee score.

Symbols
-------
C = classes;  m = (C-1)/C, the error of a guess
s = smallest error of a classifier that is known for the data set (:data:`SOTA`)
rho = noise rate; with probability rho a label, of train and of development rows, is replaced by any class
lower(rho) = rho m;  upper(rho) = s + rho (m - s)
v = what an estimator says, cut to 0 .. m
charge = (v - upper)+ + (lower - v)+;  area = mean over runs, then over rho, times 2 / m

The two parts of an area are ``over`` and ``under``. A range is charged for each end alone: its
lower end as a lower value, its upper end as an upper value. What is compared, on the same rows and
labels: the estimate and the two ends of the calibrated interval of a study; the nearest neighbour
in the features as they are (its error, and the Cover-Hart value of it); the smallest of both over
the embeddings of the study. One study a data set, rate and run, with the default embeddings.

``--sota`` computes :data:`SOTA` again, in about half an hour.

References
----------
C. Renggli et al., "Evaluating Bayes error estimators on real-world datasets with FeeBee", NeurIPS
Datasets and Benchmarks 2021.
L. Breiman, "Bias, variance, and arcing classifiers", 1996: twonorm.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from statistics import NormalDist
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # read when numpy is imported
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from numpy.typing import NDArray
from real_data import features_and_labels

FloatArray = NDArray[np.float64]

DATA_SETS = (
    "digits", "mnist", "letter", "satimage", "magic", "spambase", "penbased", "optdigits", "phoneme", "ring",
    "twonorm", "breast_cancer",
)  # fmt: skip
RATES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
RUNS = 4
TRAIN_ROWS, DEVELOPMENT_ROWS = 1500, 750  # or two thirds and one third of a smaller set
QUICK = {"rates": (0.0, 0.4, 1.0), "runs": 2, "sets": ("magic", "twonorm", "breast_cancer")}

TWONORM = NormalDist().cdf(-2.0)
"""Two normals of unit covariance in 20 dimensions whose means, +-2/sqrt(20) in each, are 4 apart."""

SOTA: dict[str, tuple[float, str]] = {
    "digits": (0.0106, "SVC, C 2, gamma 2/d"),
    "mnist": (0.0374, "SVC, C 20, gamma 2/d"),
    "letter": (0.0256, "SVC, C 20, gamma 2/d"),
    "satimage": (0.0786, "SVC, C 2, gamma 8/d"),
    "magic": (0.1188, "SVC, C 20, gamma 0.5/d, quantiles"),
    "spambase": (0.0405, "ExtraTrees, half of the features a cut"),
    "penbased": (0.0038, "SVC, C 2, gamma 2/d, standardised"),
    "optdigits": (0.0069, "SVC, C 2, gamma 2/d"),
    "phoneme": (0.0831, "ExtraTrees"),
    "ring": (0.0205, "GaussianNB"),
    "twonorm": (TWONORM, "closed form, Phi(-2)"),
    "breast_cancer": (0.0228, "SVC, C 2, gamma 0.5/d, quantiles"),
}
"""The error of the best classifier known, by data set, and which it is.

Each is the error in five-fold cross-validation on all rows of the set that :mod:`real_data` reads,
of the better one of the two that won on a part of it; see :func:`best_of_several`. For mnist, with
its 784 pixels, the support vector classifiers alone were compared; its error is
that of the 5,000 rows there are, not of the 70,000 that others report. The values of ring lost their
decimal point together with the zeros at the end (.905 and .0905 are both 905), so that no formula
for ring holds.
"""

ESTIMATORS = ("ours", "ours_low", "ours_high", "cover_hart", "one_nn", "cover_hart_best", "one_nn_best")
COMPARED = {
    "estimate": ("ours", "cover_hart"),
    "estimate_best": ("ours", "cover_hart_best"),
    "lower": ("ours_low", "cover_hart"),
    "lower_best": ("ours_low", "cover_hart_best"),
    "upper": ("ours_high", "one_nn"),
    "upper_best": ("ours_high", "one_nn_best"),
}
"""Ours and the classical one beside it; ``best`` is the smallest over embeddings."""


def measured(task: tuple[str, int, float]) -> dict[str, Any]:
    """Study one data set with the labels of one run and noise rate."""
    from easeml_ray.feasibility.study import Study

    name, run, rate = task
    X, y = features_and_labels(name)
    C = int(y.max()) + 1
    # The rows and the noise of a run are the same at every rate but for how many labels it takes.
    rng = np.random.default_rng([zlib.crc32(name.encode()), run])
    n_train, n_dev = min(TRAIN_ROWS, len(y) * 2 // 3), min(DEVELOPMENT_ROWS, len(y) // 3)
    chosen = rng.permutation(len(y))[: n_train + n_dev]
    replaced, any_class = rng.random(chosen.size) < rate, rng.integers(0, C, chosen.size)
    X, y = X[chosen], np.where(replaced, any_class, y[chosen])
    began = time.process_time()
    train, dev = slice(n_train), slice(n_train, None)
    made = Study(X[train], y[train], X[dev], y[dev], n_classes=C, seed=run).run()
    report = made.report(target_accuracy=0.9)  # what the estimates are does not depend on the target
    raw = report.curves["raw"][-1]
    low, high = report.ber_interval
    plain = (raw.cover_hart, raw.errors / n_dev, report.ber_lower, report.ber_upper)
    values = zip(ESTIMATORS, (report.ber_estimate, low, high, *plain), strict=True)
    return {
        "set": name, "run": run, "rate": rate, "n_train": n_train, "n_dev": n_dev, "n_classes": C,
        "outside": list(report.outside), "cpu_s": round(time.process_time() - began, 2),
        # Enough to judge another calibration by, without a study.
        "summary": asdict(made.evidence.summary()), "best_limit": report.best_limit,
        **{key: round(float(value), 6) for key, value in values},
    }  # fmt: skip


def charges(
    value: FloatArray, rate: FloatArray, sota: float, n_classes: int
) -> tuple[FloatArray, FloatArray]:
    """Return by how much values are over and under the limits, scaled as an area is."""
    m = (n_classes - 1) / n_classes
    v = np.clip(value, 0.0, m)
    over = np.maximum(v - (sota + rate * (m - sota)), 0.0)
    under = np.maximum(rate * m - v, 0.0)
    return 2.0 / m * over, 2.0 / m * under


def areas(rows: list[dict[str, Any]], sota: float) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return the areas over and under, (R,) one a run, by estimator."""
    runs, rates = sorted({row["run"] for row in rows}), sorted({row["rate"] for row in rows})
    at = {(row["run"], row["rate"]): row for row in rows}
    found = {}
    for key in ESTIMATORS:
        values = np.array([[at[run, rate][key] for rate in rates] for run in runs])
        over, under = charges(values, np.array(rates), sota, rows[0]["n_classes"])
        found[key] = (over.mean(axis=1), under.mean(axis=1))
    return found


def interval(differences: list[FloatArray]) -> list[float]:
    """Return low end, mean and high end: the 90 % t interval of the mean over sets of the mean over runs.

    A bootstrap of so few runs would be too narrow. Sets vary differently: the degrees of freedom
    are those of Welch and Satterthwaite.
    """
    from scipy.stats import t

    mean = float(np.mean([d.mean() for d in differences]))
    variance = np.array([d.var(ddof=1) / d.size for d in differences])
    if not variance.sum():
        return [round(mean, 4)] * 3
    freedom = variance.sum() ** 2 / (variance**2 / [d.size - 1 for d in differences]).sum()
    half = float(t.ppf(0.95, freedom)) * variance.sum() ** 0.5 / len(differences)
    return [round(v, 4) for v in (mean - half, mean, mean + half)]


def score(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return areas and differences by data set, by rate (means over sets), and over all."""
    names = list(dict.fromkeys(row["set"] for row in rows))
    sets, each = {}, {}
    for name in names:
        own = [row for row in rows if row["set"] == name]
        each[name] = areas(own, SOTA[name][0])
        sets[name] = {
            "n_train": own[0]["n_train"], "n_dev": own[0]["n_dev"], "n_classes": own[0]["n_classes"],
            "sota": SOTA[name][0], "sota_by": SOTA[name][1], "outside": own[0]["outside"],
            **line([each[name]]),
        }  # fmt: skip
    overall = line(list(each.values()))
    rates = sorted({row["rate"] for row in rows})
    at_rate = {rate: [row for row in rows if row["rate"] == rate] for rate in rates}
    by_rate = {
        str(rate): line([areas([row for row in own if row["set"] == name], SOTA[name][0]) for name in names])
        for rate, own in at_rate.items()
    }
    limits = {}
    for key in COMPARED:
        limits[f"{key}_better_in_mean"] = overall["difference"][key][1] < 0.0
        limits[f"{key}_worse_on"] = [name for name in names if sets[name]["difference"][key][0] > 0.0]
    return {"sets": sets, "by_rate": by_rate, "overall": overall, "limits": limits}


def line(each: list[dict[str, tuple[FloatArray, FloatArray]]]) -> dict[str, Any]:
    """Return the areas of one or more data sets, and how much smaller or larger ours are."""

    def mean(part: Callable[[tuple[FloatArray, FloatArray]], FloatArray], key: str) -> float:
        return round(float(np.mean([part(found[key]).mean() for found in each])), 4)

    return {
        "area": {key: mean(lambda both: both[0] + both[1], key) for key in ESTIMATORS},
        "over": {key: mean(lambda both: both[0], key) for key in ESTIMATORS},
        "under": {key: mean(lambda both: both[1], key) for key in ESTIMATORS},
        "difference": {
            key: interval([np.add(*found[ours]) - np.add(*found[plain]) for found in each])
            for key, (ours, plain) in COMPARED.items()
        },
    }


def models(C: int, d: int) -> dict[str, tuple[Any, dict[str, list[Any]]]]:
    """Return the classifiers that :data:`SOTA` is the best of, and what is tuned of each."""
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
    from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import QuantileTransformer, StandardScaler
    from sklearn.svm import SVC

    quantile = QuantileTransformer(output_distribution="normal", n_quantiles=200, random_state=0)
    scale = ["passthrough", StandardScaler(), quantile]

    def scaled(model: Any) -> Any:
        return Pipeline([("scale", "passthrough"), ("model", model)])

    found = {
        # The features come with unit variance in all, so 1/d is what scikit-learn calls "scale".
        "SVC": (
            scaled(SVC(cache_size=400)),
            {"scale": scale, "model__C": [2.0, 20.0, 200.0], "model__gamma": [0.5 / d, 2.0 / d, 8.0 / d]},
        ),
        "ExtraTrees": (
            ExtraTreesClassifier(300, random_state=0),
            {"max_features": ["sqrt", 0.5], "min_samples_leaf": [1, 2]},
        ),
        "HistGradientBoosting": (
            HistGradientBoostingClassifier(early_stopping=False, random_state=0),
            {
                "max_iter": [100, 300] if C <= 3 else [100],
                "learning_rate": [0.05, 0.1],
                "max_leaf_nodes": [15, 31],
            },
        ),
        "kNN": (
            scaled(KNeighborsClassifier(weights="distance")),
            {"scale": scale, "model__n_neighbors": [1, 3, 5, 9, 15, 25]},
        ),
        "GaussianNB": (scaled(GaussianNB()), {"scale": scale}),
    }
    if d < 100:  # the covariances of a class need more rows than features
        found["quadratic"] = (
            scaled(QuadraticDiscriminantAnalysis()),
            {"scale": scale[1:], "model__reg_param": [0.001, 0.01, 0.1]},
        )
    return found


def best_of_several(name: str, workers: int = 1, tuned_on: int = 2500) -> dict[str, Any]:
    """Return the smallest cross-validated error of tuned classifiers.

    All are tuned by three-fold cross-validation on a part of the rows; the two with the smallest
    error there, as tuned, are cross-validated on all rows in five stratified folds.
    """
    from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score

    warnings.simplefilter("ignore")  # a model that suits the data badly loses, whatever it warns of
    X, y = features_and_labels(name)
    X = (X - X.mean()) / X.std()
    part = np.random.default_rng(0).permutation(len(y))[:tuned_on]
    tuned = {}
    for key, (model, grid) in models(int(y.max()) + 1, X.shape[1]).items():
        folds = StratifiedKFold(3, shuffle=True, random_state=0)
        search = GridSearchCV(model, grid, cv=folds, refit=False, n_jobs=workers).fit(X[part], y[part])
        tuned[key] = (1.0 - search.best_score_, model.set_params(**search.best_params_), search.best_params_)
    found = {}
    for key in sorted(tuned, key=lambda key: tuned[key][0])[:2]:
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        accuracy = cross_val_score(tuned[key][1], X, y, cv=folds, n_jobs=workers)
        found[key] = 1.0 - float(np.average(accuracy, weights=[len(test) for _, test in folds.split(X, y)]))
    best = min(found, key=lambda key: found[key])
    return {
        "set": name, "error": round(found[best], 4), "by": best, "rows": len(y),
        "settings": {key: str(value) for key, value in tuned[best][2].items()},
        "all_rows": {key: round(value, 4) for key, value in found.items()},
        "tuning_part": {key: round(value[0], 4) for key, value in tuned.items()},
    }  # fmt: skip


def spread(function: Callable[[Any], Any], wanted: list[Any], workers: int) -> Iterator[Any]:
    if workers == 1:
        yield from map(function, wanted)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(function, wanted)


def run_all(names: tuple[str, ...], rates: tuple[float, ...], runs: int, workers: int) -> dict[str, Any]:
    """Study everything and score it."""
    wanted = [(name, run, rate) for name in names for run in range(runs) for rate in rates]
    began, rows = time.monotonic(), []
    for done, row in enumerate(spread(measured, wanted, workers), 1):
        rows.append(row)
        if done % 12 == 0:
            seconds = time.monotonic() - began
            print(f"{done} of {len(wanted)} after {seconds:.0f} s", file=sys.stderr, flush=True)
    return {
        "seconds": round(time.monotonic() - began, 1), "workers": workers, "rates": list(rates), "runs": runs,
        **score(rows), "rows": rows,
    }  # fmt: skip


def show(result: dict[str, Any]) -> None:
    print(f"{'area':14}{'sota':>8}" + "".join(f"{key:>17}" for key in ESTIMATORS))
    at_rates = {f"rho = {rate}": found for rate, found in result["by_rate"].items()}
    lines = {**result["sets"], **at_rates, "mean": result["overall"]}
    for key, found in lines.items():
        print(f"{key:14}{found.get('sota', float('nan')):>8.4f}"
              + "".join(f"{f'{v:.4f}':>17}" for v in found["area"].values()))  # fmt: skip
    for part in ("over", "under"):
        print(f"{'mean ' + part:22}" + "".join(f"{f'{v:.4f}':>17}" for v in result["overall"][part].values()))
    print(f"\n{'ours - plain':22}" + "".join(f"{key:>24}" for key in COMPARED))
    for key, found in lines.items():
        texts = (f"{mid:+.4f} [{low:+.4f} {high:+.4f}]" for low, mid, high in found["difference"].values())
        print(f"{key:14}" + "".join(f"{text:>26}" for text in texts))
    for key, met in result["limits"].items():
        print(f"{key}: {met}")
    print(f"{result['seconds']:.0f} s on {result['workers']} worker(s)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--quick", action="store_true", help="three small data sets, three rates, two runs")
    parser.add_argument("--sota", action="store_true", help="compute the best known errors, and no more")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, help=f"{RUNS} by default")
    parser.add_argument("--sets", nargs="+", choices=DATA_SETS, help="only these data sets")
    given = parser.parse_args()
    names = tuple(given.sets or (QUICK["sets"] if given.quick else DATA_SETS))
    if given.sota:
        for name in names:
            print(json.dumps(best_of_several(name, given.workers)), flush=True)
    else:
        rates, runs = (QUICK["rates"], QUICK["runs"]) if given.quick else (RATES, RUNS)
        result = run_all(names, rates, given.runs or runs, given.workers)
        print(json.dumps(result, indent=1)) if given.json else show(result)
