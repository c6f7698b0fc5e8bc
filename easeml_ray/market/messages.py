"""What Market is told, what is offered, bought and paid."""

from __future__ import annotations

from easeml_ray.messages import DataVersion, LedgerLine, Option, message

__all__ = [
    "Audit",
    "AuditStarted",
    "Audited",
    "Buy",
    "Decline",
    "MakeOffer",
    "OfferDeclined",
    "OfferMade",
    "Payment",
    "ProposalStarted",
    "Propose",
    "Proposed",
    "PurchaseApproved",
    "Purchased",
    "RecomputePayments",
    "ReportAudit",
    "Settle",
    "SettlePurchase",
    "Settlement",
    "ShowMarket",
    "Suggest",
    "ValueOffers",
]


@message
class MakeOffer:
    """An offer, parsed and checked from the seller's bytes; bought whole or not at all.

    ``owners``: how many own rows of it and share what is paid for it.
    """

    offer: str
    seller: str
    rows: int
    digest: str
    price_cents: int
    terms: str
    owners: int = 1


@message
class OfferMade:
    """An offer stands."""

    offer: str
    seller: str
    rows: int
    digest: str
    price_cents: int
    terms: str
    owners: int = 1


@message
class Propose:
    """Value the standing offers against a version."""

    version: DataVersion
    accuracy: float
    target_accuracy: float
    budget_cents: float


@message
class ProposalStarted:
    """Valuation began."""

    version: DataVersion
    accuracy: float
    target_accuracy: float
    budget_cents: float


@message
class ValueOffers:
    """Work: plan purchases among the standing offers."""

    version: DataVersion
    accuracy: float
    target_accuracy: float
    budget_cents: float
    offers: tuple[OfferMade, ...]


@message
class Suggest:
    """Result of work: an option for each offer that is worth its price."""

    number: int
    options: tuple[Option, ...]


@message
class Proposed:
    """What could be bought, with gains and costs."""

    number: int
    options: tuple[Option, ...]


@message
class Payment:
    """What a seller gets, in whole cents."""

    seller: str
    cents: int


@message
class Buy:
    """Buy an offer; ``approved_by`` is the person who said yes, ``version`` what it is added to."""

    offer: str
    approved_by: str
    version: DataVersion


@message
class PurchaseApproved:
    """A person said yes to rows of several owners; what each is paid is computed next."""

    offer: str
    approved_by: str
    version: DataVersion


@message
class SettlePurchase:
    """Work: split the price of an offer among its owners."""

    made: OfferMade
    version: DataVersion


@message
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


@message
class Settle:
    """Result of work: what each owner is paid."""

    offer: str
    payments: tuple[Payment, ...]
    settlement: Settlement


@message
class Audit:
    """Verify the chain of payments, and compute again what was split among owners."""


@message
class AuditStarted:
    """An audit began; ``intact`` tells of the chain, ``offers`` are the purchases computed again."""

    intact: bool
    offers: tuple[str, ...]


@message
class RecomputePayments:
    """Work: split the price of a purchase again, from the version it was settled against."""

    made: OfferMade
    version: DataVersion


@message
class ReportAudit:
    """Result of work: the payments as computed again."""

    offer: str
    payments: tuple[Payment, ...]


@message
class Audited:
    """A purchase was computed again; ``agrees`` if the same was paid."""

    offer: str
    agrees: bool
    payments: tuple[Payment, ...]


@message
class Decline:
    """Say no to an offer for good."""

    offer: str
    by: str


@message
class OfferDeclined:
    """An offer is not proposed again."""

    offer: str
    by: str


@message
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


@message
class ShowMarket:
    """Query: offers, purchases, payments; a seller sees only its own."""

    seller: str | None = None
