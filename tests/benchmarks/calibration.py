"""Does the interval of the Bayes error cover it? Judged on families of problems left out of the fit.

``--collect FILE`` measures the reference class; ``--fit FILE`` fits the calibration that the
package ships to it. Without either, fresh problems of every family are studied and their
intervals judged, each with a calibration that has not seen its family, beside plain Cover-Hart
values and a plain linear probe; so are the mixtures of tests/data/gmm_known_ber.json, with a
calibration that has seen no identity-covariance mixture.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402
from known_bayes import FAMILIES, MIXTURES, grid, mixture, mixture_grid, problem  # noqa: E402

from easeml_ray.feasibility.calibration import Calibration, Summary  # noqa: E402

HERE = Path(__file__).parent
REFERENCE = HERE / "reference_class.json"
SHIPPED = HERE.parents[1] / "easeml_ray" / "feasibility" / "calibration.json"

# Train rows and problems a family of the reference class.
MARGIN = 0.05  # how far targets are from the truth
COLLECTED = {150: 6, 500: 10, 1000: 8, 4000: 6}
JUDGED = {500: 8, 1000: 7, 4000: 5}


def summarise(arguments: tuple) -> dict:
    """Search and probe one problem, and return its summary beside the truth."""
    from easeml_ray.embed import default_embeddings, embedding_named
    from easeml_ray.feasibility.collect import fit_embedding, search
    from easeml_ray.feasibility.consensus import PARTS, consensus
    from easeml_ray.feasibility.evidence import Curve, Evidence
    from easeml_ray.probes.models import PROBES, predictions, probe_view

    p = problem(*arguments)
    order = np.random.default_rng(0).permutation(p.n_train)
    X, Z = probe_view(p.X_train[order], p.X_dev)
    y = p.y_train[order]
    half = p.n_train // 2
    spans = dict(zip(PARTS, ((0, p.n_train), (0, half), (half, p.n_train)), strict=True))
    found = {
        part: {k: v for name in PROBES for k, v in predictions(name, X, y, span, Z, p.n_classes).items()}
        for part, span in spans.items()
    }
    evidence = Evidence(p.y_train, p.y_dev, p.n_classes, order, np.array([p.n_train]), {})
    for embedding in default_embeddings("table", p.X_train.shape[1]):
        fitted_map, dev = fit_embedding(embedding_named(embedding), p.X_train[order], y, p.X_dev)
        evidence.curves[embedding] = curve = Curve()
        curve.extend(search(fitted_map, p.X_train[order], order, dev))
    evidence.consensus = consensus(found, p.y_dev, seed=0)
    summary = evidence.summary()
    assert summary is not None
    return {
        "family": p.family,
        "n_features": p.n_features,
        "noise": p.noise,
        "ber": round(p.ber, 6),
        "summary": {key: round(value, 6) for key, value in asdict(summary).items()},
    }


def collect(path: Path, workers: int) -> None:
    """Measure the reference class and write it."""
    wanted = [args for n, each in COLLECTED.items() for args in grid(n, each, seed=1)]
    began = time.monotonic()
    rows = []
    for done, row in enumerate(spread(summarise, wanted, workers), 1):
        rows.append(row)
        if done % 20 == 0:
            print(
                f"{done} of {len(wanted)} after {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True
            )
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def spread(function, wanted: list, workers: int) -> Iterator:
    if workers == 1:
        yield from map(function, wanted)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(function, wanted)


def fitted(rows: list[dict]) -> Calibration:
    """Fit a calibration to rows of the reference class."""
    summaries = [Summary(**row["summary"]) for row in rows]

    def span(values) -> list:
        return [min(values), max(values)]

    reference = {
        "families": sorted({row["family"] for row in rows}),
        "problems": len(rows),
        "n_train": span([s.n_train for s in summaries]),
        "n_dev": span([s.n_dev for s in summaries]),
        "n_classes": span([s.n_classes for s in summaries]),
        "rows_a_class": min(s.n_train // s.n_classes for s in summaries),
        "n_features": span([row["n_features"] for row in rows]),
        "noise": span([row["noise"] for row in rows]),
    }
    return Calibration.fit(
        summaries, [row["ber"] for row in rows], [row["family"] for row in rows], reference
    )


def judged(task: tuple[tuple, str]) -> dict:
    """Study one problem with a calibration that has not seen its family."""
    from easeml_ray.feasibility.bounds import cover_hart_lower_bound
    from easeml_ray.feasibility.study import Study
    from easeml_ray.statistics import clopper_pearson

    arguments, calibration = task
    name, n_train, *rest = arguments
    p = mixture(rest[0], n_train, rest[1]) if name == MIXTURES else problem(*arguments)
    began = time.process_time()
    made = Study(p.X_train, p.y_train, p.X_dev, p.y_dev, n_classes=p.n_classes).run()
    unseen = Calibration.from_json(calibration)
    reports = {
        offset: made.report(1.0 - (p.ber + offset), calibration=unseen)
        for offset in (-MARGIN, MARGIN)
        if 0.0 <= p.ber + offset < 1.0
    }
    report = reports[MARGIN]
    T, raw = len(p.y_dev), report.curves["raw"][-1].errors
    low, high = (float(limit) for limit in clopper_pearson(raw, T))
    best_low, best_high = report.ber_upper_interval
    return {
        "family": p.family, "n_train": p.n_train, "n_dev": T, "n_classes": p.n_classes,
        "n_features": p.n_features, "noise": p.noise, "ber": p.ber,
        "interval": report.ber_interval, "estimate": report.ber_estimate,
        "decisions": {f"{offset:+.2f}": r.decision.value for offset, r in reports.items()},
        "plain": (cover_hart_lower_bound(low, p.n_classes) / 2.0, high),
        "plain_best": (cover_hart_lower_bound(best_low, p.n_classes) / 2.0, best_high),
        "cover_hart": report.ber_lower, "cover_hart_raw": report.curves["raw"][-1].cover_hart,
        "linear": made.evidence.member_errors()["linear"] / T,
        "cpu_s": round(time.process_time() - began, 2),
    }  # fmt: skip


def interval_score(rows: list[dict], key: str) -> np.ndarray:
    """Return width + 20 x distance of a miss, of each row."""
    low, high = np.array([row[key] for row in rows]).T
    ber = np.array([row["ber"] for row in rows])
    return (high - low) + 20.0 * np.maximum(low - ber, 0.0) + 20.0 * np.maximum(ber - high, 0.0)


def covered(rows: list[dict], key: str) -> np.ndarray:
    low, high = np.array([row[key] for row in rows]).T
    ber = np.array([row["ber"] for row in rows])
    return (low <= ber) & (ber <= high)


def table(rows: list[dict]) -> dict:
    """Return one line of the result for some rows."""
    ber = np.array([row["ber"] for row in rows])
    ours, plain = interval_score(rows, "interval"), interval_score(rows, "plain")
    decisions = [(float(offset), d) for row in rows for offset, d in row["decisions"].items()]
    impossible = [d for offset, d in decisions if offset < 0]
    possible = [d for offset, d in decisions if offset > 0]

    def error(key: str) -> float:
        return round(float(np.abs(np.array([row[key] for row in rows]) - ber).mean()), 4)

    def share(found: list[str], *wanted: str) -> float:
        return round(sum(d in wanted for d in found) / max(len(found), 1), 4)

    return {
        "problems": len(rows),
        "coverage": round(float(covered(rows, "interval").mean()), 4),
        "coverage_plain": round(float(covered(rows, "plain").mean()), 4),
        "width": round(float(np.mean([high - low for low, high in (row["interval"] for row in rows)])), 4),
        "score_ratio": round(float(ours.mean() / plain.mean()), 4),
        "score_ratio_best": round(float(ours.mean() / interval_score(rows, "plain_best").mean()), 4),
        "wrong_feasible": share(impossible, "FEASIBLE", "FEASIBLE_SURE"),
        "wrong_infeasible": share(possible, "INFEASIBLE"),
        "undecided": share(impossible + possible, "UNDECIDED"),
        "error_ours": error("estimate"),
        "error_cover_hart": error("cover_hart"),
        "error_cover_hart_raw": error("cover_hart_raw"),
        "error_linear": error("linear"),
    }


def judge_all(rows: list[dict], families: tuple[str, ...], workers: int, seed: int) -> dict:
    """Return the tables by family, by number of rows, and over all."""
    left_out = {**{f: (f,) for f in families}, MIXTURES: ("line", "simplex", "cube")}
    fits = spread(without, [(rows, names) for names in left_out.values()], workers)
    unseen = dict(zip(left_out, fits, strict=True))
    wanted = [
        (args, unseen[args[0]])
        for n, each in JUDGED.items()
        for args in grid(n, each, families=families, seed=seed)
    ] + [(args, unseen[MIXTURES]) for args in mixture_grid()]
    began, found = time.monotonic(), []
    for done, row in enumerate(spread(judged, wanted, workers), 1):
        found.append(row)
        if done % 20 == 0:
            print(
                f"{done} of {len(wanted)} after {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True
            )
    overall = table(found)
    by_family = {f: table([row for row in found if row["family"] == f]) for f in left_out}
    by_rows = {str(n): table([row for row in found if row["n_train"] == n]) for n in JUDGED}
    least = 0.9 - 1.64 * (0.9 * 0.1 / len(found)) ** 0.5
    return {
        "seconds": round(time.monotonic() - began, 1),
        "overall": overall,
        "by_family": by_family,
        "by_rows": by_rows,
        "limits": {
            "coverage_at_least": round(least, 4),
            "coverage_met": overall["coverage"] >= least,
            "every_family_80": all(line["coverage"] >= 0.8 for line in by_family.values()),
            "score_ratio_at_most_0.6": overall["score_ratio"] <= 0.6 and overall["score_ratio_best"] <= 0.6,
            "wrong_at_most_0.05": max(overall["wrong_feasible"], overall["wrong_infeasible"]) <= 0.05,
            "undecided_at_4000_at_most_half": by_rows["4000"]["undecided"] <= 0.5,
        },
        "missed": [row for row in found if not covered([row], "interval")[0]],
    }


def without(task: tuple[list[dict], tuple[str, ...]]) -> str:
    rows, families = task
    return fitted([row for row in rows if row["family"] not in families]).to_json()


def show(result: dict) -> None:
    columns = (
        "problems", "coverage", "width", "score_ratio", "wrong_feasible", "wrong_infeasible", "undecided",
        "error_ours", "error_cover_hart", "error_linear",
    )  # fmt: skip
    print(f"{'':18}" + "".join(f"{name:>17}" for name in columns))
    lines = {
        **result["by_family"],
        **{f"n = {n}": t for n, t in result["by_rows"].items()},
        "all": result["overall"],
    }
    for name, line in lines.items():
        print(f"{name:18}" + "".join(f"{line[column]:>17}" for column in columns))
    for name, met in result["limits"].items():
        print(f"{name}: {met}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--collect", type=Path, metavar="FILE", help="measure the reference class")
    parser.add_argument("--fit", type=Path, metavar="FILE", help="fit the shipped calibration to it")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=11, help="of the fresh problems")
    parser.add_argument("--families", nargs="*", default=FAMILIES, help="judge only these")
    given = parser.parse_args()
    if given.collect:
        collect(given.collect, given.workers)
    elif given.fit:
        SHIPPED.write_text(fitted(json.loads(given.fit.read_text())).to_json() + "\n")
    else:
        result = judge_all(
            json.loads(REFERENCE.read_text()), tuple(given.families), given.workers, given.seed
        )
        print(json.dumps(result, indent=1)) if given.json else show(result)
