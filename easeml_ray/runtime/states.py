"""The states of all nine components, for what runs them in one process."""

from __future__ import annotations

from easeml_ray.automl.state import SchedulerState
from easeml_ray.cleaning.state import CleaningState
from easeml_ray.component.base import ComponentState
from easeml_ray.feasibility.state import FeasibilityState
from easeml_ray.gate.state import GateState
from easeml_ray.market.state import MarketState
from easeml_ray.oracle.state import OracleState
from easeml_ray.pool.state import PoolState
from easeml_ray.process.state import LifecycleState
from easeml_ray.registry.state import RegistryState

__all__ = ["STATES"]

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
