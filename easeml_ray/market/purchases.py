"""What to buy with a budget: the offers that raise the nearest-neighbour utility most per cent.

Symbols
-------
T = development rows, K = neighbours that vote, C = classes, o = an offer
u = mean over development rows of (1/K) sum of a over the K nearest owned rows: utility
a = chance that a row has the development row's label: 0 or 1 for a labelled row, and for an
    unlabelled one the share of that label among its K nearest owned rows
g(o) = rise of u by buying o now; not submodular and possibly negative, so that every gain
    is computed anew after each purchase
cost(o) = price + labelling, in cents

The Shapley value is the fair split of what was earned; what to buy next is decided by the
rise of the utility itself. The greedy plan is compared with the best single offer that the
budget affords, without which it could be arbitrarily bad.

The development rows that choose the offers also measure them: gains of the offers chosen are
optimistic, and their intervals do not cover that choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.embed import as_features, count_classes
from easeml_ray.embed.arrays import FloatArray, IntArray
from easeml_ray.errors import DuplicateIds
from easeml_ray.market.offers import Offer, OfferValue, PurchasePlan, PurchaseStep
from easeml_ray.market.payment import whole_cents
from easeml_ray.market.ranking import nearest
from easeml_ray.market.shapley import checked

__all__ = ["plan_purchases"]

WORLDS = 1000
CONFIDENCE = 0.90
NEGLIGIBLE = 1e-12  # a rise below the rounding of a mean of shares is none


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The K nearest rows of each development row: distances and matches, both (T, K).

    Places that no row fills have distance infinity and match 0.
    """

    d2: FloatArray
    match: FloatArray

    def utilities(self) -> FloatArray:
        """Return the share of matching votes of each development row, (T,)."""
        shares: FloatArray = self.match.mean(axis=1)
        return shares

    def joined(self, other: Neighbours) -> Neighbours:
        """Return the K nearest of both; at equal distance, rows owned before are nearer."""
        d2 = np.concatenate([self.d2, other.d2], axis=1)
        match = np.concatenate([self.match, other.match], axis=1)
        order = np.argsort(d2, axis=1, kind="stable")[:, : self.d2.shape[1]]
        return Neighbours(np.take_along_axis(d2, order, axis=1), np.take_along_axis(match, order, axis=1))


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
    owned = _neighbours(rows, np.eye(classes)[labels], dev_rows, dev_labels, k)
    extra = []
    for offer, codes in zip(offers, offered, strict=True):
        if codes is None:
            shares = _label_shares(_rows_of(offer), rows, labels, k, classes)
        else:
            shares = np.eye(classes)[codes]
        extra.append(_neighbours(_rows_of(offer), shares, dev_rows, dev_labels, k))
    rng = np.random.default_rng(seed)
    # One set of bootstrap worlds for all, so that intervals can be compared.
    worlds = rng.multinomial(dev_rows.shape[0], np.full(dev_rows.shape[0], 1 / dev_rows.shape[0]), WORLDS)
    return _planned(offers, extra, owned, int(budget_cents), worlds, k)


def _planned(
    offers: Sequence[Offer],
    extra: list[Neighbours],
    owned: Neighbours,
    budget: int,
    worlds: IntArray,
    k: int,
) -> PurchasePlan:
    """Take the better of the greedy plan and the best single offer."""
    alone = tuple(
        _valued(offer, owned, owned.joined(more), worlds) for offer, more in zip(offers, extra, strict=True)
    )
    steps, final = _greedy(offers, extra, owned, budget, worlds)
    before, after = owned.utilities(), final.utilities()
    rule = "greedy"
    affordable = [i for i, offer in enumerate(offers) if offer.cost_cents <= budget]
    single = max(affordable, key=lambda i: (alone[i].gain, -alone[i].cost_cents, -i), default=None)
    if single is not None and alone[single].gain > after.mean() - before.mean() + NEGLIGIBLE:
        rule = "single"
        after = owned.joined(extra[single]).utilities()
        steps = (PurchaseStep(alone[single], alone[single].cost_cents, float(after.mean())),)
    return PurchasePlan(
        chosen=tuple(step.value.id for step in steps),
        cost_cents=steps[-1].spent_cents if steps else 0,
        budget_cents=budget,
        utility_before=float(before.mean()),
        utility_after=float(after.mean()),
        gain_interval=_interval(after - before, worlds),
        steps=steps,
        alone=alone,
        rule=rule,
        method=(
            f"greedy rise of the {k}-nearest-neighbour match share per cent, re-evaluated after each "
            f"purchase, guarded by the best single offer; unlabelled rows by the labels of their {k} nearest "
            f"owned rows; {CONFIDENCE:.0%} bootstrap intervals over {before.shape[0]} development rows"
        ),
    )


def _greedy(
    offers: Sequence[Offer], extra: list[Neighbours], owned: Neighbours, budget: int, worlds: IntArray
) -> tuple[tuple[PurchaseStep, ...], Neighbours]:
    """Buy the offer of the highest gain per cent until none is affordable and gains."""
    steps: list[PurchaseStep] = []
    left = set(range(len(offers)))
    spent = 0
    while True:
        utility = float(owned.utilities().mean())
        best: tuple[float, float, int] | None = None
        for i in sorted(left):
            if offers[i].cost_cents > budget - spent:
                continue
            gain = float(owned.joined(extra[i]).utilities().mean()) - utility
            # What is free is worth any gain; between equals the earlier offer wins.
            ratio = gain / offers[i].cost_cents if offers[i].cost_cents else np.inf
            if gain > NEGLIGIBLE and (best is None or (ratio, gain) > best[:2]):
                best = (ratio, gain, i)
        if best is None:
            return tuple(steps), owned
        i = best[2]
        after = owned.joined(extra[i])
        value = _valued(offers[i], owned, after, worlds)
        spent += offers[i].cost_cents
        steps.append(PurchaseStep(value, spent, float(after.utilities().mean())))
        owned = after
        left.remove(i)


def _valued(offer: Offer, before: Neighbours, after: Neighbours, worlds: IntArray) -> OfferValue:
    rise = after.utilities() - before.utilities()
    return OfferValue(
        offer.id,
        offer.seller,
        offer.cost_cents,
        _rows_of(offer).shape[0],
        float(rise.mean()),
        _interval(rise, worlds),
    )


def _interval(rise: FloatArray, worlds: IntArray) -> tuple[float, float]:
    """Return the bootstrap interval of a mean over development rows, its mean inside."""
    means = worlds @ rise / rise.shape[0]
    low, high = np.quantile(means, ((1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0))
    return min(float(low), float(rise.mean())), max(float(high), float(rise.mean()))


def _neighbours(
    rows: FloatArray, shares: FloatArray, dev_rows: FloatArray, dev_labels: IntArray, k: int
) -> Neighbours:
    """Return the K nearest of some rows, whose labels have the distributions (n_rows, C)."""
    kept = min(k, rows.shape[0])
    d2 = np.full((dev_rows.shape[0], k), np.inf)
    match = np.zeros((dev_rows.shape[0], k))
    order, d2[:, :kept] = nearest(rows, dev_rows, kept)
    match[:, :kept] = shares[order, dev_labels[:, None]]
    return Neighbours(d2, match)


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
