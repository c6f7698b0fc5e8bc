"""Nearest neighbours."""

from __future__ import annotations

from typing import Any

from easeml_ray.arms.base import Limits

__all__ = ["Neighbours"]

N_NEIGHBOURS = 5


class Neighbours:
    """The vote of the five nearest train rows."""

    name = "neighbours"
    family = "neighbours"
    cost_hint = 0.1
    limits = Limits(min_rows=N_NEIGHBOURS)
    extra = None

    def build(self, seed: int) -> Any:
        """Return a new, unfitted classifier; see :class:`easeml_ray.arms.base.Arm`."""
        from sklearn.neighbors import KNeighborsClassifier

        # Brute force: the search trees of the other algorithms are no types that may be loaded.
        return KNeighborsClassifier(N_NEIGHBOURS, algorithm="brute", n_jobs=1)
