"""The smallest of all bounds that speak of a clause; each of them has its proof where it stands."""

from __future__ import annotations

from easeml_ray.gate.bounds.base import Ask, Need
from easeml_ray.gate.bounds.bennett import bennett, coarse_to_fine
from easeml_ray.gate.bounds.exact import exact
from easeml_ray.gate.bounds.hoeffding import hoeffding_paired
from easeml_ray.gate.bounds.tilted import chernoff, tilted
from easeml_ray.gate.condition import Clause

__all__ = ["best"]

PROVEN = (exact, tilted, chernoff, bennett, coarse_to_fine, hoeffding_paired)


def best(clause: Clause, ask: Ask) -> Need | None:
    """Return the need with the fewest labels, then the fewest rows."""
    needs = [found for bound in PROVEN if (found := bound(clause, ask)) is not None]
    return min(needs, key=lambda found: (found.labels, found.rows))
