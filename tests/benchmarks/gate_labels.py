"""Labels that the sequential gate uses, against the fixed sizes of the paper.

    python tests/benchmarks/gate_labels.py --json [--runs 400]

n - o > 0.02 +/- 0.01 at reliability 0.9999 over 32 steps, models that differ on a tenth of the rows:
mean labels (with a 90 % interval) by the true difference; the paper's active labelling asks 2,905 (none)
and 6,771 (full) for every model. And milliseconds of a verdict on 50,000 predictions.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from easeml_ray.gate import SequentialGate, parse, sample_size

CONDITION = parse("n - o > 0.02 +/- 0.01")
PAPER = {"none": 2905, "full": 6771}
PLAN: dict[str, Any] = {"reliability": 0.9999, "steps": 32}


def models(rng: np.random.Generator, rows: int, difference: float, d: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the answers of two models where every label is 0."""
    u = rng.random(rows)
    better = (d + difference) / 2
    return (u < better).astype(int), ((u >= better) & (u < d)).astype(int)


def labels_used(runs: int, rows: dict[str, int], d: float) -> list[dict[str, Any]]:
    """Return mean labels by adaptivity and true difference."""
    found = []
    for adaptivity in ("none", "bounded:3", "full"):
        for difference in (-0.05, 0.0, 0.02, 0.03, 0.04, 0.05):
            used, passed = [], 0
            for run in range(runs):
                rng = np.random.default_rng([run, round(1000 * difference) + 100])
                old, new = models(rng, rows[adaptivity], difference, d)
                gate = SequentialGate(CONDITION, **PLAN, adaptivity=adaptivity, rng=rng)
                decision = gate.decide(old, new, lambda row: 0)
                used.append(decision.labels)
                passed += decision.verdict == "PASS"
            half = 1.645 * np.std(used, ddof=1) / runs**0.5
            found.append(
                {
                    "adaptivity": adaptivity,
                    "difference": difference,
                    "mean_labels": round(float(np.mean(used)), 1),
                    "interval": [
                        round(float(np.mean(used) - half), 1),
                        round(float(np.mean(used) + half), 1),
                    ],
                    "passed": passed / runs,
                    "paper": PAPER.get(adaptivity),
                }
            )
    return found


def milliseconds(runs: int) -> dict[str, float]:
    """Return the median and the longest time of a verdict on 50,000 predictions."""
    found = {}
    for difference in (0.0, 0.02, 0.03, 0.05):
        took = []
        for run in range(runs):
            rng = np.random.default_rng(run)
            old, new = models(rng, 50_000, difference, 0.1)
            gate = SequentialGate(CONDITION, **PLAN, adaptivity="none", rng=rng)
            started = time.perf_counter()
            gate.decide(old, new, lambda row: 0)
            took.append(1000 * (time.perf_counter() - started))
        found[f"median at {difference}"] = round(float(np.median(took)), 1)
        found[f"longest at {difference}"] = round(max(took), 1)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=400)
    options = parser.parse_args()
    sizes = {
        a: sample_size(CONDITION, **PLAN, adaptivity=a, bound="best", discordance=0.1)
        for a in ("none", "bounded:3", "full")
    }
    # A sixth more rows than the fixed size: what the gate's own share of δ for the end of the rows needs.
    rows = {a: round(1.2 * size.rows) for a, size in sizes.items()}
    result = {
        "rows": rows,
        "fixed_labels": {a: size.labels for a, size in sizes.items()},
        "sequential": labels_used(options.runs, rows, 0.1),
        "milliseconds": milliseconds(20),
    }
    if options.json:
        print(json.dumps(result))
        return
    print(result["rows"], result["fixed_labels"])
    for row in result["sequential"]:  # type: ignore[attr-defined]
        print(row)
    print(result["milliseconds"])


if __name__ == "__main__":
    main()
