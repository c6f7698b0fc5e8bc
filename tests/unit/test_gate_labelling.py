"""Judging on a test set whose labels are asked for, and the way of a label from a person to the gate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from easeml_ray.errors import StoreError
from easeml_ray.gate import Truth, Verdict, parse
from easeml_ray.gate.condition import Subset
from easeml_ray.gate.labelling import MOST, Judged, Wanted, judge_asking, seal_label, unseal_label
from easeml_ray.sealing import new_private_key, public_key

ROWS = 4000


def models(rng: np.random.Generator, better: float, worse: float) -> tuple[Any, Any, Any]:
    labels = rng.integers(0, 2, ROWS)
    u = rng.random(ROWS)
    old = np.where(u < better, 1 - labels, labels)
    new = np.where((u >= better) & (u < better + worse), 1 - labels, labels)
    return labels, old, new


def drive(text: str, labels: Any, old: Any, new: Any, **changes: Any) -> tuple[Judged, dict[int, int | None]]:
    """Answer what is wanted until there is a verdict."""
    plan: dict[str, Any] = {
        "mode": "fp-free",
        "reliability": 0.95,
        "steps": 3,
        "adaptivity": "none",
        "seed": 5,
    }
    plan |= {"members": {}} | changes
    known: dict[int, int | None] = {}
    while True:
        found = judge_asking(parse(text), old, new, known, **plan)
        if isinstance(found, Judged):
            return found, known
        assert isinstance(found, Wanted)
        assert 0 < len(found.rows) <= MOST
        assert not known.keys() & set(found.rows)
        known |= {row: None if labels is None else int(labels[row]) for row in found.rows}


def test_few_labels_decide_and_only_of_rows_on_which_the_models_differ() -> None:
    labels, old, new = models(np.random.default_rng(0), 0.15, 0.01)
    found, known = drive("n - o > 0.02 +/- 0.03", labels, old, new)
    assert (found.verdict, found.truth) == (Verdict.PASS, Truth.TRUE)
    assert all(old[row] != new[row] for row in known)
    # The last round may want more than it takes, a quarter at most.
    assert found.labels <= len(known) <= 1.25 * found.labels + 8
    assert len(known) < (old != new).sum() / 3


def test_labels_that_one_model_took_are_known_for_the_next() -> None:
    labels, old, new = models(np.random.default_rng(1), 0.15, 0.01)
    _, known = drive("n - o > 0.02 +/- 0.03", labels, old, new)
    again = judge_asking(
        parse("n - o > 0.02 +/- 0.03"),
        old,
        new,
        known,
        members={},
        mode="fp-free",
        reliability=0.95,
        steps=3,
        adaptivity="none",
        seed=5,
    )
    assert isinstance(again, Judged)


def test_a_conjunction_ends_at_its_first_fail() -> None:
    labels, old, new = models(np.random.default_rng(2), 0.01, 0.15)
    found, _ = drive("n - o > 0.02 +/- 0.03 /\\ n > 0.1 +/- 0.05", labels, old, new)
    assert found.verdict is Verdict.FAIL
    assert len(found.clauses) == 1
    both, _ = drive("n - o > -0.3 +/- 0.05 /\\ n > 0.1 +/- 0.05", labels, old, new)
    assert (both.verdict, len(both.clauses)) == (Verdict.PASS, 2)


def test_a_slice_asks_for_its_rows_alone() -> None:
    labels, old, new = models(np.random.default_rng(3), 0.15, 0.01)
    inside = np.arange(ROWS) % 2 == 0
    text = 'n[site = "a"] - o[site = "a"] > 0.02 +/- 0.04'
    _, known = drive(text, labels, old, new, members={Subset("site", "a"): inside})
    assert all(row % 2 == 0 for row in known)


@pytest.mark.parametrize("adaptivity", ["full", "firstChange", "bounded:2"])
def test_where_verdicts_may_steer_the_number_of_labels_tells_nothing(adaptivity: str) -> None:
    labels, old, new = models(np.random.default_rng(4), 0.15, 0.01)
    asked = set()
    for told in (labels, 1 - labels, np.zeros(ROWS, dtype=int)):
        _, known = drive("n - o > 0.02 +/- 0.05", told, old, new, adaptivity=adaptivity)
        asked.add(tuple(known))
    assert len(asked) == 1
    right, _ = drive("n - o > 0.02 +/- 0.05", labels, old, new, adaptivity=adaptivity)
    wrong, _ = drive("n - o > 0.02 +/- 0.05", 1 - labels, old, new, adaptivity=adaptivity)
    assert (right.verdict, wrong.verdict) == (Verdict.PASS, Verdict.FAIL)


@pytest.mark.parametrize("adaptivity", ["none", "full"])
@pytest.mark.parametrize(("mode", "verdict"), [("fp-free", Verdict.FAIL), ("fn-free", Verdict.PASS)])
def test_labels_nobody_gives_count_as_the_worst_case(adaptivity: str, mode: str, verdict: Verdict) -> None:
    _, old, new = models(np.random.default_rng(4), 0.15, 0.01)
    found, _ = drive("n - o > 0.02 +/- 0.03", None, old, new, adaptivity=adaptivity, mode=mode)
    assert found.verdict is verdict


@pytest.mark.parametrize("adaptivity", ["none", "full"])
@pytest.mark.parametrize("text", ["n < 0.6 +/- 0.2", "o > 0.3 +/- 0.2", "o - n < 0.1 +/- 0.1"])
def test_the_worst_case_is_that_of_the_clause_whatever_its_direction(adaptivity: str, text: str) -> None:
    _, old, new = models(np.random.default_rng(4), 0.15, 0.2)
    for mode, verdict in (("fp-free", Verdict.FAIL), ("fn-free", Verdict.PASS)):
        found, _ = drive(text, None, old, new, adaptivity=adaptivity, mode=mode)
        assert found.verdict is verdict


def test_clauses_in_d_alone_ask_for_nothing() -> None:
    _, old, new = models(np.random.default_rng(4), 0.15, 0.01)
    for adaptivity in ("none", "full"):
        found, known = drive("d < 0.3 +/- 0.1", None, old, new, adaptivity=adaptivity)
        assert (found.verdict, known) == (Verdict.PASS, {})


def test_a_sealed_label_tells_nothing_by_its_length_and_opens_for_the_gate_alone() -> None:
    private = new_private_key()
    sealed = [seal_label(code, public_key(private)) for code in (0, 1, 1, 10**6)]
    assert len({len(text) for text in sealed}) == 1
    assert len(set(sealed)) == 4
    assert [unseal_label(text, private) for text in sealed] == [0, 1, 1, 10**6]
    with pytest.raises(StoreError):
        unseal_label(sealed[0], new_private_key())
