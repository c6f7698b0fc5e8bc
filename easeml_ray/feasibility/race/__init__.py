"""The race over embeddings: which takes the next train rows, and when it is decided.

See :mod:`easeml_ray.feasibility.race.base` for what every strategy keeps.
"""

from __future__ import annotations

from easeml_ray.feasibility.race.base import Strategy
from easeml_ray.feasibility.race.best_first import BestFirst
from easeml_ray.feasibility.race.contenders import Contenders
from easeml_ray.feasibility.race.drive import Pull, RaceResult, StopRule, run_race
from easeml_ray.feasibility.race.stop import TangentStop
from easeml_ray.feasibility.race.strategies import STRATEGIES, strategy_named
from easeml_ray.feasibility.race.successive_halving import Accounting, SuccessiveHalving, TangentHalving
from easeml_ray.feasibility.race.uniform import Uniform

__all__ = [
    "STRATEGIES",
    "Accounting",
    "BestFirst",
    "Contenders",
    "Pull",
    "RaceResult",
    "StopRule",
    "Strategy",
    "SuccessiveHalving",
    "TangentHalving",
    "TangentStop",
    "Uniform",
    "run_race",
    "strategy_named",
]
