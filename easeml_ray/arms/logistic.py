"""Multinomial logistic regression."""

from __future__ import annotations

from typing import Any

from easeml_ray.arms.base import Limits

__all__ = ["Logistic"]


class Logistic:
    """A linear model with a quadratic penalty."""

    name = "logistic"
    family = "linear"
    cost_hint = 0.04
    limits = Limits()
    extra = None

    def build(self, seed: int) -> Any:
        """Return a new, unfitted classifier; see :class:`easeml_ray.arms.base.Arm`."""
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=1000)
