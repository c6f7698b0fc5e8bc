"""Witnesses of a row's class: none has seen the row's own label, and their mixture follows the best."""

from __future__ import annotations

import numpy as np
import pytest

from easeml_ray.doubts import Hearing, hear, label_beliefs, suspicious
from easeml_ray.doubts.labels import confusion
from easeml_ray.doubts.witnesses import WITNESSES
from easeml_ray.errors import InvalidArgument


def blobs(n_rows: int = 120, n_classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n_rows)
    return 4 * np.eye(n_classes, 4)[y] + rng.normal(size=(n_rows, 4)), y


@pytest.mark.parametrize("witness", ["neighbours", "self-value"])
def test_what_is_said_of_a_row_does_not_hang_on_its_own_label(witness: str) -> None:
    """But for the shares of the classes, which one label moves by 1/N of a vote."""
    X, y = blobs()
    other = y.copy()
    other[7] = (y[7] + 1) % 3
    before, after = (hear(X, labels, 3, witnesses=[witness]).shares[7] for labels in (y, other))
    np.testing.assert_allclose(before, after, atol=0.02)


@pytest.mark.parametrize("witness", ["forest", "linear"])
def test_a_model_is_asked_about_rows_it_was_not_trained_on(witness: str) -> None:
    """Labels at random: a model that had seen them would know them."""
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(300, 5)), rng.integers(2, size=300)
    shares = hear(X, y, 2, witnesses=[witness]).shares
    assert (shares.argmax(axis=1) == y).mean() < 0.6


def test_self_value_is_what_a_match_adds_to_the_value_of_a_row() -> None:
    """Against the definition, written out: 1/max(k, place) less what the first place out gets."""
    X, y = blobs(30, 2)
    k, places = 3, 29
    distance = ((X[:, None] - X[None]) ** 2).sum(axis=2)
    votes = np.zeros((30, 2))
    for v in range(30):
        others = sorted((i for i in range(30) if i != v), key=lambda i, v=v: (distance[v, i], i))
        for place, i in enumerate(others, 1):
            votes[i, y[v]] += 1 / max(k, place) - 1 / (places + 1)
    votes += (1 / k - 1 / (places + 1)) * np.bincount(y) / 30
    expected = votes / votes.sum(axis=1, keepdims=True)
    found = hear(X, y, 2, k=k, witnesses=["self-value"]).shares
    np.testing.assert_allclose(found, (expected + 0.01) / 1.02, atol=1e-12)


def test_the_mixture_has_the_weights_of_the_highest_likelihood() -> None:
    X, y = blobs(200, 2, seed=3)
    y = np.where(np.random.default_rng(0).random(200) < 0.2, 1 - y, y)
    said = {
        name: hear(X, y, 2, witnesses=[name]).shares[np.arange(200), y] for name in ("neighbours", "linear")
    }
    weights = hear(X, y, 2, witnesses=list(said)).weights
    assert sum(weights.values()) == pytest.approx(1.0)
    grid = np.linspace(0, 1, 2001)
    likelihood = [np.log(w * said["neighbours"] + (1 - w) * said["linear"]).sum() for w in grid]
    reached = np.log(sum(weights[name] * said[name] for name in said)).sum()
    assert reached == pytest.approx(max(likelihood), abs=0.02)


def test_a_witness_that_knows_nothing_gets_no_weight() -> None:
    """Two rings: a line cannot tell them apart, neighbours can."""
    rng = np.random.default_rng(2)
    angle, y = rng.uniform(0, 2 * np.pi, 400), rng.integers(2, size=400)
    X = (1 + y)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    weights = hear(X, y, 2).weights
    assert set(weights) == set(WITNESSES)
    assert weights["linear"] < 0.01 and weights["neighbours"] + weights["forest"] > 0.5


def test_the_order_of_the_rows_does_not_matter_to_neighbours() -> None:
    X, y = blobs()
    order = np.random.default_rng(5).permutation(len(y))
    said = hear(X, y, 3, witnesses=["neighbours", "self-value"]).shares
    moved = hear(X[order], y[order], 3, witnesses=["neighbours", "self-value"]).shares
    np.testing.assert_allclose(moved, said[order], atol=1e-12)


def test_the_same_seed_hears_the_same() -> None:
    X, y = blobs()
    assert np.array_equal(hear(X, y, 3, seed=4).shares, hear(X, y, 3, seed=4).shares)


def test_many_equal_rows_are_neighbours_of_each_other() -> None:
    X, y = np.zeros((80, 2)), np.arange(80) % 2
    shares = hear(X, y, 2).shares
    assert np.isfinite(shares).all() and np.allclose(shares.sum(axis=1), 1.0)


def test_rows_far_beyond_the_others_and_classes_of_one_row_are_heard() -> None:
    X, y = blobs(40, 2)
    X[0] = 1e100
    y[1] = 2
    shares = hear(X, y, 4).shares
    assert np.isfinite(shares).all() and (shares > 0).all()


def test_labels_moved_to_one_class_are_believed_to_come_from_there() -> None:
    """Class 0 is mistaken for class 1 and never for class 2."""
    X, truth = blobs(600, 3)
    rng = np.random.default_rng(0)
    moved = (truth == 0) & (rng.random(600) < 0.3)
    y = np.where(moved, 1, truth)
    found = confusion(hear(X, y, 3).shares, y, 0.15)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert found[0, 1] > 2 * found[0, 2]
    assert np.allclose(np.diag(found), 0.9)
    beliefs = label_beliefs(X, y, 3, noise=0.15)
    first = suspicious(beliefs, y)[: moved.sum()]
    assert moved[first].mean() > 0.85
    assert (beliefs[first, 0] > 5 * beliefs[first, 2]).mean() > 0.9


def test_labels_that_agree_more_are_doubted_less() -> None:
    given = np.zeros(9, dtype=np.int64)
    share = np.linspace(0.02, 0.98, 9)
    heard = Hearing(np.stack([share, 1 - share], axis=1), {"forest": 1.0})
    own = label_beliefs(np.arange(9.0)[:, None], given, 2, k=3, noise=0.2, hearing=heard)[:, 0]
    assert (np.diff(own) > 0).all()  # in order, even where the noise explains all of it


def test_the_linear_witness_is_left_out_where_it_would_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    from easeml_ray.doubts import witnesses

    X, y = blobs()
    monkeypatch.setattr(witnesses, "LINEAR_VALUES", 1000)
    assert set(hear(X, y, 3).weights) == set(WITNESSES) - {"linear"}
    with pytest.raises(InvalidArgument, match="linear witness"):
        hear(X, y, 3, witnesses=["linear"])


@pytest.mark.parametrize("witnesses", [[], ["oracle"], ["neighbours", "nobody"]])
def test_witnesses_that_nobody_knows_are_named(witnesses: list[str]) -> None:
    with pytest.raises(InvalidArgument, match="witnesses"):
        hear([[0.0], [1.0], [2.0]], [0, 1, 0], 2, k=1, witnesses=witnesses)


def test_a_hearing_about_other_rows_is_refused() -> None:
    heard = Hearing(np.full((2, 2), 0.5), {"forest": 1.0})
    with pytest.raises(InvalidArgument, match="hearing"):
        label_beliefs([[0.0], [1.0], [2.0]], [0, 1, 0], 2, k=1, hearing=heard)
