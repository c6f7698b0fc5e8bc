"""What cleaning and relabelling are worth in accuracy points."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from easeml_ray.cleaning import CleaningBelief
from easeml_ray.cleaning.gain import RelabelEvidence, RowEvidence, to_gain
from easeml_ray.errors import InvalidArgument

BELIEF = CleaningBelief(
    lower=0.6,
    upper=0.95,
    expected=0.8,
    potential=0.9,
    sd=0.02,
    n_certain_correct=60,
    n_certain_wrong=5,
    n_uncertain=35,
    default=0.81,
)
RELABEL = RelabelEvidence([0.2, 0.4, 0.9], n_rows=100, n_classes=2, noise=0.2, error=0.25)


def test_rows_share_the_promise_by_their_information() -> None:
    gains = [
        to_gain(RowEvidence(BELIEF, bits, 2.0), current=0.7, target=1.0).mean for bits in (0.5, 1.5, 2.0)
    ]
    np.testing.assert_allclose(gains, [0.025, 0.075, 0.1])


def test_no_promise_is_worth_nothing_but_may_turn_out_either_way() -> None:
    gain = to_gain(RowEvidence(replace(BELIEF, potential=0.7), 1.0, 2.0), current=0.7, target=1.0)
    assert gain.mean == 0.0
    assert gain.lower < 0 < gain.upper


def test_a_row_without_information_is_worth_nothing() -> None:
    for total in (0.0, 2.0):
        gain = to_gain(RowEvidence(BELIEF, 0.0, total), current=0.7, target=1.0)
        assert (gain.mean, gain.lower, gain.upper) == (0.0, 0.0, 0.0)


def test_a_gain_ends_at_the_target() -> None:
    gain = to_gain(RowEvidence(BELIEF, 2.0, 2.0), current=0.88, target=0.9)
    assert gain.upper == pytest.approx(0.02)
    assert gain.mean == pytest.approx(0.02)
    assert to_gain(RELABEL, current=0.95, target=0.9).upper == 0.0


def test_the_interval_stays_within_the_bounds_of_the_belief() -> None:
    wide = replace(BELIEF, sd=0.4)
    gain = to_gain(RowEvidence(wide, 2.0, 2.0), current=0.0, target=1.0)
    assert gain.lower == pytest.approx(BELIEF.lower - BELIEF.expected)
    assert gain.upper == pytest.approx(BELIEF.upper - BELIEF.expected)


def test_relabelling_follows_the_formula_of_one_nearest_neighbour() -> None:
    # err(rho) = (1 - rho)^2 e_0 + (1 - (1 - rho)^2) / 2 gives e_0; then train noise alone falls.
    kept = 0.8**2
    clean = (0.25 - (1 - kept) * 0.5) / kept
    wrong = 0.8 + 0.6 + 0.1

    def true_error(rho: float) -> float:
        return (1 - rho) * clean + rho * 0.5

    rise = true_error(0.2) - true_error(0.2 - wrong / 100 / 0.5)
    gain = to_gain(RELABEL, current=0.7, target=1.0)
    assert gain.mean == pytest.approx(rise / 2)
    assert gain.lower == 0.0
    assert gain.upper > rise


def test_simulated_one_nearest_neighbour_gains_what_the_upper_formula_says() -> None:
    rng = np.random.default_rng(0)
    rises, predicted = [], []
    for _ in range(20):
        truth, truth_test = rng.integers(2, size=400), rng.integers(2, size=400)
        X = rng.normal(size=(400, 2)) + 2.5 * truth[:, None]
        X_test = rng.normal(size=(400, 2)) + 2.5 * truth_test[:, None]
        y = np.where(rng.random(400) < 0.3, rng.integers(2, size=400), truth)
        y_test = np.where(rng.random(400) < 0.3, rng.integers(2, size=400), truth_test)
        nearest = ((X_test[:, None] - X[None]) ** 2).sum(axis=2).argmin(axis=1)
        wrong = np.flatnonzero(y != truth)[:40]
        cleaned = y.copy()
        cleaned[wrong] = truth[wrong]
        rises.append((cleaned[nearest] == truth_test).mean() - (y[nearest] == truth_test).mean())
        evidence = RelabelEvidence(np.zeros(40), 400, 2, 0.3, float((y[nearest] != y_test).mean()))
        predicted.append(to_gain(evidence, current=0.0, target=1.0).upper)
    assert np.mean(rises) == pytest.approx(np.mean(predicted), abs=0.015)


def test_sure_labels_gain_nothing() -> None:
    gain = to_gain(replace(RELABEL, own_beliefs=[1.0, 1.0]), current=0.5, target=1.0)
    assert (gain.mean, gain.upper) == (0.0, 0.0)


def test_labels_of_pure_noise_teach_nothing() -> None:
    assert to_gain(replace(RELABEL, noise=1.0), current=0.5, target=1.0).upper == 0.0


@pytest.mark.parametrize(
    ("evidence", "argument"),
    [
        (RowEvidence(BELIEF, 3.0, 2.0), "information"),
        (RowEvidence(BELIEF, -1.0, 2.0), "information"),
        (replace(RELABEL, own_beliefs=[1.2]), "own_beliefs"),
        (replace(RELABEL, own_beliefs=[[0.2]]), "own_beliefs"),
        (replace(RELABEL, n_rows=2), "own_beliefs"),
        (replace(RELABEL, noise=1.2), "noise"),
        (replace(RELABEL, error=-0.2), "error"),
        (replace(RELABEL, n_classes=1), "n_classes"),
    ],
)
def test_bad_evidence_is_named(evidence: Any, argument: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        to_gain(evidence, current=0.5, target=1.0)
    assert caught.value.argument == argument
