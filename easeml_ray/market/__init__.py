"""Market: what rows, sellers and offers are worth, what to buy, and how to pay for it."""

from __future__ import annotations

from easeml_ray.market.offers import Offer, PurchasePlan
from easeml_ray.market.payment import split_payment
from easeml_ray.market.purchases import plan_purchases
from easeml_ray.market.sellers import seller_shapley
from easeml_ray.market.shapley import knn_shapley

__all__ = ["Offer", "PurchasePlan", "knn_shapley", "plan_purchases", "seller_shapley", "split_payment"]
