"""The nine components by name: the actors that own them, and their work.

Every process reads this table, so it imports none of them; all states together are in ``states.py``.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from easeml_ray.component.base import Perform

__all__ = ["ACTORS", "Actor", "work_of"]


class Actor(NamedTuple):
    """An actor's name and the module of :mod:`actors` that it stands in."""

    name: str
    module: str


ACTORS: dict[str, Actor] = {
    "process": Actor("Lifecycle", "lifecycle"),
    "registry": Actor("DataRegistry", "data_registry"),
    "feasibility": Actor("FeasibilityEstimator", "feasibility_estimator"),
    "cleaning": Actor("Cleaner", "cleaner"),
    "market": Actor("Market", "market"),
    "automl": Actor("TenantScheduler", "tenant_scheduler"),
    "gate": Actor("CIGate", "ci_gate"),
    "pool": Actor("ModelPool", "model_pool"),
    "oracle": Actor("LabelOracle", "label_oracle"),
}
"""Actor by component."""

_WITHOUT_WORK = ("process", "oracle")


def work_of(component: str) -> dict[type, Perform]:
    """Return the work functions of a component by the message that asks for them."""
    # Imported on first use: they bring scikit-learn along.
    if component in _WITHOUT_WORK:
        return {}
    work: dict[type, Perform] = import_module(f"easeml_ray.{component}.work").WORK
    return work
