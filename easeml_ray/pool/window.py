"""The window machine: one stretch of realtime rows, on which the best candidate is picked."""

from __future__ import annotations

from enum import StrEnum

from easeml_ray.component.machine import Machine

__all__ = ["WINDOW", "WindowEvent", "WindowState"]


class WindowState(StrEnum):
    """Where a window stands."""

    FILLING = "FILLING"
    PICKING = "PICKING"
    DECIDED = "DECIDED"
    RELEASED = "RELEASED"


class WindowEvent(StrEnum):
    """What moves a window."""

    ROWS = "rows came"
    CLOSE = "full: candidates frozen"
    DECIDE = "a model picked"
    RELEASE = "labelled rows released"


WINDOW: Machine[WindowState, WindowEvent] = Machine(
    "window",
    WindowState.FILLING,
    {
        (WindowState.FILLING, WindowEvent.ROWS): WindowState.FILLING,
        (WindowState.FILLING, WindowEvent.CLOSE): WindowState.PICKING,
        (WindowState.PICKING, WindowEvent.DECIDE): WindowState.DECIDED,
        (WindowState.DECIDED, WindowEvent.RELEASE): WindowState.RELEASED,
    },
)
