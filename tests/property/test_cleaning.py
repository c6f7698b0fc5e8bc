"""Invariants of certain predictions over small random uncertain data, with ties."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
from cleaning_oracle import conditional_label_probabilities
from hypothesis import given, settings
from hypothesis import strategies as st

from easeml_ray.cleaning import CPClean, label_probabilities, possible_labels
from easeml_ray.cleaning.alternatives import read_alternatives
from easeml_ray.cleaning.boundaries import conditional_votes
from easeml_ray.cleaning.pointwise import entropy, information
from easeml_ray.cleaning.ranking import rank_points
from easeml_ray.cleaning.shortlists import shortlist
from easeml_ray.doubts import estimate_noise, hear, label_beliefs, suspicious

N_CLASSES = 3


@st.composite
def uncertain_data(draw: st.DrawFn) -> dict[str, Any]:
    sizes = draw(st.lists(st.integers(1, 3), min_size=3, max_size=6))
    n_alternatives = sum(sizes)
    # A coarse grid makes equal distances and equal alternatives common.
    value = st.integers(0, 3).map(float)
    candidates = draw(st.lists(st.tuples(value, value), min_size=n_alternatives, max_size=n_alternatives))
    length = draw(st.sampled_from([len(sizes), n_alternatives]))
    label = st.integers(0, N_CLASSES - 1)
    labels = draw(st.lists(label, min_size=length, max_size=length).filter(lambda found: len(set(found)) > 1))
    weights = draw(st.lists(st.integers(1, 5), min_size=n_alternatives, max_size=n_alternatives))
    row_ptr = np.concatenate([[0], np.cumsum(sizes)])
    prior = np.array(weights) / np.repeat(np.add.reduceat(weights, row_ptr[:-1]), sizes)
    k = draw(st.sampled_from([1, 3, 5]).filter(lambda k: k <= len(sizes)))
    points = np.array(draw(st.lists(st.tuples(value, value), min_size=1, max_size=2)))
    return {
        "candidates": np.array(candidates),
        "row_ptr": row_ptr,
        "labels": np.array(labels),
        "points": points,
        "k": k,
        "prior": prior,
        "n_classes": N_CLASSES,
    }


def oracle(data: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Enumerate worlds: label probabilities, and the same given each alternative."""
    row_ptr, prior = data["row_ptr"], data["prior"]
    sizes = np.diff(row_ptr)
    labels = data["labels"] if len(data["labels"]) == row_ptr[-1] else np.repeat(data["labels"], sizes)
    distances = ((data["points"][:, None] - data["candidates"][None]) ** 2).sum(axis=2)
    total = np.zeros((len(data["points"]), N_CLASSES))
    by_alternative = np.zeros((len(data["points"]), row_ptr[-1], N_CLASSES))
    for world in product(*(range(a, b) for a, b in pairwise(row_ptr))):
        chosen = np.array(world)
        mass = prior[chosen].prod()
        for v, distance in enumerate(distances):
            nearest = sorted(range(len(chosen)), key=lambda r: (distance[chosen[r]], r))[: data["k"]]
            label = np.bincount(labels[chosen[nearest]], minlength=N_CLASSES).argmax()
            total[v, label] += mass
            by_alternative[v, chosen, label] += mass / prior[chosen]
    return total, by_alternative


def cpclean(data: dict[str, Any]) -> CPClean:
    arguments = {key: value for key, value in data.items() if key != "points"}
    return CPClean(**arguments, X_dev=data["points"], y_dev=np.zeros(len(data["points"]), dtype=int))


@settings(max_examples=35, deadline=None)
@given(uncertain_data())
def test_queries_equal_the_enumeration_of_worlds(data: dict[str, Any]) -> None:
    total, by_alternative = oracle(data)
    np.testing.assert_allclose(label_probabilities(**data), total, atol=1e-12)
    np.testing.assert_allclose(conditional_label_probabilities(**data), by_alternative, atol=1e-12)
    without_prior = {key: value for key, value in data.items() if key != "prior"}
    np.testing.assert_array_equal(possible_labels(**without_prior), total > 0)


@settings(max_examples=20, deadline=None)
@given(uncertain_data())
def test_probabilities_sum_to_one_and_conditioning_averages_back(data: dict[str, Any]) -> None:
    total, conditional = label_probabilities(**data), conditional_label_probabilities(**data)
    assert (total >= 0).all() and (conditional >= 0).all()
    np.testing.assert_allclose(total.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(conditional.sum(axis=2), 1, atol=1e-12)
    averaged = np.add.reduceat(data["prior"][:, None] * conditional, data["row_ptr"][:-1], axis=1)
    np.testing.assert_allclose(averaged, np.broadcast_to(total[:, None], averaged.shape), atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(uncertain_data(), st.integers(0, 2**32 - 1))
def test_certainty_only_grows_under_cleaning_and_gain_stays_between_bounds(
    data: dict[str, Any], seed: int
) -> None:
    clean = cpclean(data)
    rng = np.random.default_rng(seed)
    certain = clean.certain
    for row in rng.permutation(clean.uncertain_rows):
        gain = clean.information_gain()
        assert (gain >= 0).all() and (gain <= np.log2(N_CLASSES) + 1e-9).all()
        alternatives = np.flatnonzero(clean.prior[clean.row_ptr[row] : clean.row_ptr[row + 1]])
        clean.condition(int(row), int(rng.choice(alternatives)))
        assert (clean.certain >= certain).all()
        certain = clean.certain
    assert certain.all()
    assert set(np.unique(clean.label_probabilities)) <= {0.0, 1.0}


@settings(max_examples=25, deadline=None)
@given(uncertain_data(), st.integers(0, 2**32 - 1))
def test_shards_equal_the_whole(data: dict[str, Any], seed: int) -> None:
    clean = cpclean({**data, "points": np.repeat(data["points"], 3, axis=0) + 0.25})
    cut = np.random.default_rng(seed).permutation(clean.n_points)
    middle = clean.n_points // 2
    parts = [clean.shard(np.sort(half)) for half in (cut[:middle], cut[middle:])]
    total = sum(part.information() for part in parts)
    np.testing.assert_allclose(total, clean.information(), rtol=0, atol=1e-12)
    rows = clean.uncertain_rows
    if rows.size:
        for one in (clean, *parts):
            one.condition(int(rows[0]), int(np.flatnonzero(clean.prior[clean.row_ptr[rows[0]] :])[0]))
        total = sum(part.information() for part in parts)
        np.testing.assert_allclose(total, clean.information(), rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(2, 4), st.sampled_from([1, 3, 5, 7]), st.sampled_from([0, 3, 6])
)
def test_the_sweep_equals_the_clear_counting(seed: int, n_classes: int, k: int, skew: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, size=14)
    row_ptr = np.concatenate([[0], np.cumsum(sizes)])
    weights = 10.0 ** -rng.integers(0, skew + 1, size=row_ptr[-1])
    rows = read_alternatives(
        rng.integers(0, 5, size=(row_ptr[-1], 2)).astype(float),
        row_ptr,
        rng.integers(n_classes, size=14),
        n_classes=n_classes,
        prior=weights / np.repeat(np.add.reduceat(weights, row_ptr[:-1]), sizes),
    )
    ranked = rank_points(rows, rng.integers(0, 5, size=(2, 2)).astype(float), np.zeros(2, dtype=np.int64), k)
    found = information(ranked, rows.prior, np.arange(2))
    expected = np.zeros(14)
    for v in range(2):
        nearest = shortlist(rows, rows.prior, ranked.nearest(v), k)
        votes = conditional_votes(nearest, k)
        left = np.bincount(nearest.row, nearest.weight * entropy(votes.inside, 0))
        left += nearest.beyond * entropy(votes.outside, 0)
        expected[nearest.rows] += np.maximum(entropy(votes.base, 0) - left, 0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


@settings(max_examples=25, deadline=None)
@given(uncertain_data())
def test_beliefs_are_ordered(data: dict[str, Any]) -> None:
    belief = cpclean(data).belief()
    for value in (belief.expected, belief.potential, belief.default):
        assert belief.lower - 1e-12 <= value <= belief.upper + 1e-12
    assert 0 <= belief.sd <= 0.5


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(1, 5))
def test_label_beliefs_are_distributions_and_orders_are_permutations(
    seed: int, n_classes: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    X, y = rng.integers(0, 4, size=(12, 2)), rng.integers(n_classes, size=12)
    heard = hear(X, y, n_classes, k=k, witnesses=["neighbours", "self-value"])
    np.testing.assert_allclose(heard.shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(sum(heard.weights.values()), 1.0)
    beliefs = label_beliefs(X, y, n_classes, k=k, hearing=heard)
    assert (beliefs >= 0).all()
    np.testing.assert_allclose(beliefs.sum(axis=1), 1, atol=1e-12)
    assert sorted(suspicious(beliefs, y).tolist()) == list(range(12))
    assert 0 < estimate_noise(X, y, n_classes, k=k, hearing=heard) <= 0.95
