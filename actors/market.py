"""Market: offers, purchases and their chain."""

from __future__ import annotations

import ray

from actors.shell import Shell
from easeml_ray.market.state import MarketState

__all__ = ["Market", "MarketActor"]


class MarketActor(Shell):
    """The shell of :class:`MarketState`."""

    state_type = MarketState


Market = ray.remote(MarketActor)
