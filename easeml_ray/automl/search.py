"""The search machine: one search for models in one project and data version."""

from __future__ import annotations

from enum import StrEnum

from easeml_ray.component.machine import Machine

__all__ = ["SEARCH", "SearchEvent", "SearchState"]


class SearchState(StrEnum):
    """Whether a search has something to run."""

    OPEN = "OPEN"
    IDLE = "IDLE"
    BLOCKED = "BLOCKED"


class SearchEvent(StrEnum):
    """What moves a search; a new data version is a new search that blocks the old one."""

    ARMS_DONE = "every arm has run"
    ARM_ADDED = "a new arm"
    VERSION_CLOSED = "a newer data version"
    BUDGET_SPENT = "budget spent"
    BUDGET_GIVEN = "budget given"


_S, _E = SearchState, SearchEvent

SEARCH: Machine[SearchState, SearchEvent] = Machine(
    "search",
    SearchState.OPEN,
    {
        (_S.OPEN, _E.ARMS_DONE): _S.IDLE,
        (_S.OPEN, _E.ARM_ADDED): _S.OPEN,
        (_S.IDLE, _E.ARM_ADDED): _S.OPEN,
        (_S.OPEN, _E.VERSION_CLOSED): _S.BLOCKED,
        (_S.IDLE, _E.VERSION_CLOSED): _S.BLOCKED,
        (_S.OPEN, _E.BUDGET_SPENT): _S.BLOCKED,
        (_S.BLOCKED, _E.BUDGET_GIVEN): _S.OPEN,
    },
)
