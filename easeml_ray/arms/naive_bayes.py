"""Gaussian naive Bayes."""

from __future__ import annotations

from typing import Any

from easeml_ray.arms.base import Limits

__all__ = ["NaiveBayes"]


class NaiveBayes:
    """One normal distribution a class and feature."""

    name = "naive_bayes"
    family = "naive_bayes"
    cost_hint = 0.005
    limits = Limits()
    extra = None

    def build(self, seed: int) -> Any:
        """Return a new, unfitted classifier; see :class:`easeml_ray.arms.base.Arm`."""
        from sklearn.naive_bayes import GaussianNB

        return GaussianNB()
