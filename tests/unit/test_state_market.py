"""Market's offers and purchases: bought or declined once, in a chain that shows every change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from harness import Driven, digest, version

from easeml_ray.errors import AlreadyExists, Conflict, NotFound, QuotaExceeded, TooLarge
from easeml_ray.market.chain import GENESIS
from easeml_ray.market.label_messages import (
    CompleteLabels,
    LabelPurchase,
    LabelRows,
    LabelsLearnt,
    LabelsWanted,
    LearnLabels,
    PlacedLabel,
    WantLabels,
)
from easeml_ray.market.messages import (
    Audit,
    Buy,
    Decline,
    MakeOffer,
    Payment,
    Propose,
    Purchased,
    RecomputePayments,
    RefuseOffer,
    ReportAudit,
    Settle,
    Settlement,
    SettlePurchase,
    ShowMarket,
    Suggest,
    ValueOffers,
)
from easeml_ray.market.state import MarketState
from easeml_ray.messages import MAX_MESSAGE_BYTES, Gain, Option, encode, kind_of


@pytest.fixture
def market() -> Iterator[Driven]:
    driven = Driven(MarketState)
    yield driven
    driven.check_replay()


def offer(name: str, seller: str = "eve", cents: int = 100, terms: str = "") -> MakeOffer:
    return MakeOffer(offer=name, seller=seller, rows=30, digest=digest(name), price_cents=cents, terms=terms)


def value(market: Driven) -> ValueOffers:
    """Have the standing offers valued; return what the work was given."""
    market.tell(Propose(version=version(), accuracy=0.8, target_accuracy=0.9, budget_cents=1000.0))
    (work,) = market.due(ValueOffers)
    options = tuple(
        Option(f"buy:{o.offer}", "BUY_ROW", "?", Gain(0.01, 0, 1), float(o.price_cents))
        for o in work.body.offers[:50]
    )
    market.report(work, Suggest(number=1, options=options))
    return work.body


def options(market: Driven, seller: str | None = None) -> list[str]:
    return [o["id"] for o in market.ask(ShowMarket(seller=seller))["options"]]


def test_an_offer_is_made_once(market: Driven) -> None:
    assert market.tell(offer("o1")) == {"offer": "o1", "rows": 30}
    assert market.refused(AlreadyExists, offer("o1", seller="bob")).name == "o1"
    market.tell(offer("o1"), project="q")


def test_an_offer_longer_than_a_message_has_room_for_is_refused(market: Driven) -> None:
    assert market.refused(TooLarge, offer("o1", terms="x" * 5000)).limit == 4096
    market.tell(offer("o1", terms="x" * 2000))


def test_an_offer_is_bought_once_and_paid_to_its_seller(market: Driven) -> None:
    market.tell(offer("o1"))
    assert market.tell(Buy(offer="o1", approved_by="ann", version=version())) == {"offer": "o1", "cents": 100}
    market.refused(Conflict, Buy(offer="o1", approved_by="ann", version=version()))
    market.refused(Conflict, Decline(offer="o1", by="ann"))
    assert market.refused(NotFound, Buy(offer="o2", approved_by="ann", version=version())).what == "offer"
    (purchase,) = market.told(Purchased)
    assert purchase.payments == (Payment(seller="eve", cents=100),)
    assert (purchase.ledger.cost_cents, purchase.ledger.count) == (100.0, 30)
    assert purchase.previous == GENESIS


def test_a_declined_offer_is_not_valued_again(market: Driven) -> None:
    market.tell(offer("o1"))
    market.tell(offer("o2"))
    assert [o.offer for o in value(market).offers] == ["o1", "o2"]
    assert options(market) == ["buy:o1", "buy:o2"]
    market.tell(Decline(offer="o1", by="ann"))
    assert options(market) == ["buy:o2"]
    market.refused(Conflict, Buy(offer="o1", approved_by="ann", version=version()))
    market.refused(NotFound, Decline(offer="o3", by="ann"))
    assert [o.offer for o in value(market).offers] == ["o2"]
    market.tell(Buy(offer="o2", approved_by="ann", version=version()))
    assert options(market) == []
    assert value(market).offers == ()


def test_each_purchase_names_the_one_before(market: Driven) -> None:
    for name in ("a", "b", "c"):
        market.tell(offer(name))
        market.tell(Buy(offer=name, approved_by="ann", version=version()))
    purchases = market.told(Purchased)
    assert [p.previous for p in purchases] == [GENESIS, purchases[0].hash, purchases[1].hash]
    assert market.state.verify("p")
    assert market.ask(ShowMarket())["chain_intact"]


@pytest.mark.parametrize(
    "change",
    [
        {"payments": (Payment(seller="mallory", cents=100),)},
        {"payments": (Payment(seller="eve", cents=1),)},
        {"approved_by": "mallory"},
        {"version": 2},
        {"previous": "1" * 64},
        {"hash": "1" * 64},
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_purchase_changed_afterwards_breaks_the_chain(place: int, change: dict) -> None:
    market = Driven(MarketState)
    for name in ("a", "b"):
        market.tell(offer(name))
        market.tell(Buy(offer=name, approved_by="ann", version=version()))
    purchases = market.state.projects["p"].purchases
    name = ("a", "b")[place]
    purchases[name] = replace(purchases[name], **change)
    assert not market.ask(ShowMarket())["chain_intact"]


def test_an_offer_changed_or_a_purchase_removed_afterwards_breaks_the_chain() -> None:
    market = Driven(MarketState)
    for name in ("a", "b"):
        market.tell(offer(name))
        market.tell(Buy(offer=name, approved_by="ann", version=version()))
    known = market.state.projects["p"]
    known.offers["a"] = replace(known.offers["a"], price_cents=1)
    assert not market.state.verify("p")
    known.offers["a"] = replace(known.offers["a"], price_cents=100)
    assert market.state.verify("p")
    del known.purchases["a"]
    assert not market.state.verify("p")


def test_a_seller_sees_its_own_alone(market: Driven) -> None:
    market.tell(offer("o1", "eve"))
    market.tell(offer("o2", "bob"))
    value(market)
    market.tell(Buy(offer="o1", approved_by="ann", version=version()))
    seen = market.ask(ShowMarket(seller="bob"))
    assert [o["offer"] for o in seen["offers"]] == ["o2"]
    assert seen["purchases"] == []
    assert options(market, "bob") == ["buy:o2"]
    assert [p["offer"] for p in market.ask(ShowMarket(seller="eve"))["purchases"]] == ["o1"]


def test_many_offers_are_valued_in_turns_that_fit_into_a_message(market: Driven) -> None:
    for number in range(100):
        market.tell(offer(f"offer-{number:03d}", f"seller-{number // 10}", terms="x" * (number * 20)))
    seen: set[str] = set()
    for _ in range(12):
        body = value(market)
        assert 0 < len(encode(body)) < MAX_MESSAGE_BYTES
        assert not {o.offer for o in body.offers} <= seen  # always some that were not seen yet
        seen |= {o.offer for o in body.offers}
        if len(seen) == 100:
            break
    assert len(seen) == 100


def test_a_valuation_that_fails_leaves_the_offers_standing(market: Driven) -> None:
    market.tell(offer("o1"))
    market.tell(Propose(version=version(), accuracy=0.8, target_accuracy=0.9, budget_cents=1000.0))
    market.fail(market.due(ValueOffers)[0])
    assert [kind_of(action.body) for action in market.state.due()] == ["market.ValueRows"]
    assert [o.offer for o in value(market).offers] == ["o1"]


def test_what_is_no_command_or_query_is_a_fault_of_the_caller(market: Driven) -> None:
    with pytest.raises(TypeError, match="no command"):
        market.tell(ShowMarket())
    with pytest.raises(TypeError, match="no query"):
        market.ask(Buy(offer="o1", approved_by="ann", version=version()))


# -- rows of several owners ---------------------------------------------------------------------------

SHARES = (0.2, 0.1, -0.1)
PAID = (Payment(seller="ada", cents=67), Payment(seller="bob", cents=33), Payment(seller="cyd", cents=0))


def shared(market: Driven, name: str = "pool") -> SettlePurchase:
    """Have rows of three owners bought; return what the work was given."""
    market.tell(replace(offer(name), owners=3))
    assert market.tell(Buy(offer=name, approved_by="ann", version=version())) == {"offer": name, "cents": 100}
    (work,) = market.due(SettlePurchase)
    return work


def settlement() -> Settlement:
    return Settlement(method="game", k=5, utility="jia", version=version(), shares=SHARES)


def test_rows_of_several_owners_are_paid_once_their_shares_are_computed(market: Driven) -> None:
    work = shared(market)
    assert (work.body.offer.owners, work.body.version.number) == (3, 1)
    assert market.told(Purchased) == []
    market.refused(Conflict, Buy(offer="pool", approved_by="ann", version=version()))
    market.refused(Conflict, Decline(offer="pool", by="ann"))
    market.report(work, Settle(offer="pool", payments=PAID, settlement=settlement()))
    (purchase,) = market.told(Purchased)
    assert purchase.payments == PAID and purchase.settlement == settlement()
    assert purchase.development == version().development.digest
    assert market.state.verify("p")
    (own,), (whole,) = (market.ask(ShowMarket(seller=who))["purchases"] for who in ("eve", None))
    assert whole["settlement"]["shares"] == SHARES and sum(p["cents"] for p in own["payments"]) == 100
    assert not {"settlement", "development"} & own.keys()  # exact values are not a seller's to see


def test_a_settlement_that_fails_leaves_the_offer_standing(market: Driven) -> None:
    market.fail(shared(market))
    assert not market.state.due()
    assert [o.offer for o in value(market).offers] == ["pool"]
    market.tell(Buy(offer="pool", approved_by="ann", version=version()))
    assert len(market.due(SettlePurchase)) == 1
    assert value(market).offers == ()


@pytest.mark.parametrize(
    "change",
    [
        {"development": "0" * 64},
        {"settlement": None},
        {"settlement": replace(settlement(), shares=(0.1, 0.2, -0.1))},
        {"settlement": replace(settlement(), k=3)},
    ],
)
def test_what_a_payment_was_computed_from_cannot_be_changed_afterwards(change: dict) -> None:
    market = Driven(MarketState)
    market.report(shared(market), Settle(offer="pool", payments=PAID, settlement=settlement()))
    purchases = market.state.projects["p"].purchases
    purchases["pool"] = replace(purchases["pool"], **change)
    assert not market.state.verify("p")


def test_an_audit_computes_split_payments_again(market: Driven) -> None:
    market.tell(offer("plain"))
    market.tell(Buy(offer="plain", approved_by="ann", version=version()))
    for name in ("pool", "pond"):
        market.report(shared(market, name), Settle(offer=name, payments=PAID, settlement=settlement()))
    assert market.ask(ShowMarket())["audit"] is None
    assert market.tell(Audit()) == {"intact": True, "recomputed": 2}
    assert market.ask(ShowMarket())["audit"]["purchases"] == {"pool": None, "pond": None}
    first, second = market.due(RecomputePayments)
    assert first.body.version == version()
    market.report(first, ReportAudit(offer="pool", payments=PAID))
    market.report(second, ReportAudit(offer="pond", payments=(Payment(seller="ada", cents=100),)))
    found = market.ask(ShowMarket())["audit"]
    assert {name: one["agrees"] for name, one in found["purchases"].items()} == {"pool": True, "pond": False}
    assert market.ask(ShowMarket(seller="eve"))["audit"] is None


def test_what_cannot_be_computed_again_is_not_vouched_for(market: Driven) -> None:
    for name in ("pool", "pond"):
        market.report(shared(market, name), Settle(offer=name, payments=PAID, settlement=settlement()))
    market.tell(Audit())
    first, second = market.due(RecomputePayments)
    market.fail(first)
    assert market.ask(ShowMarket())["audit"]["purchases"]["pool"]["agrees"] is False
    assert market.ask(ShowMarket())["audit"]["purchases"]["pond"] is None
    market.report(second, ReportAudit(offer="pond", payments=PAID))
    assert market.ask(ShowMarket())["audit"]["purchases"]["pond"]["agrees"]


def test_what_was_left_of_an_audit_says_nothing_in_a_newer_one(market: Driven) -> None:
    market.report(shared(market), Settle(offer="pool", payments=PAID, settlement=settlement()))
    market.tell(Audit())
    market.tell(Audit())
    first, second = market.due(RecomputePayments)
    market.fail(first)
    assert market.ask(ShowMarket())["audit"]["purchases"] == {"pool": None}
    market.fail(second)
    assert market.ask(ShowMarket())["audit"]["purchases"] == {"pool": {"agrees": False, "payments": ()}}


# -- rows without labels ------------------------------------------------------------------------------


def labels(first: int, *values: str | None) -> LearnLabels:
    placed = (PlacedLabel(place=p, label=v, cost_cents=2.5) for p, v in enumerate(values, first))
    return LearnLabels(offer="bare", labels=tuple(placed))


def test_a_purchase_without_labels_is_labelled_once_in_rounds(market: Driven) -> None:
    start = LabelPurchase(offer="bare", version=version(), items=2)
    bare = replace(offer("bare"), labelled=False)
    market.tell(bare)
    assert market.refused(NotFound, start).what == "purchase"  # nobody bought it yet
    market.tell(Buy(offer="bare", approved_by="ann", version=version()))
    assert "has not begun" in str(market.refused(Conflict, labels(0, "1")))
    market.tell(start)
    assert "has begun" in str(market.refused(Conflict, start))

    (work,) = market.due(LabelRows)
    assert work.body == LabelRows(command=start, offer=bare, known="", fresh=())
    market.report(work, WantLabels(offer="bare", known="none", first=0, count=2, classes=("0", "1")))
    (asked,) = market.told(LabelsWanted)
    assert (asked.digest, asked.command.count) == (digest("bare"), 2)
    market.tell(labels(0, "1", None))
    (learnt,) = market.told(LabelsLearnt)
    assert (learnt.ledger.cost_cents, learnt.ledger.count, learnt.ledger.evidence) == (5.0, 2, "rows 0 to 1")
    (work,) = market.due(LabelRows)
    assert work.body == LabelRows(command=start, offer=bare, known="none", fresh=labels(0, "1", None).labels)
    assert market.ask(ShowMarket())["labelling"] == {"bare": {"asked": 2, "labelled": 1, "over": False}}

    market.report(work, CompleteLabels(offer="bare", digest="table", rows=1))
    assert not market.state.due()
    assert market.ask(ShowMarket())["labelling"] == {"bare": {"asked": 2, "labelled": 1, "over": True}}
    for late in (start, labels(2, "0")):
        assert "has begun and ended" in str(market.refused(Conflict, late))


def test_rows_that_came_with_labels_are_not_labelled(market: Driven) -> None:
    market.tell(offer("o1"))
    market.tell(Buy(offer="o1", approved_by="ann", version=version()))
    market.refused(NotFound, LabelPurchase(offer="o1", version=version(), items=2))


# -- what a seller may learn --------------------------------------------------------------------------


def test_a_seller_makes_so_many_offers_a_day(market: Driven) -> None:
    for number in range(20):
        market.tell(offer(f"o{number}", "eve"))
    refused = market.refused(QuotaExceeded, offer("o20", "eve"))
    assert (refused.quota, refused.limit) == ("offers a day", 20)
    market.tell(offer("o20", "bob"))
    market.now += 24 * 3600 + 1
    market.tell(offer("o21", "eve"))


def test_a_seller_is_told_the_worth_of_its_own_offers_in_steps(market: Driven) -> None:
    market.tell(offer("o1", "eve"))
    market.tell(offer("o2", "bob"))
    market.tell(Propose(version=version(), accuracy=0.8, target_accuracy=0.9, budget_cents=1000.0))
    (work,) = market.due(ValueOffers)
    made = [
        Option(f"buy:{o}", "BUY_ROW", "?", Gain(g, 0, 1), 100.0) for o, g in (("o1", 0.0238), ("o2", 0.3))
    ]
    market.report(work, Suggest(number=1, options=tuple(made)))
    assert market.ask(ShowMarket(seller="eve"))["worth"] == {"o1": 0.02}


def test_refused_offers_are_shown_and_count_as_offers(market: Driven) -> None:
    for number in range(20):
        market.tell(RefuseOffer(offer=f"r{number}", seller="eve", held_out=3))
    assert market.refused(QuotaExceeded, RefuseOffer(offer="r20", seller="eve", held_out=3)).limit == 20
    market.refused(QuotaExceeded, offer("o1"))
    market.tell(RefuseOffer(offer="r0", seller="bob", held_out=1))
    assert len(market.ask(ShowMarket())["refused"]) == 21
    assert [one["offer"] for one in market.ask(ShowMarket(seller="bob"))["refused"]] == ["r0"]
    assert not market.ask(ShowMarket())["offers"]
    for number in range(5):
        for _ in range(20):
            market.tell(RefuseOffer(offer="more", seller=f"seller-{number}", held_out=1))
    assert [one["offer"] for one in market.ask(ShowMarket())["refused"]] == ["more"] * 100
