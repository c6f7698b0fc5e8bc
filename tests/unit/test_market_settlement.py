from __future__ import annotations

import numpy as np
import pytest

from easeml_ray.errors import InvalidArgument
from easeml_ray.market import seller_shapley, split_payment
from easeml_ray.market.settlement import settle


def problem() -> list[np.ndarray]:
    """Rows bought, owned before, and development rows."""
    rng = np.random.default_rng(4)
    return [
        array
        for n in (40, 20, 30)
        for array in (np.round(rng.standard_normal((n, 2)), 1), rng.integers(0, 2, n))
    ]


def test_an_amount_is_split_by_the_game_in_which_the_owned_rows_play_but_are_not_paid() -> None:
    X, y, X0, y0, Z, z = problem()
    owners = np.arange(40) % 4
    paid = settle(X, y, owners, X0, y0, Z, z, cents=1001, k=3)
    values = seller_shapley(np.r_[X0, X], np.r_[y0, y], np.r_[np.full(20, 4), owners], Z, z, k=3)
    assert np.allclose(paid.shares, values[:4], rtol=0, atol=1e-11)
    assert list(paid.cents) == split_payment(paid.shares, 1001) and sum(paid.cents) == 1001


def test_owners_are_paid_without_rows_owned_before() -> None:
    X, y, _, _, Z, z = problem()
    paid = settle(X, y, np.arange(40) % 3, np.empty((0, 2)), np.empty(0, dtype=int), Z, z, cents=100)
    assert sum(paid.cents) == 100 and sum(paid.shares) > 0


@pytest.mark.parametrize("sellers", [3, 14])
def test_shared_rows_are_settled_alike_twice_with_orders_drawn_from_a_seed(sellers: int) -> None:
    X, y, X0, y0, Z, z = problem()
    data = X, y, [[i % sellers, (i + 1) % sellers] for i in range(40)], X0, y0, Z, z
    paid = settle(*data, cents=500, seed=7)
    assert sum(paid.cents) == 500 and settle(*data, cents=500, seed=7) == paid
    # Only where the coalitions are too many to try are orders drawn.
    assert (settle(*data, cents=500, seed=8).shares != paid.shares) == (sellers > 12)


def test_other_development_rows_and_other_labels_are_paid_otherwise() -> None:
    X, y, X0, y0, Z, z = problem()
    owners = np.arange(40) % 4
    paid = settle(X, y, owners, X0, y0, Z, z, cents=1000)
    assert settle(X, y, owners, X0, y0, Z + 1.0, z, cents=1000).cents != paid.cents
    assert settle(X, 1 - y, owners, X0, y0, Z, z, cents=1000).cents != paid.cents


def test_bad_settlements_are_refused() -> None:
    X, y, X0, y0, Z, z = problem()
    with pytest.raises(InvalidArgument, match="X_owned has 1 features"):
        settle(X, y, np.zeros(40, int), X0[:, :1], y0, Z, z, cents=5)
    with pytest.raises(InvalidArgument, match="is -5"):
        settle(X, y, np.zeros(40, int), X0, y0, Z, z, cents=-5)


def test_what_a_row_adds_to_the_owned_ones_is_paid_in_whole_cents() -> None:
    X, y, owners = [[0.1], [5.0], [9.0]], [1, 0, 0], [0, 1, 1]
    paid = settle(X, y, owners, [[0.0]], [1], [[0.0], [5.0]], [1, 0], cents=101, k=1)
    assert paid.cents == (34, 67) and paid.shares == (0.25, 0.5)
