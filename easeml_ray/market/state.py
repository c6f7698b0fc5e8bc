"""Market's state: offers, valuations, purchases and the chain of payments."""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import asdict, dataclass, field, replace
from heapq import nsmallest
from typing import Any, ClassVar

from easeml_ray.component.base import ComponentState
from easeml_ray.component.messages import WorkRejected
from easeml_ray.errors import AlreadyExists, Conflict, NotFound, QuotaExceeded, TooLarge
from easeml_ray.market.chain import GENESIS, link, verify
from easeml_ray.market.label_messages import (
    CompleteLabels,
    Labelled,
    LabellingStarted,
    LabelPurchase,
    LabelsLearnt,
    LabelsWanted,
    LearnLabels,
    WantLabels,
)
from easeml_ray.market.label_state import Labelling, judge_labels, take_labels
from easeml_ray.market.messages import (
    Audit,
    Audited,
    AuditStarted,
    Buy,
    Decline,
    MakeOffer,
    OfferDeclined,
    OfferMade,
    OfferRefused,
    Payment,
    Plan,
    ProposalStarted,
    Propose,
    Proposed,
    PurchaseApproved,
    Purchased,
    RecomputePayments,
    RefuseOffer,
    ReportAudit,
    ReportValues,
    RowsValued,
    Settle,
    Settlement,
    SettlePurchase,
    ShowMarket,
    Suggest,
    ValueOffers,
    ValueRows,
)
from easeml_ray.market.privacy import MOST_OFFERS_A_DAY, coarse
from easeml_ray.messages import Command, Decision, Event, LedgerLine, Option

__all__ = ["MarketState"]

_OFFER_BYTES = 4 * 1024
# Offers that are valued at once, and the options made of them, travel in one message each.
_VALUED_BYTES = 24 * 1024
_MOST_VALUED = 30
_MOST_REFUSED = 100  # that are shown
_MOST_AUDITED = 100  # purchases computed again by one audit, the newest
_DAY = 24 * 3600.0


@dataclass
class _Project:
    """One project; what is kept by offer is kept in the order in which it came.

    offers : all ever made; open : those neither bought nor declined; made_at : when, by seller,
    seconds since 1970; valued : how often each was valued; approved : said yes to, but not yet
    settled; settling, recomputing : the offer by the work that is due for it, the latter of the
    newest audit; purchases : a chain from GENESIS; audits : of the newest audit, None while it is
    computed; options : by offer, number and plan : all of the newest proposal; values : of the newest
    valued version; labelling : of purchases that came without labels; refused : the newest offers
    that held rows of a test set.
    """

    offers: dict[str, MakeOffer] = field(default_factory=dict)
    open: dict[str, MakeOffer] = field(default_factory=dict)
    made_at: dict[str, list[float]] = field(default_factory=dict)
    valued: Counter[str] = field(default_factory=Counter)
    approved: dict[str, Buy] = field(default_factory=dict)
    settling: dict[str, str] = field(default_factory=dict)
    recomputing: dict[str, str] = field(default_factory=dict)
    purchases: dict[str, Purchased] = field(default_factory=dict)
    audits: dict[str, Audited | None] = field(default_factory=dict)
    audited_chain: bool | None = None
    options: dict[str, Option] = field(default_factory=dict)
    number: int = 0
    plan: Plan | None = None
    values: ReportValues | None = None
    labelling: dict[str, Labelling] = field(default_factory=dict)
    refused: deque[RefuseOffer] = field(default_factory=lambda: deque(maxlen=_MOST_REFUSED))

    def note(self, seller: str, at: float) -> None:
        """Count an offer of a seller, made or refused."""
        recent = [earlier for earlier in self.made_at.get(seller, ()) if earlier > at - _DAY]
        self.made_at[seller] = [*recent, at]

    def check_quota(self, seller: str, now: float) -> None:
        """Refuse an offer of a seller who made too many: each is a question about the development rows."""
        recent = [at for at in self.made_at.get(seller, ()) if at > now - _DAY]
        if len(recent) >= MOST_OFFERS_A_DAY:
            raise QuotaExceeded(
                f"{seller} made {len(recent)} offers in 24 hours",
                hint="Put rows together into one offer, or wait a day.",
                quota="offers a day",
                limit=MOST_OFFERS_A_DAY,
            )

    def next_to_value(self) -> tuple[MakeOffer, ...]:
        """Return standing offers, as many as a message has room for, the least valued first."""
        standing = (offer for name, offer in self.open.items() if name not in self.approved)
        room = _VALUED_BYTES
        taken: list[MakeOffer] = []
        for offer in nsmallest(_MOST_VALUED, standing, key=lambda offer: self.valued[offer.offer]):
            room -= _size(offer)
            if room < 0:
                break
            taken.append(offer)
        return tuple(taken)

    def close(self, name: str) -> None:
        """Take an offer off what can be bought, for good."""
        self.open.pop(name, None)
        self.options.pop(name, None)


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
                return self._offer(project, body, command.now)
            case RefuseOffer() as body:
                # How many rows are held out tells of them: that is told as often as an offer is taken.
                project.check_quota(body.seller, command.now)
                return Decision((OfferRefused(command=body),))
            case Propose() as body:
                return Decision((ProposalStarted(command=body),))
            case Suggest() as body:
                return Decision((Proposed(command=body),))
            case ReportValues() as body:
                return Decision((RowsValued(command=body),))
            case LabelPurchase() | WantLabels() | LearnLabels() | CompleteLabels() as body:
                bought = project.offers[body.offer] if body.offer in project.purchases else None
                return judge_labels(command.project, bought, project.labelling.get(body.offer), body)
            case Buy() as body:
                return self._buy(command.project, project, body)
            case Settle(offer=offer, payments=payments, settlement=settlement):
                purchase = _purchase(project, project.approved[offer], payments, settlement)
                return Decision((purchase,), {"offer": offer, "cents": project.offers[offer].price_cents})
            case Audit():
                intact = self.verify(command.project)
                split = tuple(p.offer for p in project.purchases.values() if p.settlement)[-_MOST_AUDITED:]
                return Decision(
                    (AuditStarted(intact=intact, offers=split),), {"intact": intact, "recomputed": len(split)}
                )
            case ReportAudit() as body:
                agrees = body.payments == project.purchases[body.offer].payments
                return Decision((Audited(command=body, agrees=agrees),))
            case Decline() as body:
                self._standing(command.project, project, body.offer)
                return Decision((OfferDeclined(command=body),), {"offer": body.offer})
        raise TypeError(f"{type(command.body).__name__} is no command of the market")

    @staticmethod
    def _offer(project: _Project, offer: MakeOffer, now: float) -> Decision:
        if offer.offer in project.offers:
            raise AlreadyExists(
                f"an offer {offer.offer} stands already",
                hint="Give the offer another id.",
                what="offer",
                name=offer.offer,
            )
        project.check_quota(offer.seller, now)
        size = _size(offer)
        if size > _OFFER_BYTES:
            raise TooLarge(
                f"an offer of {size} bytes is over the limit of {_OFFER_BYTES}",
                hint="Give shorter terms.",
                limit=_OFFER_BYTES,
                size=size,
            )
        return Decision((OfferMade(command=offer),), {"offer": offer.offer, "rows": offer.rows})

    def _buy(self, name: str, project: _Project, body: Buy) -> Decision:
        offer = self._standing(name, project, body.offer)
        reply = {"offer": offer.offer, "cents": offer.price_cents}
        if offer.owners > 1:
            return Decision((PurchaseApproved(command=body),), reply)
        payments = (Payment(seller=offer.seller, cents=offer.price_cents),)
        return Decision((_purchase(project, body, payments, None),), reply)

    @staticmethod
    def _standing(name: str, project: _Project, identity: str) -> MakeOffer:
        offer = project.offers.get(identity)
        if offer is None:
            raise NotFound(
                f"no offer {identity} in {name}",
                hint=f"Standing offers: {sorted(project.open.keys() - project.approved.keys())}.",
                what="offer",
                name=identity,
            )
        if identity not in project.open or identity in project.approved:
            raise Conflict(f"offer {identity} was bought or declined", hint="Choose another offer.")
        return offer

    def apply(self, event: Event) -> None:
        """Take in one event; see :class:`ComponentState`."""
        project = self.projects.setdefault(event.project, _Project())
        match event.body:
            case OfferMade(command=offer):
                project.offers[offer.offer] = project.open[offer.offer] = offer
                project.note(offer.seller, event.at)
            case OfferRefused(command=refused):
                project.refused.append(refused)
                project.note(refused.seller, event.at)
            case ProposalStarted(command=command):
                offers = project.next_to_value()
                project.valued.update(offer.offer for offer in offers)
                self.owe(event, ValueOffers(command=command, offers=offers))
                if project.values is None or project.values.number != command.version.number:
                    self.owe(event, ValueRows(version=command.version))
            case Proposed(command=Suggest(number=number, options=options, plan=plan)):
                project.number, project.plan = number, plan
                project.options = {option.id.removeprefix("buy:"): option for option in options}
            case RowsValued(command=values):
                project.values = values
            case LabellingStarted() | LabelsWanted() | LabelsLearnt() | Labelled() as body:
                work = take_labels(project.labelling, project.offers, body)
                if work is not None:
                    self.owe(event, work)
            case OfferDeclined(command=declined):
                project.close(declined.offer)
            case PurchaseApproved() | Purchased() | AuditStarted() | Audited() | WorkRejected():
                self._settle(event, project)

    def _settle(self, event: Event, project: _Project) -> None:
        """Take in what has to do with paying for purchases, and with paying rightly."""
        match event.body:
            case PurchaseApproved(command=Buy(offer=name, version=version) as buy):
                project.approved[name] = buy
                work = SettlePurchase(offer=project.offers[name], version=version)
                project.settling[self.owe(event, work)] = name
            case WorkRejected(kind="market.SettlePurchase"):
                # Nothing was paid: the offer stands again.
                del project.approved[project.settling.pop(event.command_id)]
            case Purchased() as purchase:
                project.settling.pop(event.command_id, None)
                project.approved.pop(purchase.offer, None)
                project.purchases[purchase.offer] = purchase
                project.close(purchase.offer)
            case AuditStarted(intact=intact, offers=offers):
                project.audited_chain = intact
                project.audits = dict.fromkeys(offers)
                project.recomputing = {}
                for name in offers:
                    settlement = project.purchases[name].settlement
                    if settlement:
                        again = RecomputePayments(offer=project.offers[name], version=settlement.version)
                        project.recomputing[self.owe(event, again)] = name
            case Audited(command=report) as audited:
                project.recomputing.pop(event.command_id, None)
                project.audits[report.offer] = audited
            case WorkRejected(kind="market.RecomputePayments"):
                # What cannot be computed again is not vouched for; a former audit's work says nothing more.
                failed = project.recomputing.pop(event.command_id, None)
                if failed is not None:
                    unknown = ReportAudit(offer=failed, payments=())
                    project.audits[failed] = Audited(command=unknown, agrees=False)

    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; see :class:`ComponentState`."""
        if not isinstance(query, ShowMarket):
            raise TypeError(f"{type(query).__name__} is no query of the market")
        known = self.projects.get(project, _Project())
        mine = [
            offer for offer in known.offers.values() if query.seller is None or offer.seller == query.seller
        ]
        names = {offer.offer for offer in mine}
        options = {name: option for name, option in known.options.items() if name in names}
        audit = None
        if known.audited_chain is not None and query.seller is None:
            audit = {
                "intact": known.audited_chain,
                "purchases": {
                    name: None if one is None else {"agrees": one.agrees, "payments": one.command.payments}
                    for name, one in known.audits.items()
                },
            }
        return {
            "project": project,
            "offers": [{**asdict(o), "bought": o.offer in known.purchases} for o in mine],
            # Exact values would tell, offer by offer, what the development rows are.
            "worth": {name: coarse(options[name].gain.mean) for name in sorted(options)},
            "audit": audit,
            "options": [option.shown() for option in options.values()],
            # The curves are of the development rows, and of what others offer.
            "plan": _as_dict(known.plan if query.seller is None else None),
            "values": _as_dict(known.values if query.seller is None else None),
            "labelling": {
                name: {"asked": one.asked, "labelled": one.given, "over": one.over}
                for name, one in known.labelling.items()
                if name in names
            },
            "refused": [asdict(o) for o in known.refused if query.seller in (None, o.seller)],
            "purchases": [_shown(p, query.seller) for p in known.purchases.values() if p.offer in names],
            "chain_intact": self.verify(project),
        }

    def verify(self, project: str) -> bool:
        """Tell whether the chain of a project's purchases is unbroken."""
        known = self.projects.get(project, _Project())
        purchases = known.purchases.values()
        return verify([(_record(known.offers[p.offer], p), p.previous, p.hash) for p in purchases])

    def validate(self) -> None:
        """Check the invariants."""
        super().validate()
        for name, project in self.projects.items():
            assert self.verify(name)
            assert project.approved.keys() <= project.open.keys() <= project.offers.keys()
            assert not project.open.keys() & project.purchases.keys()
            assert sorted(project.settling.values()) == sorted(project.approved)
            assert project.settling.keys() | project.recomputing.keys() <= self.actions.keys()


def _as_dict(body: Plan | ReportValues | None) -> dict[str, Any] | None:
    return None if body is None else asdict(body)


def _shown(purchase: Purchased, seller: str | None) -> dict[str, Any]:
    """Return a purchase; without what it was valued by, whose exact values a seller may not see."""
    shown = asdict(purchase)
    if seller is not None:
        del shown["settlement"], shown["development"]
    return shown


def _purchase(
    project: _Project, approved: Buy, payments: tuple[Payment, ...], settlement: Settlement | None
) -> Purchased:
    """Return the next link of the chain."""
    offer = project.offers[approved.offer]
    previous = next(reversed(project.purchases.values())).hash if project.purchases else GENESIS
    purchase = Purchased(
        offer=offer.offer,
        digest=offer.digest,
        rows=offer.rows,
        payments=payments,
        approved_by=approved.approved_by,
        version=approved.version.number,
        previous=previous,
        hash="",
        ledger=LedgerLine(
            variable=f"purchase of offer {offer.offer}",
            entropy_before=0.0,
            entropy_after=0.0,
            cost_cents=float(offer.price_cents),
            evidence=f"rows {offer.digest[:12]}",
            count=offer.rows,
        ),
        development=approved.version.development.digest,
        settlement=settlement,
        labelled=offer.labelled,
    )
    return replace(purchase, hash=link(previous, _record(offer, purchase)))


def _record(offer: MakeOffer, purchase: Purchased) -> dict[str, Any]:
    """Return what a link of the chain vouches for."""
    return {
        "offer": asdict(offer),
        "payments": [asdict(payment) for payment in purchase.payments],
        "approved_by": purchase.approved_by,
        "version": purchase.version,
        "development": purchase.development,
        "settlement": asdict(purchase.settlement) if purchase.settlement else None,
    }


def _size(offer: MakeOffer) -> int:
    return len(json.dumps(asdict(offer)))
