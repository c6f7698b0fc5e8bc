"""The nine components by name: their states, their work, and the actors that own them."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from easeml_ray.automl.state import SchedulerState
from easeml_ray.cleaning.state import CleaningState
from easeml_ray.component.base import ComponentState, Perform
from easeml_ray.feasibility.state import FeasibilityState
from easeml_ray.gate.state import GateState
from easeml_ray.market.state import MarketState
from easeml_ray.oracle.state import OracleState
from easeml_ray.pool.state import PoolState
from easeml_ray.process.state import LifecycleState
from easeml_ray.registry.state import RegistryState

__all__ = ["ACTORS", "STATES", "Actor", "work_of"]

STATES: dict[str, type[ComponentState]] = {
    state.component: state
    for state in (
        LifecycleState,
        RegistryState,
        FeasibilityState,
        CleaningState,
        MarketState,
        SchedulerState,
        GateState,
        PoolState,
        OracleState,
    )
}
"""State class by component; Lifecycle first."""


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
