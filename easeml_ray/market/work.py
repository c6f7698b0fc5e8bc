"""Market's work: what the standing offers are worth to a project, and the rows that it has."""

from __future__ import annotations

import math

import numpy as np

from easeml_ray.component.base import Bench, Job, Perform
from easeml_ray.component.data import VersionData
from easeml_ray.items import OfferedRows
from easeml_ray.market import Offer, PurchasePlan, plan_purchases
from easeml_ray.market.curves import retained_curves, vote_accuracy
from easeml_ray.market.gain import to_gain
from easeml_ray.market.label_messages import LabelRows
from easeml_ray.market.labelling import label_rows
from easeml_ray.market.messages import (
    MakeOffer,
    Plan,
    PlanPoint,
    RecomputePayments,
    ReportValues,
    SettlePurchase,
    Suggest,
    ValueOffers,
    ValueRows,
    Worth,
)
from easeml_ray.market.settling import recompute_payments, settle_purchase
from easeml_ray.market.spread import spread_values
from easeml_ray.messages import Option

__all__ = ["WORK", "value_offers", "value_rows"]

_K = 5
_MOST_ROWS = 20_000  # train rows that are valued, drawn where there are more
_MOST_JUDGES = 2_000  # development rows that judge them
_POINTS = 20
_SHOWN = 10  # rows that are named, of the highest and of the lowest values


def value_offers(job: Job, bench: Bench) -> Suggest:
    """Plan purchases among the standing offers; each offer of the plan becomes an option."""
    body: ValueOffers = job.body
    command = body.command
    number = command.version.number
    if not body.offers:
        return Suggest(number=number, options=())
    data = VersionData(bench, job.tenant, command.version)
    plan = plan_purchases(
        [_offer(job, bench, data, made, command.label_cents) for made in body.offers],
        data.train.X,
        data.train.y,
        data.development.X,
        data.development.y,
        budget_cents=int(command.budget_cents),
        k=_K,
        n_classes=command.version.n_classes,
    )
    made_by = {made.offer: made for made in body.offers}
    options = []
    for step in plan.steps:
        made = made_by[step.value.id]
        gain = to_gain(step.value, current_accuracy=command.accuracy, target_accuracy=command.target_accuracy)
        what = f"{made.rows} rows for {made.price_cents / 100:.2f}"
        if not made.labelled:
            labels = step.value.cost_cents - made.price_cents
            what = f"{made.rows} rows without labels for {made.price_cents / 100:.2f}"
            what += f", and have them labelled for {labels / 100:.2f}"
        options.append(
            Option(
                id=f"buy:{made.offer}",
                kind="BUY_ROW",
                title=f"Buy offer {made.offer} of {made.seller}: {what}?",
                gain=gain,
                cost_cents=float(step.value.cost_cents),
                items=(
                    OfferedRows(
                        offer=made.offer,
                        seller=made.seller,
                        rows=made.rows,
                        terms=made.terms,
                        labelled=made.labelled,
                    ),
                ),
                choices=("yes", "no"),
                method=plan.method,
            )
        )
    return Suggest(number=number, options=tuple(options), plan=_plan(plan))


def _plan(plan: PurchasePlan) -> Plan:
    return Plan(
        budget_cents=plan.budget_cents,
        chosen=plan.chosen,
        curve=tuple(
            PlanPoint(spent_cents=p.spent_cents, accuracy=p.accuracy, interval=p.interval) for p in plan.curve
        ),
        alone=tuple(
            Worth(offer=one.id, cost_cents=one.cost_cents, gain=one.gain, interval=one.interval)
            for one in plan.alone
        ),
        rule=plan.rule,
        method=plan.method,
    )


def value_rows(job: Job, bench: Bench) -> ReportValues:
    """Value train rows by one half of development, and see by the other what the values are good for."""
    version = job.body.version
    data = VersionData(bench, job.tenant, version)
    train, development = data.train, data.development
    rng = np.random.default_rng(job.seed)
    rows = np.sort(rng.permutation(len(train.y))[:_MOST_ROWS])
    judges = rng.permutation(len(development.y))[:_MOST_JUDGES]
    valuing, scoring = np.split(judges, [(len(judges) + 1) // 2])
    X, y = train.X[rows], train.y[rows]
    with bench.executor() as executor:
        values = spread_values(
            X, y, development.X[valuing], development.y[valuing], executor, k=_K, n_classes=version.n_classes
        )
    score = vote_accuracy(X, y, development.X[scoring], development.y[scoring], k=_K)
    curves = retained_curves(values, score, points=_POINTS, draws=3, seed=job.seed)
    order = np.argsort(-values, kind="stable")
    named = [(int(train.row_ids[rows[i]]), round(float(values[i]), 9)) for i in order]
    return ReportValues(
        number=version.number,
        rows=len(rows),
        kept=curves.kept,
        best=curves.best,
        worst=curves.worst,
        any=curves.any,
        highest=tuple(named[:_SHOWN]),
        lowest=tuple(named[-_SHOWN:][::-1]),
        method=(
            f"exact Shapley values of {_K} nearest neighbours on {len(valuing)} development rows, accuracy "
            f"of their vote on {len(scoring)} others; {len(rows)} of {len(train.y)} train rows"
        ),
    )


def _offer(job: Job, bench: Bench, data: VersionData, made: MakeOffer, label_cents: float) -> Offer:
    table = bench.blobs.get_table(job.tenant, made.digest)
    return Offer(
        id=made.offer,
        seller=made.seller,
        X=data.encoder.transform(table),
        y=data.classes.encode(table[data.label]) if made.labelled else None,
        price_cents=made.price_cents,
        label_cents=0 if made.labelled else math.ceil(made.rows * label_cents),
        terms=made.terms,
    )


WORK: dict[type, Perform] = {
    LabelRows: label_rows,
    ValueOffers: value_offers,
    ValueRows: value_rows,
    SettlePurchase: settle_purchase,
    RecomputePayments: recompute_payments,
}
