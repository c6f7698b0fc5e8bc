"""Paying owners: shares by the seller game, in whole cents; the same again from the same arguments.

Symbols
-------
M = owners of the rows bought; the rows owned before are one more player, who is not paid
phi = values of the players in the seller game; those of the owners are the shares

What the owned rows explain already is no merit of the rows bought. Shares are cut at zero and the amount
is split in proportion by largest remainder. Row values are never summed: that rewards copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arrays import as_features
from easeml_ray.market.montecarlo import sampled_seller_shapley
from easeml_ray.market.payment import split_payment
from easeml_ray.market.sellers import MOST_ENUMERATED, Owned, seller_shapley
from easeml_ray.market.shapley import Utility, checked

__all__ = ["Settled", "settle"]

DIGITS = 12
"""Decimal places of a share: floating point differs behind them from machine to machine."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What each owner is paid, in the order of their numbers, and the shares, negative ones as computed."""

    cents: tuple[int, ...]
    shares: tuple[float, ...]


def settle(
    X: ArrayLike,
    y: ArrayLike,
    owners: ArrayLike | Sequence[Sequence[int]],
    X_owned: ArrayLike,
    y_owned: ArrayLike,
    X_dev: ArrayLike,
    y_dev: ArrayLike,
    *,
    cents: int,
    k: int = 5,
    utility: Utility = "jia",
    n_classes: int | None = None,
    seed: int = 0,
) -> Settled:
    """Split an amount among the owners of rows X (n_rows, d) by the seller game."""
    # owners is as for :func:`easeml_ray.market.seller_shapley`, numbered from 0; X_owned may be empty. Orders
    # are drawn from `seed` where the game is out of reach: shared rows or `soft` among more than 12.
    rows, labels, dev_rows, dev_labels, _ = checked(
        X, y, X_dev, y_dev, k=k, utility=utility, n_classes=n_classes
    )
    before = as_features(X_owned, "X_owned", n_features=rows.shape[1], min_rows=0)
    owned = Owned.of(owners, rows.shape[0])
    house = int(owned.present[-1]) + 1
    # Rows owned before come first: at equal distance they are nearer.
    everyone = [[house]] * len(before) + [list(np.atleast_1d(entry)) for entry in owners]  # type: ignore[union-attr]
    all_rows, all_labels = np.concatenate([before, rows]), np.concatenate([np.asarray(y_owned), labels])
    players = owned.n_sellers + bool(len(before))
    if (owned.alone and utility == "jia") or players <= MOST_ENUMERATED:
        values = seller_shapley(
            all_rows, all_labels, everyone, dev_rows, dev_labels, k=k, utility=utility, n_classes=n_classes
        )
    else:
        values = sampled_seller_shapley(
            all_rows, all_labels, everyone, dev_rows, dev_labels, k=k, utility=utility, n_classes=n_classes,
            seed=seed,
        ).values  # fmt: skip
    shares = tuple(round(float(value), DIGITS) for value in values[:house])
    return Settled(tuple(split_payment(shares, cents)), shares)
