"""The majority class: what every other arm has to beat."""

from __future__ import annotations

from typing import Any

from easeml_ray.arms.base import Limits

__all__ = ["Dummy"]


class Dummy:
    """Predicts the classes' shares of train whatever the features; the floor of every search."""

    name = "dummy"
    family = "dummy"
    cost_hint = 0.001
    limits = Limits(min_classes=1)
    extra = None

    def build(self, seed: int) -> Any:
        """Return a new, unfitted classifier; see :class:`easeml_ray.arms.base.Arm`."""
        from sklearn.dummy import DummyClassifier

        return DummyClassifier(strategy="prior")
