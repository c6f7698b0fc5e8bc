"""What Market is told, what is offered, bought and paid."""

from __future__ import annotations

from easeml_ray.messages import DataVersion, LedgerLine, Option, message

__all__ = [
    "Buy",
    "Decline",
    "MakeOffer",
    "OfferDeclined",
    "OfferMade",
    "Payment",
    "ProposalStarted",
    "Propose",
    "Proposed",
    "Purchased",
    "ShowMarket",
    "Suggest",
    "ValueOffers",
]


@message
class MakeOffer:
    """An offer, parsed and checked from the seller's bytes; bought whole or not at all."""

    offer: str
    seller: str
    rows: int
    digest: str
    price_cents: int
    terms: str


@message
class OfferMade:
    """An offer stands."""

    offer: str
    seller: str
    rows: int
    digest: str
    price_cents: int
    terms: str


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
class Buy:
    """Buy an offer; ``approved_by`` is the person who said yes."""

    offer: str
    approved_by: str
    version: int


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
class Payment:
    """What a seller gets, in whole cents."""

    seller: str
    cents: int


@message
class Purchased:
    """An offer was bought. ``hash`` chains this purchase to the one before."""

    offer: str
    digest: str
    rows: int
    payments: tuple[Payment, ...]
    approved_by: str
    version: int
    previous: str
    hash: str
    ledger: LedgerLine


@message
class ShowMarket:
    """Query: offers, purchases, payments; a seller sees only its own."""

    seller: str | None = None
