"""What Market is told, what is offered, bought and paid."""

from __future__ import annotations

from easeml_ray.messages import DataVersion, LedgerLine, Option, message, value

__all__ = [
    "Audit",
    "AuditStarted",
    "Audited",
    "Buy",
    "Decline",
    "MakeOffer",
    "OfferDeclined",
    "OfferMade",
    "OfferRefused",
    "Payment",
    "Plan",
    "PlanPoint",
    "ProposalStarted",
    "Propose",
    "Proposed",
    "PurchaseApproved",
    "Purchased",
    "RecomputePayments",
    "RefuseOffer",
    "ReportAudit",
    "ReportValues",
    "RowsValued",
    "Settle",
    "SettlePurchase",
    "Settlement",
    "ShowMarket",
    "Suggest",
    "ValueOffers",
    "ValueRows",
    "Worth",
]


@message("market.MakeOffer")
class MakeOffer:
    """An offer, parsed and checked from the seller's bytes; bought whole or not at all.

    ``owners``: how many own rows of it and share what is paid for it; ``labelled``: whether its rows
    have labels, which people are asked for after the purchase if not.
    """

    offer: str
    seller: str
    rows: int
    digest: str
    price_cents: int
    terms: str
    owners: int = 1
    labelled: bool = True


@message("market.OfferMade")
class OfferMade:
    """An offer stands."""

    command: MakeOffer


@message("market.RefuseOffer")
class RefuseOffer:
    """Note an offer that held rows of a test set: so many of its rows are ``held_out``."""

    offer: str
    seller: str
    held_out: int


@message("market.OfferRefused")
class OfferRefused:
    """An offer was refused; it counts as one of the seller's of the day."""

    command: RefuseOffer


@message("market.Propose")
class Propose:
    """Value the standing offers against a version; ``label_cents``: what labelling a row costs."""

    version: DataVersion
    accuracy: float
    target_accuracy: float
    budget_cents: float
    label_cents: float = 0.0


@message("market.ProposalStarted")
class ProposalStarted:
    """Valuation began."""

    command: Propose


@message("market.ValueOffers")
class ValueOffers:
    """Work: plan purchases among the standing offers."""

    command: Propose
    offers: tuple[MakeOffer, ...]


@value
class PlanPoint:
    """Expected accuracy after so much money; the 90 % interval is over development rows."""

    spent_cents: int
    accuracy: float
    interval: tuple[float, float]


@value
class Worth:
    """What an offer alone would bring, labelling and all; the 90 % interval is over development rows."""

    offer: str
    cost_cents: int
    gain: float
    interval: tuple[float, float]


@value
class Plan:
    """What a budget would buy, in order, and the way of the expected accuracy along it.

    ``curve`` begins with the accuracy before any purchase and has a point for each of ``chosen``;
    ``alone`` has every offer that was valued.
    """

    budget_cents: int
    chosen: tuple[str, ...]
    curve: tuple[PlanPoint, ...]
    alone: tuple[Worth, ...]
    rule: str
    method: str


@message("market.Suggest")
class Suggest:
    """Result of work: an option for each offer that is worth its price, and the plan behind them."""

    number: int
    options: tuple[Option, ...]
    plan: Plan | None = None


@message("market.Proposed")
class Proposed:
    """What could be bought, with gains and costs."""

    command: Suggest


@message("market.ValueRows")
class ValueRows:
    """Work: value the train rows of a version, and draw what keeping the best or worst would do."""

    version: DataVersion


@message("market.ReportValues")
class ReportValues:
    """Result of work: what train rows are worth.

    ``best``, ``worst`` and ``any`` are the accuracies of a vote of nearest neighbours when the share
    ``kept`` of ``rows`` is kept: those of the highest values, of the lowest, or drawn at random;
    ``highest`` and ``lowest`` are row ids with their values.
    """

    number: int
    rows: int
    kept: tuple[float, ...]
    best: tuple[float, ...]
    worst: tuple[float, ...]
    any: tuple[float, ...]
    highest: tuple[tuple[int, float], ...]
    lowest: tuple[tuple[int, float], ...]
    method: str


@message("market.RowsValued")
class RowsValued:
    """What train rows are worth is known."""

    command: ReportValues


@value
class Payment:
    """What a seller gets, in whole cents."""

    seller: str
    cents: int


@message("market.Buy")
class Buy:
    """Buy an offer; ``approved_by`` is the person who said yes, ``version`` what it is added to."""

    offer: str
    approved_by: str
    version: DataVersion


@message("market.PurchaseApproved")
class PurchaseApproved:
    """A person said yes to rows of several owners; what each is paid is computed next."""

    command: Buy


@message("market.SettlePurchase")
class SettlePurchase:
    """Work: split the price of an offer among its owners."""

    offer: MakeOffer
    version: DataVersion


@value
class Settlement:
    """How a price was split: by which game, over which rows, judged by which development rows.

    ``version`` is the data version that the rows were valued against; ``shares`` are the values
    as computed, a payment each, in the same order.
    """

    method: str
    k: int
    utility: str
    version: DataVersion
    shares: tuple[float, ...]


@message("market.Settle")
class Settle:
    """Result of work: what each owner is paid."""

    offer: str
    payments: tuple[Payment, ...]
    settlement: Settlement


@message("market.Audit")
class Audit:
    """Verify the chain of payments, and compute again what was split among owners."""


@message("market.AuditStarted")
class AuditStarted:
    """An audit began; ``intact`` tells of the chain, ``offers`` are the purchases computed again."""

    intact: bool
    offers: tuple[str, ...]


@message("market.RecomputePayments")
class RecomputePayments:
    """Work: split the price of a purchase again, from the version it was settled against."""

    offer: MakeOffer
    version: DataVersion


@message("market.ReportAudit")
class ReportAudit:
    """Result of work: the payments as computed again."""

    offer: str
    payments: tuple[Payment, ...]


@message("market.Audited")
class Audited:
    """A purchase was computed again; ``agrees`` if the same was paid."""

    command: ReportAudit
    agrees: bool


@message("market.Decline")
class Decline:
    """Say no to an offer for good."""

    offer: str
    by: str


@message("market.OfferDeclined")
class OfferDeclined:
    """An offer is not proposed again."""

    command: Decline


@message("market.Purchased")
class Purchased:
    """An offer was bought. ``hash`` chains this purchase to the one before.

    ``development`` is the digest of the development rows that the offer was valued by;
    ``settlement`` tells how the price was split, None where one owner got all of it.
    """

    offer: str
    digest: str
    rows: int
    payments: tuple[Payment, ...]
    approved_by: str
    version: int
    previous: str
    hash: str
    ledger: LedgerLine
    development: str = ""
    settlement: Settlement | None = None
    labelled: bool = True


@message("market.ShowMarket")
class ShowMarket:
    """Query: offers, purchases, payments; a seller sees only its own."""

    seller: str | None = None
