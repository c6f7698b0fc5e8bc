from __future__ import annotations

import numpy as np
import pytest
from market_oracle import games_by_brute_force

from easeml_ray.component.executor import LocalExecutor
from easeml_ray.errors import InvalidArgument
from easeml_ray.market import knn_shapley, spread
from easeml_ray.market.montecarlo import sampled_seller_shapley
from easeml_ray.market.sellers import seller_shapley
from easeml_ray.market.spread import spread_values


def problem(seed: int, n: int, t: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.standard_normal((n, 3)), rng.integers(0, 3, n), rng.standard_normal((t, 3)), rng.integers(0, 3, t)
    ]  # fmt: skip


@pytest.mark.parametrize("utility", ["jia", "soft"])
def test_drawn_sellers_with_shared_rows_agree_with_every_coalition(utility: str) -> None:
    X, y, Z, z = problem(5, 12, 4)
    owners = [[0], [0, 1], [2], [1, 2, 3], [3], [0, 3], [1], [2], [4], [4, 5], [5], [0]]
    found = sampled_seller_shapley(
        X, y, owners, Z, z, k=2, utility=utility, n_classes=3, half_width=0.01, most_orders=20_000  # type: ignore[arg-type]
    )  # fmt: skip
    exact = games_by_brute_force(X, y, owners, Z, z, 2, utility, 3)
    assert found.converged
    assert (np.abs(found.values - exact) <= 2.5 * found.half_widths + 1e-12).all()
    assert found.values.sum() == pytest.approx(exact.sum(), abs=1e-12)


def test_drawn_sellers_agree_with_the_exact_game_beyond_enumeration() -> None:
    X, y, Z, z = problem(6, 200, 10)
    owners = np.arange(200) % 20
    found = sampled_seller_shapley(X, y, owners, Z, z, k=5, half_width=0.004)
    exact = seller_shapley(X, y, owners, Z, z, k=5)
    assert (np.abs(found.values - exact) <= 3 * found.half_widths).all()
    soft = sampled_seller_shapley(X, y, owners, Z, z, k=5, utility="soft", half_width=0.01)
    assert soft.values.shape == (20,) and soft.converged


def test_drawing_stops_at_the_most_orders_and_says_so() -> None:
    X, y, Z, z = problem(7, 60, 5)
    found = sampled_seller_shapley(X, y, np.arange(60) % 20, Z, z, half_width=1e-6, most_orders=100)
    assert found.orders == 100 and not found.converged and found.half_widths.max() > 1e-6


def test_bad_parameters_are_refused() -> None:
    X, y, Z, z = problem(7, 20, 5)
    for words, changes in (
        ("half_width is 0", {"half_width": 0}),
        ("most_orders is 3", {"most_orders": 3}),
        ("owners has 0 entries", {"owners": []}),
    ):
        given = {"owners": np.arange(20)} | changes
        with pytest.raises(InvalidArgument, match=words):
            sampled_seller_shapley(X, y, given.pop("owners"), Z, z, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("epsilon", [None, 0.05])
def test_values_from_several_workers_are_the_same(
    monkeypatch: pytest.MonkeyPatch, epsilon: float | None
) -> None:
    X, y, Z, z = problem(1, 60, 31)
    monkeypatch.setattr(spread, "PART_ROWS", 7)
    monkeypatch.setattr(spread, "WORTH_SENDING", 0)
    for utility in ("jia", "soft") if epsilon is None else ("jia",):
        whole = knn_shapley(X, y, Z, z, utility=utility, epsilon=epsilon)  # type: ignore[arg-type]
        parts = spread_values(X, y, Z, z, LocalExecutor(), utility=utility, epsilon=epsilon)  # type: ignore[arg-type]
        assert np.allclose(parts, whole, rtol=0, atol=1e-12)
