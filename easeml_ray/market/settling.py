"""Splitting the price of rows of several owners by the seller game, and doing it again for an audit.

The project's own rows take part as one more seller who is not paid: what they explain already is
no merit of the rows bought. The owners' values are cut at zero and the price is split in
proportion, in whole cents. Nothing is drawn at random, so that an audit finds the same cents.
"""

from __future__ import annotations

import numpy as np

from easeml_ray.component.base import Bench, Job
from easeml_ray.component.data import VersionData
from easeml_ray.errors import WorkFailed
from easeml_ray.market.messages import (
    MakeOffer,
    Payment,
    RecomputePayments,
    ReportAudit,
    Settle,
    Settlement,
    SettlePurchase,
)
from easeml_ray.market.settlement import settle
from easeml_ray.market.shapley import Utility
from easeml_ray.messages import DataVersion

__all__ = ["recompute_payments", "settle_purchase"]

_K = 5
_UTILITY: Utility = "jia"
_METHOD = (
    f"seller Shapley values of {_K} nearest neighbours, exact, with the project's own rows as one more "
    "seller who is not paid; cut at zero, split by largest remainder"
)


def settle_purchase(job: Job, bench: Bench) -> Settle:
    """Split the price of an offer among the owners of its rows."""
    body: SettlePurchase = job.body
    payments, shares = _split(job, bench, body.offer, body.version)
    settlement = Settlement(method=_METHOD, k=_K, utility=_UTILITY, version=body.version, shares=shares)
    return Settle(offer=body.offer.offer, payments=payments, settlement=settlement)


def recompute_payments(job: Job, bench: Bench) -> ReportAudit:
    """Split the price of a purchase again."""
    body: RecomputePayments = job.body
    payments, _ = _split(job, bench, body.offer, body.version)
    return ReportAudit(offer=body.offer.offer, payments=payments)


def _split(
    job: Job, bench: Bench, offer: MakeOffer, version: DataVersion
) -> tuple[tuple[Payment, ...], tuple[float, ...]]:
    table = bench.blobs.get_table(job.tenant, offer.digest)
    data = VersionData(bench, job.tenant, version)
    X = data.encoder.transform(table)
    y = data.classes.encode(table[data.label])
    names, codes = np.unique(np.asarray(table["owner"].to_pylist(), dtype=str), return_inverse=True)
    if len(names) != offer.owners:
        raise WorkFailed(
            f"offer {offer.offer} has rows of {len(names)} owners and was made by {offer.owners}",
            action="settle",
            cause="the stored rows are not those of the offer",
        )
    settled = settle(
        X,
        y,
        codes.ravel(),
        data.train.X,
        data.train.y,
        data.development.X,
        data.development.y,
        cents=offer.price_cents,
        k=_K,
        utility=_UTILITY,
        n_classes=version.n_classes,
    )
    paid = tuple(
        Payment(seller=str(name), cents=amount) for name, amount in zip(names, settled.cents, strict=True)
    )
    return paid, settled.shares
