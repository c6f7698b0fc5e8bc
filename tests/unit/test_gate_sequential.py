"""The sequential gate: its bets against a clear form, its promises, and how it is driven."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta

from easeml_ray.errors import InvalidArgument, NotReady
from easeml_ray.gate import SequentialGate, Truth, Verdict, parse
from easeml_ray.gate.walk import DISTANCES, LARGEST, PRIOR_ROWS, SHARES

PLAN: dict[str, Any] = {"reliability": 0.9999, "steps": 32, "adaptivity": "none"}


def models(rng: np.random.Generator, rows: int, n_minus_o: float, d: float) -> Any:
    """Return labels and the answers of two models with a given difference and discordance."""
    u = rng.random(rows)
    labels = rng.integers(0, 3, rows)
    wrong = (labels + 1) % 3
    old = np.where(u < (d + n_minus_o) / 2, wrong, labels)
    new = np.where((u >= (d + n_minus_o) / 2) & (u < d), wrong, labels)
    both = u > 0.95
    return labels, np.where(both, wrong, old), np.where(both, wrong, new)


def gate(text: str = "n - o > 0.02 +/- 0.01", seed: int = 0, **changes: Any) -> SequentialGate:
    return SequentialGate(parse(text), **(PLAN | changes), rng=np.random.default_rng(seed))


# -- the clear form -------------------------------------------------------------------------------


def clear_form(
    text: str, mode: str, exponent: float, old: Any, new: Any, labels: Any, order: Any
) -> tuple[str | None, int]:
    """Bet row by row as the module says; return the verdict before the end of the rows, and the labels."""
    clause = parse(text).clauses[0]
    sign = 1.0 if clause.comparison == ">" else -1.0
    c, e = sign * float(clause.threshold), float(clause.epsilon)
    n, o, d = (sign * float(x) for x in (clause.n, clause.o, clause.d))
    agreeing, different = [n + o, 0.0], [n + d, o + d, d]
    low, high = min(agreeing + different), max(agreeing + different)
    hypotheses = [(1.0, c), (-1.0, min(c + 2 * e, (c + e + high) / 2))]
    if mode == "fn-free":
        hypotheses = [(-1.0, c), (1.0, max(c - 2 * e, (c - e + low) / 2))]
    capital = [list(SHARES) for _ in hypotheses]
    moment, used = PRIOR_ROWS * max((c - low) * (high - c), 1e-3 * (high - low) ** 2), 0
    for t, row in enumerate(order):
        values = agreeing if old[row] == new[row] else different
        value = n * (new[row] == labels[row]) + o * (old[row] == labels[row]) + d * (old[row] != new[row])
        if min(values) != max(values):
            # A free stretch ends here: nothing is asked after a decision.
            for (side, _), shares in zip(hypotheses, capital, strict=True):
                if sum(shares) >= math.exp(exponent):
                    return ("PASS" if side > 0 else "FAIL"), used
            used += 1
        for (side, null), shares in zip(hypotheses, capital, strict=True):
            room = max(null - low if side > 0 else high - null, 1e-6 * (high - low))
            for j, k in enumerate(DISTANCES):
                stake = min(k * e / (moment / (PRIOR_ROWS + t)), LARGEST / room)
                shares[j] *= 1 + side * stake * (value - null)
        inner = min(max(c, min(values)), max(values))
        moment += max((c - min(values)) * (max(values) - c), (inner - c) ** 2)
    for (side, _), shares in zip(hypotheses, capital, strict=True):
        if sum(shares) >= math.exp(exponent):
            return ("PASS" if side > 0 else "FAIL"), used
    return None, used


@pytest.mark.parametrize("mode", ["fp-free", "fn-free"])
@pytest.mark.parametrize(
    ("text", "difference"),
    [
        ("n - o > 0.02 +/- 0.05", 0.2),
        ("n - o > 0.02 +/- 0.05", -0.1),
        ("o - n < -0.02 +/- 0.05", 0.1),
        ("n > 0.6 +/- 0.1", 0.1),
        ("n > 0.8 +/- 0.1", 0.1),
        ("n - 1.1 * o > 0.01 +/- 0.1", 0.2),
        ("n - o + 0.5 * d > 0.05 +/- 0.05", 0.1),
        ("d < 0.2 +/- 0.05", 0.0),
    ],
)
def test_it_decides_as_the_clear_form(text: str, difference: float, mode: str) -> None:
    for seed in range(3):
        labels, old, new = models(np.random.default_rng(seed), 1500, difference, 0.3)
        judge = gate(text, seed, mode=mode, reliability=0.9, steps=2)
        order = np.random.default_rng(seed).permutation(1500)
        verdict, used = clear_form(text, mode, judge.exponent, old, new, labels, order)
        decision = judge.decide(old, new, lambda row, labels=labels: labels[row])
        if verdict is not None:
            assert (decision.verdict, decision.labels) == (verdict, used)
        else:
            assert decision.labels == used


# -- what it promises -----------------------------------------------------------------------------


@pytest.mark.parametrize(("difference", "verdict", "most"), [(0.0, "FAIL", 250), (0.05, "PASS", 400)])
def test_it_needs_a_tenth_of_the_labels(difference: float, verdict: str, most: int) -> None:
    used = []
    for seed in range(20):
        labels, old, new = models(np.random.default_rng(seed), 25_000, difference, 0.1)
        decision = gate(seed=seed).decide(old, new, lambda row, labels=labels: labels[row])
        assert decision.verdict == verdict
        used.append(decision.labels)
    assert np.mean(used) < most


@pytest.mark.parametrize(
    ("net", "mode", "rows", "verdict", "truth"),
    [
        (0.069, "fp-free", 3300, Verdict.FAIL, Truth.UNKNOWN),
        (0.071, "fp-free", 3300, Verdict.PASS, Truth.TRUE),
        (-0.029, "fn-free", 3300, Verdict.PASS, Truth.UNKNOWN),
        (-0.031, "fn-free", 3300, Verdict.FAIL, Truth.FALSE),
        # A hundred rows less carry no fixed-size guarantee: the mode's safe side, whatever the estimate.
        (0.071, "fp-free", 3200, Verdict.FAIL, Truth.UNKNOWN),
        (-0.031, "fn-free", 3200, Verdict.PASS, Truth.UNKNOWN),
    ],
)
def test_at_the_end_of_enough_rows_the_estimate_decides(
    net: float, mode: str, rows: int, verdict: Verdict, truth: Truth
) -> None:
    """In the middle between the hypotheses neither is rejected soon, and c + ε or c - ε decides."""
    new_right, old_right = round((0.4 + net) / 2 * rows), round((0.4 - net) / 2 * rows)
    old = np.zeros(rows, dtype=int)
    new = old.copy()
    old[:new_right], new[new_right : new_right + old_right] = 1, 1
    at_the_end = set()
    for seed in range(40):
        judge = gate("n - o > 0.02 +/- 0.05", seed, steps=1, mode=mode)
        decision = judge.decide(old, new, lambda row: 0)
        if decision.labels == new_right + old_right:
            at_the_end.add((decision.verdict, decision.truth))
    assert at_the_end == {(verdict, truth)}


def test_with_too_few_rows_the_mode_keeps_its_promise() -> None:
    labels, old, new = models(np.random.default_rng(3), 60, 0.04, 0.1)
    for mode, verdict in (("fp-free", Verdict.FAIL), ("fn-free", Verdict.PASS)):
        decision = gate(mode=mode).decide(old, new, lambda row: labels[row])
        assert (decision.verdict, decision.truth) == (verdict, Truth.UNKNOWN)
        assert decision.labels == (old != new).sum()


def test_false_passes_and_false_fails_are_rarer_than_promised() -> None:
    """At both ends of the indifference zone, 400 runs each, at δ = 0.05."""
    for difference, wrong in ((0.1, Verdict.PASS), (0.3, Verdict.FAIL)):
        mistakes = 0
        for seed in range(400):
            labels, old, new = models(np.random.default_rng(seed), 400, difference, 0.4)
            judge = gate("n - o > 0.1 +/- 0.1", seed, reliability=0.95, steps=1)
            mistakes += judge.decide(old, new, lambda row, labels=labels: labels[row]).verdict is wrong
        assert beta.ppf(1e-4, max(mistakes, 1), 400 - mistakes + 1) <= 0.05


def test_a_bet_that_may_look_ahead_would_be_caught() -> None:
    """The check above has power: rows in an order that knows the labels deceive it."""
    mistakes = 0
    for seed in range(40):
        labels, old, new = models(np.random.default_rng(seed), 400, 0.1, 0.4)
        order = np.argsort(-((new == labels).astype(int) - (old == labels)), kind="stable")

        class Known:
            @staticmethod
            def permutation(n: int, order: Any = order) -> Any:
                return order

        judge = SequentialGate(
            parse("n - o > 0.1 +/- 0.1"),
            reliability=0.95,
            steps=1,
            adaptivity="none",
            rng=Known(),  # type: ignore[arg-type]
        )
        mistakes += judge.decide(old, new, lambda row, labels=labels: labels[row]).verdict == "PASS"
    assert beta.ppf(1e-4, mistakes, 40 - mistakes + 1) > 0.05


# -- how it is driven -----------------------------------------------------------------------------


def test_agreeing_rows_are_never_asked_for() -> None:
    _labels, old, new = models(np.random.default_rng(0), 2000, 0.0, 0.1)
    judge = gate().start(old, new)
    while (row := judge.next()) is not None:
        assert old[row] != new[row]
    same = gate().decide(old, old, lambda row: 0)
    assert (same.verdict, same.labels) == (Verdict.FAIL, 0)


def test_labels_may_come_late_and_in_any_order() -> None:
    labels, old, new = models(np.random.default_rng(1), 5000, -0.05, 0.2)
    plain = gate(seed=5).decide(old, new, lambda row: labels[row])
    judge = gate(seed=5).start(old, new)
    asked = [row for _ in range(plain.labels + 40) if (row := judge.next()) is not None]
    for row in reversed(asked[1:]):
        judge.observe(row, labels[row])
        assert judge.decision is None  # the first one is still missing
    judge.observe(asked[0], labels[asked[0]])
    assert judge.decision == plain
    assert judge.next() is None


def test_a_skipped_label_counts_as_the_worst_case() -> None:
    _labels, old, new = models(np.random.default_rng(2), 5000, 0.1, 0.1)
    for mode, verdict in (("fp-free", Verdict.FAIL), ("fn-free", Verdict.PASS)):
        decision = gate(mode=mode).decide(old, new, lambda row: None)
        assert (decision.verdict, decision.labels) == (verdict, 0)


def test_a_cap_ends_it() -> None:
    labels, old, new = models(np.random.default_rng(2), 5000, 0.03, 0.1)
    for mode, verdict in (("fp-free", Verdict.FAIL), ("fn-free", Verdict.PASS)):
        decision = gate(mode=mode, cap=50).decide(old, new, lambda row: labels[row])
        assert (decision.verdict, decision.truth, decision.labels) == (verdict, Truth.UNKNOWN, 50)


def test_verdicts_that_no_label_can_change_need_none() -> None:
    labels, old, new = models(np.random.default_rng(2), 500, 0.0, 0.1)
    assert gate("n > 0.95 +/- 0.05").decide(old, new, lambda row: labels[row]).verdict == "FAIL"
    assert gate("n > 1.5 +/- 0.05").start(old, new).decision.verdict == "FAIL"  # type: ignore[union-attr]
    assert gate("d < 0.9 +/- 0.05").start(old, new).decision.verdict == "PASS"  # type: ignore[union-attr]


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="one clause"):
        gate("n > 0.5 +/- 0.1 /\\ d < 0.1 +/- 0.05")
    for wrong in ({"mode": "fp"}, {"reliability": 1.0}, {"steps": 0}, {"adaptivity": "x"}, {"cap": -1}):
        with pytest.raises(InvalidArgument):
            gate(**wrong)  # type: ignore[arg-type]
    judge = gate()
    with pytest.raises(NotReady):
        judge.next()
    for old, new in ((np.zeros(3), np.zeros(4)), (np.zeros((2, 2)), np.zeros((2, 2))), (np.zeros(0),) * 2):
        with pytest.raises(InvalidArgument):
            judge.start(old, new)
    _labels, old, new = models(np.random.default_rng(2), 500, 0.0, 0.1)
    judge.start(old, new)
    with pytest.raises(InvalidArgument, match="started"):
        judge.start(old, new)
    row = judge.next()
    assert row is not None
    for other in (10_000, int(np.flatnonzero(old == new)[0])):
        with pytest.raises(InvalidArgument, match="No label was asked"):
            judge.observe(other, 0)
    judge.observe(row, 0)
    with pytest.raises(InvalidArgument, match="has its label"):
        judge.observe(row, 0)


@pytest.mark.parametrize(
    "text", ["n > 0.8 +/- 0.000000001", "n - o > 0.02 +/- 0.000000001", "n - o > 0.3 +/- 0.01"]
)
def test_tiny_tolerances_and_thresholds_beyond_the_discordance_come_to_an_end(text: str) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    old = np.where(rng.random(400) < 0.1, 1 - labels, labels)
    gate = SequentialGate(parse(text), reliability=0.95, steps=2, adaptivity="none", rng=rng)
    decision = gate.decide(old, labels, lambda row: int(labels[row]))
    assert decision.verdict in (Verdict.PASS, Verdict.FAIL)
    if "0.3" in text:
        assert decision.verdict is Verdict.FAIL
