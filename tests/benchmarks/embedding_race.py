"""How early each strategy brings the best embedding to its end, and what a stop saves.

For every problem and strategy, as means over the problems of a family: the pull at which the
best arm finishes and the cost spent until then, both also as ratios to uniform; and with
`TangentStop` (stop) and with `Contenders` (cont), at 0 and 1 standard errors z: the share of all
pulls that were made, the share of races whose best arm was not found (wrong) and the error lost.

Problems: the three of tests/data/embedding_race.json; power laws ``c + b n^-a`` without noise
(``power``: spread out, ``close``: levels within a few points, ``crossing``: slow arms end
lower, ``late``: at chance for many pulls before they fall, where tangents are wrong); and
``mixtures``, nearest-neighbour errors measured on random projections of Gaussian mixtures with
noisy labels. Costs a pull are drawn log-uniformly from 1 to 10 (``drawn``), and once given so
that the lower an arm ends the dearer it is (``ordered``).

    python tests/benchmarks/embedding_race.py [--json] [--repeats 20] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from easeml_ray.feasibility.race import STRATEGIES, strategy_named
from easeml_ray.neighbors.nearest import NearestNeighbor

sys.path.insert(0, str(Path(__file__).parents[1]))
from races import Contenders, RaceResult, TangentStop, run_race

Curves = dict[str, list[int]]
GOLDEN = Path(__file__).parents[1] / "data" / "embedding_race.json"
PULLS = 32


def power_laws(kind: str, n_arms: int, rng: np.random.Generator, rows: int = 5000) -> Curves:
    pulls = np.arange(1, PULLS + 1)
    curves = {}
    for i in range(n_arms):
        level, fall, exponent = rng.uniform(0.05, 0.40), rng.uniform(0.1, 0.5), rng.uniform(0.2, 0.8)
        if kind == "close":
            level, fall = rng.uniform(0.20, 0.25), rng.uniform(0.2, 0.3)
        elif kind == "crossing":
            fall = rng.uniform(0.05, 0.6)
            level = 0.3 - 0.35 * fall + rng.uniform(0.0, 0.05)
        elif kind == "late":
            fall *= 8.0
        errors = np.minimum(level + fall * pulls**-exponent, 0.9)
        curves[f"e{i}"] = np.rint(errors * rows).astype(int).tolist()
    return curves


def mixture(rng: np.random.Generator) -> tuple[Curves, int]:
    classes, d = int(rng.integers(2, 8)), int(rng.integers(4, 30))
    rows, n = int(rng.choice([300, 1000])), int(rng.choice([1000, 2000]))
    pulls = int(rng.choice([16, 32]))
    y = rng.integers(0, classes, n + rows)
    X = (rng.normal(size=(classes, d)) * rng.uniform(0.3, 1.2))[y] + rng.normal(size=(n + rows, d))
    noisy = rng.random(n + rows) < rng.choice([0.0, 0.1, 0.3])
    y = np.where(noisy, rng.integers(0, classes, n + rows), y)
    cuts = n * np.arange(pulls + 1) // pulls
    curves = {}
    for i in range(int(rng.integers(3, 9))):
        Z = X @ rng.normal(size=(d, int(rng.integers(1, d + 1))))
        if rng.random() < 0.5:  # columns that tell nothing
            Z = np.c_[Z, rng.normal(size=(n + rows, int(rng.integers(1, 10)))) * Z.std()]
        state = NearestNeighbor(Z[n:], y[n:], classes)
        curves[f"e{i}"] = [state.append(Z[a:b], y[a:b]).errors for a, b in pairwise(cuts)]
    return curves, rows


def problems(repeats: int, rng: np.random.Generator) -> Iterator[tuple[str, Curves, int]]:
    for name, given in json.loads(GOLDEN.read_text())["problems"].items():
        yield name, given["curves"], given["n_test"]
    for kind in ("power", "close", "crossing", "late"):
        for n_arms in (8, 24):
            for _ in range(repeats):
                yield f"{kind}-{n_arms}", power_laws(kind, n_arms, rng), 5000
    for _ in range(repeats):
        yield "mixtures", *mixture(rng)


def race(name: str, curves: Curves, rows: int, stop: TangentStop | None = None) -> RaceResult:
    arms = {arm: len(curve) for arm, curve in curves.items()}
    strategy = strategy_named(name, arms, worst_error=rows)
    return run_race(strategy, lambda arm, block: curves[arm][block], stop)


def costs(curves: Curves, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    drawn = np.exp(rng.uniform(0.0, np.log(10.0), len(curves)))
    best_first = sorted(curves, key=lambda arm: curves[arm][-1])
    return {
        "drawn": dict(zip(curves, drawn.tolist(), strict=True)),
        "ordered": dict(zip(best_first, sorted(drawn.tolist(), reverse=True), strict=True)),
    }


def measure(curves: Curves, rows: int, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    prices = costs(curves, rng)
    arms = {arm: len(curve) for arm, curve in curves.items()}
    lowest = min(curve[-1] for curve in curves.values())
    values: dict[str, dict[str, float]] = {}
    for name in STRATEGIES:
        result = race(name, curves, rows)
        at = result.finished_at[str(result.best)]
        row = {"pull": float(at)}
        for kind, price in prices.items():
            row[f"cost_{kind}"] = sum(price[arm] for arm in result.order[:at])
        for z in (0.0, 1.0):
            stop = TangentStop(arms, rows=rows, worst_error=rows, standard_errors=z)
            strategy = Contenders(strategy_named(name, arms, worst_error=rows), stop)
            ended = {
                "stop": race(name, curves, rows, stop),
                "cont": run_race(strategy, lambda arm, block: curves[arm][block]),
            }
            for way, stopped in ended.items():
                lost = (curves[str(stopped.best)][-1] - lowest) / rows
                row |= {
                    f"{way}_made_z{z:g}": len(stopped.order) / sum(arms.values()),
                    f"{way}_lost_z{z:g}": lost,
                    f"{way}_wrong_z{z:g}": float(lost > 0),
                }
        values[name] = row
    for row in reversed(values.values()):  # uniform, the first, last
        for key in ("pull", "cost_drawn", "cost_ordered"):
            row[f"{key}_ratio"] = row[key] / values["uniform"][key]
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=20, help="problems of each synthetic family")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    rows: dict[str, dict[str, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for family, curves, n_rows in problems(given.repeats, rng):
        for strategy, values in measure(curves, n_rows, rng).items():
            rows[family][strategy].append(values)
    means = {
        family: {
            strategy: {key: float(np.mean([value[key] for value in values])) for key in values[0]}
            for strategy, values in strategies.items()
        }
        for family, strategies in rows.items()
    }
    if given.json:
        print(json.dumps({"repeats": given.repeats, "seed": given.seed, "means": means}, indent=1))
        return
    keys = {
        key: key.removesuffix("_ratio") for key in ("pull_ratio", "cost_drawn_ratio", "cost_ordered_ratio")
    }
    keys |= {f"{a}_{b}_z{z}": f"{a}{b}{z}" for z in "10" for a in ("stop", "cont") for b in ("made", "wrong")}
    print(f"{'problems':<22}{'strategy':<25}" + "".join(f"{title:>11}" for title in keys.values()))
    for family, strategies in means.items():
        for strategy, values in strategies.items():
            print(f"{family:<22}{strategy:<25}" + "".join(f"{values[key]:>11.3f}" for key in keys))


if __name__ == "__main__":
    main()
