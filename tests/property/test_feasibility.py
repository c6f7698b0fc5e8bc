from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from easeml_ray.feasibility import NearestNeighbor, cover_hart_lower_bound
from easeml_ray.feasibility.curves import bootstrap_errors, decay_exponents, extrapolate
from easeml_ray.statistics import clopper_pearson

seeds = st.integers(0, 2**32 - 1)


def problem(seed: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Few grid points, so that most distances tie."""
    rng = np.random.default_rng(seed)
    n, t, d = rng.integers(1, 25), rng.integers(1, 10), rng.integers(1, 4)
    X, Z = rng.integers(0, 3, (n, d)) / 3.0, rng.integers(0, 3, (t, d)) / 3.0
    return rng, X, rng.integers(0, 3, n), Z, rng.integers(0, 3, t)


def by_loops(X: np.ndarray, y: np.ndarray, Z: np.ndarray, z: np.ndarray) -> tuple[list[int], int]:
    nearest = []
    for row in Z:
        pairs = [(float(np.square(row - x).sum()), j) for j, x in enumerate(X)]
        nearest.append(min(pairs)[1])
    return nearest, sum(int(y[j] != label) for j, label in zip(nearest, z, strict=True))


@settings(max_examples=35, deadline=None)
@given(seeds)
def test_appending_in_parts_equals_the_loop_over_pairs(seed: int) -> None:
    rng, X, y, Z, z = problem(seed)
    state = NearestNeighbor(Z, z, 3)
    cut = int(rng.integers(0, len(X) + 1))
    state.append(X[:cut], y[:cut]).append(X[cut:], y[cut:])
    nearest, errors = by_loops(X, y, Z, z)
    assert state.nearest.tolist() == nearest and state.errors == errors


@settings(max_examples=35, deadline=None)
@given(seeds)
def test_merging_parts_in_any_order_equals_the_whole(seed: int) -> None:
    rng, X, y, Z, z = problem(seed)
    part = rng.integers(0, 3, len(X))
    states = [
        NearestNeighbor(Z, z, 3).append(X[part == p], y[part == p], index=np.flatnonzero(part == p))
        for p in rng.permutation(3)
    ]
    merged = NearestNeighbor(Z, z, 3)
    for state in states:
        merged.merge(state)
    nearest, errors = by_loops(X, y, Z, z)
    assert merged.nearest.tolist() == nearest and merged.errors == errors


@settings(max_examples=35, deadline=None)
@given(seeds)
def test_relabelling_equals_recomputation(seed: int) -> None:
    rng, X, y, Z, z = problem(seed)
    state = NearestNeighbor(Z, z, 3).append(X, y)
    for _ in range(3):
        train = rng.permutation(len(X))[: rng.integers(0, len(X) + 1)]
        test = rng.permutation(len(Z))[: rng.integers(0, len(Z) + 1)]
        y[train], z[test] = rng.integers(0, 3, len(train)), rng.integers(0, 3, len(test))
        state.relabel_train(train, y[train]).relabel_test(test, z[test])
        assert state.errors == by_loops(X, y, Z, z)[1]
        assert np.array_equal(state.wrong, NearestNeighbor(Z, z, 3).append(X, y).wrong)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 50), st.floats(0, 1), st.floats(0, 1))
def test_cover_hart_grows_and_stays_between_half_the_error_and_the_error(
    classes: int, a: float, b: float
) -> None:
    low, high = sorted((a, b))
    assert cover_hart_lower_bound(low, classes) <= cover_hart_lower_bound(high, classes)
    bound, cut = cover_hart_lower_bound(high, classes), min(high, (classes - 1) / classes)
    assert cut / 2 - 1e-12 <= bound <= cut + 1e-12


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 200), st.data())
def test_clopper_pearson_holds_the_observed_rate_and_widens_with_confidence(
    n: int, data: st.DataObject
) -> None:
    errors = data.draw(st.integers(0, n))
    low, high = clopper_pearson(errors, n, confidence=0.8)
    wider_low, wider_high = clopper_pearson(errors, n, confidence=0.95)
    assert 0 <= wider_low <= low <= errors / n <= high <= wider_high <= 1


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_bootstrap_worlds_resample_all_embeddings_and_prefixes_together(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wrong = rng.random((2, 3, 9)) < 0.4
    rates = bootstrap_errors(wrong, 5, np.random.default_rng(seed))
    drawn = np.random.default_rng(seed).integers(0, 9, (5, 9))
    for world, rows in enumerate(drawn):
        assert np.allclose(rates[world], wrong[:, :, rows].mean(axis=2))


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 1.5), st.floats(0.02, 0.3))
def test_an_exact_power_law_gives_its_exponent_and_its_extrapolation(a: float, scale: float) -> None:
    sizes = np.arange(100, 1001, 100)
    h = scale * (sizes / 100.0) ** -a
    errors = h * (2.0 - 2.0 * h)
    fitted = decay_exponents(errors, sizes, 10**9, 2)
    assert abs(fitted - a) < 1e-3
    assert np.isclose(extrapolate(h[-1:], np.array([a]), 10.0), scale * 100.0**-a)
