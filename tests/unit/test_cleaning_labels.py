"""Label beliefs by neighbour disagreement."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from easeml_ray.doubts import estimate_noise, hear, label_beliefs, suspicious, witnesses
from easeml_ray.doubts.witnesses import neighbour_counts
from easeml_ray.errors import InvalidArgument


def noisy_mixture(rho: float, n_classes: int, seed: int, n_rows: int = 600) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(n_classes, size=n_rows)
    centres = 4 * np.eye(n_classes, 4)
    X = centres[truth] + rng.normal(size=(n_rows, 4))
    replaced = rng.random(n_rows) < rho
    return X, truth, np.where(replaced, rng.integers(n_classes, size=n_rows), truth)


@pytest.fixture
def small_forest(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made of the witnesses is tested here: a forest of a fifth of the trees is witness enough."""
    monkeypatch.setattr(witnesses, "TREES", 40)


@pytest.mark.usefixtures("small_forest")
@pytest.mark.parametrize("rho", [0.05, 0.2, 0.4])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_noise_is_estimated_where_classes_are_apart(rho: float, n_classes: int) -> None:
    found = []
    for seed in range(5):
        X, _, y = noisy_mixture(rho, n_classes, seed)
        found.append(estimate_noise(X, y, n_classes))
    assert np.mean(found) == pytest.approx(rho, abs=0.06)


def test_the_most_suspicious_rows_are_the_flipped_ones() -> None:
    X, truth, y = noisy_mixture(0.2, 3, 0)
    order = suspicious(label_beliefs(X, y, 3), y)
    flipped = np.flatnonzero(y != truth)
    first = order[: len(flipped)]
    assert np.isin(first, flipped).mean() > 0.85


@pytest.mark.usefixtures("small_forest")
def test_beliefs_are_calibrated() -> None:
    own, right = [], []
    for seed in range(5):
        X, truth, y = noisy_mixture(0.25, 3, seed)
        own.append(label_beliefs(X, y, 3)[np.arange(len(y)), y])
        right.append(truth == y)
    assert np.mean(own) == pytest.approx(np.mean(right), abs=0.06)
    doubted = np.concatenate(own) < 0.3
    assert np.concatenate(right)[doubted].mean() < 0.25


def test_a_narrow_majority_does_not_outweigh_a_rows_own_label() -> None:
    X = np.arange(11.0)[:, None]
    y = np.array([0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1])
    heard = hear(X, y, 2, k=10, witnesses=["neighbours"])
    beliefs = label_beliefs(X, y, 2, k=10, noise=0.1, hearing=heard)
    assert (beliefs[np.arange(11), y] > 0.5).all()


def test_neighbours_equal_a_full_sort_with_ties_to_the_smaller_row() -> None:
    rng = np.random.default_rng(0)
    X, y, k = rng.integers(0, 4, size=(40, 2)).astype(float), rng.integers(3, size=40), 5
    found = neighbour_counts(X, y, 3, k)
    for row in range(40):
        others = [i for i in range(40) if i != row]
        nearest = sorted(others, key=lambda i: (((X[i] - X[row]) ** 2).sum(), i))[:k]
        assert found[row].tolist() == np.bincount(y[nearest], minlength=3).tolist()


def test_without_noise_every_label_is_believed() -> None:
    X, _, y = noisy_mixture(0.3, 2, 1, n_rows=60)
    beliefs = label_beliefs(X, y, 2, noise=0.0)
    assert (beliefs.argmax(axis=1) == y).all()


@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"k": 0}, "k"),
        ({"k": 4}, "k"),
        ({"noise": 1.0}, "noise"),
        ({"noise": -0.1}, "noise"),
        ({"n_classes": 1}, "n_classes"),
        ({"y": [0, 1, 2, 0]}, "y"),
        ({"X": [[0.0], [1.0]]}, "y"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, Any], argument: str) -> None:
    good = {"X": [[0.0], [1.0], [2.0], [3.0]], "y": [0, 0, 1, 1], "n_classes": 2, "k": 2}
    with pytest.raises(InvalidArgument) as caught:
        label_beliefs(**{**good, **change})
    assert caught.value.argument == argument


def test_suspicious_needs_a_belief_for_each_label() -> None:
    with pytest.raises(InvalidArgument):
        suspicious([[0.5, 0.5]], [0, 1])
