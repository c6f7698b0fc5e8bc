"""Bounds against the published numbers, against exact tails, and against worse populations."""

from __future__ import annotations

import decimal
import json
import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, multinomial

from easeml_ray.errors import InvalidArgument, TooFewTestRows
from easeml_ray.gate import leaked_bits, parse, require, sample_size
from easeml_ray.gate.adaptivity import log_verdicts, passes_allowed
from easeml_ray.gate.bounds import BOUNDS, Ask
from easeml_ray.gate.bounds.exact import least_sum, probabilities
from easeml_ray.gate.bounds.tilted import Tail, tails
from easeml_ray.gate.condition import Subset

OPTIMISED = json.loads((Path(__file__).parents[1] / "data" / "ci.json").read_text())["optimised"]


@pytest.mark.parametrize("golden", OPTIMISED)
def test_goldens(golden: dict[str, Any]) -> None:
    plan = {name: golden[name] for name in ("reliability", "steps", "adaptivity")}
    clause = f"n - o > 0.02 +/- {golden['eps']}"
    if golden["delta_div"] == 4:
        size = sample_size(parse(f"d < {golden['p']} +/- 0.01 /\\ {clause}"), **plan, bound="bennett")
    else:
        size = sample_size(parse(clause), **plan, bound="bennett", discordance=golden["p"])
    assert size.rows == golden["n_ceil"]
    assert size.labels == math.ceil(golden["p"] * golden["n_ceil"])


def test_the_best_bound_needs_fewer_labels_than_the_paper() -> None:
    for adaptivity, paper in (("none", 2905), ("full", 6771)):
        plan: dict[str, Any] = {"reliability": 0.9999, "steps": 32, "adaptivity": adaptivity, "bound": "best"}
        assert sample_size(parse("n - o > 0.02 +/- 0.01"), **plan, discordance=0.1).labels < 0.85 * paper
        assert sample_size(parse("d < 0.1 +/- 0.01 /\\ n - o > 0.02 +/- 0.01"), **plan).labels < 0.87 * paper


def ask(exponent: float, p: str | None = None) -> Ask:
    return Ask(Decimal(0), Decimal(str(math.exp(-exponent))), None if p is None else Decimal(p))


def exact_tail(tail: Tail, n: int) -> float:
    """Enumerate all counts of n rows."""
    least = least_sum(tail, n)
    if tail.discordance is None:
        return float(sum(binom.pmf(k, n, float(tail.mean)) for k in range(max(0, least), n + 1)))
    up, rest, down = tail.law
    ups, downs = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    inside = (ups + downs <= n) & (ups - downs >= least)
    counts = np.stack([ups[inside], n - ups[inside] - downs[inside], downs[inside]], axis=1)
    return float(multinomial.pmf(counts, n, [up, rest, down]).sum())


@pytest.mark.parametrize(
    ("text", "p"),
    [("n > 0.8 +/- 0.1", None), ("n - o > 0.02 +/- 0.1", "0.3"), ("n - o > -0.1 +/- 0.07", "0.2")],
)
def test_exact_tails_are_those_of_an_enumeration(text: str, p: str | None) -> None:
    found = tails(parse(text).clauses[0], ask(3, p))
    assert found is not None
    for tail in found:
        low, high = 40, 49
        expected = [exact_tail(tail, n) for n in range(low, high)]
        np.testing.assert_allclose(probabilities(tail, low, high), expected, rtol=1e-10)


@pytest.mark.parametrize("exponent", [3.0, 9.0, 20.0])
@pytest.mark.parametrize(
    ("text", "p"),
    [
        ("n > 0.8 +/- 0.05", None),
        ("o < 0.1 +/- 0.04", None),
        ("d < 0.1 +/- 0.03", None),
        ("2 * n > 1.5 +/- 0.2", None),
        ("n - o > 0.02 +/- 0.04", "0.1"),
        ("o - n < 0.01 +/- 0.03", "0.5"),
        ("n - o > -0.03 +/- 0.05", "0.07"),
    ],
)
def test_every_tail_is_small_from_the_exact_rows_on_and_one_is_not_just_below(
    text: str, p: str | None, exponent: float
) -> None:
    clause = parse(text).clauses[0]
    question = ask(exponent, p)
    size = BOUNDS["exact"](clause, question)
    found = tails(clause, question)
    assert size is not None and found is not None
    limit = math.exp(-exponent)
    upper = BOUNDS["tilted"](clause, question)
    assert upper is not None and size.rows <= upper.rows
    for tail in found:
        assert probabilities(tail, size.rows, upper.rows + 200).max() <= limit * (1 + 1e-9)
    below = [probabilities(tail, size.rows - 1, size.rows)[0] for tail in found]
    lemma = max(math.ceil((2 + abs(t.mean)) / (t.point - t.mean)) for t in found) if p else 1
    assert max(below) > limit * (1 - 1e-6) or size.rows == lemma


def test_many_clauses_share_the_time_that_exact_tails_may_take() -> None:
    clause = parse("n - o > 0.02 +/- 0.012").clauses[0]
    ask = Ask(Decimal(4).ln(), Decimal("0.05"), Decimal("0.5"))
    alone = BOUNDS["exact"](clause, ask)
    among = BOUNDS["exact"](clause, replace(ask, clauses=10_000))
    first = BOUNDS["tilted"](clause, ask)
    assert alone and among and first
    assert alone.rows < among.rows <= first.rows


def test_exact_tails_of_rare_events_keep_their_precision() -> None:
    """Against sums of 60 digits, far out."""
    a, b, n = Fraction(6, 100), Fraction(4, 100), 900
    tail = Tail(a - b, Fraction(1, 5), False, a + b)
    (found,) = probabilities(tail, n, n + 1)
    with decimal.localcontext(prec=60):
        law = [Decimal(1)]
        steps = [
            Decimal(b.numerator) / b.denominator,
            1 - Decimal(10) / 100,
            Decimal(a.numerator) / a.denominator,
        ]
        for _ in range(n):
            padded = [Decimal(0), Decimal(0), *law, Decimal(0), Decimal(0)]
            law = [
                steps[2] * padded[i] + steps[1] * padded[i + 1] + steps[0] * padded[i + 2]
                for i in range(len(law) + 2)
            ]
        exact = sum(law[n + least_sum(tail, n) :])
    assert math.log(found) < -60
    assert found == pytest.approx(float(exact), rel=1e-10)


def test_no_smaller_discordance_and_no_lower_mean_has_a_larger_tail() -> None:
    """The lemma on the worst law, by trying others."""
    clause = parse("n - o > 0.02 +/- 0.05").clauses[0]
    question = ask(4.0, "0.2")
    found, size = tails(clause, question), BOUNDS["exact"](clause, question)
    assert found is not None and size is not None
    for tail in found:
        worst = probabilities(tail, size.rows, size.rows + 1)[0]
        for q in np.linspace(abs(float(tail.mean)), 0.2, 12)[:-1]:
            for mean in (tail.mean, tail.mean - Fraction(1, 100)):
                other = Tail(mean, tail.point, tail.strict, Fraction(float(q)))
                if other.is_possible:
                    assert probabilities(other, size.rows, size.rows + 1)[0] <= worst * (1 + 1e-9)


BEYOND = [
    ("n - o > 0.15 +/- 0.04", "0.1"),
    ("n - o > 0.11 +/- 0.05", "0.1"),
    ("n - o > 0.19 +/- 0.05", "0.1"),
    ("n - o > -0.15 +/- 0.04", "0.1"),
    ("n - o > 0.1 +/- 0.1", "0.1"),
    ("n - o > -0.1 +/- 0.1", "0.1"),
    ("o - n < 0.12 +/- 0.05", "0.1"),
    ("n - o > 0.3 +/- 0.2", "0.6"),
]


@pytest.mark.parametrize("bound", ["chernoff", "tilted", "exact", "best"])
@pytest.mark.parametrize(("text", "p"), BEYOND)
def test_thresholds_at_and_beyond_the_discordance_are_judged_right_on_all_laws(
    text: str, p: str, bound: str
) -> None:
    clause = parse(text).clauses[0]
    size = BOUNDS[bound](clause, ask(3.0, p))
    if size is None:
        return
    sign = 1 if clause.n > 0 else -1
    c, e = sign * Fraction(clause.threshold), Fraction(clause.epsilon)
    for n in range(size.rows, size.rows + 3):
        for q in [Fraction(i, 4) * Fraction(p) for i in range(1, 5)]:
            for v in [q * Fraction(j, 2) for j in range(-2, 3)]:
                up, down = (q + v) / 2, (q - v) / 2
                wrong = 0.0
                for mean, point, strict, low in (
                    (c, c + e, True, False), (c - 2 * e, c - e, False, False),
                    (-c, e - c, True, True), (-c - 2 * e, -c - e, False, True),
                ):  # fmt: skip
                    if (-v if low else v) <= mean:
                        tail = Tail(v, point, strict, q)
                        sides = (down, up) if low else (up, down)
                        wrong = max(wrong, brute_tail(n, *map(float, sides), tail))
                assert wrong <= math.exp(-3.0) * (1 + 1e-9), (n, q, v)


def brute_tail(n: int, up: float, down: float, tail: Tail) -> float:
    """Return P(S_n in the tail) of rows that are 1 or -1 with these probabilities, by convolution."""
    law = np.array([1.0])
    for _ in range(n):
        law = np.convolve(law, [down, 1 - up - down, up])
    return float(law[max(least_sum(tail, n) + n, 0) :].sum())


@pytest.mark.parametrize("c", ["0.3", "0.8", "0.543"])
@pytest.mark.parametrize("epsilon", ["1e-3", "1e-5", "1e-7", "1e-9"])
def test_tiny_tolerances_lose_no_digits(c: str, epsilon: str) -> None:
    """n ε² / (2 σ² B) goes to 1 as ε goes to 0."""
    e, v = float(epsilon), float(c)
    for text, p, variance in (
        (f"n > {c} +/- {epsilon}", None, v * (1 - v)),
        (f"1000000 * n > {round(v * 10**6)} +/- {epsilon}", None, v * (1 - v) * 1e12),
        (f"n - o > 0.02 +/- {epsilon}", "0.1", 0.1 - 0.02**2),
    ):
        for bound in ("chernoff", "tilted", "exact", "best"):
            size = BOUNDS[bound](parse(text).clauses[0], ask(9.0, p))
            assert size is not None
            if bound == "chernoff":
                assert size.rows * e**2 / (2 * variance * 9.0) == pytest.approx(1, rel=max(20 * e, 1e-6))
            assert size.rows * e**2 / (2 * variance * 9.0) > 0.5


def test_rare_errors_and_tiny_tolerances_lose_no_digits_in_bennetts_inequality() -> None:
    size = BOUNDS["coarse_to_fine"](parse("n > 0.99 +/- 0.000000001").clauses[0], ask(9.0))
    assert size is not None
    assert size.rows * 1e-18 / (2 * 0.01 * (9.0 + math.log(2))) > 1


def test_what_is_known_of_all_rows_is_not_known_of_a_slice() -> None:
    plan: dict[str, Any] = {"reliability": 0.99, "steps": 1, "adaptivity": "none", "bound": "best"}
    text = 'n[site = "a"] - o[site = "a"] > 0.02 +/- 0.02'
    assert sample_size(parse(text), **plan, discordance=0.05) == sample_size(parse(text), **plan)
    said = sample_size(parse(f'{text} /\\ d[site = "a"] < 0.05 +/- 0.02'), **plan)
    assert said.clauses[0].rows < sample_size(parse(text), **plan).rows


def test_labels_of_clauses_that_want_different_rows_add_up() -> None:
    plan: dict[str, Any] = {"reliability": 0.9999, "steps": 32, "adaptivity": "none", "bound": "best"}
    size = sample_size(parse("n > 0.8 +/- 0.05 /\\ n - o > 0.02 +/- 0.01"), **plan, discordance=0.1)
    all_labelled, differing = size.clauses
    assert size.labels - all_labelled.rows == pytest.approx(0.1 * (differing.rows - all_labelled.rows), abs=2)
    assert size.total == differing.rows


def test_a_known_discordance_does_not_spoil_clauses_of_one_variable() -> None:
    plan: dict[str, Any] = {"reliability": 0.99, "steps": 4, "adaptivity": "none", "bound": "exact"}
    condition = parse("n > 0.8 +/- 0.05")
    assert sample_size(condition, **plan, discordance=0.6).rows == sample_size(condition, **plan).rows


@pytest.mark.parametrize("bound", ["hoeffding", "hoeffding_optimal", "hoeffding_paired", "chernoff", "best"])
def test_general_clauses_are_judged_right_on_the_worst_rows(bound: str) -> None:
    """Two-valued rows are the widest that a mean allows: exact binomial tails must be small."""
    clause = parse("n - 1.1 * o > 0.01 +/- 0.1").clauses[0]
    size = BOUNDS[bound](clause, ask(4.0))
    assert size is not None
    low, high = (float(end) for end in clause.span)
    for mean, point, upper in ((0.01, 0.11, True), (0.01, -0.09, False), (0.21, 0.11, False)):
        chance = (mean - low) / (high - low)
        count = size.rows * (point - low) / (high - low)
        sums = binom(size.rows, chance)
        tail = sums.sf(math.floor(count)) if upper else sums.cdf(math.ceil(count) - 1)
        assert tail <= math.exp(-4.0)


def test_the_coarse_estimate_pays_off_where_errors_are_rare() -> None:
    plan: dict[str, Any] = {"reliability": 0.9999, "steps": 32, "adaptivity": "none"}
    rare = sample_size(parse("n > 0.98 +/- 0.01"), **plan, bound="coarse_to_fine").rows
    assert rare < 0.3 * sample_size(parse("n > 0.98 +/- 0.01"), **plan).rows
    assert rare == sample_size(parse("n < 0.02 +/- 0.01"), **plan, bound="coarse_to_fine").rows


def test_best_is_the_smallest_of_all() -> None:
    for text in ("n > 0.9 +/- 0.05", "n - o > 0.02 +/- 0.05", "n - 2 * o > 0.1 +/- 0.1", "d < 0.2 +/- 0.05"):
        clause = parse(text).clauses[0]
        best = BOUNDS["best"](clause, ask(9.0, "0.2"))
        assert best is not None
        for bound in BOUNDS.values():
            other = bound(clause, ask(9.0, "0.2"))
            assert other is None or best.labels <= other.labels


@pytest.mark.parametrize("bound", list(BOUNDS))
@pytest.mark.parametrize("adaptivity", ["none", "full", "bounded:250"])
def test_ten_thousand_steps_do_not_overflow(bound: str, adaptivity: str) -> None:
    condition = parse("d < 0.1 +/- 0.05 /\\ n - o > 0.02 +/- 0.05")
    size = sample_size(condition, reliability=0.99, steps=10_000, adaptivity=adaptivity, bound=bound)
    assert 0 < size.labels <= size.total


def test_a_discordance_has_to_be_a_share_and_of_use() -> None:
    plan: dict[str, Any] = {"reliability": 0.99, "steps": 4, "adaptivity": "none"}
    for wrong in (0, -0.1, 1.5, float("nan"), "much"):
        with pytest.raises(InvalidArgument, match="discordance"):
            sample_size(parse("n - o > 0 +/- 0.1"), **plan, bound="best", discordance=wrong)  # type: ignore[arg-type]
    for condition in ("n - o > 0 +/- 0.1", "n > 0.5 +/- 0.1", "d < 0.1 +/- 0.05"):
        with pytest.raises(InvalidArgument, match="bennett"):
            sample_size(parse(condition), **plan, bound="bennett")
    # Differing on every row is no knowledge.
    assert sample_size(parse("n - o > 0 +/- 0.1"), **plan, bound="best", discordance=1) == sample_size(
        parse("n - o > 0 +/- 0.1"), **plan, bound="best"
    )


def test_a_clause_on_a_slice_needs_rows_of_it() -> None:
    condition = parse('n > 0.5 +/- 0.2 /\\ recall(n, "sick") > 0.5 +/- 0.2')
    plan: dict[str, Any] = {"reliability": 0.95, "steps": 4, "adaptivity": "none"}
    needed = sample_size(condition, **plan).clauses[1].rows
    with pytest.raises(TooFewTestRows, match='class "sick"') as caught:
        require(condition, 10_000, **plan, subsets={Subset(None, "sick"): needed - 1})
    assert (caught.value.required, caught.value.available) == (needed, needed - 1)
    assert require(condition, 10_000, **plan, subsets={Subset(None, "sick"): needed})
    with pytest.raises(TooFewTestRows):
        require(condition, 10_000, **plan)


def test_the_sizes_are_explained() -> None:
    condition = parse("d < 0.1 +/- 0.05 /\\ n - o > 0.02 +/- 0.01")
    text = str(sample_size(condition, reliability=0.99, steps=4, adaptivity="none", bound="best"))
    assert text.splitlines()[2].startswith("* n - o > 0.02 +/- 0.01: ")
    assert text.endswith("labels (exact)")
    assert "no labels" in text


# -- adaptivity -----------------------------------------------------------------------------------


def nodes(steps: int, passes: int | None) -> int:
    """Count the models of a tree by walking it."""
    if steps == 0:
        return 0
    after_pass = 0 if passes == 1 else nodes(steps - 1, None if passes is None else passes - 1)
    return 1 + nodes(steps - 1, passes) + after_pass


@pytest.mark.parametrize("steps", [1, 2, 5, 9])
def test_verdicts_are_counted_like_the_nodes_of_the_tree(steps: int) -> None:
    for passes in range(1, steps + 2):
        assert float(log_verdicts(steps, f"bounded:{passes}").exp()) == pytest.approx(nodes(steps, passes))
    assert float(log_verdicts(steps, "firstChange").exp()) == pytest.approx(nodes(steps, 1))
    assert nodes(steps, None) < float(log_verdicts(steps, "full").exp()) <= nodes(steps, None) + 1 + 1e-9


def test_many_passes_are_bounded_from_above() -> None:
    exact = math.log(sum(math.comb(1000, i) for i in range(1, 301)))
    assert exact < float(log_verdicts(1000, "bounded:300")) < 1.2 * exact
    assert log_verdicts(300, "bounded:299") <= log_verdicts(300, "full")


@pytest.mark.parametrize("wrong", ["bounded", "bounded:0", "bounded:-1", "bounded:1.5", "Full", "", 3])
def test_an_unknown_adaptivity_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgument, match="adaptivity"):
        passes_allowed(wrong)


def test_bits_given_away_are_those_of_the_answers_that_were_possible() -> None:
    assert leaked_bits("none", verdicts=5, passes=2) == 5
    assert leaked_bits("full", verdicts=5, passes=0) == 5
    assert leaked_bits("firstChange", verdicts=7, passes=1) == 3
    assert leaked_bits("bounded:2", verdicts=4, passes=2) == math.log2(1 + 4 + 6)
    assert leaked_bits("bounded:300", verdicts=1000, passes=2) < 1000
    assert leaked_bits("full", verdicts=0, passes=0) == 0
