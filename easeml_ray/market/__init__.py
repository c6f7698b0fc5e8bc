"""Market: what rows, sellers and offers are worth, what to buy, and how to pay for it."""

from __future__ import annotations

from easeml_ray.market.gain import to_gain
from easeml_ray.market.montecarlo import SampledValues, sampled_seller_shapley, truncated_monte_carlo
from easeml_ray.market.offers import Offer, OfferValue, PurchasePlan, PurchaseStep
from easeml_ray.market.payment import split_payment
from easeml_ray.market.purchases import plan_purchases
from easeml_ray.market.sellers import seller_shapley
from easeml_ray.market.shapley import Utility, expected_shapley, knn_shapley

__all__ = [
    "Offer",
    "OfferValue",
    "PurchasePlan",
    "PurchaseStep",
    "SampledValues",
    "Utility",
    "expected_shapley",
    "knn_shapley",
    "plan_purchases",
    "sampled_seller_shapley",
    "seller_shapley",
    "split_payment",
    "to_gain",
    "truncated_monte_carlo",
]
