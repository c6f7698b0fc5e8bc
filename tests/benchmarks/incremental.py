"""What a change of labels costs a study: 50,000 train rows, 5,000 development rows, 8 embeddings.

A study is made once; then 1 % of the train labels change, and it is timed how long the 1NN counts
with their bounds take (limit 5 ms), and the whole report with its bootstrap (limit 1 s).
"""

from __future__ import annotations

import argparse
import json
import os
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402

from easeml_ray.embed import FunctionEmbedding  # noqa: E402
from easeml_ray.feasibility import Study, cover_hart_lower_bound  # noqa: E402
from easeml_ray.statistics import clopper_pearson  # noqa: E402

EMBEDDINGS = 8


def projection(seed: int) -> FunctionEmbedding:
    """Return a rotation into 32 dimensions: quick to embed, so that the study is made soon."""
    turn = np.random.default_rng(seed).standard_normal((64, 32)) / 8.0
    return FunctionEmbedding(f"projection {seed}", lambda rows: np.asarray(rows) @ turn)


def best(function, repeats: int) -> tuple[float, float]:
    """Return the median and the least CPU seconds of some calls."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        function()
        taken.append(time.process_time() - began)
    return float(np.median(taken)), float(min(taken))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--small", action="store_true", help="a tenth of the rows")
    given = parser.parse_args()
    n, T, C = (5_000, 500, 5) if given.small else (50_000, 5_000, 5)
    rng = np.random.default_rng(0)
    y = rng.integers(0, C, n + T)
    X = rng.standard_normal((n + T, 64)) + 2.0 * rng.standard_normal((C, 64))[y] / 8.0
    began = time.process_time()
    study = Study(X[:n], y[:n], X[n:], y[n:], embeddings=[projection(f) for f in range(EMBEDDINGS)]).run()
    made = time.process_time() - began
    changed = rng.permutation(n)[: n // 100]

    def counts() -> None:
        study.relabel_train(changed, rng.integers(0, C, changed.size))
        errors = study.evidence.errors()
        low, high = clopper_pearson(errors, T, confidence=1.0 - 0.1 / EMBEDDINGS)
        cover_hart_lower_bound(np.stack([errors / T, low, high]), C)

    def report() -> None:
        study.relabel_train(changed, rng.integers(0, C, changed.size))
        study.report(0.9)

    counts()
    count_s, count_least = best(counts, 50)
    report_s, report_least = best(report, 5)
    result = {
        "train_rows": n, "development_rows": T, "embeddings": EMBEDDINGS, "labels_changed": changed.size,
        "study_cpu_s": round(made, 1),
        "counts_ms": round(1e3 * count_s, 3), "counts_least_ms": round(1e3 * count_least, 3),
        "counts_limit_ms": 5.0,
        "report_s": round(report_s, 3), "report_least_s": round(report_least, 3), "report_limit_s": 1.0,
        "counts_to_study": round(count_s / made, 7),
    }  # fmt: skip
    if given.json:
        print(json.dumps(result, indent=1))
    else:
        for name, value in result.items():
            print(f"{name:22} {value}")


if __name__ == "__main__":
    main()
