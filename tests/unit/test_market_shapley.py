from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from market_oracle import games_by_brute_force

from easeml_ray.errors import InvalidArgument
from easeml_ray.market import knn_shapley, ranking, seller_shapley

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "knn_shapley.json").read_text())["instances"]
ROWS = [case for case in GOLDEN if case["owners"] is None]
SELLERS = [case for case in GOLDEN if case["owners"] is not None]


def by_name(case: dict) -> str:
    return str(case["name"])


def arrays(case: dict) -> list[np.ndarray]:
    return [np.array(case[name]) for name in ("x_train", "y_train", "x_dev", "y_dev")]


@pytest.mark.parametrize("utility", ["jia", "soft"])
@pytest.mark.parametrize("case", ROWS, ids=by_name)
def test_row_values_equal_those_of_all_coalitions(case: dict, utility: str) -> None:
    X, y, Z, z = arrays(case)
    values = knn_shapley(X, y, Z, z, k=case["K"], utility=utility, n_classes=case["n_classes"])  # type: ignore[arg-type]
    assert np.allclose(values, case["values"][utility], rtol=0, atol=1e-9)
    assert values.sum() == pytest.approx(case["v_full"][utility] - case["v_empty"][utility], abs=1e-9)


@pytest.mark.parametrize("utility", ["jia", "soft"])
@pytest.mark.parametrize("case", SELLERS, ids=by_name)
def test_seller_values_equal_those_of_all_coalitions(case: dict, utility: str) -> None:
    X, y, Z, z = arrays(case)
    values = seller_shapley(
        X, y, case["owners"], Z, z, k=case["K"], utility=utility, n_classes=case["n_classes"]  # type: ignore[arg-type]
    )  # fmt: skip
    assert np.allclose(values, case["values"][utility], rtol=0, atol=1e-9)


def problem(seed: int, n: int, t: int, classes: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.standard_normal((n, 3)), rng.integers(0, classes, n),
        rng.standard_normal((t, 3)), rng.integers(0, classes, t),
    ]  # fmt: skip


@pytest.mark.parametrize("k", [1, 2, 4, 7])
@pytest.mark.parametrize("utility", ["jia", "soft"])
def test_row_values_with_ties_equal_brute_force(k: int, utility: str) -> None:
    X, y, Z, z = problem(0, 6, 3)
    X, Z = np.round(X), np.round(Z)
    expected = games_by_brute_force(X, y, [[r] for r in range(6)], Z, z, k, utility, 3)
    values = knn_shapley(X, y, Z, z, k=k, utility=utility, n_classes=3)  # type: ignore[arg-type]
    assert np.allclose(values, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 6])
@pytest.mark.parametrize("seed", range(4))
def test_seller_values_equal_brute_force(k: int, seed: int) -> None:
    X, y, Z, z = problem(seed, 9, 3, classes=2)
    X, Z = np.round(2 * X), np.round(2 * Z)
    owners = np.random.default_rng(seed).integers(0, 5, 9)
    owners[:5] = np.arange(5)
    expected = games_by_brute_force(X, y, [[int(o)] for o in owners], Z, z, k, "jia", 2)
    assert np.allclose(seller_shapley(X, y, owners, Z, z, k=k), expected, rtol=0, atol=1e-12)


def test_shared_rows_equal_brute_force() -> None:
    X, y, Z, z = problem(5, 8, 3)
    owners = [[0], [0, 1], [2], [1, 2, 3], [3], [0, 3], [1], [2]]
    for utility in ("jia", "soft"):
        expected = games_by_brute_force(X, y, owners, Z, z, 2, utility, 3)
        values = seller_shapley(X, y, owners, Z, z, k=2, utility=utility, n_classes=3)  # type: ignore[arg-type]
        assert np.allclose(values, expected, rtol=0, atol=1e-12)


def test_many_sellers_with_many_rows_agree_with_the_row_game_when_each_owns_one_row() -> None:
    X, y, Z, z = problem(2, 40, 5)
    rows = knn_shapley(X, y, Z, z, k=3)
    assert np.allclose(seller_shapley(X, y, np.arange(40), Z, z, k=3), rows, rtol=0, atol=1e-12)


def test_sellers_sum_to_what_all_rows_are_worth() -> None:
    X, y, Z, z = problem(3, 300, 20)
    owners = np.random.default_rng(0).integers(0, 25, 300)
    rows = knn_shapley(X, y, Z, z, k=5)
    for k in (1, 5):
        sellers = seller_shapley(X, y, owners, Z, z, k=k)
        assert sellers.sum() == pytest.approx(knn_shapley(X, y, Z, z, k=k).sum(), abs=1e-10)
    assert not np.allclose(sellers, np.bincount(owners, rows), atol=1e-4)


def test_copying_rows_is_not_rewarded_in_the_seller_game_but_in_the_sum_of_rows() -> None:
    X, y, Z, z = problem(4, 60, 20, classes=2)
    owners = np.arange(60) % 6
    mine = owners == 0
    X2, y2, owners2 = np.r_[X, X[mine]], np.r_[y, y[mine]], np.r_[owners, owners[mine]]
    one = seller_shapley(X, y, owners, Z, z, k=1), seller_shapley(X2, y2, owners2, Z, z, k=1)
    assert np.allclose(one[0], one[1], rtol=0, atol=1e-12)
    rows, rows2 = knn_shapley(X, y, Z, z, k=1), knn_shapley(X2, y2, Z, z, k=1)
    assert abs(rows2[owners2 == 0].sum() - rows[mine].sum()) > 1e-3


def test_a_seller_number_without_rows_is_worth_nothing() -> None:
    X, y, Z, z = problem(6, 10, 2)
    values = seller_shapley(X, y, [0] * 5 + [7] * 5, Z, z)
    assert values.shape == (8,) and not values[1:7].any()


@pytest.mark.parametrize("utility", ["jia", "soft"])
def test_blocks_of_development_rows_give_the_same_values(
    monkeypatch: pytest.MonkeyPatch, utility: str
) -> None:
    X, y, Z, z = problem(7, 50, 13)
    owners = np.arange(50) % 4
    rows = knn_shapley(X, y, Z, z, utility=utility)  # type: ignore[arg-type]
    sellers = seller_shapley(X, y, owners, Z, z, utility=utility)  # type: ignore[arg-type]
    near = knn_shapley(X, y, Z, z, epsilon=0.1)
    monkeypatch.setattr(ranking, "USUAL_BYTES", 8 * 50 * 3)
    monkeypatch.setattr(ranking, "FEWEST_ROWS", 1)
    monkeypatch.setattr(ranking, "WHOLE_BYTES", 0)
    monkeypatch.setattr(ranking, "CHUNK_BYTES", 8 * 4 * 10)  # train rows come in chunks as well
    monkeypatch.setattr("easeml_ray.market.sellers.BLOCK_VALUES", 64)
    assert len(list(ranking.blocks(X, Z))) == 5
    assert np.allclose(knn_shapley(X, y, Z, z, utility=utility), rows, rtol=0, atol=1e-12)  # type: ignore[arg-type]
    again = seller_shapley(X, y, owners, Z, z, utility=utility)  # type: ignore[arg-type]
    assert np.allclose(again, sellers, rtol=0, atol=1e-12)
    assert np.allclose(knn_shapley(X, y, Z, z, epsilon=0.1), near, rtol=0, atol=1e-12)


@pytest.mark.parametrize("epsilon", [0.5, 0.1, 0.02])
def test_truncated_values_err_by_less_than_epsilon_and_sum_to_the_same(epsilon: float) -> None:
    X, y, Z, z = problem(8, 400, 30)
    exact, near = knn_shapley(X, y, Z, z, k=3), knn_shapley(X, y, Z, z, k=3, epsilon=epsilon)
    assert np.abs(near - exact).max() <= epsilon
    assert near.sum() == pytest.approx(exact.sum(), abs=1e-10)


def test_truncation_is_exact_when_all_rows_are_ordered() -> None:
    X, y, Z, z = problem(9, 20, 5)
    assert np.array_equal(knn_shapley(X, y, Z, z, epsilon=0.05), knn_shapley(X, y, Z, z))


@pytest.mark.parametrize("n", [12, 300, 3000])
def test_the_nearest_rows_are_in_order_with_ties_to_the_smaller_index(n: int) -> None:
    rng = np.random.default_rng(n)
    X, Z = np.round(rng.standard_normal((n, 2)), 1), np.round(rng.standard_normal((7, 2)), 1)
    for count in (1, 5, n // 2, n):
        rows, d2 = ranking.nearest(X, Z, count)
        for point, mine, mine_d2 in zip(Z, rows, d2, strict=True):
            direct = np.square(X - point).sum(axis=1)
            order = np.argsort(direct, kind="stable")[:count]
            assert mine.tolist() == order.tolist()
            assert np.array_equal(mine_d2, direct[order])


def test_one_row_and_all_equal_labels_and_an_unseen_development_label() -> None:
    assert knn_shapley([[0.0]], [1], [[0.0]], [1], k=3).tolist() == [1 / 3]
    assert knn_shapley([[0.0]], [1], [[0.0]], [1], k=3, utility="soft").tolist() == [0.5]
    assert np.allclose(knn_shapley(np.zeros((4, 2)), [1] * 4, np.zeros((2, 2)), [1, 1], k=2), 0.25)
    assert not knn_shapley([[0.0], [1.0]], [0, 1], [[0.0]], [2]).any()


def test_bad_input_is_refused() -> None:
    X, y, Z, z = problem(0, 14, 2)

    def refused(words: str, **changes: object) -> None:
        with pytest.raises(InvalidArgument, match=words):
            knn_shapley(**({"X": X, "y": y, "X_dev": Z, "y_dev": z} | changes))  # type: ignore[arg-type]

    refused("k is 0", k=0)
    refused("k is 1.5", k=1.5)
    refused("no utility 'mean'", utility="mean")
    refused("epsilon is 0", epsilon=0)
    refused("epsilon holds for utility jia", epsilon=0.1, utility="soft")
    refused("X_dev has 2 features", X_dev=Z[:, :2])
    refused("y has 3 labels for 14", y=[0, 1, 2])
    refused("X_dev has 0 row", X_dev=np.empty((0, 3)), y_dev=[])
    refused("X holds NaN", X=X * np.nan)
    refused("n_classes is 2", n_classes=2)

    def seller_refused(words: str, owners: object, **more: object) -> None:
        with pytest.raises(InvalidArgument, match=words):
            seller_shapley(X, y, owners, Z, z, **more)  # type: ignore[arg-type]

    seller_refused("3 entries for 14", [0, 1, 2])
    seller_refused("owner of row 13 is -1", [0] * 13 + [-1])
    seller_refused(r"owner of row 0 is \[\]", [[]] + [[0]] * 13)
    seller_refused("owner of row 0 is 0.5", [0.5] * 14)
    seller_refused("owner of row 0 is 'ada'", ["ada"] * 14)
    seller_refused("14 sellers with shared rows or the soft", list(range(14)), utility="soft")
    seller_refused("14 sellers with shared", [[i, 0] for i in range(14)])


@pytest.mark.parametrize(("k", "utility"), [(1, "jia"), (4, "jia"), (3, "soft")])
def test_twelve_sellers_equal_brute_force(k: int, utility: str) -> None:
    X, y, Z, z = problem(11, 30, 2)
    owners = np.random.default_rng(1).permutation(np.arange(30) % 12)
    values = seller_shapley(X, y, owners, Z, z, k=k, utility=utility, n_classes=3)  # type: ignore[arg-type]
    expected = games_by_brute_force(X, y, [[int(o)] for o in owners], Z, z, k, utility, 3)
    assert np.allclose(values, expected, rtol=0, atol=1e-12)


def test_so_many_sellers_that_fewer_moments_are_enough_agree_with_the_row_game() -> None:
    rng = np.random.default_rng(0)
    X, y, Z, z = (
        rng.standard_normal((301, 2)),
        rng.integers(0, 2, 301),
        rng.standard_normal((3, 2)),
        [0, 1, 1],
    )
    owners = np.arange(301)
    rows = knn_shapley(X, y, Z, z, k=4)
    # A second row of one seller, farther than all: the general game runs, and hardly moves.
    X2, y2, owners2 = np.r_[X, [[1e3, 1e3]]], np.r_[y, 2], np.r_[owners, 0]
    values = seller_shapley(X2, y2, owners2, Z, z, k=4)
    assert values.sum() == pytest.approx(rows.sum(), abs=1e-12)
    assert np.allclose(values[1:], rows[1:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("rows", ["normal", "whole", "skewed"])
def test_many_rows_are_dealt_out_and_ordered_alike(monkeypatch: pytest.MonkeyPatch, rows: str) -> None:
    rng = np.random.default_rng(3)
    n = 140_000
    X = {
        "normal": rng.standard_normal((n, 2)),
        "whole": np.round(rng.standard_normal((n, 2))),
        "skewed": np.exp(4.0 * rng.standard_normal((n, 2))),
    }[rows]
    y, Z = rng.integers(0, 2, n), rng.standard_normal((1, 2)) if rows != "whole" else np.zeros((1, 2))
    expected = np.zeros(n)
    order = np.argsort(np.square(X - Z[0]).sum(axis=1), kind="stable")
    a, rank = (y[order] == 1).astype(float), np.arange(1, n + 1)
    behind = np.append(np.cumsum((a / np.maximum(rank * (rank - 1.0), 1.0))[::-1])[::-1], 0.0)
    expected[order] = a / np.maximum(rank, 5) - behind[np.maximum(rank, 5)]
    assert np.allclose(knn_shapley(X, y, Z, [1], k=5), expected, rtol=0, atol=1e-12)


def test_at_equal_distance_the_smaller_row_is_nearer_of_all_and_of_each_group() -> None:
    X = np.array([[2.0], [1.0], [2.0], [0.0]])
    rows, d2 = ranking.nearest(X, X[3:], 3)
    assert rows.tolist() == [[3, 1, 0]] and d2.tolist() == [[0.0, 1.0, 4.0]]
    (_, kept), *rest = ranking.nearest_of_each(X, X[3:], np.array([0, 0, 0, 1]), 2)
    assert kept.tolist() == [[3, 1, 0]] and not rest
