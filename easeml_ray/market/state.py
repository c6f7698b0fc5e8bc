"""Market's state: offers, valuations, purchases and the chain of payments."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field, fields, replace
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
    LabelRows,
    LabelsLearnt,
    LabelsWanted,
    LearnLabels,
    PlacedLabel,
    WantLabels,
)
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
    """One project.

    offers : by id, all ever made; made_at : when, by seller, seconds since 1970; valued : how
    often each was valued; approved : said yes to, but not yet settled; purchases : in order, a
    chain from GENESIS; audits : by offer, of the newest audit, None while it is computed; plan,
    values : of the newest proposal and the newest valued version; labelling : bought without labels
    and not labelled yet, with the blob of the labels that came; labels : how many were asked for and
    given, by offer; labelled : the table with labels, by offer; refused : the newest offers that held
    rows of a test set.
    """

    offers: dict[str, OfferMade] = field(default_factory=dict)
    valued: Counter[str] = field(default_factory=Counter)
    purchases: list[Purchased] = field(default_factory=list)
    declined: set[str] = field(default_factory=set)
    approved: dict[str, PurchaseApproved] = field(default_factory=dict)
    made_at: dict[str, list[float]] = field(default_factory=dict)
    audits: dict[str, Audited | None] = field(default_factory=dict)
    audited_chain: bool | None = None
    options: tuple[Option, ...] = ()
    number: int = 0
    plan: Plan | None = None
    values: RowsValued | None = None
    labelling: dict[str, tuple[LabellingStarted, str]] = field(default_factory=dict)
    labels: dict[str, tuple[int, int]] = field(default_factory=dict)
    labelled: dict[str, str] = field(default_factory=dict)
    refused: tuple[OfferRefused, ...] = ()

    @property
    def bought(self) -> set[str]:
        return {purchase.offer for purchase in self.purchases}

    @property
    def closed(self) -> set[str]:
        return self.bought | self.declined | set(self.approved)

    def note(self, seller: str, at: float) -> None:
        """Count an offer of a seller, made or refused."""
        recent = [earlier for earlier in self.made_at.get(seller, ()) if earlier > at - _DAY]
        self.made_at[seller] = [*recent, at]

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
                _check_quota(project, body.seller, command.now)
                made = OfferMade(
                    offer=body.offer,
                    seller=body.seller,
                    rows=body.rows,
                    digest=body.digest,
                    price_cents=body.price_cents,
                    terms=body.terms,
                    owners=body.owners,
                    labelled=body.labelled,
                )
                if _size(made) > _OFFER_BYTES:
                    raise TooLarge(
                        f"an offer of {_size(made)} bytes is over the limit of {_OFFER_BYTES}",
                        hint="Give shorter terms.",
                        limit=_OFFER_BYTES,
                        size=_size(made),
                    )
                return Decision((made,), {"offer": body.offer, "rows": body.rows})
            case RefuseOffer(offer=offer, seller=seller, held_out=held_out):
                # How many rows are held out tells of them: that is told as often as an offer is taken.
                _check_quota(project, seller, command.now)
                return Decision((OfferRefused(offer=offer, seller=seller, held_out=held_out),))
            case Propose() as body:
                return Decision((ProposalStarted(**_fields(body)),))
            case Suggest() as body:
                return Decision((Proposed(**_fields(body)),))
            case ReportValues() as body:
                return Decision((RowsValued(**_fields(body)),))
            case LabelPurchase() | LearnLabels() | WantLabels() | CompleteLabels() as body:
                return self._label(command.project, project, body)
            case Buy() as body:
                return self._buy(command.project, project, body)
            case Settle(offer=offer, payments=payments, settlement=settlement):
                approved = project.approved[offer]
                purchase = _purchase(project, approved, payments, settlement)
                return Decision((purchase,), {"offer": offer, "cents": project.offers[offer].price_cents})
            case Audit():
                intact = self.verify(command.project)
                split = tuple(p.offer for p in project.purchases if p.settlement)[-_MOST_AUDITED:]
                return Decision(
                    (AuditStarted(intact=intact, offers=split),), {"intact": intact, "recomputed": len(split)}
                )
            case ReportAudit(offer=offer, payments=payments):
                paid = next(p.payments for p in project.purchases if p.offer == offer)
                return Decision((Audited(offer=offer, agrees=payments == paid, payments=payments),))
            case Decline(offer=offer, by=by):
                self._standing(command.project, project, offer)
                return Decision((OfferDeclined(offer=offer, by=by),), {"offer": offer})
        raise TypeError(f"{type(command.body).__name__} is no command of the market")

    def _buy(self, name: str, project: _Project, body: Buy) -> Decision:
        offer = self._standing(name, project, body.offer)
        approved = PurchaseApproved(offer=body.offer, approved_by=body.approved_by, version=body.version)
        reply = {"offer": offer.offer, "cents": offer.price_cents}
        if offer.owners > 1:
            return Decision((approved,), reply)
        payments = (Payment(seller=offer.seller, cents=offer.price_cents),)
        return Decision((_purchase(project, approved, payments, None),), reply)

    @staticmethod
    def _label(
        name: str, project: _Project, body: LabelPurchase | LearnLabels | WantLabels | CompleteLabels
    ) -> Decision:
        """Judge what has to do with the labels of a purchase."""
        made = project.offers.get(body.offer)
        if made is None or body.offer not in project.bought or made.labelled:
            raise NotFound(
                f"no offer {body.offer} without labels was bought in {name}",
                hint="Rows are labelled after they were bought.",
                what="purchase",
                name=body.offer,
            )
        begun = body.offer in project.labels
        if begun == isinstance(body, LabelPurchase) or body.offer in project.labelled:
            raise Conflict(
                f"labelling of offer {body.offer} has {'begun' if begun else 'not begun'}"
                f"{' and ended' if body.offer in project.labelled else ''}",
                hint="A purchase is labelled once.",
            )
        match body:
            case LabelPurchase(offer=offer, version=version, items=items):
                return Decision((LabellingStarted(offer=offer, version=version, items=items),))
            case WantLabels(offer=offer, known=known, first=first, count=count, classes=classes):
                return Decision(
                    (
                        LabelsWanted(
                            offer=offer,
                            digest=made.digest,
                            known=known,
                            first=first,
                            count=count,
                            classes=classes,
                        ),
                    )
                )
            case LearnLabels(offer=offer, labels=labels):
                return Decision(
                    (LabelsLearnt(offer=offer, labels=labels, ledger=_labels_line(offer, labels)),)
                )
            case CompleteLabels(offer=offer, digest=digest, rows=rows):
                return Decision((Labelled(offer=offer, digest=digest, rows=rows),))

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
                project.note(body.seller, event.at)
            case OfferRefused() as body:
                project.refused = (*project.refused, body)[-_MOST_REFUSED:]
                project.note(body.seller, event.at)
            case ProposalStarted(
                version=version,
                accuracy=accuracy,
                target_accuracy=target_accuracy,
                budget_cents=budget_cents,
                label_cents=label_cents,
            ):
                offers = project.next_to_value()
                project.valued.update(offer.offer for offer in offers)
                work = ValueOffers(
                    version=version,
                    accuracy=accuracy,
                    target_accuracy=target_accuracy,
                    budget_cents=budget_cents,
                    offers=offers,
                    label_cents=label_cents,
                )
                self.owe(event, work)
                if project.values is None or project.values.number != version.number:
                    self.owe(event, ValueRows(version=version))
            case Proposed(number=number, options=options, plan=plan):
                project.number, project.options, project.plan = number, options, plan
            case RowsValued() as body:
                project.values = body
            case LabellingStarted(offer=offer, version=version, items=items) as body:
                project.labelling[offer] = body, ""
                project.labels[offer] = 0, 0
                self.owe(
                    event,
                    LabelRows(made=project.offers[offer], version=version, items=items, known="", fresh=()),
                )
            case LabelsWanted(offer=offer, known=known):
                project.labelling[offer] = project.labelling[offer][0], known
            case LabelsLearnt(offer=offer, labels=labels, ledger=_):
                started, known = project.labelling[offer]
                made = project.offers[offer]
                asked, given = project.labels[offer]
                given += sum(one.label is not None for one in labels)
                project.labels[offer] = asked + len(labels), given
                self.owe(
                    event,
                    LabelRows(
                        made=made, version=started.version, items=started.items, known=known, fresh=labels
                    ),
                )
            case Labelled(offer=offer, digest=digest, rows=_):
                del project.labelling[offer]
                project.labelled[offer] = digest
            case PurchaseApproved(offer=offer, approved_by=_, version=version) as body:
                project.approved[offer] = body
                self.owe(event, SettlePurchase(made=project.offers[offer], version=version))
            case WorkRejected(kind="market.SettlePurchase"):
                # Nothing was paid: the offers whose settlement was refused stand again.
                owed = self._owed(event.project, SettlePurchase)
                project.approved = {o: a for o, a in project.approved.items() if o in owed}
            case WorkRejected(kind="market.RecomputePayments"):
                # What cannot be computed again is not vouched for.
                owed = self._owed(event.project, RecomputePayments)
                for name in [n for n, one in project.audits.items() if one is None and n not in owed]:
                    project.audits[name] = Audited(offer=name, agrees=False, payments=())
            case AuditStarted(intact=intact, offers=offers):
                project.audited_chain = intact
                project.audits = dict.fromkeys(offers)
                for name in offers:
                    bought = next(p for p in project.purchases if p.offer == name)
                    if bought.settlement:
                        self.owe(
                            event,
                            RecomputePayments(made=project.offers[name], version=bought.settlement.version),
                        )
            case Audited(offer=offer, agrees=_, payments=_) as body:
                project.audits[offer] = body
            case Purchased() as body:
                project.approved.pop(body.offer, None)
                project.purchases.append(body)
                project.options = tuple(o for o in project.options if o.id != f"buy:{body.offer}")
            case OfferDeclined(offer=offer, by=_):
                project.declined.add(offer)
                project.options = tuple(o for o in project.options if o.id != f"buy:{offer}")

    def _owed(self, project: str, work: type[SettlePurchase] | type[RecomputePayments]) -> set[str]:
        """Return the offers of a project that a kind of work is due for."""
        mine = (action.body for action in self.due() if action.project == project)
        return {body.made.offer for body in mine if isinstance(body, work)}

    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; see :class:`ComponentState`."""
        if not isinstance(query, ShowMarket):
            raise TypeError(f"{type(query).__name__} is no query of the market")
        known = self.projects.get(project, _Project())
        mine = [
            offer for offer in known.offers.values() if query.seller is None or offer.seller == query.seller
        ]
        names = {offer.offer for offer in mine}
        worth = {o.id.removeprefix("buy:"): o.gain.mean for o in known.options}
        audit = None
        if known.audited_chain is not None and query.seller is None:
            audit = {
                "intact": known.audited_chain,
                "purchases": {
                    name: None if one is None else {"agrees": one.agrees, "payments": one.payments}
                    for name, one in known.audits.items()
                },
            }
        return {
            "project": project,
            "offers": [{**asdict(o), "bought": o.offer in known.bought} for o in mine],
            # Exact values would tell, offer by offer, what the development rows are.
            "worth": {name: coarse(worth[name]) for name in sorted(names & worth.keys())},
            "audit": audit,
            "options": [asdict(o) for o in known.options if o.id.removeprefix("buy:") in names],
            # The curves are of the development rows, and of what others offer.
            "plan": _as_dict(known.plan if query.seller is None else None),
            "values": _as_dict(known.values if query.seller is None else None),
            "labelling": {
                name: {"asked": asked, "labelled": given, "over": name in known.labelled}
                for name, (asked, given) in known.labels.items()
                if name in names
            },
            "refused": [asdict(o) for o in known.refused if query.seller in (None, o.seller)],
            "purchases": [_shown(p, query.seller) for p in known.purchases if p.offer in names],
            "chain_intact": self.verify(project),
        }

    def verify(self, project: str) -> bool:
        """Tell whether the chain of a project's purchases is unbroken."""
        known = self.projects.get(project, _Project())
        return verify([(_record(known.offers[p.offer], p), p.previous, p.hash) for p in known.purchases])

    def validate(self) -> None:
        """Check the invariants."""
        super().validate()
        assert all(self.verify(project) for project in self.projects)


def _fields(body: Any) -> dict[str, Any]:
    """Return what a message holds, its own messages as they are."""
    return {f.name: getattr(body, f.name) for f in fields(body)}


def _as_dict(body: Plan | RowsValued | None) -> dict[str, Any] | None:
    return None if body is None else asdict(body)


def _labels_line(offer: str, labels: tuple[PlacedLabel, ...]) -> LedgerLine:
    return LedgerLine(
        variable=f"labels of offer {offer}",
        entropy_before=0.0,
        entropy_after=0.0,
        cost_cents=sum(one.cost_cents for one in labels),
        evidence=f"rows {labels[0].place} to {labels[-1].place}" if labels else "",
        count=len(labels),
    )


def _shown(purchase: Purchased, seller: str | None) -> dict[str, Any]:
    """Return a purchase; without what it was valued by, whose exact values a seller may not see."""
    shown = asdict(purchase)
    if seller is not None:
        del shown["settlement"], shown["development"]
    return shown


def _check_quota(project: _Project, seller: str, now: float) -> None:
    """Refuse an offer of a seller who made too many: each is a question about the development rows."""
    recent = [at for at in project.made_at.get(seller, ()) if at > now - _DAY]
    if len(recent) >= MOST_OFFERS_A_DAY:
        raise QuotaExceeded(
            f"{seller} made {len(recent)} offers in 24 hours",
            hint="Put rows together into one offer, or wait a day.",
            quota="offers a day",
            limit=MOST_OFFERS_A_DAY,
        )


def _purchase(
    project: _Project,
    approved: PurchaseApproved,
    payments: tuple[Payment, ...],
    settlement: Settlement | None,
) -> Purchased:
    """Return the next link of the chain."""
    offer = project.offers[approved.offer]
    previous = project.purchases[-1].hash if project.purchases else GENESIS
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


def _record(offer: OfferMade, purchase: Purchased) -> dict[str, Any]:
    """Return what a link of the chain vouches for; fields that older links had not are left out."""
    made = asdict(offer)
    if offer.owners == 1:
        del made["owners"]
    if offer.labelled:
        del made["labelled"]
    record = {
        "offer": made,
        "payments": [asdict(payment) for payment in purchase.payments],
        "approved_by": purchase.approved_by,
        "version": purchase.version,
    }
    if purchase.development:
        record["development"] = purchase.development
    if purchase.settlement:
        record["settlement"] = asdict(purchase.settlement)
    return record


def _size(offer: OfferMade) -> int:
    return len(json.dumps(asdict(offer)))
