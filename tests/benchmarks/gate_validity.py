"""Do the promises hold? Rates of wrong verdicts by simulation, for every bound and the sequential gate.

    python tests/benchmarks/gate_validity.py --json [--runs 20000] [--workers 2]

n - o > 0.02 +/- 0.05 at reliability 0.95 over three steps, discordances 0.025 to 0.6, the true difference
at c (a PASS is wrong) and at c + 2 eps (a FAIL is wrong; only where the discordance allows it). An era
counts as wrong when one of its verdicts is. With ``none`` all three models lie on the boundary. With
``full`` and ``bounded:2`` an adversary first sends two models between the boundaries, where either verdict
is right, keeps what was lucky (or unlucky), and turns that into a last model that lies on the boundary: its
verdict is the one that counts.

For each case: the rate, and its 99 % lower confidence limit (Clopper-Pearson), which must not exceed 0.05.
The fixed bounds are also simulated at +/- 0.01 and for one variable, without an adversary. The compiled
walk of this file is checked against SequentialGate on the first runs of every case.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from typing import Any

import numpy as np
from numba import njit
from scipy.stats import beta

from easeml_ray.gate import SequentialGate, Verdict, parse, sample_size
from easeml_ray.gate.adaptivity import log_verdicts
from easeml_ray.gate.bounds import BOUNDS, USES_DISCORDANCE, Ask
from easeml_ray.gate.bounds.tilted import chernoff, tilted
from easeml_ray.gate.sequential import FALLBACK, fixed_rows
from easeml_ray.gate.walk import DISTANCES, LARGEST, PRIOR_ROWS, SHARES

DELTA = 0.05
STEPS = 3
C = 0.02
ADAPTIVITY = ("none", "full", "bounded:2")
DISCORDANCE = (C + 0.005, 0.05, 0.1, 0.3, 0.6)
CHECKED = 100


@njit  # type: ignore[untyped-decorator]
def draw(rows: int, up: float, down: float, out: np.ndarray) -> None:
    """Draw rows that are 1, 0 or -1."""
    for i in range(rows):
        u = np.random.random()
        out[i] = 1 if u < up else (-1 if u < up + down else 0)


@njit  # type: ignore[untyped-decorator]
def fixed(x: np.ndarray, count: float) -> int:
    """Return 1 for PASS: the sum is above n (c + eps)."""
    return 1 if x.sum() > count else 0


@njit  # type: ignore[untyped-decorator]
def walk(
    x: np.ndarray,
    c: float,
    e: float,
    exponent: float,
    carries: np.ndarray,
    distances: np.ndarray,
    shares: np.ndarray,
    largest: float,
    prior_rows: float,
) -> int:
    """Walk the rows in their order; return 1 for PASS."""
    far = min(c + 2 * e, (c + e + 1) / 2)
    size = len(distances)
    above, below = np.log(shares), np.log(shares)
    cap_above, cap_below = largest / (c + 1), largest / (1 - far)
    moment, total, differing = prior_rows * (c + 1) * (1 - c), 0, 0
    grown_above, grown_below = False, False
    limit = exponent - np.log(size)
    for t in range(len(x)):
        second = moment / (prior_rows + t)
        if x[t] != 0:
            # Decided before a label is asked for, as the gate does.
            if above.max() >= limit and np.log(np.exp(above).sum()) >= exponent:
                grown_above = True
            if below.max() >= limit and np.log(np.exp(below).sum()) >= exponent:
                grown_below = True
            if grown_above or grown_below:
                return 1 if grown_above else 0
        for j in range(size):
            stake = distances[j] * e / second
            above[j] += np.log1p(min(stake, cap_above) * (x[t] - c))
            below[j] += np.log1p(min(stake, cap_below) * (far - x[t]))
        moment += (1 + c) * (1 - c) if x[t] != 0 else c * c if c < 0 else 0.0
        total += x[t]
        differing += x[t] != 0
    if np.log(np.exp(above).sum()) >= exponent:
        return 1
    if np.log(np.exp(below).sum()) >= exponent:
        return 0
    if carries[differing]:
        return 1 if total / len(x) - e > c + 1e-9 * e else 0
    return 0


@njit  # type: ignore[untyped-decorator]
def judge(
    x: np.ndarray,
    sequential: bool,
    c: float,
    e: float,
    exponent: float,
    carries: np.ndarray,
    distances: np.ndarray,
    shares: np.ndarray,
    largest: float,
    prior_rows: float,
) -> int:
    """Return 1 for PASS."""
    if sequential:
        return walk(x, c, e, exponent, carries, distances, shares, largest, prior_rows)
    return fixed(x, len(x) * (c + e) + 1e-9)


@njit  # type: ignore[untyped-decorator]
def simulate(
    runs: int,
    seed: int,
    rows: int,
    q: float,
    at_c: bool,
    steps: int,
    passes: int,
    adversary: bool,
    sequential: bool,
    c: float,
    e: float,
    exponent: float,
    carries: np.ndarray,
    distances: np.ndarray,
    shares: np.ndarray,
    largest: float,
    prior_rows: float,
    kept: np.ndarray,
    verdicts: np.ndarray,
) -> int:
    """Return in how many of the runs a verdict was wrong; the last models of the first runs are kept."""
    np.random.seed(seed)
    bound = c if at_c else c + 2 * e
    between = min(c + e, (c + q) / 2)
    x, current = np.empty(rows, np.int8), np.empty(rows, np.int8)
    wrong = 0
    for run in range(runs):
        mistaken = 0
        if not adversary:
            for _ in range(steps):
                draw(rows, (q + bound) / 2, (q - bound) / 2, x)
                passed = judge(x, sequential, c, e, exponent, carries, distances, shares, largest, prior_rows)
                mistaken += passed if at_c else 1 - passed
        else:
            draw(rows, (q + between) / 2, (q - between) / 2, current)
            passed_so_far = 0
            for _ in range(steps - 1):
                draw(rows, (q + between) / 2, (q - between) / 2, x)
                for i in range(rows):
                    if np.random.random() < 0.5:
                        x[i] = current[i]
                passed = judge(x, sequential, c, e, exponent, carries, distances, shares, largest, prior_rows)
                passed_so_far += passed
                if passed == (1 if at_c else 0):
                    current[:] = x
            if passed_so_far < passes:
                # Some answers are turned, without a look at which rows were lucky.
                share = abs(bound - between) / (q + between if bound < between else q - between)
                turned = 1 if bound < between else -1
                for i in range(rows):
                    x[i] = current[i]
                    if x[i] == turned and np.random.random() < share:
                        x[i] = -turned
                passed = judge(x, sequential, c, e, exponent, carries, distances, shares, largest, prior_rows)
                mistaken += passed if at_c else 1 - passed
        if run < len(kept):
            kept[run, :] = x
            verdicts[run] = judge(
                x, sequential, c, e, exponent, carries, distances, shares, largest, prior_rows
            )
        wrong += mistaken > 0
    return wrong


def case(task: tuple[str, str, float, bool, int]) -> dict[str, Any]:
    """Simulate one case."""
    method, adaptivity, q, at_c, runs = task
    e = 0.05
    condition = parse(f"n - o > {C} +/- {e}")
    plan: dict[str, Any] = {"reliability": 1 - DELTA, "steps": STEPS, "adaptivity": adaptivity}
    sequential = method == "sequential"
    carries = np.zeros(1, dtype=np.bool_)
    exponent = 0.0
    if sequential:
        logarithm = log_verdicts(STEPS, adaptivity)
        exponent = float(Ask(logarithm, Decimal(str(DELTA)) * (1 - FALLBACK)).exponent)
        last = Ask(logarithm, Decimal(str(DELTA)) * FALLBACK)
        known = Ask(last.log_outcomes, last.delta, Decimal(str(q)))
        needs = [
            need.rows for b in (tilted, chernoff) if (need := b(condition.clauses[0], known)) is not None
        ]
        rows = round(1.5 * min(needs))
        carries = np.array([fixed_rows(condition.clauses[0], last, k, rows) <= rows for k in range(rows + 1)])
    else:
        given = {"discordance": q} if method in USES_DISCORDANCE else {}
        rows = sample_size(condition, **plan, bound=method, **given).rows
    kept = np.zeros((CHECKED if sequential else 0, rows), dtype=np.int8)
    verdicts = np.zeros(len(kept), dtype=np.int8)
    seed = round(1000 * q) + 7 * at_c
    wrong = simulate(
        runs,
        seed,
        rows,
        q,
        at_c,
        STEPS,
        2 if adaptivity == "bounded:2" else STEPS + 1,
        adaptivity != "none",
        sequential,
        C,
        e,
        exponent,
        carries,
        DISTANCES,
        SHARES,
        LARGEST,
        PRIOR_ROWS,
        kept,
        verdicts,
    )
    for x, passed in zip(kept, verdicts, strict=True):
        gate = SequentialGate(condition, **plan, rng=InOrder())  # type: ignore[arg-type]
        decision = gate.decide((x < 0) * 1 + 1, (x > 0) * 1 + 1, lambda row: 2)
        # Label 2: the old model is right where x is -1, the new one where it is 1.
        assert (decision.verdict is Verdict.PASS) == passed
    return {
        "method": method,
        "adaptivity": adaptivity,
        "discordance": q,
        "difference": "c" if at_c else "c + 2 eps",
        "epsilon": e,
        "rows": rows,
        "runs": runs,
        **summary(wrong, runs),
    }


class InOrder:
    """An order that leaves the rows as they were drawn."""

    @staticmethod
    def permutation(n: int) -> np.ndarray:
        """Return 0, 1, …"""
        return np.arange(n)


def summary(wrong: int, runs: int) -> dict[str, Any]:
    """Return the rate, its lower limit, and whether that is within the promise."""
    lower = float(beta.ppf(0.01, wrong, runs - wrong + 1)) if wrong else 0.0
    return {"rate": wrong / runs, "lower_99": lower, "holds": lower <= DELTA}


def sharp(method: str, q: float, at_c: bool, runs: int) -> dict[str, Any]:
    """Simulate a fixed bound at a tolerance of one point by its counts, one step."""
    e = 0.01
    given = {"discordance": q} if method in USES_DISCORDANCE else {}
    condition = parse(f"n - o > {C} +/- {e}")
    rows = sample_size(
        condition, reliability=1 - DELTA, steps=1, adaptivity="none", bound=method, **given
    ).rows  # type: ignore[arg-type]
    mean = C if at_c else C + 2 * e
    rng = np.random.default_rng(round(1000 * q))
    counts = rng.multinomial(rows, [(q + mean) / 2, (q - mean) / 2, 1 - q], size=runs)
    passed = counts[:, 0] - counts[:, 1] > rows * (C + e) + 1e-9
    wrong = int((passed if at_c else ~passed).sum())
    entry = {"method": method, "adaptivity": "none", "discordance": q}
    entry |= {"difference": "c" if at_c else "c + 2 eps", "epsilon": e, "rows": rows, "runs": runs}
    return entry | summary(wrong, runs)


def single(method: str, at_c: bool, runs: int) -> dict[str, Any]:
    """Simulate a bound for one variable by its counts: n > 0.95 +/- 0.02, three steps, no adversary."""
    c, e = 0.95, 0.02
    plan: dict[str, Any] = {"reliability": 1 - DELTA, "steps": STEPS, "adaptivity": "none", "bound": method}
    rows = sample_size(parse(f"n > {c} +/- {e}"), **plan).rows
    right = np.random.default_rng(1).binomial(rows, c if at_c else c + 2 * e, size=(runs, STEPS))
    passed = right > rows * (c + e) + 1e-9
    wrong = int((passed if at_c else ~passed).any(axis=1).sum())
    entry = {"method": method, "adaptivity": "none", "discordance": None}
    entry |= {"difference": "c" if at_c else "c + 2 eps", "epsilon": e, "rows": rows, "runs": runs}
    return entry | summary(wrong, runs)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    methods = ["sequential", *(name for name in BOUNDS if name != "coarse_to_fine")]
    sides = [(q, at_c, e) for q in DISCORDANCE for at_c in (True, False) for e in (0.01, 0.05)]
    tasks = [
        (method, adaptivity, q, at_c, options.runs)
        for method in methods
        for adaptivity in ADAPTIVITY
        for q, at_c, e in sides
        if e == 0.05 and (at_c or C + 2 * e <= q)
    ]
    with ProcessPoolExecutor(options.workers) as pool:
        found = list(pool.map(case, tasks))
    found += [
        sharp(method, q, at_c, options.runs)
        for method in methods[1:]
        for q, at_c, e in sides
        if e == 0.01 and (at_c or C + 2 * e <= q)
    ]
    found += [
        single(method, at_c, options.runs)
        for method in BOUNDS
        if method != "bennett"
        for at_c in (True, False)
    ]
    result = {
        "delta": DELTA,
        "cases": found,
        "all_hold": all(entry["holds"] for entry in found),
        "largest_lower_99": max(entry["lower_99"] for entry in found),
    }
    if options.json:
        print(json.dumps(result))
        return
    for entry in found:
        print(entry)
    print(len(found), "cases, all hold:", result["all_hold"], "largest:", result["largest_lower_99"])


if __name__ == "__main__":
    main()
