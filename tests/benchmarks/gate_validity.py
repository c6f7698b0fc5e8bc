r"""Do the promises hold? Rates of wrong verdicts by simulation, for every bound and the sequential gate.

    python tests/benchmarks/gate_validity.py --json [--runs 20000] [--workers 2]

The condition is n - o > 0.02 +/- 0.05 at reliability 0.95 and discordances of 0.025 to 0.6, the true
difference at c (a PASS is wrong) or at c + 2 eps (a FAIL is wrong; only where the discordance allows it). A
test set judges 32 models, 12 by the sequential gate, and counts as wrong when one of its verdicts is. With
``none`` all models lie on the boundary. With ``full`` and ``bounded:2`` a sender adapts them to the verdicts:
majorities, and variants of the lucky, see :mod:`gate_adversary`.

Beside these, mostly a single model: one variable, a tolerance of 0.01, fn-free, ``<``, labels that nobody
gave, a discordance truly smaller than the given one, a threshold beyond the discordance, a few rows more than
were asked for, and d < A /\ n - o > c where either clause is at its boundary, or both.

For each case: the rate, and its 99 % lower confidence limit (Clopper-Pearson), which must not exceed 0.05.
Fixed bounds without a sender need only counts, and have ten times the runs.

``mutants`` are test sets that were planned for fewer verdicts than they are attacked by: for M = 1, which
must be caught (a lower limit above 0.05) for every method and adaptivity, and with ``full`` for M = H.
The first models of every case are judged by the library too, with rows, labels and mode as a user gives them:
all models of the first 100 runs by SequentialGate, at least 100 models by ``estimate``, and the two counts
between which its verdict turns.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from gate_adversary import INDEPENDENT, LUCKY, MAJORITY, simulate
from scipy.stats import beta

from easeml_ray.gate import Clause, SequentialGate, Verdict, parse, sample_size
from easeml_ray.gate.adaptivity import log_verdicts, passes_allowed
from easeml_ray.gate.bounds import BOUNDS, USES_DISCORDANCE, Ask
from easeml_ray.gate.bounds.tilted import chernoff, tilted
from easeml_ray.gate.estimate import estimate
from easeml_ray.gate.sequential import FALLBACK, fixed_rows
from easeml_ray.gate.walk import DISTANCES, LARGEST, PRIOR_ROWS, SHARES

DELTA = 0.05
CHECKED = 100
STEPS = {"sequential": 12} | dict.fromkeys(BOUNDS, 32)  # each less one is odd, for a majority
COUNTED = 10  # times the runs, where only counts are drawn
MAIN = "n - o > 0.02 +/- 0.05"
ADAPTIVITY = ("none", "full", "bounded:2")
DISCORDANCE = (0.025, 0.05, 0.1, 0.3, 0.6)
METHODS = ("sequential", *(name for name in BOUNDS if name != "coarse_to_fine"))


@dataclass(frozen=True)
class Case:
    """What is simulated: a plan for a test set, and what the models are in truth.

    ``q`` is the true discordance, None for one variable; ``given`` the one that the plan knows, q if None.
    ``value`` is the true v, in the condition's own units, where it is not the boundary. ``planned`` are steps
    and adaptivity that the rows are planned for, those of the attack if None.
    """

    method: str
    adaptivity: str
    q: float | None
    at_c: bool
    steps: int
    condition: str = MAIN
    mode: str = "fp-free"
    given: float | None = None
    value: str | None = None
    more_rows: int = 0
    missing: bool = False
    planned: tuple[int, str] | None = None

    @property
    def clause(self) -> Clause:
        """The clause in n, if there is another."""
        return parse(self.condition).clauses[-1]

    @property
    def sign(self) -> int:
        """-1 where the gate's PASS says that the value is small, or its FAIL that it is large."""
        return 1 if (self.clause.comparison == ">") == (self.mode == "fp-free") else -1

    def inner(self, value: Fraction) -> Fraction:
        """Return a value of the clause in units of x."""
        return self.sign * (value if self.q is not None else 2 * value - 1)

    @property
    def scale(self) -> tuple[Fraction, Fraction, Fraction]:
        """c, e and v in units of x."""
        c, e = self.inner(Fraction(self.clause.threshold)), Fraction(self.clause.epsilon)
        e = e if self.q is not None else 2 * e
        v = c if self.at_c else c + 2 * e
        return c, e, v if self.value is None else self.inner(Fraction(self.value))

    @property
    def plan(self) -> dict[str, Any]:
        steps, adaptivity = self.planned or (self.steps, self.adaptivity)
        return {"reliability": 1 - Decimal(str(DELTA)), "steps": steps, "adaptivity": adaptivity}

    @property
    def rows(self) -> int:
        """The rows that the method asks for; for the sequential gate so many that the estimate can end it."""
        known = self.given or self.q
        if self.method != "sequential":
            given = {"discordance": known} if known and self.method in USES_DISCORDANCE else {}
            size = sample_size(parse(self.condition), **self.plan, bound=self.method, **given)
            return size.rows + self.more_rows
        ask = Ask(self.last.log_outcomes, self.last.delta, None if known is None else Decimal(str(known)))
        needs = [need.rows for b in (tilted, chernoff) if (need := b(self.clause, ask)) is not None]
        return round(1.5 * min(needs)) + self.more_rows

    @property
    def last(self) -> Ask:
        """What the sequential gate's estimate is asked at the end of the rows."""
        logarithm = log_verdicts(self.plan["steps"], self.plan["adaptivity"])
        return Ask(logarithm, Decimal(str(DELTA)) * FALLBACK)

    def told(self, wrong: int, runs: int, rows: int) -> dict[str, Any]:
        """Return the entry: the rate, its lower limit, and whether that is within the promise."""
        lower = float(beta.ppf(0.01, wrong, runs - wrong + 1)) if wrong else 0.0
        entry = asdict(self) | {"discordance": self.q, "difference": "c" if self.at_c else "c + 2 eps"}
        entry |= {"epsilon": float(self.clause.epsilon), "rows": rows, "runs": runs, "rate": wrong / runs}
        return entry | {"lower_99": lower, "holds": lower <= DELTA}


def run(case: Case, runs: int) -> dict[str, Any]:
    """Simulate one case."""
    seed = zlib.crc32(repr(case).encode())
    if len(parse(case.condition).clauses) > 1:
        return conjunction(case, COUNTED * runs, seed)
    rows, sequential = case.rows, case.method == "sequential"
    c, e, v = case.scale
    least = math.floor(rows * (c + e)) + 1
    if not sequential:
        check_turn(case, rows, least)
        if case.adaptivity == "none":
            return counted(case, COUNTED * runs, seed, rows, least)
    most, exponent, checked = 0, 0.0, -(-CHECKED // case.steps)
    if sequential:
        most, checked = most_differing(case, rows), CHECKED
        ask = Ask(case.last.log_outcomes, Decimal(str(DELTA)) * (1 - FALLBACK))
        exponent = float(ask.exponent)
    seen = np.zeros((min(checked, runs), case.steps, rows), dtype=np.int8)
    told = np.full(seen.shape[:2], -1)
    allowed = passes_allowed(case.adaptivity)
    wrong = simulate(
        runs,
        seed,
        rows,
        1.0 if case.q is None else case.q,
        float(v),
        case.at_c,
        {"none": INDEPENDENT, "full": MAJORITY}.get(case.adaptivity, LUCKY),
        case.steps,
        allowed if allowed is not None else case.steps + 1,
        sequential,
        least,
        float(c),
        float(e),
        exponent,
        most,
        np.array([DISTANCES, SHARES]),
        np.array([LARGEST, PRIOR_ROWS]),
        seen,
        told,
    )
    for x, passed in zip(seen[told >= 0], told[told >= 0], strict=True):
        assert library(case, x) == passed, f"the library's verdict is another: {case}"
    return case.told(wrong, runs, rows)


def counted(case: Case, runs: int, seed: int, rows: int, least: int) -> dict[str, Any]:
    """Simulate a fixed bound by its counts: models that are fixed beforehand."""
    v, q = float(case.scale[2]), 1.0 if case.q is None else case.q
    rng, wrong = np.random.default_rng(seed), 0
    for start in range(0, runs, 20_000):
        size = (min(20_000, runs - start), case.steps)
        ups = rng.binomial(rows, (q + v) / 2, size=size)
        downs = rows - ups
        if case.q is not None:
            # What is not 1 is -1 with what is left of q; nothing is left where v = q.
            downs = rng.binomial(rows - ups, max(0.0, (q - v) / (2 - q - v)))
        passed = ups - downs >= least
        wrong += int((passed if case.at_c else ~passed).any(axis=1).sum())
        if start == 0:
            some = slice(-(-CHECKED // case.steps))
            for up, down, verdict in zip(ups[some].flat, downs[some].flat, passed[some].flat, strict=True):
                assert library(case, spread(up, down, rows)) == verdict, case
    return case.told(wrong, runs, rows)


def conjunction(case: Case, runs: int, seed: int) -> dict[str, Any]:
    r"""Simulate d < A +/- e' /\ n - o > c +/- e, given q and v: right where q < A and v > c."""
    condition = parse(case.condition)
    few, large = condition.clauses
    rows = max(size.rows for size in sample_size(condition, **case.plan, bound=case.method).clauses)
    q, v = case.q or 0.0, float(Fraction(case.value or 0))
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(rows, [(q + v) / 2, (q - v) / 2, 1 - q], size=(runs, case.steps))
    ups, downs = counts[..., 0], counts[..., 1]
    # Exact: the counts from which on a clause is TRUE.
    most = math.ceil(rows * (Fraction(few.threshold) - Fraction(few.epsilon))) - 1
    least = math.floor(rows * (Fraction(large.threshold) + Fraction(large.epsilon))) + 1
    passed = (ups + downs <= most) & (ups - downs >= least)
    some = slice(-(-CHECKED // case.steps))
    pairs = [*zip(ups[some].flat, downs[some].flat, passed[some].flat, strict=True)]
    pairs += [(least + 1, 1, least + 2 <= most), (least, 1, False), (most, 0, True), (most + 1, 0, False)]
    for up, down, verdict in pairs:
        assert library(case, spread(up, down, rows)) == verdict, case
    wrong = int((passed if case.at_c else ~passed).any(axis=1).sum())
    return case.told(wrong, runs, rows)


def most_differing(case: Case, rows: int) -> int:
    """Return on how many rows the models may differ for the estimate to decide at the end."""
    if case.q is None:
        return rows if fixed_rows(case.clause, case.last, rows, rows) <= rows else -1
    low, high = -1, rows + 1
    while high - low > 1:
        middle = (low + high) // 2
        enough = fixed_rows(case.clause, case.last, middle, rows) <= rows
        low, high = (middle, high) if enough else (low, middle)
    return low


def spread(ups: int, downs: int, rows: int) -> np.ndarray:
    """Return rows with these counts."""
    return np.repeat(np.array([1, -1, 0], dtype=np.int8), [ups, downs, rows - ups - downs])


def check_turn(case: Case, rows: int, least: int) -> None:
    """Check that the library's verdict turns where this file's does."""
    for total in (least - 1, least):
        if case.q is None:
            ups = (rows + total + (total == least)) // 2
            x = spread(ups, rows - ups, rows) if 0 <= ups <= rows else None
        else:
            x = spread(max(total, 0), max(-total, 0), rows) if abs(total) <= rows else None
        if x is not None:
            assert library(case, x) == (int(x.sum()) >= least), case


def library(case: Case, x: np.ndarray) -> int:
    """Return 1 where the library's verdict on these rows, as users give them, is PASS in units of x."""
    x = case.sign * x
    if case.q is None:
        old, new = np.zeros(len(x), dtype=np.int64), (x > 0) * 1 + 1
    else:
        old, new = (x < 0) * 1 + 1, (x > 0) * 1 + 1
    condition = parse(case.condition)
    # The label is 2: the new model is right where x is 1, the old one where x is -1.
    if case.method == "sequential":
        gate = SequentialGate(condition, mode=case.mode, **case.plan, rng=InOrder())  # type: ignore[arg-type]
        lost = case.missing & (case.sign * x < 0) & (np.arange(len(x)) % 2 > 0)
        verdict = gate.decide(old, new, lambda row: None if lost[row] else 2).verdict
    else:
        labels = np.full(len(x), 2)
        verdict = estimate(condition, old, new, labels, members={}, mode=case.mode).verdict
    return int((verdict is Verdict.PASS) == (case.mode == "fp-free"))


class InOrder:
    """An order that leaves the rows as they were drawn."""

    @staticmethod
    def permutation(n: int) -> np.ndarray:
        return np.arange(n)


def sides(q: float, c: float, e: float) -> tuple[bool, ...]:
    """Return the boundaries that a discordance allows."""
    return (True, False) if c + 2 * e <= q + 1e-12 else (True,)


def main_cases() -> list[Case]:
    """Every method, adaptivity and discordance."""
    return [
        Case(method, adaptivity, q, at_c, STEPS[method])
        for method, adaptivity, q in product(METHODS, ADAPTIVITY, DISCORDANCE)
        for at_c in sides(q, 0.02, 0.05)
    ]


def other_cases() -> list[Case]:
    """What else the promise speaks of; where nothing is said, a single model."""
    one = functools.partial(Case, adaptivity="none", steps=1)
    known = [method for method in METHODS if method in USES_DISCORDANCE]
    modes, both = ("fp-free", "fn-free"), (True, False)
    # A tolerance of one point, and one variable.
    cases = [
        one(method, q=q, at_c=at_c, condition="n - o > 0.02 +/- 0.01")
        for method, q in product(METHODS, DISCORDANCE)
        for at_c in sides(q, 0.02, 0.01)
        if method != "sequential" or q in (0.05, 0.1)
    ]
    cases += [
        one(method, q=None, at_c=at_c, condition="n > 0.95 +/- 0.02")
        for method, at_c in product(BOUNDS, both)
        if method != "bennett"
    ]
    cases += [
        Case("sequential", adaptivity, None, at_c, STEPS["sequential"], "n > 0.8 +/- 0.05")
        for adaptivity, at_c in product(ADAPTIVITY, both)
    ]
    # fn-free: a FAIL at c and a PASS at c - 2 eps are wrong; the comparison turned; and both.
    for method, at_c in product(("sequential", "hoeffding_paired", "tilted", "best"), both):
        cases += [
            one(method, q=0.3, at_c=at_c, condition=f"n - o {than} {c} +/- 0.05", mode=mode)
            for than, mode, c in product("><", modes, (0.02, -0.02))
            if (than, mode) != (">", "fp-free")
        ]
        cases.append(one(method, q=None, at_c=at_c, condition="n < 0.2 +/- 0.05"))
        cases.append(Case(method, "full", 0.3, at_c, STEPS[method], "n - o > -0.02 +/- 0.05", "fn-free"))
    # Labels that nobody gave: on half of the rows where the worst that is taken for them is the truth.
    cases += [
        one("sequential", q=q, at_c=True, mode=mode, missing=True) for q, mode in product((0.1, 0.3), modes)
    ]
    # Models that differ on fewer rows than was said, and a threshold up to which no difference comes.
    cases += [
        one(method, q=q, at_c=at_c, given=0.3)
        for method, q in product(known, (0.05, 0.12, 0.25))
        for at_c in sides(q, 0.02, 0.05)
    ]
    for method, c in product(("sequential", *known), ("0.15", "0.105", "0.1")):
        beyond = functools.partial(one, method, q=0.1, at_c=True)
        cases.append(beyond(condition=f"n - o > {c} +/- 0.01", value="0.1"))
        cases.append(beyond(condition=f"n - o > -{c} +/- 0.01", value="-0.1", mode="fn-free"))
    # A few rows more: an exact tail is no monotone function of the rows.
    cases += [
        one(method, q=q, at_c=at_c, more_rows=more)
        for method, q, more in product(("tilted", "best"), (0.05, 0.3), (1, 2, 5, 9, 14, 20))
        for at_c in sides(q, 0.02, 0.05)
    ]
    # One clause is at its boundary and the other true, or both are, or the condition is met.
    pair = "d < 0.2 +/- 0.05 /\\ n - o > 0.02 +/- 0.02"
    wrong = [(0.1, "0.02", True), (0.15, "0.02", True), (0.2, "0.02", True), (0.2, "0.1", True)]
    cases += [
        one("best", q=q, at_c=at_c, condition=pair, value=v) for q, v, at_c in [*wrong, (0.1, "0.06", False)]
    ]
    return cases


def mutants() -> list[Case]:
    """Plans for fewer verdicts than are given; each bound where it is sharp."""
    found = []
    for method, adaptivity in product(METHODS, ADAPTIVITY):
        loose = method.startswith("hoeffding")
        q, text, steps = None if loose else 0.3, "n > 0.5 +/- 0.05" if loose else MAIN, STEPS[method]
        for planned in (1, steps) if adaptivity == "full" else (1,):
            found.append(Case(method, adaptivity, q, True, steps, text, planned=(planned, "none")))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    cases, changed = [*main_cases(), *other_cases()], mutants()
    with ProcessPoolExecutor(options.workers) as pool:
        every = list(pool.map(functools.partial(run, runs=options.runs), [*cases, *changed]))
    found, caught = every[: len(cases)], every[len(cases) :]
    for entry in caught:
        entry["verdicts_planned"] = entry["planned"][0]
        entry["caught"] = not entry["holds"]
    result = {
        "delta": DELTA,
        "cases": found,
        "all_hold": all(entry["holds"] for entry in found),
        "largest_lower_99": max(entry["lower_99"] for entry in found),
        "mutants": caught,
        "mutants_caught": all(entry["caught"] for entry in caught if entry["verdicts_planned"] == 1),
    }
    if options.json:
        print(json.dumps(result))
        return
    for entry in every:
        print(entry)
    print(len(found), "cases, all hold:", result["all_hold"], "largest:", result["largest_lower_99"])
    print(len(caught), "mutants, those for M = 1 caught:", result["mutants_caught"])


if __name__ == "__main__":
    main()
