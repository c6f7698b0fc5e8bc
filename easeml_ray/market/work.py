"""Market's work: what the standing offers are worth to a project."""

from __future__ import annotations

from easeml_ray.embed import Classes
from easeml_ray.market import Offer, plan_purchases
from easeml_ray.market.gain import to_gain
from easeml_ray.market.messages import OfferMade, RecomputePayments, SettlePurchase, Suggest, ValueOffers
from easeml_ray.market.settling import recompute_payments, settle_purchase
from easeml_ray.messages import Option, Pillar
from easeml_ray.process.component import Bench, Job, Perform
from easeml_ray.registry.data import encoded, load_encoder, load_schema

__all__ = ["WORK", "value_offers"]


def value_offers(job: Job, bench: Bench) -> Suggest:
    """Plan purchases among the standing offers; each offer of the plan becomes an option."""
    body: ValueOffers = job.body
    number = body.version.number
    if not body.offers:
        return Suggest(number, ())
    train = encoded(bench, job.tenant, body.version, Pillar.TRAIN)
    development = encoded(bench, job.tenant, body.version, Pillar.DEVELOPMENT)
    plan = plan_purchases(
        [_offer(job, bench, body, made) for made in body.offers],
        train.X,
        train.y,
        development.X,
        development.y,
        budget_cents=int(body.budget_cents),
        k=5,
        n_classes=body.version.n_classes,
    )
    made_by = {made.offer: made for made in body.offers}
    options = []
    for step in plan.steps:
        made = made_by[step.value.id]
        gain = to_gain(step.value, current_accuracy=body.accuracy, target_accuracy=body.target_accuracy)
        price = f"{made.price_cents / 100:.2f}"
        options.append(
            Option(
                id=f"buy:{made.offer}",
                kind="BUY_ROW",
                title=f"Buy offer {made.offer} of {made.seller}: {made.rows} rows for {price}?",
                gain=gain,
                cost_cents=float(made.price_cents),
                items=(
                    {
                        "key": f"offer:{made.offer}",
                        "offer": made.offer,
                        "seller": made.seller,
                        "rows": made.rows,
                        "terms": made.terms,
                    },
                ),
                choices=("yes", "no"),
                method=plan.method,
            )
        )
    return Suggest(number, tuple(options))


def _offer(job: Job, bench: Bench, body: ValueOffers, made: OfferMade) -> Offer:
    table = bench.blobs.get_table(job.tenant, made.digest)
    schema = load_schema(bench, job.tenant, body.version)
    return Offer(
        id=made.offer,
        seller=made.seller,
        X=load_encoder(bench, job.tenant, body.version).transform(table),
        y=Classes(tuple(schema["classes"])).encode(table[schema["label"]]),
        price_cents=made.price_cents,
        terms=made.terms,
    )


WORK: dict[type, Perform] = {
    ValueOffers: value_offers,
    SettlePurchase: settle_purchase,
    RecomputePayments: recompute_payments,
}
