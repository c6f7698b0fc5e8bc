"""Bounds by name: how many test rows one clause needs."""

from __future__ import annotations

from easeml_ray.gate.bounds.base import PRECISION, Ask, Bound, Need
from easeml_ray.gate.bounds.bennett import bennett, coarse_to_fine
from easeml_ray.gate.bounds.best import best
from easeml_ray.gate.bounds.exact import exact
from easeml_ray.gate.bounds.hoeffding import hoeffding, hoeffding_optimal, hoeffding_paired
from easeml_ray.gate.bounds.tilted import chernoff, tilted

__all__ = ["BOUNDS", "PRECISION", "USES_DISCORDANCE", "Ask", "Bound", "Need"]

BOUNDS: dict[str, Bound] = {
    "hoeffding": hoeffding,
    "hoeffding_optimal": hoeffding_optimal,
    "hoeffding_paired": hoeffding_paired,
    "bennett": bennett,
    "coarse_to_fine": coarse_to_fine,
    "chernoff": chernoff,
    "tilted": tilted,
    "exact": exact,
    "best": best,
}

USES_DISCORDANCE = frozenset({"bennett", "chernoff", "tilted", "exact", "best"})
"""The bounds that need fewer rows for n - o where it is known how often the models differ."""
