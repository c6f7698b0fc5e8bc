"""Lifecycle: the only process manager: follows all others and sends what is due."""

from __future__ import annotations

import ray

from actors.shell import Shell
from easeml_ray.process.state import LifecycleState

__all__ = ["Lifecycle", "LifecycleActor"]


class LifecycleActor(Shell):
    """The shell of :class:`LifecycleState`."""

    state_type = LifecycleState


Lifecycle = ray.remote(LifecycleActor)
