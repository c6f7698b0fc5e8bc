"""Shapley values by drawing orders of arrival: any score, any number of players, with an interval.

Symbols
-------
M = players (rows, sellers or anything), S = a coalition, v(S) = its score
order = players as they arrive, drawn at random; the rise at each arrival is the player's sample
pair = an order and its reverse, whose samples are averaged: what rises early in one rises late in
    the other, so that the mean varies less
phi_m = mean over pairs; its interval is Student's over pairs

Truncation: once the score of those who came is within a tolerance of the score of all, everyone who
comes later gets 0 from the order. A value is then off by at most the tolerance, in the mean over orders.

References
----------
A. Ghorbani and J. Zou, "Data Shapley", ICML 2019, algorithm 1: truncated Monte Carlo.
R. Mitchell et al., "Sampling permutations for Shapley value estimation", JMLR 23, 2022: pairs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.errors import InvalidArgument
from easeml_ray.market.ranking import nearest_of_each
from easeml_ray.market.sellers import Owned
from easeml_ray.market.shapley import Utility, checked

if TYPE_CHECKING:
    from easeml_ray.component.base import Executor

__all__ = ["SampledValues", "sampled_seller_shapley", "score_orders", "truncated_monte_carlo"]

CONFIDENCE = 0.90
FEWEST_PAIRS = 16  # before an interval is believed
ROUND_PAIRS = 32  # drawn between two looks at the intervals
CHUNK_PAIRS = 4  # of one task

Score = Callable[[IntArray], float]


@dataclass(frozen=True, slots=True, eq=False)
class SampledValues:
    """Values with what drawing orders leaves open: half of each 90 % interval, (M,), for each player alone.

    The values, (M,), sum to ``v(all) - v({})``, but for what truncation cut off, which no interval holds;
    converged tells whether every half width is at most what was asked for.
    """

    values: FloatArray
    half_widths: FloatArray
    orders: int
    evaluations: int
    converged: bool


def truncated_monte_carlo(
    score: Score,
    n_players: int,
    *,
    half_width: float,
    tolerance: float = 0.0,
    most_orders: int = 2000,
    seed: int = 0,
    executor: Executor | None = None,
) -> SampledValues:
    """Return Shapley values of players by any score of a coalition, ascending indices that may be none.

    It stops once every 90 % interval is within `half_width`, or after `most_orders`; an order is cut once its
    score is within `tolerance` of that of all. Ghorbani and Zou (2019), algorithm 1, but for the stop.
    """
    _check(n_players, half_width, most_orders)
    if not tolerance >= 0.0:
        raise InvalidArgument(f"tolerance is {tolerance}", hint="Give at least 0.", argument="tolerance")
    everyone = _scored(score, np.arange(n_players, dtype=np.int64))
    nobody = _scored(score, np.empty(0, dtype=np.int64))
    shared = executor.share(score) if executor else None

    def draw(first: int, pairs: int) -> tuple[FloatArray, int]:
        chunks = [
            (n_players, tolerance, everyone, nobody, seed, begin, min(CHUNK_PAIRS, first + pairs - begin))
            for begin in range(first, first + pairs, CHUNK_PAIRS)
        ]
        if executor is None:
            parts = [score_orders(score, *chunk) for chunk in chunks]
        else:
            parts = _gathered(executor, shared, chunks)
        return np.concatenate([part[0] for part in parts]), sum(part[1] for part in parts)

    return _until_sure(draw, n_players, half_width, most_orders)


def score_orders(
    score: Score,
    n_players: int,
    tolerance: float,
    everyone: float,
    nobody: float,
    seed: int,
    first: int,
    pairs: int,
) -> tuple[FloatArray, int]:
    """Return the samples of some pairs of orders, (pairs, M), and how many scores they took.

    Pair number p is drawn from the seed and p alone: any chunk of pairs can run anywhere.
    """
    samples = np.zeros((pairs, n_players))
    evaluations = 0
    for i in range(pairs):
        order = np.random.default_rng((seed, first + i)).permutation(n_players)
        for players in (order, order[::-1]):
            before = nobody
            for there, player in enumerate(players):
                if abs(everyone - before) <= tolerance and tolerance > 0.0:
                    break
                after = everyone
                if there + 1 < n_players:
                    after = _scored(score, np.sort(players[: there + 1]))
                    evaluations += 1
                samples[i, player] += (after - before) / 2.0
                before = after
    return samples, evaluations


def _gathered(executor: Executor, score: Any, chunks: Sequence[tuple[Any, ...]]) -> list[Any]:
    waiting: deque[Any] = deque()
    parts = []
    for chunk in chunks:
        if len(waiting) > executor.width:
            parts.append(waiting.popleft().result())
        waiting.append(executor.submit(score_orders, score, *chunk))
    parts.extend(future.result() for future in waiting)
    return parts


def _scored(score: Score, players: IntArray) -> float:
    value = float(score(players))
    if not np.isfinite(value):
        raise InvalidArgument(
            f"the score of {len(players)} player(s) is {value}",
            hint="Give a number for every coalition, the empty one too.",
            argument="score",
        )
    return value


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
    """Return the values of sellers by drawn orders, where the exact game is out of reach.

    Arguments are those of :func:`easeml_ray.market.seller_shapley`. It stops once every 90 % interval is
    within `half_width`, or after `most_orders`, at least 32.
    """
    from easeml_ray.market.game import play_orders

    rows, labels, dev_rows, dev_labels, classes = checked(
        X, y, X_dev, y_dev, k=k, utility=utility, n_classes=n_classes
    )
    owned = Owned.of(owners, rows.shape[0])
    _check(owned.n_sellers, half_width, most_orders)
    parts = list(nearest_of_each(rows, dev_rows, owned.groups, k))
    groups = owned.groups[np.concatenate([kept for _, kept in parts])]
    match = np.concatenate([labels[kept] == dev_labels[part][:, None] for part, kept in parts])
    nothing = -1.0 if utility == "jia" else 1.0 / classes

    def draw(first: int, pairs: int) -> tuple[FloatArray, int]:
        orders = np.array(
            [np.random.default_rng((seed, first + i)).permutation(owned.n_sellers) for i in range(pairs)]
        )
        samples = np.zeros((pairs, owned.n_sellers))
        for positions in (orders, owned.n_sellers - 1 - orders):
            play_orders(positions, groups, match, owned.owners, owned.owner_ptr, k, nothing, samples)
        return samples / (2.0 * len(dev_rows)), 0

    found = _until_sure(draw, owned.n_sellers, half_width, most_orders)
    return SampledValues(
        owned.spread(found.values), owned.spread(found.half_widths), found.orders, 0, found.converged
    )


def _check(n_players: int, half_width: float, most_orders: int) -> None:
    if n_players < 1:
        raise InvalidArgument(
            f"n_players is {n_players}", hint="Give at least one player.", argument="n_players"
        )
    if not half_width > 0.0:
        raise InvalidArgument(f"half_width is {half_width}", hint="Give more than 0.", argument="half_width")
    if most_orders < 2 * FEWEST_PAIRS:
        raise InvalidArgument(
            f"most_orders is {most_orders}",
            hint=f"Give at least {2 * FEWEST_PAIRS}.",
            argument="most_orders",
        )


def _until_sure(
    draw: Callable[[int, int], tuple[FloatArray, int]],
    n_players: int,
    half_width: float,
    most_orders: int,
) -> SampledValues:
    """Draw pairs until every interval is narrow enough."""
    from scipy.stats import t as student

    samples = np.empty((0, n_players))
    evaluations = 2
    most_pairs = most_orders // 2
    while True:
        more, spent = draw(len(samples), min(ROUND_PAIRS, most_pairs - len(samples)))
        samples = np.concatenate([samples, more])
        evaluations += spent
        pairs = len(samples)
        spread = samples.std(axis=0, ddof=1) / np.sqrt(pairs)
        halves = student.ppf((1.0 + CONFIDENCE) / 2.0, pairs - 1) * spread
        sure = bool(pairs >= FEWEST_PAIRS and halves.max() <= half_width)
        if sure or pairs >= most_pairs:
            return SampledValues(samples.mean(axis=0), halves, 2 * pairs, evaluations, sure)
