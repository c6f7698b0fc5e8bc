"""The value of a condition on a test set of which some labels are missing, against an enumeration of them."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easeml_ray.gate import evaluate, parse
from easeml_ray.gate.condition import Subset
from easeml_ray.gate.estimate import NO_LABEL, estimate, wants_label

CLAUSES = (
    "n > 0.4 +/- 0.2",
    "n < 0.4 +/- 0.2",
    "o > 0.4 +/- 0.2",
    "n - o > 0.1 +/- 0.2",
    "n - o < 0.1 +/- 0.2",
    "o - 0.5 * n + d > 0.1 +/- 0.1",
    "d < 0.5 +/- 0.1",
)
texts = st.sampled_from(CLAUSES)
modes = st.sampled_from(["fp-free", "fn-free"])
codes = st.lists(st.integers(0, 2), min_size=5, max_size=5).map(np.array)


def shares(old: np.ndarray, new: np.ndarray, labels: np.ndarray) -> dict[str, Fraction]:
    hits = {"n": new == labels, "o": old == labels, "d": new != old}
    return {name: Fraction(int(hit.sum()), len(labels)) for name, hit in hits.items()}


@settings(max_examples=60, deadline=None)
@given(
    old=codes,
    new=codes,
    labels=codes,
    text=texts,
    mode=modes,
)
def test_with_all_labels_it_is_the_evaluation_of_the_shares(
    old: np.ndarray, new: np.ndarray, labels: np.ndarray, text: str, mode: str
) -> None:
    condition = parse(text)
    found = estimate(condition, old, new, labels, members={}, mode=mode)
    assert found == evaluate(condition, mode=mode, **shares(old, new, labels))


@settings(max_examples=60, deadline=None)
@given(
    old=codes, new=codes, labels=codes, missing=st.sets(st.integers(0, 4)),
    text=texts, mode=modes,
)  # fmt: skip
def test_missing_labels_count_as_the_worst_that_they_could_be(
    old: np.ndarray, new: np.ndarray, labels: np.ndarray, missing: set[int], text: str, mode: str
) -> None:
    condition = parse(text)
    rows = sorted(missing)
    values = []
    for filled in itertools.product(range(4), repeat=len(rows)):  # a class that neither says is among them
        whole = labels.copy()
        whole[rows] = filled
        values.append(evaluate(condition, mode=mode, **shares(old, new, whole)).clauses[0].value)
    holes = labels.copy()
    holes[rows] = NO_LABEL
    found = estimate(condition, old, new, holes, members={}, mode=mode).clauses[0].value
    against = (condition.clauses[0].comparison == ">") == (mode == "fp-free")
    assert found == (min(values) if against else max(values))


@settings(max_examples=40, deadline=None)
@given(old=codes, new=codes, labels=codes, text=texts)
def test_a_row_is_asked_for_exactly_where_its_label_could_change_the_value(
    old: np.ndarray, new: np.ndarray, labels: np.ndarray, text: str
) -> None:
    condition = parse(text)
    (clause,) = condition.clauses
    wanted = wants_label(clause, old, new)
    for row in range(len(labels)):
        values = set()
        for code in range(4):
            labels[row] = code
            values.add(evaluate(condition, mode="fp-free", **shares(old, new, labels)).clauses[0].value)
        assert wanted[row] == (len(values) > 1)


def test_a_clause_on_a_slice_is_the_mean_of_its_rows() -> None:
    condition = parse('n[site = "a"] > 0.4 +/- 0.05')
    labels = np.array([0, 0, 1, 1])
    inside = np.array([True, False, True, False])
    found = estimate(
        condition,
        labels,
        np.array([0, 1, 0, 1]),
        labels,
        members={Subset("site", "a"): inside},
        mode="fp-free",
    )
    assert found.clauses[0].value == Fraction(1, 2)


@pytest.mark.parametrize(("limit", "verdict"), [("50", "PASS"), ("5", "FAIL")])
def test_latency_is_one_more_check(limit: str, verdict: str) -> None:
    condition = parse(f"n > 0.4 +/- 0.05 /\\ latency < {limit} ms")
    labels = np.array([0, 0, 1, 1])
    found = estimate(condition, labels, labels, labels, members={}, mode="fp-free", latency=12.0)
    assert found.verdict == verdict
