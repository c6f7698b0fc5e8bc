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
    VERSION_CLOSED = "a newer data version"


_S, _E = SearchState, SearchEvent

SEARCH: Machine[SearchState, SearchEvent] = Machine(
    "search",
    SearchState.OPEN,
    {
        (_S.OPEN, _E.ARMS_DONE): _S.IDLE,
        (_S.OPEN, _E.VERSION_CLOSED): _S.BLOCKED,
        (_S.IDLE, _E.VERSION_CLOSED): _S.BLOCKED,
    },
)
