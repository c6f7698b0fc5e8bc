"""A random forest."""

from __future__ import annotations

from typing import Any

from easeml_ray.arms.base import Limits

__all__ = ["Forest"]


class Forest:
    """A hundred randomised trees."""

    name = "forest"
    family = "forest"
    cost_hint = 3.0
    limits = Limits()
    extra = None

    def build(self, seed: int) -> Any:
        """Return a new, unfitted classifier; see :class:`easeml_ray.arms.base.Arm`."""
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(n_estimators=100, random_state=seed, n_jobs=1)
