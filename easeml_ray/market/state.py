"""Market's state: offers, valuations, purchases and the chain of payments."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from easeml_ray.errors import AlreadyExists, Conflict, NotFound, TooLarge
from easeml_ray.market.chain import GENESIS, link, verify
from easeml_ray.market.messages import (
    Buy,
    Decline,
    MakeOffer,
    OfferDeclined,
    OfferMade,
    Payment,
    ProposalStarted,
    Propose,
    Proposed,
    Purchased,
    ShowMarket,
    Suggest,
    ValueOffers,
)
from easeml_ray.messages import Command, Decision, Event, LedgerLine, Option
from easeml_ray.process.component import ComponentState

__all__ = ["MarketState"]

_OFFER_BYTES = 4 * 1024
# Offers that are valued at once, and the options made of them, travel in one message each.
_VALUED_BYTES = 24 * 1024
_MOST_VALUED = 30


@dataclass
class _Project:
    """One project.

    offers : by id, all ever made; valued : how often each was valued; purchases : in order, a
    chain from GENESIS.
    """

    offers: dict[str, OfferMade] = field(default_factory=dict)
    valued: Counter[str] = field(default_factory=Counter)
    purchases: list[Purchased] = field(default_factory=list)
    declined: set[str] = field(default_factory=set)
    options: tuple[Option, ...] = ()
    number: int = 0

    @property
    def bought(self) -> set[str]:
        return {purchase.offer for purchase in self.purchases}

    @property
    def closed(self) -> set[str]:
        return self.bought | self.declined

    def next_to_value(self) -> tuple[OfferMade, ...]:
        """Return standing offers, as many as a message has room for, the least valued first."""
        standing = [offer for name, offer in self.offers.items() if name not in self.closed]
        standing.sort(key=lambda offer: self.valued[offer.offer])
        room = _VALUED_BYTES
        taken: list[OfferMade] = []
        for offer in standing[:_MOST_VALUED]:
            room -= _size(offer)
            if room < 0:
                break
            taken.append(offer)
        return tuple(taken)


class MarketState(ComponentState):
    """Offers and purchases by project."""

    component: ClassVar[str] = "market"

    def __init__(self) -> None:
        super().__init__()
        self.projects: dict[str, _Project] = {}

    def decide(self, command: Command) -> Decision:
        """Judge a command; see :class:`ComponentState`."""
        project = self.projects.get(command.project, _Project())
        match command.body:
            case MakeOffer() as body:
                if body.offer in project.offers:
                    raise AlreadyExists(
                        f"an offer {body.offer} stands already",
                        hint="Give the offer another id.",
                        what="offer",
                        name=body.offer,
                    )
                made = OfferMade(
                    body.offer, body.seller, body.rows, body.digest, body.price_cents, body.terms
                )
                if _size(made) > _OFFER_BYTES:
                    raise TooLarge(
                        f"an offer of {_size(made)} bytes is over the limit of {_OFFER_BYTES}",
                        hint="Give shorter terms.",
                        limit=_OFFER_BYTES,
                        size=_size(made),
                    )
                return Decision((made,), {"offer": body.offer, "rows": body.rows})
            case Propose(version, accuracy, target_accuracy, budget_cents):
                return Decision((ProposalStarted(version, accuracy, target_accuracy, budget_cents),))
            case Suggest(number, options):
                return Decision((Proposed(number, options),))
            case Buy() as body:
                return self._buy(command.project, project, body)
            case Decline(offer, by):
                self._standing(command.project, project, offer)
                return Decision((OfferDeclined(offer, by),), {"offer": offer})
        raise TypeError(f"{type(command.body).__name__} is no command of the market")

    def _buy(self, name: str, project: _Project, body: Buy) -> Decision:
        offer = self._standing(name, project, body.offer)
        previous = project.purchases[-1].hash if project.purchases else GENESIS
        payments = (Payment(offer.seller, offer.price_cents),)
        record = _record(offer, payments, body.approved_by, body.version)
        purchase = Purchased(
            offer=offer.offer,
            digest=offer.digest,
            rows=offer.rows,
            payments=payments,
            approved_by=body.approved_by,
            version=body.version,
            previous=previous,
            hash=link(previous, record),
            ledger=LedgerLine(
                variable=f"purchase of offer {offer.offer}",
                entropy_before=0.0,
                entropy_after=0.0,
                cost_cents=float(offer.price_cents),
                evidence=f"rows {offer.digest[:12]}",
                count=offer.rows,
            ),
        )
        return Decision((purchase,), {"offer": offer.offer, "cents": offer.price_cents})

    @staticmethod
    def _standing(name: str, project: _Project, identity: str) -> OfferMade:
        offer = project.offers.get(identity)
        if offer is None:
            raise NotFound(
                f"no offer {identity} in {name}",
                hint=f"Standing offers: {sorted(set(project.offers) - project.closed)}.",
                what="offer",
                name=identity,
            )
        if identity in project.closed:
            raise Conflict(f"offer {identity} was bought or declined", hint="Choose another offer.")
        return offer

    def apply(self, event: Event) -> None:
        """Take in one event; see :class:`ComponentState`."""
        project = self.projects.setdefault(event.project, _Project())
        match event.body:
            case OfferMade() as body:
                project.offers[body.offer] = body
            case ProposalStarted(version, accuracy, target_accuracy, budget_cents):
                offers = project.next_to_value()
                project.valued.update(offer.offer for offer in offers)
                self.owe(event, ValueOffers(version, accuracy, target_accuracy, budget_cents, offers))
            case Proposed(number, options):
                project.number, project.options = number, options
            case Purchased() as body:
                project.purchases.append(body)
                project.options = tuple(o for o in project.options if o.id != f"buy:{body.offer}")
            case OfferDeclined(offer, _):
                project.declined.add(offer)
                project.options = tuple(o for o in project.options if o.id != f"buy:{offer}")

    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; see :class:`ComponentState`."""
        if not isinstance(query, ShowMarket):
            raise TypeError(f"{type(query).__name__} is no query of the market")
        known = self.projects.get(project, _Project())
        mine = [
            offer for offer in known.offers.values() if query.seller is None or offer.seller == query.seller
        ]
        names = {offer.offer for offer in mine}
        return {
            "project": project,
            "offers": [{**asdict(o), "bought": o.offer in known.bought} for o in mine],
            "options": [asdict(o) for o in known.options if o.id.removeprefix("buy:") in names],
            "purchases": [asdict(p) for p in known.purchases if p.offer in names],
            "chain_intact": self.verify(project),
        }

    def verify(self, project: str) -> bool:
        """Tell whether the chain of a project's purchases is unbroken."""
        known = self.projects.get(project, _Project())
        return verify(
            [
                (_record(known.offers[p.offer], p.payments, p.approved_by, p.version), p.previous, p.hash)
                for p in known.purchases
            ]
        )

    def validate(self) -> None:
        """Check the invariants."""
        super().validate()
        assert all(self.verify(project) for project in self.projects)


def _record(
    offer: OfferMade, payments: tuple[Payment, ...], approved_by: str, version: int
) -> dict[str, Any]:
    return {
        "offer": asdict(offer),
        "payments": [asdict(payment) for payment in payments],
        "approved_by": approved_by,
        "version": version,
    }


def _size(offer: OfferMade) -> int:
    return len(json.dumps(asdict(offer)))
