"""The era machine: one stable test set from its sealing to its release."""

from __future__ import annotations

from enum import StrEnum

from easeml_ray.component.machine import Machine

__all__ = ["ERA", "EraEvent", "EraState"]


class EraState(StrEnum):
    """Where a stable test set stands."""

    SEALED = "SEALED"
    ACTIVE = "ACTIVE"
    EXHAUSTED = "EXHAUSTED"
    RELEASED = "RELEASED"


class EraEvent(StrEnum):
    """What moves an era."""

    ACTIVATE = "first model gated"
    SPEND = "verdict given"
    EXHAUST = "steps spent"
    RELEASE = "rows released"


ERA: Machine[EraState, EraEvent] = Machine(
    "era",
    EraState.SEALED,
    {
        (EraState.SEALED, EraEvent.ACTIVATE): EraState.ACTIVE,
        (EraState.ACTIVE, EraEvent.SPEND): EraState.ACTIVE,
        (EraState.ACTIVE, EraEvent.EXHAUST): EraState.EXHAUSTED,
        (EraState.EXHAUSTED, EraEvent.RELEASE): EraState.RELEASED,
    },
)
