"""What to buy with a budget: the offers that raise the nearest-neighbour utility most per cent.

Symbols
-------
T = development rows, K = neighbours that vote, C = classes, o = an offer
a = chance that a row has the development row's label: 0 or 1 for a labelled row, and for an
    unlabelled one the share of that label among its K nearest owned rows
u_K = mean over development rows of (1/K) sum of a over the K nearest owned rows: utility
u = (u_K + u_4K) / 2: what the greedy rule raises
g(o) = rise of u by buying o now; not submodular and possibly negative, so that every gain
    is computed anew after each purchase
cost(o) = price + labelling, in cents

The Shapley value is the fair split of what was earned; what to buy next is decided by the
rise of the utility itself. With few rows owned, u_K is full after K good rows around each development
row, and what is bought from then on follows the noise of the development rows: u_4K goes on telling
which offers make the neighbourhoods deep. The greedy plan is compared with the best single offer that
the budget affords, without which it could be arbitrarily bad. What a plan promises is told in u_K.

The development rows that choose the offers also measure them: gains of the offers chosen are
optimistic, and their intervals do not cover that choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easeml_ray.arrays import FloatArray, IntArray, as_features, count_classes
from easeml_ray.errors import DuplicateIds
from easeml_ray.market.offers import CurvePoint, Offer, OfferValue, PurchasePlan, PurchaseStep
from easeml_ray.market.payment import whole_cents
from easeml_ray.market.ranking import nearest
from easeml_ray.market.shapley import checked

__all__ = ["plan_purchases"]

WORLDS = 1000
CONFIDENCE = 0.90
DEPTH = 4  # the second scale of u, in K
NEGLIGIBLE = 1e-12  # a rise below the rounding of a mean of shares is none


def plan_purchases(
    offers: Sequence[Offer],
    X: ArrayLike,
    y: ArrayLike,
    X_dev: ArrayLike,
    y_dev: ArrayLike,
    *,
    budget_cents: int,
    k: int = 5,
    n_classes: int | None = None,
    seed: int = 0,
) -> PurchasePlan:
    """Choose offers by their rise of the nearest-neighbour utility per cent.

    Parameters
    ----------
    offers : sequence of Offer
        What can be bought; ids differ.
    X : array-like of shape (n_rows, n_features)
        Train features owned already, at least one row.
    y : array-like of int, shape (n_rows,)
        Their class codes.
    X_dev : array-like of shape (n_dev, n_features)
        Development features.
    y_dev : array-like of int, shape (n_dev,)
        Their class codes.
    budget_cents : int
        The most to spend, at least 0.
    k : int
        Neighbours K that vote.
    n_classes : int, optional
        Classes; inferred from all codes by default.
    seed : int
        Of the bootstrap behind the intervals; the choice does not depend on it.

    Returns
    -------
    PurchasePlan
        Offers in order of purchase; none if none is affordable and raises the utility.

    Raises
    ------
    DuplicateIds
        If two offers have the same id.
    InvalidArgument
        If an array, an offer or a parameter is unusable.

    Examples
    --------
    >>> offers = [Offer("good", "ada", [[5.0], [5.1]], [1, 1], 100),
    ...           Offer("bad", "bob", [[5.0], [5.1]], [0, 0], 10)]
    >>> plan = plan_purchases(offers, [[0.0]], [0], [[0.1], [5.2]], [0, 1], budget_cents=200, k=1)
    >>> plan.chosen, plan.utility_before, plan.utility_after
    (('good',), 0.5, 1.0)
    """
    rows, labels, dev_rows, dev_labels, _ = checked(X, y, X_dev, y_dev, k=k, utility="jia", n_classes=None)
    whole_cents(budget_cents, "the budget", "budget_cents")
    _check_offers(offers, rows.shape[1])
    offered = [_labels_of(offer) for offer in offers]
    classes = count_classes(n_classes, labels, dev_labels, *(codes for codes in offered if codes is not None))
    owned = _owned(rows, np.eye(classes)[labels], dev_rows, dev_labels, DEPTH * k)
    shelves = []
    for offer, codes in zip(offers, offered, strict=True):
        if codes is None:
            shares = _label_shares(_rows_of(offer), rows, labels, k, classes)
        else:
            shares = np.eye(classes)[codes]
        shelves.append(_shelf(_rows_of(offer), shares, dev_rows, dev_labels, owned))
    rng = np.random.default_rng(seed)
    # One set of bootstrap worlds for all, so that intervals can be compared.
    n_dev = dev_rows.shape[0]
    worlds = rng.multinomial(n_dev, np.full(n_dev, 1 / n_dev), WORLDS) / n_dev
    return _planned(offers, shelves, owned, k, int(budget_cents), worlds)


@dataclass(frozen=True, slots=True)
class _Neighbours:
    """The nearest owned rows of each development row: distances and matches, both (T, 4 K).

    Places that no row fills have distance infinity and match 0.
    """

    d2: FloatArray
    match: FloatArray

    def utilities(self, k: int) -> FloatArray:
        """Return the share of matching votes of each development row, (T,)."""
        shares: FloatArray = self.match[:, :k].mean(axis=1)
        return shares

    def copy(self) -> _Neighbours:
        return _Neighbours(self.d2.copy(), self.match.copy())


@dataclass(frozen=True, slots=True)
class _Shelf:
    """The rows of an offer that are nearer than the farthest of the owned ones, by development row.

    Buying only brings the owned ones nearer: a row that is not here never votes. point : (S,)
    development rows, ascending; pointer : (S + 1,) where their rows begin; d2, match : (rows,),
    nearest first; rises : (S,) what each development row's part of u gains, kept up to date.
    """

    point: IntArray
    pointer: IntArray
    d2: FloatArray
    match: FloatArray
    rises: FloatArray

    def update(self, owned: _Neighbours, weights: FloatArray, changed: NDArray[np.bool_]) -> None:
        """Compute anew what a change of the owned rows can have touched."""
        from easeml_ray.market.rises import update_rises

        rows = self.point, self.pointer, self.d2, self.match
        update_rises(owned.d2, owned.match, *rows, weights, changed, self.rises)

    def in_votes(self, owned: _Neighbours, k: int) -> FloatArray:
        """Return the rise of each development row's u_K, (T,)."""
        from easeml_ray.market.rises import update_rises

        n_dev, places = owned.d2.shape
        weights = np.where(np.arange(places) < k, 1.0 / k, 0.0)
        rises = np.zeros(self.point.size)
        rows = self.point, self.pointer, self.d2, self.match
        update_rises(owned.d2, owned.match, *rows, weights, np.ones(n_dev, dtype=bool), rises)
        result = np.zeros(n_dev)
        result[self.point] = rises
        return result

    def put_into(self, owned: _Neighbours, changed: NDArray[np.bool_]) -> None:
        """Add the rows to the owned ones, and say which development rows saw a change."""
        from easeml_ray.market.rises import join

        join(owned.d2, owned.match, self.point, self.pointer, self.d2, self.match, changed)


def _planned(
    offers: Sequence[Offer],
    shelves: list[_Shelf],
    owned: _Neighbours,
    k: int,
    budget: int,
    worlds: FloatArray,
) -> PurchasePlan:
    """Take the better of the greedy plan and the best single offer."""
    n_dev, places = owned.d2.shape
    weights = (np.where(np.arange(places) < k, 1.0 / k, 0.0) + 1.0 / places) / 2.0
    before = owned.utilities(k)
    for shelf in shelves:
        shelf.update(owned, weights, np.ones(n_dev, dtype=bool))
    scores = [float(shelf.rises.sum()) / n_dev for shelf in shelves]
    votes = [shelf.in_votes(owned, k) for shelf in shelves]
    alone = tuple(_valued(offer, rise, worlds) for offer, rise in zip(offers, votes, strict=True))
    affordable = [i for i, offer in enumerate(offers) if offer.cost_cents <= budget]
    single = max(affordable, key=lambda i: (scores[i], -alone[i].cost_cents, -i), default=None)
    steps, levels, reached = _greedy(offers, shelves, owned.copy(), k, budget, weights, worlds)
    rule = "unaffordable" if offers and not affordable else "greedy"
    if single is not None and scores[single] > reached + NEGLIGIBLE:
        rule = "single"
        levels = [before, before + votes[single]]
        steps = [PurchaseStep(alone[single], alone[single].cost_cents, float(levels[1].mean()))]
    spent = [0, *(step.spent_cents for step in steps)]
    curve = tuple(
        CurvePoint(cents, float(level.mean()), _interval(level, worlds))
        for cents, level in zip(spent, levels, strict=True)
    )
    return PurchasePlan(
        chosen=tuple(step.value.id for step in steps),
        cost_cents=spent[-1],
        budget_cents=budget,
        utility_before=float(before.mean()),
        utility_after=float(levels[-1].mean()),
        gain_interval=_interval(levels[-1] - before, worlds),
        steps=tuple(steps),
        alone=alone,
        curve=curve,
        rule=rule,
        method=(
            f"greedy rise per cent of the match share of {k} and {places} nearest neighbours, re-evaluated "
            f"after each purchase, guarded by the best single offer; gains in the share of {k}; unlabelled "
            f"rows by the labels of their {k} nearest owned rows; {CONFIDENCE:.0%} bootstrap intervals over "
            f"{n_dev} development rows"
        ),
    )


def _greedy(
    offers: Sequence[Offer],
    shelves: list[_Shelf],
    owned: _Neighbours,
    k: int,
    budget: int,
    weights: FloatArray,
    worlds: FloatArray,
) -> tuple[list[PurchaseStep], list[FloatArray], float]:
    """Buy the offer of the highest gain per cent until none is affordable and gains."""
    # Returns the steps, the utilities of the development rows before and after each, and the rise of u. The
    # rise is not submodular, so that a gain of an earlier step bounds nothing; but a purchase touches few
    # development rows, and only their part of each gain is computed anew.
    n_dev = owned.d2.shape[0]
    steps: list[PurchaseStep] = []
    levels = [owned.utilities(k)]
    left = list(range(len(offers)))
    spent, reached = 0, 0.0
    changed = np.zeros(n_dev, dtype=bool)
    while True:
        left = [i for i in left if offers[i].cost_cents <= budget - spent]
        best: tuple[float, float, int] | None = None
        for i in left:
            gain = float(shelves[i].rises.sum()) / n_dev
            # What is free is worth any gain; between equals the earlier offer wins.
            ratio = gain / offers[i].cost_cents if offers[i].cost_cents else np.inf
            if gain > NEGLIGIBLE and (best is None or (ratio, gain) > best[:2]):
                best = (ratio, gain, i)
        if best is None:
            return steps, levels, reached
        _, gain, i = best
        reached += gain
        shelves[i].put_into(owned, changed)
        spent += offers[i].cost_cents
        levels.append(owned.utilities(k))
        value = _valued(offers[i], levels[-1] - levels[-2], worlds)
        steps.append(PurchaseStep(value, spent, float(levels[-1].mean())))
        left.remove(i)
        for other in left:
            shelves[other].update(owned, weights, changed)


def _valued(offer: Offer, rise: FloatArray, worlds: FloatArray) -> OfferValue:
    return OfferValue(
        offer.id,
        offer.seller,
        offer.cost_cents,
        _rows_of(offer).shape[0],
        float(rise.mean()),
        _interval(rise, worlds),
    )


def _interval(of_points: FloatArray, worlds: FloatArray) -> tuple[float, float]:
    """Return the bootstrap interval of a mean over development rows, its mean inside."""
    some = np.flatnonzero(of_points)
    means = np.sort(worlds[:, some] @ of_points[some])
    tail = round((1.0 - CONFIDENCE) / 2.0 * WORLDS)
    low, high, mean = float(means[tail]), float(means[-1 - tail]), float(of_points.mean())
    return min(low, mean), max(high, mean)


def _owned(
    rows: FloatArray, shares: FloatArray, dev_rows: FloatArray, dev_labels: IntArray, places: int
) -> _Neighbours:
    """Return the nearest of some rows, whose labels have the distributions (n_rows, C)."""
    kept = min(places, rows.shape[0])
    d2 = np.full((dev_rows.shape[0], places), np.inf)
    match = np.zeros((dev_rows.shape[0], places))
    order, d2[:, :kept] = nearest(rows, dev_rows, kept)
    match[:, :kept] = shares[order, dev_labels[:, None]]
    return _Neighbours(d2, match)


def _shelf(
    rows: FloatArray, shares: FloatArray, dev_rows: FloatArray, dev_labels: IntArray, owned: _Neighbours
) -> _Shelf:
    """Return what of an offer can vote."""
    order, d2 = nearest(rows, dev_rows, min(owned.d2.shape[1], rows.shape[0]))
    near = d2 < owned.d2[:, -1:]
    counts = near.sum(axis=1)
    point = np.flatnonzero(counts)
    match = shares[order, dev_labels[:, None]]
    pointer = np.concatenate([[0], np.cumsum(counts[point])])
    return _Shelf(point, pointer, d2[near], match[near], np.zeros(point.size))


def _label_shares(
    rows: FloatArray, owned: FloatArray, labels: IntArray, k: int, n_classes: int
) -> FloatArray:
    """Return the label distribution (n_rows, C) among the K nearest owned rows of each row."""
    order, _ = nearest(owned, rows, min(k, owned.shape[0]))
    shares: FloatArray = np.eye(n_classes)[labels[order]].mean(axis=1)
    return shares


def _rows_of(offer: Offer) -> FloatArray:
    return np.asarray(offer.X, dtype=np.float64)


def _labels_of(offer: Offer) -> IntArray | None:
    return None if offer.y is None else np.asarray(offer.y, dtype=np.int64)


def _check_offers(offers: Sequence[Offer], n_features: int) -> None:
    seen: set[str] = set()
    for offer in offers:
        if offer.id in seen:
            raise DuplicateIds(f"two offers have the id {offer.id!r}", hint="Give each its own.", column="id")
        seen.add(offer.id)
        as_features(offer.X, f"X of offer {offer.id}", n_features=n_features)
