"""Invariants of conditions, their sizes and their evaluation."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from easeml_ray.errors import ConditionSyntax
from easeml_ray.gate import Truth, evaluate, parse, sample_size
from easeml_ray.gate.evaluation import reachable

numbers = st.decimals(min_value="0.001", max_value="20", places=3)
Tree = tuple[str, dict[str, Fraction]]


def scaled(pair: tuple[Tree, Decimal, bool]) -> Tree:
    (text, values), number, left = pair
    wrapped = f"{number} * ({text})" if left else f"({text}) * {number}"
    return wrapped, {v: c * Fraction(number) for v, c in values.items()}


def added(pair: tuple[Tree, Tree, str]) -> Tree:
    (text, values), (other, others), operator = pair
    sign = 1 if operator == "+" else -1
    total = {v: values.get(v, Fraction(0)) + sign * others.get(v, Fraction(0)) for v in values | others}
    return f"{text} {operator} ({other})", total


variables: st.SearchStrategy[Tree] = st.sampled_from("nod").map(lambda v: (v, {v: Fraction(1)}))
expressions = st.recursive(
    variables,
    lambda inner: st.one_of(
        st.tuples(inner, numbers, st.booleans()).map(scaled),
        st.tuples(inner, inner, st.sampled_from("+-")).map(added),
    ),
    max_leaves=6,
)
tolerances = st.decimals(min_value="0.001", max_value="0.5", places=4)
thresholds = st.decimals(min_value="-1", max_value="1", places=3)


@st.composite
def clause_texts(draw: Any) -> str:
    text, _ = draw(expressions)
    return f"{text} {draw(st.sampled_from('<>'))} {draw(thresholds)} +/- {draw(tolerances)}"


@given(expressions)
@settings(max_examples=90, deadline=None)
def test_the_parser_agrees_with_the_tree_that_wrote_the_text(tree: Tree) -> None:
    text, expected = tree
    expected = {v: c for v, c in expected.items() if c}
    try:
        found = parse(f"{text} > 0 +/- 1").clauses[0].coefficients
    except ConditionSyntax:
        assert not expected or any(not Decimal("1e-9") <= abs(c) <= Decimal("1e6") for c in expected.values())
        return
    assert found == expected


@given(st.lists(clause_texts(), min_size=1, max_size=4).map(" /\\ ".join))
@settings(max_examples=60, deadline=None)
def test_the_text_of_a_condition_parses_to_it(text: str) -> None:
    try:
        condition = parse(text)
    except ConditionSyntax:
        return
    assert parse(str(condition)) == condition
    assert str(parse(str(condition))) == str(condition)


@given(st.text(alphabet="nod0123456789.+-*/\\()<>= e±∧", max_size=40))
@settings(max_examples=120, deadline=None)
def test_any_text_parses_or_is_a_syntax_error_within_it(text: str) -> None:
    try:
        parse(text)
    except ConditionSyntax as error:
        assert 0 <= error.position <= len(text)


@given(
    st.sampled_from(["n > 0.5", "n - o > 0.02", "n - 1.1 * o + 0.3 * d > 0", "2 * d < 0.1"]),
    st.integers(1, 200),
    st.integers(2, 200),
    st.sampled_from(["none", "full", "firstChange"]),
)
@settings(max_examples=35, deadline=None)
def test_sizes_grow_with_steps_and_sharpness_and_shrink_with_better_bounds(
    expression: str, steps: int, tighter: int, adaptivity: str
) -> None:
    def rows(
        epsilon: str = "0.05", more: int = 0, bound: str = "hoeffding", reliability: float = 0.99
    ) -> int:
        condition = parse(f"{expression} +/- {epsilon}")
        return sample_size(
            condition, reliability=reliability, steps=steps + more, adaptivity=adaptivity, bound=bound
        ).rows

    assert rows() <= rows(more=tighter)
    assert rows() < rows(epsilon="0.02")
    assert rows() <= rows(reliability=0.999)
    assert rows(bound="hoeffding_paired") <= rows(bound="hoeffding_optimal") <= rows()


@given(
    clause_texts(), st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=20)
)
@settings(max_examples=60, deadline=None)
def test_a_verdict_on_rows_is_within_what_the_clause_can_reach(
    text: str, rows: list[tuple[bool, bool, bool]]
) -> None:
    try:
        condition = parse(text)
    except ConditionSyntax:
        return
    # Two right models agree and a right one differs from a wrong one; only wrong ones may do either.
    table = np.array([(new, old, new != old or (both and not new)) for new, old, both in rows])
    n, o, d = (Fraction(int(column.sum()), len(rows)) for column in table.T)
    strict = evaluate(condition, mode="fp-free", n=n, o=o, d=d)
    lenient = evaluate(condition, mode="fn-free", n=n, o=o, d=d)
    low, high = condition.clauses[0].span
    assert low <= strict.clauses[0].value <= high
    assert strict.truth in reachable(condition.clauses[0])
    assert (strict.verdict == "PASS") == (strict.truth is Truth.TRUE)
    assert (lenient.verdict == "FAIL") == (lenient.truth is Truth.FALSE)
