from __future__ import annotations

import json

import numpy as np
import pytest

from easeml_ray.errors import DuplicateIds, InvalidArgument
from easeml_ray.market import Offer, PurchasePlan, plan_purchases, split_payment
from easeml_ray.market.gain import to_gain
from easeml_ray.market.offers import OfferValue
from easeml_ray.market.privacy import coarse
from easeml_ray.messages import Gain


def clusters(n: int, seed: int, centres: tuple[int, ...] = (0, 1, 2)) -> tuple[np.ndarray, np.ndarray]:
    """Rows of well separated classes, each around its own multiple of ten."""
    rng = np.random.default_rng(seed)
    y = rng.choice(centres, n)
    return 10.0 * y[:, None] + rng.standard_normal((n, 2)), y


DEV = clusters(60, 1)
OWNED = clusters(30, 2, centres=(0, 1))


def offer(
    name: str, price: int, *, classes: tuple[int, ...], labelled: bool = True, wrong: bool = False
) -> Offer:
    X, y = clusters(12, 5, classes)
    return Offer(name, "seller of " + name, X, (y + 1) % 3 if wrong else y if labelled else None, price)


def plan(offers: list[Offer], budget: int, **more: object) -> PurchasePlan:
    return plan_purchases(offers, *OWNED, *DEV, budget_cents=budget, k=3, **more)  # type: ignore[arg-type]


def utility(parts: list[tuple[np.ndarray, np.ndarray]], k: int) -> float:
    """The utility of rows together, by loops."""
    X, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    total = 0.0
    for point, label in zip(*DEV, strict=True):
        d2 = np.square(X - point).sum(axis=1)
        near = sorted(range(len(X)), key=lambda r: (d2[r], r))[:k]
        total += sum(y[r] == label for r in near) / k
    return total / len(DEV[0])


def test_the_offer_of_the_missing_class_is_bought_and_harmful_or_useless_ones_are_not() -> None:
    offers = [
        offer("more of the same", 10, classes=(0, 1)),
        offer("missing class", 100, classes=(2,)),
        offer("wrong labels", 1, classes=(0, 1), wrong=True),
    ]
    made = plan(offers, 1000)
    assert made.chosen == ("missing class",) and made.cost_cents == 100 and made.rule == "greedy"
    assert made.utility_before < 0.8 and made.utility_after == pytest.approx(1.0)
    low, high = made.gain_interval
    assert 0 < low <= made.utility_after - made.utility_before <= high
    assert [value.id for value in made.alone] == [given.id for given in offers]
    assert made.alone[2].gain < 0


def test_utilities_are_those_of_the_rows_together() -> None:
    offers = [offer("a", 10, classes=(2,)), offer("b", 5, classes=(1, 2), wrong=True)]
    made = plan(offers, 100)
    assert made.utility_before == pytest.approx(utility([OWNED], 3))
    for given, value in zip(offers, made.alone, strict=True):
        rise = utility([OWNED, (given.X, given.y)], 3) - made.utility_before  # type: ignore[list-item]
        assert value.gain == pytest.approx(rise)
    assert made.utility_after == pytest.approx(utility([OWNED, (offers[0].X, offers[0].y)], 3))  # type: ignore[list-item]


def test_gains_are_computed_anew_after_each_purchase() -> None:
    twins = [offer("first", 10, classes=(2,)), offer("second", 11, classes=(2,))]
    made = plan(twins, 1000)
    assert made.alone[0].gain == pytest.approx(made.alone[1].gain)
    assert made.chosen == ("first",)  # the second brings nothing any more


def test_the_cheaper_of_equal_offers_is_bought_first_and_the_budget_is_kept() -> None:
    X, y = OWNED[0][:0], OWNED[1][:0]
    offers = []
    for name, label, price in (("dear", 0, 50), ("cheap", 1, 30), ("late", 2, 40)):
        X, y = clusters(40, 8 + label, (label,))
        offers.append(Offer(name, "s", X, y, price))
    made = plan_purchases(offers, [[500.0, 500.0]], [0], *DEV, budget_cents=75, k=3)
    assert made.cost_cents <= 75 and len(made.chosen) == 2
    spent = [step.spent_cents for step in made.steps]
    assert spent == sorted(spent) and spent[-1] == made.cost_cents
    utilities = [made.utility_before, *(step.utility for step in made.steps)]
    assert utilities == sorted(utilities) and utilities[-1] == made.utility_after
    assert np.allclose(np.diff(utilities), [step.value.gain for step in made.steps])


def test_the_best_single_offer_guards_against_a_cheap_start() -> None:
    owned = ([[500.0, 500.0]], [3])  # a label that no development row has
    X, y = clusters(200, 9)
    one = np.flatnonzero(y == 0)[:1]
    tiny = Offer("tiny", "s", X[one], y[one], 1)
    whole = Offer("whole", "s", X, y, 100)
    made = plan_purchases([tiny, whole], *owned, *DEV, budget_cents=100, k=1)
    assert made.rule == "single" and made.chosen == ("whole",) and made.cost_cents == 100
    assert plan_purchases([tiny, whole], *owned, *DEV, budget_cents=101, k=1).chosen == ("tiny", "whole")


def test_an_unlabelled_offer_is_worth_what_its_likely_labels_are() -> None:
    X, y = clusters(300, 3)
    owned = (X[:12], y[:12])
    labelled = Offer("labelled", "s", X[12:], y[12:], 10)
    unlabelled = Offer("unlabelled", "s", X[12:], None, 10, label_cents=5)
    made = plan_purchases([labelled, unlabelled], *owned, *DEV, budget_cents=0, k=1)
    # The classes lie so far apart that the nearest owned row tells the label.
    assert made.alone[1].gain == pytest.approx(made.alone[0].gain)
    assert made.alone[1].cost_cents == 15


def test_votes_of_unlabelled_rows_are_shares_of_the_labels_around_them() -> None:
    owned = ([[0.0], [0.2], [50.0]], [0, 1, 0])
    made = plan_purchases([Offer("o", "s", [[10.0]], None, 0)], *owned, [[11.0]], [1], budget_cents=0, k=2)
    # Before: rows 0.2 and 0.0 vote, a half. After: the new row, itself a half, and 0.2.
    assert made.utility_before == 0.5 and made.utility_after == 0.75


def test_free_offers_are_bought_when_they_gain() -> None:
    made = plan([offer("free", 0, classes=(2,)), offer("harmful", 0, classes=(0, 1), wrong=True)], 0)
    assert made.chosen == ("free",) and made.cost_cents == 0


def test_nothing_is_bought_without_offers_or_money() -> None:
    assert plan([], 100).chosen == ()
    made = plan([offer("dear", 100, classes=(2,))], 99)
    assert (
        made.chosen == () and made.utility_after == made.utility_before and made.gain_interval == (0.0, 0.0)
    )


def test_the_plan_is_json_and_does_not_depend_on_the_seed_but_in_its_intervals() -> None:
    offers = [offer("a", 10, classes=(2,))]
    first, second = plan(offers, 10, seed=1), plan(offers, 10, seed=2)
    assert first.chosen == second.chosen and first == plan(offers, 10, seed=1)
    assert json.loads(json.dumps(first.to_dict()))["steps"][0]["value"]["id"] == "a"


def test_bad_offers_and_budgets_are_refused() -> None:
    with pytest.raises(DuplicateIds, match="two offers have the id 'a'"):
        plan([offer("a", 1, classes=(2,)), offer("a", 2, classes=(2,))], 5)
    with pytest.raises(InvalidArgument, match="price_cents of offer o is -1"):
        Offer("o", "s", [[0.0]], [0], -1)
    with pytest.raises(InvalidArgument, match=r"label_cents of offer o is 0\.5"):
        Offer("o", "s", [[0.0]], None, 1, label_cents=0.5)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="X of offer o has 0 row"):
        Offer("o", "s", np.empty((0, 2)), [], 1)
    with pytest.raises(InvalidArgument, match="y of offer o has 2 labels for 1 rows"):
        Offer("o", "s", [[0.0]], [0, 1], 1)
    with pytest.raises(InvalidArgument, match="X of offer o has 1 features"):
        plan([Offer("o", "s", [[0.0]], [0], 1)], 5)
    with pytest.raises(InvalidArgument, match="the budget is -1"):
        plan([], -1)
    with pytest.raises(InvalidArgument, match="n_classes is 3"):
        plan([Offer("o", "s", [[0.0, 0.0]], [3], 1)], 5, n_classes=3)


def test_a_gain_in_accuracy_is_cut_at_the_target() -> None:
    value = OfferValue("o", "s", 10, 5, 0.2, (-0.01, 0.4))
    gain = to_gain(value, current_accuracy=0.85, target_accuracy=0.9)
    assert gain.mean == gain.upper == pytest.approx(0.05) and gain.lower == -0.01
    assert to_gain(value, current_accuracy=0.95, target_accuracy=0.9) == Gain(0.0, -0.01, 0.0)
    assert to_gain(value, current_accuracy=0.1, target_accuracy=0.9).mean == 0.2
    with pytest.raises(InvalidArgument, match="target_accuracy is 90"):
        to_gain(value, current_accuracy=0.1, target_accuracy=90)


def test_payment_follows_the_largest_remainders() -> None:
    assert split_payment([1, 1, 1], 100) == [34, 33, 33]
    assert split_payment([0.7, 0.2, 0.1], 10) == [7, 2, 1]
    assert split_payment([0.6, -5.0, 0.2], 4) == [3, 0, 1]
    assert split_payment([0.0, -1.0, 0.0], 5) == [2, 2, 1]
    assert split_payment([5.0], 0) == [0]


def test_bad_payments_are_refused() -> None:
    for shares, cents, words in (
        ([], 5, "nobody"),
        ([float("nan")], 5, "finite"),
        ([1.0], -1, "is -1"),
        ([1.0], 0.5, "0.5"),
    ):
        with pytest.raises(InvalidArgument, match=words):
            split_payment(shares, cents)  # type: ignore[arg-type]


def test_a_thousand_sellers_with_one_row_each_are_planned_quickly() -> None:
    X, y = clusters(1000, 4)
    offers = [Offer(str(i), str(i), X[i : i + 1], y[i : i + 1], 1 + i % 7) for i in range(1000)]
    made = plan(offers, 300)
    assert made.cost_cents <= 300 and made.utility_after > 0.9
    assert len(set(made.chosen)) == len(made.chosen) and len(made.alone) == 1000


def test_of_copies_of_an_offer_the_cheapest_is_bought_and_no_other() -> None:
    X, y = clusters(12, 5, (2,))
    copies = [Offer(str(i), "s", X + 1e-9 * i, y, 100 - i) for i in range(6)]
    assert plan(copies, 10_000).chosen == ("5",)


def test_a_budget_below_the_cheapest_offer_is_said_to_be() -> None:
    made = plan([offer("dear", 100, classes=(2,))], 99)
    assert made.rule == "unaffordable" and made.alone[0].gain > 0
    assert plan([], 99).rule == "greedy"


def test_the_plan_is_the_greedy_one_computed_from_scratch_at_every_step() -> None:
    rng = np.random.default_rng(8)
    offers = []
    for i in range(12):
        X, y = clusters(6, 20 + i)
        wrong = rng.random(6) < 0.3
        offers.append(Offer(str(i), "s", X, np.where(wrong, (y + 1) % 3, y), int(rng.integers(1, 50))))
    made, k, budget = plan(offers, 150), 3, 150
    parts, left, spent, chosen = [OWNED], list(range(12)), 0, []

    def score(parts: list) -> float:
        return (utility(parts, k) + utility(parts, 4 * k)) / 2

    while True:
        now = score(parts)
        gains = {
            i: score([*parts, (offers[i].X, offers[i].y)]) - now
            for i in left
            if offers[i].price_cents <= budget - spent
        }
        gains = {i: gain for i, gain in gains.items() if gain > 1e-12}
        if not gains:
            break
        best = max(gains, key=lambda i: gains[i] / offers[i].price_cents)
        parts.append((offers[best].X, offers[best].y))
        spent += offers[best].price_cents
        left.remove(best)
        chosen.append(str(best))
    assert made.chosen == tuple(chosen) and made.cost_cents == spent
    assert made.utility_after == pytest.approx(utility(parts, k))


def test_a_seller_is_told_a_gain_in_steps_of_half_a_point_and_never_of_harm() -> None:
    assert [coarse(gain) for gain in (0.0238, 0.0049, 0.015, -0.3)] == [0.02, 0.0, 0.015, 0.0]
    with pytest.raises(InvalidArgument, match="a gain of nan"):
        coarse(float("nan"))
