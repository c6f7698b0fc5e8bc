"""Running a race: one pull after the other, or over the workers of an executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from typing import TypeAlias

from easeml_ray.errors import InvalidArgument
from easeml_ray.feasibility.race.arguments import as_count
from easeml_ray.feasibility.race.base import Strategy

__all__ = ["Pull", "RaceResult", "StopRule", "run_race"]

Pull: TypeAlias = Callable[[str, int], float]
"""``pull(arm, block)`` gives the arm its train block, 0, 1, …, and returns its error."""

StopRule: TypeAlias = Callable[[Mapping[str, Sequence[float]]], bool]
"""Told the curves after each pull; true ends the race."""


@dataclass(frozen=True, slots=True)
class RaceResult:
    """What a race has shown.

    Parameters
    ----------
    order : tuple of str
        The arm of each pull. Pulls that were under way when the race was stopped are left
        out: the result is that of a run of one pull at a time.
    curves : dict of str to tuple of float
        Errors of every arm, empty for one that was never pulled.
    finished_at : dict of str to int
        For each arm at its end, the number of its last pull in `order`, counted from 1.
    best : str or None
        The arm with the lowest error of those at their end, the first given of equals; None
        if none is.
    stopped : bool
        Whether the stop rule ended the race.
    """

    order: tuple[str, ...]
    curves: dict[str, tuple[float, ...]]
    finished_at: dict[str, int]
    best: str | None
    stopped: bool


def run_race(
    strategy: Strategy,
    pull: Pull,
    stop: StopRule | None = None,
    *,
    executor: Executor | None = None,
    in_flight: int | None = None,
) -> RaceResult:
    """Pull arms in the order of a strategy until all are at their end or a rule stops it.

    With an executor, pulls of different arms run at the same time, those of one arm never do.
    The result is the same with and without one, whatever the timing: only pulls that a stop
    overtakes are made in vain. When this returns or raises, no pull is running.

    Parameters
    ----------
    strategy : Strategy
        None of its pulls is in flight. To take up a race that was interrupted, give a new
        one and a `pull` that returns the errors already known.
    pull : callable
        ``pull(arm, block) -> error``. An exception ends the race and is passed on.
    stop : callable, optional
        ``stop(curves) -> bool``, called after each pull in the order of one pull at a time.
    executor : concurrent.futures.Executor, optional
        Where pulls run; without one they run here, one after the other.
    in_flight : int, optional
        Most pulls submitted at a time; all that may be made by default.

    Returns
    -------
    RaceResult
        Order, curves and the best arm.

    Raises
    ------
    InvalidArgument
        If a pull of the strategy is in flight already, `in_flight` is below 1, or an error is
        out of range.

    Examples
    --------
    >>> from easeml_ray.feasibility.race import Uniform
    >>> curves = {"raw": [0.5, 0.4], "pca-8": [0.4, 0.3]}
    >>> result = run_race(Uniform({"raw": 2, "pca-8": 2}), lambda arm, block: curves[arm][block])
    >>> result.best, result.finished_at
    ('pca-8', {'raw': 3, 'pca-8': 4})
    """
    if strategy.in_flight:
        raise InvalidArgument(
            f"a pull of {', '.join(sorted(strategy.in_flight))} is in flight already",
            hint="Give a new one, and a pull that knows the errors so far.",
            argument="strategy",
        )
    if in_flight is not None:
        in_flight = as_count(in_flight, "in_flight")
    settled = _Settled(strategy, stop)
    if executor is None:
        _one_by_one(strategy, pull, settled)
    else:
        _at_once(strategy, pull, settled, executor, in_flight)
    return settled.result()


class _Settled:
    """The part of a race that a run of one pull at a time would have come to."""

    def __init__(self, strategy: Strategy, stop: StopRule | None) -> None:
        self.strategy = strategy
        self.stop = stop
        self.curves: dict[str, list[float]] = {arm: [] for arm in strategy.pulls}
        self.count = 0
        self.stopped = False

    def over(self) -> bool:
        """Take in what the strategy has settled since, up to where the rule stops it."""
        while not self.stopped and self.count < len(self.strategy.order):
            arm = self.strategy.order[self.count]
            curve = self.curves[arm]
            curve.append(self.strategy.curves[arm][len(curve)])
            self.count += 1
            self.stopped = self.stop is not None and self.stop(self.curves)
        return self.stopped

    def result(self) -> RaceResult:
        order = tuple(self.strategy.order[: self.count])
        ends = [arm for arm, pulls in self.strategy.pulls.items() if len(self.curves[arm]) == pulls]
        last = {arm: number for number, arm in enumerate(order, 1)}
        return RaceResult(
            order=order,
            curves={arm: tuple(curve) for arm, curve in self.curves.items()},
            finished_at={arm: last[arm] for arm in ends},
            best=min(ends, key=lambda arm: self.curves[arm][-1], default=None),
            stopped=self.stopped,
        )


def _one_by_one(strategy: Strategy, pull: Pull, settled: _Settled) -> None:
    while not settled.over() and (arms := strategy.next(at_most=1)):
        strategy.observe(arms[0], pull(arms[0], len(strategy.curves[arms[0]])))


def _at_once(
    strategy: Strategy, pull: Pull, settled: _Settled, executor: Executor, in_flight: int | None
) -> None:
    running: dict[Future[float], str] = {}
    try:
        while not settled.over():
            room = None if in_flight is None else in_flight - len(running)
            for arm in strategy.next(room) if room != 0 else ():
                running[executor.submit(pull, arm, len(strategy.curves[arm]))] = arm
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                strategy.observe(running.pop(future), future.result())
    finally:
        # A pull that outlives the race would still write into its arm's state.
        for future in running:
            future.cancel()
        wait(running)
