from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from easeml_ray.neighbors import kernel, passes
from easeml_ray.neighbors.distances import Metric, directions
from easeml_ray.neighbors.nearest import NearestNeighbor
from easeml_ray.neighbors.neighbors import NearestNeighbors

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
seeds = st.integers(0, 2**32 - 1)
metrics = st.sampled_from(["euclidean", "cosine"])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "TEST_BLOCK", 5)
    monkeypatch.setattr(kernel, "TRAIN_BLOCK", 16)
    monkeypatch.setattr(passes, "INTEGER_WORK", 0.0)


def problem(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Train and test rows: ties, near ties, or any magnitudes."""
    n, t, d = rng.integers(1, 70), rng.integers(1, 14), rng.integers(1, 6)
    X, Z = rng.integers(0, 4, (n, d)) / 3.0, rng.integers(0, 4, (t, d)) / 3.0
    kind = rng.integers(3)
    if kind == 1:
        X, Z = X + 1e-12 * rng.standard_normal((n, d)), Z + 1e5 * rng.standard_normal(d)
    if kind == 2:
        X, Z = X * 10.0 ** rng.integers(-200, 139, (n, 1)), Z * 10.0 ** rng.integers(-200, 139, (t, 1))
    return X, Z


def by_loops(X: np.ndarray, Z: np.ndarray, k: int, metric: Metric) -> tuple[np.ndarray, np.ndarray]:
    if metric == "cosine":
        X, Z = directions(X), directions(Z)
    distance = np.array([[np.square(z - x).sum() for x in X] for z in Z])
    order = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distance, order, axis=1), order


@few
@given(seeds, metrics, st.sampled_from([1, 2, 5]))
def test_any_split_merged_in_any_order_equals_the_loop_over_pairs(seed: int, metric: Metric, k: int) -> None:
    rng = np.random.default_rng(seed)
    X, Z = problem(rng)
    part = rng.integers(0, 3, len(X))
    merged = NearestNeighbors(Z, k, metric=metric)
    for p in rng.permutation(3):
        rows = rng.permutation(np.flatnonzero(part == p))
        cut = int(rng.integers(0, rows.size + 1))
        state = NearestNeighbors(Z, k, metric=metric)
        state.append(X[rows[:cut]], index=rows[:cut]).append(X[rows[cut:]], index=rows[cut:])
        merged.merge(state.found() if rng.random() < 0.5 else state)
    distance, nearest = by_loops(X, Z, k, metric)
    seen = nearest.shape[1]
    assert np.array_equal(merged.nearest[:, :seen], nearest)
    assert np.array_equal(merged.distance[:, :seen], distance)
    assert (merged.nearest[:, seen:] == -1).all() and np.isinf(merged.distance[:, seen:]).all()


@few
@given(seeds, metrics)
def test_one_state_over_all_and_merged_ones_agree_on_labels_and_errors(seed: int, metric: Metric) -> None:
    rng = np.random.default_rng(seed)
    X, Z = problem(rng)
    y, z = rng.integers(0, 3, len(X)), rng.integers(0, 3, len(Z))
    cut = int(rng.integers(0, len(X) + 1))
    whole = NearestNeighbor(Z, z, 3, metric=metric).append(X, y)
    last = NearestNeighbor(Z, z, 3, metric=metric).append(X[cut:], y[cut:], start=cut)
    first = NearestNeighbor(Z, z, 3, metric=metric).append(X[:cut], y[:cut])
    light = NearestNeighbor(Z, z, 3, metric=metric).merge_found(last.found(), y).merge_found(first.found(), y)
    for state in (last.merge(first), light):
        assert np.array_equal(state.nearest, whole.nearest)
        assert np.array_equal(state.distance, whole.distance)
        assert np.array_equal(state.label, whole.label) and state.errors == whole.errors
    assert whole.nearest.tolist() == by_loops(X, Z, 1, metric)[1][:, 0].tolist()


@few
@given(seeds)
def test_errors_are_counted_along_every_change(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, Z = problem(rng)
    y, z = rng.integers(0, 3, len(X)), rng.integers(0, 3, len(Z))
    state = NearestNeighbor(Z, z, 3)
    done = 0
    while done < len(X):
        size = int(rng.integers(1, len(X) - done + 1))
        state.append(X[done : done + size], y[done : done + size])
        done += size
        train = rng.permutation(done)[: rng.integers(0, done + 1)]
        test = rng.permutation(len(Z))[: rng.integers(0, len(Z) + 1)]
        y[train], z[test] = rng.integers(0, 3, train.size), rng.integers(0, 3, test.size)
        state.relabel_train(train, y[train]).relabel_test(test, z[test])
        assert state.errors == np.count_nonzero(state.wrong)
        assert np.array_equal(state.wrong, y[state.nearest] != z)
