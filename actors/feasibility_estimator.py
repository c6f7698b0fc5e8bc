"""FeasibilityEstimator: beliefs about what is reachable."""

from __future__ import annotations

import ray

from actors.shell import Shell
from easeml_ray.feasibility.state import FeasibilityState

__all__ = ["FeasibilityEstimator", "FeasibilityEstimatorActor"]


class FeasibilityEstimatorActor(Shell):
    """The shell of :class:`FeasibilityState`."""

    state_type = FeasibilityState


FeasibilityEstimator = ray.remote(FeasibilityEstimatorActor)
