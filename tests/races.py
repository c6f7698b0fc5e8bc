"""Races on recorded curves, what a tangent stop saves in them, and what leaving arms out saves.

The product runs its strategies over searches (`easeml_ray.feasibility.collect`). Here they run
over any function, to be held against the reference, and against two ways of ending early.

Symbols of `TangentStop`
------------------------
t, m = an arm's pulls so far and to its end; e_i = its error rate after pull i
w = window, ``max(1, floor(t / 2))`` pulls
s = mean drop a pull over the window, ``max(0, (e_{t-w} - e_t) / w)``
T = development rows; z = standard errors allowed for
d = estimated share of rows that one of e_{t-w}, e_t has right and the other wrong

Curves fall, on the whole, ever more slowly, so an arm ends at ``e_t - m s`` or above. The
standard error of the drop is ``sqrt(d / T)``; the nearest of the first t blocks lies in the last w
of them with probability w/t, and one that is new is counted as drawn independently:

    d = w/t (e_{t-w} (1 - e_t) + e_t (1 - e_{t-w}))
    lowest = e_t - m (s + z sqrt(d / T) / w)

A heuristic: nothing keeps a curve from falling faster later on, and z is no confidence level.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from typing import TypeAlias

from easeml_ray.errors import InvalidArgument
from easeml_ray.feasibility.race import (
    Plans,
    StopRule,
    Strategy,
    as_arms,
    as_count,
    as_number,
    as_worst_error,
)

Pull: TypeAlias = Callable[[str, int], float]
"""``pull(arm, block)`` gives the arm its train block, 0, 1, …, and returns its error."""


class TangentStop:
    """Stop when no arm can be expected to end below the best finished one, by more than a tolerance.

    Nothing stops before an arm has finished, nor while one has fewer than two pulls.
    """

    def __init__(
        self,
        arms: Mapping[str, int],
        *,
        rows: int,
        worst_error: float = 1.0,
        tolerance: float = 0.0,
        standard_errors: float = 1.0,
    ) -> None:
        self.pulls = as_arms(arms)
        self.rows = as_count(rows, "rows")
        self.worst_error = as_worst_error(worst_error)
        self.tolerance = as_number(tolerance, "tolerance")
        self.standard_errors = as_number(standard_errors, "standard_errors")

    def __call__(self, curves: Mapping[str, Sequence[float]]) -> bool:
        """Return whether the race may end."""
        finished = any(len(curves[arm]) == pulls for arm, pulls in self.pulls.items())
        return finished and not self.contenders(curves)

    def contenders(self, curves: Mapping[str, Sequence[float]]) -> list[str]:
        """Return the arms not at their end that may still end below the best finished one.

        An arm that is none does not become one later, unless it is pulled.
        """
        left = {arm: pulls - len(curves[arm]) for arm, pulls in self.pulls.items()}
        ends = [curves[arm][-1] / self.worst_error for arm in left if left[arm] == 0]
        bar = min(ends, default=math.inf) - self.tolerance
        return [arm for arm in left if left[arm] > 0 and self.lowest(curves[arm], left[arm]) < bar]

    def lowest(self, curve: Sequence[float], left: int) -> float:
        """Return the lowest error rate that an arm is expected to end at, -inf before the second pull."""
        t = len(curve)
        if t < 2:
            return -math.inf
        w = max(1, t // 2)
        now, before = curve[-1] / self.worst_error, curve[-1 - w] / self.worst_error
        discordant = w / t * (before * (1.0 - now) + now * (1.0 - before))
        drop = max(0.0, before - now) + self.standard_errors * math.sqrt(discordant / self.rows)
        return now - left * drop / w


class Contenders(Strategy):
    """The first strategy until an arm has finished, then only the arms that may still end below it.

    All contenders go on, one pull each at a time; the others stay where they are, unlike in the
    strategies of the product. Uniform has one plan only, so it gains nothing.
    """

    def __init__(self, first: Strategy, stop: TangentStop) -> None:
        if first.in_flight or any(first.curves.values()):
            raise InvalidArgument("the first strategy has begun", hint="Give a new one.", argument="first")
        if stop.pulls != first.pulls:
            raise InvalidArgument(
                "the stop is over other arms than the strategy", hint="Give both the same.", argument="stop"
            )
        super().__init__(first.pulls, worst_error=first.worst_error)
        self.first = first
        self.stop = stop
        # What is observed here is what the first strategy decides from.
        first.curves = self.curves

    def _plans(self) -> Plans:
        for plan in self.first._plans():
            yield plan
            if len(self.racing) < len(self.pulls):
                break
        while contenders := self.stop.contenders(self.curves):
            yield contenders


@dataclass(frozen=True, slots=True)
class RaceResult:
    """What a race has shown: that of a run of one pull at a time, up to where it was stopped.

    `finished_at` counts pulls from 1; `best` has the lowest error of the arms at their end.
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

    Over an executor the result is the same; no pull is running when this returns or raises.
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
