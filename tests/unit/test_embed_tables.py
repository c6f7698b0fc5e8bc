from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from scipy.special import ndtri
from sklearn import datasets
from sklearn.decomposition import PCA

from easeml_ray.embed import embedding_named
from easeml_ray.embed.discriminant import MOST_FEATURES, Discriminant, discriminant_directions
from easeml_ray.embed.forest import MOST_LEAVES, Forest
from easeml_ray.embed.fourier import RandomFourier, median_distance
from easeml_ray.embed.projection import RandomProjection
from easeml_ray.embed.quantile import MOST_KNOTS, Quantile

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "one_nn_errors.json").read_text())
LINEAR = [c for c in GOLDEN["cases"] if c["seed"] == 0 and not c["embedding"].startswith("nca")]
LOADERS = {
    "digits": datasets.load_digits,
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
}
RNG = np.random.default_rng(3)
TRAIN = np.column_stack([RNG.standard_normal((30, 4)) * [1.0, 10.0, 100.0, 0.1], np.full(30, 0.1)])
OTHER = RNG.standard_normal((7, 5))


def nearest(train: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return cdist(rows, train, "sqeuclidean").argmin(axis=1)


@pytest.mark.parametrize("case", LINEAR, ids=lambda c: f"{c['dataset']}-{c['embedding']}")
def test_golden_error_counts_are_those_of_the_embedding_of_that_name(case: dict) -> None:
    X, y = LOADERS[case["dataset"]](return_X_y=True)
    order = np.random.default_rng(case["seed"]).permutation(len(X))
    test, train = order[: len(X) // 4], order[len(X) // 4 :]
    method, _, size = case["embedding"].partition("-")
    if method == "rp":
        embedding = RandomProjection(int(size), seed=case["seed"] + 1000)
    else:
        embedding = embedding_named(
            {"identity": "raw", "standardize": "standardise"}.get(method, f"pca-{size}")
        )
    fitted = embedding.fit(X[train])
    Z, T = fitted.transform(X[train]), fitted.transform(X[test])
    assert (y[train[nearest(Z, T)]] != y[test]).sum() == case["exact64_errors"][-1]


def test_standardise_gives_zero_mean_and_unit_deviation_and_leaves_constants_at_zero() -> None:
    Z = embedding_named("standardise").fit(TRAIN).transform(TRAIN)
    assert np.allclose(Z.mean(axis=0), 0.0)
    assert np.allclose(Z.std(axis=0), [1, 1, 1, 1, 0])
    assert (Z[:, 4] == 0.0).all()


@pytest.mark.parametrize("rows", [30, 4])
def test_components_are_those_of_a_full_decomposition_but_for_their_signs(rows: int) -> None:
    train = TRAIN[:rows]
    Z = embedding_named("pca-3").fit(train).transform(OTHER)
    scaler = embedding_named("standardise").fit(train)
    oracle = PCA(3, svd_solver="full").fit(scaler.transform(train)).transform(scaler.transform(OTHER))
    assert np.allclose(np.abs(Z), np.abs(oracle))


def test_components_are_limited_by_rows_and_features_and_keep_distances_when_all_are_kept() -> None:
    fitted = embedding_named("pca-16").fit(TRAIN)
    Z = fitted.transform(TRAIN)
    S = embedding_named("standardise").fit(TRAIN).transform(TRAIN)
    assert Z.shape == (30, 5)
    assert np.allclose(np.linalg.norm(Z[0] - Z[1:], axis=1), np.linalg.norm(S[0] - S[1:], axis=1))
    assert embedding_named("pca-8").fit(TRAIN[:3]).transform(OTHER).shape == (7, 3)


def test_quantile_gives_normal_scores_of_mid_ranks_and_holds_outliers_at_the_ends() -> None:
    fitted = Quantile().fit([[1.0], [2.0], [2.0], [9.0]])
    Z = fitted.transform([[1.0], [2.0], [9.0], [-1e9], [1e9], [1.5]])[:, 0]
    low, middle, high = ndtri([1 / 8, 4 / 8, 7 / 8])
    assert np.allclose(Z, [low, middle, high, low, high, (low + middle) / 2])


def test_quantile_of_many_distinct_values_interpolates_between_some() -> None:
    x = np.random.default_rng(0).lognormal(size=(5000, 1))
    fitted = Quantile().fit(x)
    assert len(fitted.map.values[0]) == MOST_KNOTS
    exact = ndtri((x[:, 0].argsort().argsort() + 0.5) / 5000)
    # Only in the tails does a knot stand for several ranks that are far from each other.
    wrong = np.abs(fitted.transform(x)[:, 0] - exact)
    assert wrong[np.abs(exact) < 2.5].max() < 0.02 and wrong.max() < 0.4


def test_random_projections_keep_squared_distances_on_average() -> None:
    X = np.random.default_rng(0).standard_normal((200, 50))
    S, Z = (embedding_named(name).fit(X).transform(X) for name in ("standardise", "random-projection-64"))
    ratio = np.square(pdist(Z) / pdist(S))
    assert ratio.mean() == pytest.approx(1.0, abs=0.05) and ratio.std() < 1.2 * np.sqrt(2 / 64)
    other = RandomProjection(64, seed=1).fit(X).transform(X)
    assert not np.allclose(other, Z)


def test_products_of_fourier_features_approach_the_gaussian_kernel() -> None:
    X = np.random.default_rng(0).standard_normal((60, 6))
    S = embedding_named("standardise").fit(X).transform(X)
    d2 = np.square(S[:, None] - S[None]).sum(axis=2)
    Z = RandomFourier(4096).fit(X).transform(X)
    kernel = np.exp(-d2 / (2.0 * median_distance(S) ** 2))
    assert np.abs(Z @ Z.T - kernel).max() < 0.1


def test_median_distance_leaves_out_pairs_that_do_not_differ() -> None:
    assert median_distance(np.ones((5, 2))) == 1.0
    assert median_distance(np.array([[0.0], [0.0], [0.0], [2.0]])) == 2.0


def test_discriminants_hold_classes_apart_that_hide_among_correlated_features() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    # The difference of two features that share most of their variance tells the class.
    shared = 3.0 * rng.standard_normal((600, 5))
    X = np.column_stack([shared, shared + 0.5 * rng.standard_normal((600, 5))])
    X[:, 0] += 3.0 * (y == 1)
    X[:, 1] += 3.0 * (y == 2)
    errors = {}
    for name in ("standardise", "discriminant"):
        fitted = embedding_named(name).fit(X[:400], y[:400])
        Z, T = fitted.transform(X[:400]), fitted.transform(X[400:])
        errors[name] = (y[:400][nearest(Z, T)] != y[400:]).mean()
    assert Z.shape == (400, 2)
    assert errors["discriminant"] < 0.02 < 0.4 < errors["standardise"]


def test_the_discriminant_of_two_round_classes_joins_their_means() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 2000)
    apart = np.array([1.0, -2.0, 0.0, 0.5])
    S = rng.standard_normal((2000, 4)) + y[:, None] * apart
    direction = discriminant_directions(S - S.mean(axis=0), y)[:, 0]
    assert abs(direction @ apart) > 0.995 * np.linalg.norm(direction) * np.linalg.norm(apart)


def test_discriminants_of_wide_tables_are_sought_among_their_components() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    X = rng.standard_normal((60, MOST_FEATURES + 20)) + 2.0 * y[:, None]
    Z = Discriminant().fit(X, y).transform(X)[:, 0]
    assert np.abs(Z[y == 0].mean() - Z[y == 1].mean()) > 3.0 * Z[y == 0].std()


def test_forest_distances_approach_the_share_of_leaves_that_differ() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((90, 5)), rng.integers(0, 2, 90)
    fitted = Forest(2048).fit(X, y)
    Z = fitted.transform(X)
    S = fitted.map.scaler(X).astype(np.float32)
    leaves = np.stack([tree.apply(S) for tree in fitted.map.trees], axis=1)
    expected = 2.0 * (leaves[:, None] != leaves[None]).mean(axis=2)
    found = cdist(Z, Z, "sqeuclidean")
    assert np.abs(found - expected).max() < 5.0 * np.sqrt(8 / 2048)
    assert max(len(signs) for signs in fitted.map.signs) <= MOST_LEAVES


def test_a_forest_ignores_scales_and_features_that_do_not_matter_and_bears_far_rows() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 500)
    X = np.column_stack([rng.standard_normal((500, 20)), y + 0.3 * rng.standard_normal(500)])
    errors = {}
    for name in ("standardise", "forest-128"):
        fitted = embedding_named(name).fit(X[:300], y[:300])
        found = nearest(fitted.transform(X[:300]), fitted.transform(X[300:]))
        errors[name] = (y[:300][found] != y[300:]).mean()
    assert errors["forest-128"] < 0.12 < 0.25 < errors["standardise"]
    assert np.isfinite(fitted.transform(np.full((1, 21), 1e139))).all()


@pytest.mark.parametrize("scale", [1e-200, 1e-310])
def test_features_so_small_that_their_squares_vanish_have_no_discriminant(scale: float) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    X = (rng.standard_normal((60, 3)) + y[:, None]) * scale
    assert np.isfinite(embedding_named("discriminant").fit(X, y).transform(X)).all()
