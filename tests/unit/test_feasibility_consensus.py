from __future__ import annotations

import numpy as np
import pytest

from easeml_ray.feasibility.consensus import PARTS, RIDGE, Consensus, consensus, pool, pool_weights
from easeml_ray.probes.models import PROBES, floored, predictions, probe_view


def rows(seed: int = 0, n: int = 300, T: int = 200, spread: float = 0.2) -> tuple[np.ndarray, ...]:
    """Two rings, which a plane cannot tell apart."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n + T)
    angle = rng.uniform(0, 2 * np.pi, n + T)
    X = (1.0 + 1.5 * y + spread * rng.standard_normal(n + T))[:, None] * np.stack(
        [np.cos(angle), np.sin(angle)], 1
    )
    return X[:n], y[:n], X[n:], y[n:]


def log_loss(L: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    P = pool(L, w)
    return float(-np.log(P[np.arange(len(y)), y]).sum() + RIDGE * ((w - 1 / len(w)) ** 2).sum())


def test_pool_weights_are_not_negative_and_no_other_weights_have_a_smaller_loss() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 80)
    L = np.log(rng.dirichlet(np.ones(3), (4, 80)))
    L[0] = np.log(floored(np.eye(3)[y] * 0.6 + 0.4 / 3, 10))  # one member knows something
    w = pool_weights(L, y)
    assert w.min() >= 0.0 and w[0] > w[1:].max()
    best = log_loss(L, y, w)
    for _ in range(200):
        other = np.maximum(w + 0.1 * rng.standard_normal(4), 0.0)
        assert log_loss(L, y, other) >= best - 1e-4


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_gives_positive_probabilities_that_sum_to_one(name: str) -> None:
    X, y, Z, _ = rows()
    found = predictions(name, X, y, (0, len(X)), Z, 4)  # two classes that train lacks
    assert tuple(found) == PROBES[name].members
    for P in found.values():
        assert P.shape == (len(Z), 4) and P.min() > 0.0
        assert np.allclose(P.sum(axis=1), 1.0)


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_survives_one_class_constant_features_and_two_rows(name: str) -> None:
    one = predictions(name, np.zeros((5, 3)), np.ones(5, dtype=int), (0, 5), np.zeros((4, 3)), 2)
    two = predictions(name, np.zeros((2, 3)), np.array([0, 1]), (0, 2), np.ones((4, 3)), 2)
    for P in (*one.values(), *two.values()):
        assert np.isfinite(P).all() and P.min() > 0.0 and np.allclose(P.sum(axis=1), 1.0)
    assert all((P.argmax(axis=1) == 1).all() for P in one.values())


def test_a_plane_cannot_tell_rings_apart_and_curved_probes_can() -> None:
    X, y, Z, z = rows()
    X, Z = probe_view(X, Z)
    wrong = {
        member: float((P.argmax(axis=1) != z).mean())
        for name in PROBES
        for member, P in predictions(name, X, y, (0, len(X)), Z, 2).items()
    }
    assert wrong["linear"] > 0.35
    assert max(wrong["quadratic"], wrong["kernel-2"], wrong["neighbors-5"], wrong["boosted"]) < 0.1


def test_the_consensus_errs_about_as_little_as_its_best_member_and_halves_differ() -> None:
    X, y, Z, z = rows(n=400, spread=0.6)
    spans = {"all": (0, 400), "first": (0, 200), "second": (200, 400)}
    names = ("linear", "quadratic", "neighbors")
    found = {
        part: {k: P for name in names for k, P in predictions(name, X, y, span, Z, 2).items()}
        for part, span in spans.items()
    }
    made = consensus(found, z)
    assert set(made.P) == set(PARTS)
    best = min(float((P.argmax(axis=1) != z).mean()) for P in found["all"].values())
    assert made.wrong(z)["all"].mean() <= best + 0.02
    assert 0.0 < made.disagreement().mean() < 0.2
    assert (made.regret() >= 0.0).all()
    assert abs(made.doubt()["all"].mean() - made.wrong(z)["all"].mean()) < 0.05
    again = consensus(found, z)
    assert all(np.array_equal(made.P[part], again.P[part]) for part in PARTS)


def test_a_fold_is_pooled_without_its_labels() -> None:
    X, y, Z, z = rows(n=100, T=10)
    found = {part: predictions("neighbors", X, y, (0, 100), Z, 2) for part in PARTS}
    fold = np.random.default_rng(0).permutation(10) % 5
    changed = z.copy()
    changed[fold == 3] = 1 - changed[fold == 3]
    before, after = consensus(found, z).P["all"], consensus(found, changed).P["all"]
    assert np.array_equal(before[fold == 3], after[fold == 3])
    assert not np.array_equal(before, after)


def test_disagreement_needs_no_label() -> None:
    P = np.array([[0.9, 0.1], [0.2, 0.8]])
    made = Consensus({"all": P, "first": P, "second": P[::-1]})
    assert made.disagreement().tolist() == [True, True]
    assert np.allclose(made.regret(), [0.4, 0.3])
