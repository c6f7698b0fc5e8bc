"""LabelOracle: the queue of human requests."""

from __future__ import annotations

import ray

from actors.shell import Shell
from easeml_ray.oracle.state import OracleState

__all__ = ["LabelOracle", "LabelOracleActor"]


class LabelOracleActor(Shell):
    """The shell of :class:`OracleState`."""

    state_type = OracleState


LabelOracle = ray.remote(LabelOracleActor)
