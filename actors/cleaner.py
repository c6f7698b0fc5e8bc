"""Cleaner: which cells and labels are worth a person's time."""

from __future__ import annotations

import ray

from actors.shell import Shell
from easeml_ray.cleaning.state import CleaningState

__all__ = ["Cleaner", "CleanerActor"]


class CleanerActor(Shell):
    """The shell of :class:`CleaningState`."""

    state_type = CleaningState


Cleaner = ray.remote(CleanerActor)
