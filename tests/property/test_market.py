from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_oracle import row_values

from easeml_ray.market import knn_shapley, seller_shapley, split_payment
from easeml_ray.market.shapley import shard_values

seeds = st.integers(0, 2**32 - 1)
ks = st.integers(1, 8)
utilities = st.sampled_from(["jia", "soft"])


def problem(seed: int, *, ties: bool = False) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    n, t = int(rng.integers(1, 25)), int(rng.integers(1, 6))
    X, Z = rng.standard_normal((n, 2)), rng.standard_normal((t, 2))
    if ties:
        X, Z = np.round(X), np.round(Z)
    return [X, rng.integers(0, 3, n), Z, rng.integers(0, 3, t)]


def worth_of_all(X: np.ndarray, y: np.ndarray, Z: np.ndarray, z: np.ndarray, k: int, utility: str) -> float:
    order = np.argsort(np.square(Z[:, None] - X[None]).sum(axis=2), axis=1, kind="stable")[:, :k]
    right = (y[order] == z[:, None]).sum(axis=1)
    return float((right / (k if utility == "jia" else min(k, len(X)))).mean())


@settings(max_examples=35, deadline=None)
@given(seeds, ks, utilities, st.booleans())
def test_efficiency_values_sum_to_the_worth_of_all_less_that_of_none(
    seed: int, k: int, utility: str, ties: bool
) -> None:
    X, y, Z, z = problem(seed, ties=ties)
    values = knn_shapley(X, y, Z, z, k=k, utility=utility, n_classes=3)
    empty = 0.0 if utility == "jia" else 1 / 3
    assert np.isclose(values.sum(), worth_of_all(X, y, Z, z, k, utility) - empty, atol=1e-10)


@settings(max_examples=20, deadline=None)
@given(seeds, ks)
def test_efficiency_holds_for_sellers(seed: int, k: int) -> None:
    X, y, Z, z = problem(seed, ties=True)
    owners = np.random.default_rng(seed).integers(0, 7, len(X))
    values = seller_shapley(X, y, owners, Z, z, k=k)
    assert np.isclose(values.sum(), worth_of_all(X, y, Z, z, k, "jia"), atol=1e-10)


@settings(max_examples=20, deadline=None)
@given(seeds, ks, utilities)
def test_permuting_rows_permutes_their_values(seed: int, k: int, utility: str) -> None:
    X, y, Z, z = problem(seed)
    order = np.random.default_rng(seed).permutation(len(X))
    values = knn_shapley(X, y, Z, z, k=k, utility=utility, n_classes=3)
    permuted = knn_shapley(X[order], y[order], Z, z, k=k, utility=utility, n_classes=3)
    assert np.allclose(permuted, values[order], atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seeds, ks, utilities)
def test_values_are_additive_over_development_rows(seed: int, k: int, utility: str) -> None:
    X, y, Z, z = problem(seed, ties=True)
    each = [
        knn_shapley(X, y, Z[i : i + 1], z[i : i + 1], k=k, utility=utility, n_classes=3)
        for i in range(len(Z))
    ]
    whole = knn_shapley(X, y, Z, z, k=k, utility=utility, n_classes=3)
    assert np.allclose(whole, np.mean(each, axis=0), atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seeds, ks, utilities)
def test_symmetry_same_labels_without_another_label_between_have_equal_values(
    seed: int, k: int, utility: str
) -> None:
    X, y, Z, z = problem(seed)
    near = np.argsort(np.square(X - Z[0]).sum(axis=1))
    values = knn_shapley(X, y, Z[:1], z[:1], k=k, utility=utility, n_classes=3)[near]
    match = y[near] == z[0]
    alike = match[1:] == match[:-1]
    assert np.allclose(values[1:][alike], values[:-1][alike], atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seeds, ks)
def test_a_seller_that_matches_and_displaces_nothing_is_worth_nothing(seed: int, k: int) -> None:
    X, y, Z, z = problem(seed)
    far = np.full((4, 2), 100.0)
    owners = np.concatenate([np.arange(len(X)) % 4, np.full(4, 4)])
    # Farther than all rows, with a label that no development row has.
    values = seller_shapley(np.r_[X, far], np.r_[y, np.full(4, 3)], owners, Z, z, k=k, n_classes=4)
    assert values[4] == pytest.approx(0.0, abs=1e-12)


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_moving_and_turning_all_rows_changes_nothing(seed: int) -> None:
    X, y, Z, z = problem(seed)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    values = knn_shapley(X, y, Z, z, k=3)
    assert np.allclose(knn_shapley(4 * X @ turn + 7, y, 4 * Z @ turn + 7, z, k=3), values, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(seeds, ks)
def test_values_stay_within_their_range(seed: int, k: int) -> None:
    X, y, Z, z = problem(seed)
    values = knn_shapley(X, y, Z, z, k=k)
    assert values.max() <= 1 / k + 1e-12
    assert values.min() >= -max(0.0, 1 / k - 1 / len(X)) - 1e-12


@settings(max_examples=45, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12), st.integers(0, 10**9))
def test_payments_sum_to_the_amount_and_lie_within_a_cent_of_their_quotas(
    shares: list[float], cents: int
) -> None:
    paid = split_payment(shares, cents)
    assert sum(paid) == cents and min(paid) >= 0
    positive = [Fraction(max(share, 0.0)) for share in shares]
    if any(positive):
        for part, amount in zip(positive, paid, strict=True):
            assert abs(cents * part / sum(positive) - amount) < 1
    else:
        assert max(paid) - min(paid) <= 1


@settings(max_examples=30, deadline=None)
@given(seeds, ks, utilities, st.sampled_from([1.0, 2.0**40, 2.0**-40]), st.booleans())
def test_values_are_those_of_the_clear_form(seed: int, k: int, utility: str, scale: float, far: bool) -> None:
    X, y, Z, z = problem(seed, ties=True)
    X, Z = X * scale, Z * scale
    if far:
        X[0] += scale * 2.0**30  # one row so far that all others share the sort's first bits
    values = knn_shapley(X, y, Z, z, k=k, utility=utility, n_classes=3)
    assert np.allclose(values, row_values(X, y, Z, z, k, utility), rtol=0, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(seeds, st.sampled_from([0.5, 0.2, 0.1]))
def test_truncated_values_are_those_of_the_clear_form_and_keep_the_sum(seed: int, epsilon: float) -> None:
    X, y, Z, z = problem(seed, ties=True)
    values = knn_shapley(X, y, Z, z, k=2, epsilon=epsilon)
    assert np.allclose(values, row_values(X, y, Z, z, 2, epsilon=epsilon), rtol=0, atol=1e-12)
    assert np.isclose(values.sum(), worth_of_all(X, y, Z, z, 2, "jia"), atol=1e-10)


@settings(max_examples=15, deadline=None)
@given(seeds, ks, utilities)
def test_parts_of_the_development_rows_add_up_to_the_whole(seed: int, k: int, utility: str) -> None:
    X, y, Z, z = problem(seed, ties=True)
    parts = [
        shard_values(X, y, Z[i::2], z[i::2], k=k, utility=utility, n_classes=3) for i in range(min(2, len(Z)))
    ]
    whole = knn_shapley(X, y, Z, z, k=k, utility=utility, n_classes=3)
    assert np.allclose(sum(parts) / len(Z), whole, rtol=0, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_a_seller_who_copies_rows_gets_the_same_at_one_neighbour(seed: int) -> None:
    X, y, Z, z = problem(seed)
    owners = np.arange(len(X)) % 3
    mine = owners == 0
    copied = seller_shapley(np.r_[X, X[mine]], np.r_[y, y[mine]], np.r_[owners, owners[mine]], Z, z, k=1)
    assert np.allclose(copied, seller_shapley(X, y, owners, Z, z, k=1), rtol=0, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(seeds, ks)
def test_sellers_are_additive_over_development_rows_and_follow_their_numbers(seed: int, k: int) -> None:
    X, y, Z, z = problem(seed, ties=True)
    owners = np.random.default_rng(seed).integers(0, 4, len(X))
    owners[0] = 3  # so that every answer has the same length
    each = [seller_shapley(X, y, owners, Z[i : i + 1], z[i : i + 1], k=k) for i in range(len(Z))]
    whole = seller_shapley(X, y, owners, Z, z, k=k)
    assert np.allclose(whole, np.mean(each, axis=0), rtol=0, atol=1e-12)
    renamed = seller_shapley(X, y, 5 - owners, Z, z, k=k)
    assert np.allclose(renamed[5 - np.unique(owners)], whole[np.unique(owners)], rtol=0, atol=1e-12)
