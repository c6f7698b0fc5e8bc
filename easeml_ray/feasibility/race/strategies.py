"""The family of strategies by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from easeml_ray.errors import InvalidArgument
from easeml_ray.feasibility.race.base import Strategy
from easeml_ray.feasibility.race.best_first import BestFirst
from easeml_ray.feasibility.race.successive_halving import SuccessiveHalving, TangentHalving
from easeml_ray.feasibility.race.uniform import Uniform

__all__ = ["STRATEGIES", "strategy_named"]

STRATEGIES: dict[str, Callable[..., Strategy]] = {
    "uniform": Uniform,
    "best_first": BestFirst,
    "successive_halving": SuccessiveHalving,
    "successive_halving_paper": partial(SuccessiveHalving, accounting="paper"),
    "tangent_halving": TangentHalving,
    "tangent_halving_paper": partial(TangentHalving, accounting="paper"),
}


def strategy_named(name: str, arms: Mapping[str, int], *, worst_error: float = 1.0) -> Strategy:
    """Return a new strategy.

    Parameters
    ----------
    name : str
        A key of :data:`STRATEGIES`.
    arms : mapping of str to int
        Pulls of each arm to its end.
    worst_error : float
        The error before the first pull: 1 where errors are rates, the number of development
        rows where they are counts.

    Returns
    -------
    Strategy
        Before its first pull.

    Raises
    ------
    InvalidArgument
        If there is none of that name, or the arms or `worst_error` are unusable.

    Examples
    --------
    >>> strategy_named("uniform", {"raw": 1, "pca-8": 1}).next()
    ['raw', 'pca-8']
    """
    if name not in STRATEGIES:
        raise InvalidArgument(
            f"there is no strategy named {name!r}",
            hint=f"Known: {', '.join(STRATEGIES)}",
            argument="strategy",
        )
    return STRATEGIES[name](arms, worst_error=worst_error)
