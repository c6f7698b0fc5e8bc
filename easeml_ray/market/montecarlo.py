"""Shapley values of sellers by drawing orders of arrival, where coalitions are too many, with an interval.

Symbols
-------
M = sellers
order = sellers as they arrive, drawn at random; the rise at each arrival is the seller's sample
pair = an order and its reverse, whose samples are averaged: what rises early in one rises late in
    the other, so that the mean varies less
phi_m = mean over pairs; its interval is Student's over pairs

References
----------
A. Ghorbani and J. Zou, "Data Shapley", ICML 2019: values by drawn orders.
R. Mitchell et al., "Sampling permutations for Shapley value estimation", JMLR 23, 2022: pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arrays import FloatArray
from easeml_ray.errors import InvalidArgument
from easeml_ray.market.ranking import nearest_of_each
from easeml_ray.market.sellers import Owned
from easeml_ray.market.shapley import Utility, checked

__all__ = ["SampledValues", "sampled_seller_shapley"]

CONFIDENCE = 0.90
FEWEST_PAIRS = 16  # before an interval is believed
ROUND_PAIRS = 32  # drawn between two looks at the intervals


@dataclass(frozen=True, slots=True, eq=False)
class SampledValues:
    """Values, (M,), with what drawing orders leaves open: half of each 90 % interval, (M,), each alone.

    Converged is whether every half width is at most what was asked for.
    """

    values: FloatArray
    half_widths: FloatArray
    orders: int
    converged: bool


def sampled_seller_shapley(
    X: ArrayLike,
    y: ArrayLike,
    owners: ArrayLike | Sequence[Sequence[int]],
    X_dev: ArrayLike,
    y_dev: ArrayLike,
    *,
    k: int = 5,
    utility: Utility = "jia",
    n_classes: int | None = None,
    half_width: float = 0.001,
    most_orders: int = 2000,
    seed: int = 0,
) -> SampledValues:
    """Return the values of sellers by drawn orders, where the exact game is out of reach."""
    # Arguments are those of :func:`easeml_ray.market.seller_shapley`. It stops once every 90 % interval is
    # within `half_width`, or after `most_orders`, at least 32.
    from easeml_ray.market.game import play_orders

    rows, labels, dev_rows, dev_labels, classes = checked(
        X, y, X_dev, y_dev, k=k, utility=utility, n_classes=n_classes
    )
    owned = Owned.of(owners, rows.shape[0])
    if not half_width > 0.0:
        raise InvalidArgument(f"half_width is {half_width}", hint="Give more than 0.", argument="half_width")
    if most_orders < 2 * FEWEST_PAIRS:
        raise InvalidArgument(
            f"most_orders is {most_orders}", hint=f"Give at least {2 * FEWEST_PAIRS}.", argument="most_orders"
        )
    parts = list(nearest_of_each(rows, dev_rows, owned.groups, k))
    groups = owned.groups[np.concatenate([kept for _, kept in parts])]
    match = np.concatenate([labels[kept] == dev_labels[part][:, None] for part, kept in parts])
    nothing = -1.0 if utility == "jia" else 1.0 / classes

    def draw(first: int, pairs: int) -> FloatArray:
        orders = np.array(
            [np.random.default_rng((seed, first + i)).permutation(owned.n_sellers) for i in range(pairs)]
        )
        samples = np.zeros((pairs, owned.n_sellers))
        for positions in (orders, owned.n_sellers - 1 - orders):
            play_orders(positions, groups, match, owned.owners, owned.owner_ptr, k, nothing, samples)
        return samples / (2.0 * len(dev_rows))

    found = _until_sure(draw, owned.n_sellers, half_width, most_orders)
    return SampledValues(
        owned.spread(found.values), owned.spread(found.half_widths), found.orders, found.converged
    )


def _until_sure(
    draw: Callable[[int, int], FloatArray], n_sellers: int, half_width: float, most_orders: int
) -> SampledValues:
    """Draw pairs until every interval is narrow enough."""
    from scipy.stats import t as student

    samples = np.empty((0, n_sellers))
    most_pairs = most_orders // 2
    while True:
        more = draw(len(samples), min(ROUND_PAIRS, most_pairs - len(samples)))
        samples = np.concatenate([samples, more])
        pairs = len(samples)
        spread = samples.std(axis=0, ddof=1) / np.sqrt(pairs)
        halves = student.ppf((1.0 + CONFIDENCE) / 2.0, pairs - 1) * spread
        sure = bool(pairs >= FEWEST_PAIRS and halves.max() <= half_width)
        if sure or pairs >= most_pairs:
            return SampledValues(samples.mean(axis=0), halves, 2 * pairs, sure)
