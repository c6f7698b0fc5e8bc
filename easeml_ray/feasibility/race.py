"""The race over embeddings: which takes the next train rows, and when it is decided.

Symbols
-------
arm = an embedding; it has a known number of pulls to its end
pull = one more block of train rows for one arm, which gives its error on the whole
    development set
curve = an arm's errors after its pulls 1, 2, …
plan = pulls, in order, none of whose results can change which of them are made
t_a, e_a, s_a = pulls of arm a so far, its last error, and its slope: how much its last pull
    lowered the error, at least 0
n, B = arms and budget of a bracket, in pulls; eta = the factor by which arms thin out
S, R = arms of a round, rounds of a bracket
r, T = pulls that a round adds, ``floor(B / (|S| R))``, and the total an arm then has in the bracket
k = arms that go on, ``max(1, floor(|S| / eta))``

A strategy runs every arm to its end unless a rule stops it; a good one gets the best arm there
early. It decides only between plans, from the curves when the last plan is complete: results may
come late and in any order, the `order` of the pulls is that of a run of one at a time. It has no
clock, no randomness and no lock; told the same errors, a new one is in the same state.

References
----------
K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization", AISTATS 2016, section 3 (the doubling of the budget).
C. Renggli, L. Rimanic, L. Kolar, W. Wu, C. Zhang, "Ease.ML/Snoopy: Towards automatic
feasibility studies for ML via quantitative understanding of data quality for ML", ICDE 2023
(the tangents).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias, get_args

from easeml_ray.errors import InvalidArgument

__all__ = [
    "STRATEGIES",
    "BestFirst",
    "Plans",
    "StopRule",
    "Strategy",
    "SuccessiveHalving",
    "TangentHalving",
    "Uniform",
    "as_arms",
    "as_count",
    "as_number",
    "as_worst_error",
    "strategy_named",
]

Plan: TypeAlias = Sequence[str]
"""Arms, each as often as it is pulled; their order is that of a run of one pull at a time."""

Plans: TypeAlias = Generator[Plan, None, None]

StopRule: TypeAlias = Callable[[Mapping[str, Sequence[float]]], bool]
"""Told the curves after each pull; true ends the race."""

Accounting: TypeAlias = Literal["package", "paper"]
"""First budget 1 and ``R = ceil(log_eta n) + 1``, as in the easeml package; or first budget the
number of all arms and ``R = max(1, ceil(log_eta n))``, as in the code the paper was measured with."""


class Strategy(ABC):
    """The order of the pulls of a race; a subclass says it plan by plan.

    No error exceeds `worst_error`, the one before the first pull; the order of `arms` decides ties.
    """

    def __init__(self, arms: Mapping[str, int], *, worst_error: float = 1.0) -> None:
        self.pulls = as_arms(arms)
        self.worst_error = as_worst_error(worst_error)
        self.curves: dict[str, list[float]] = {arm: [] for arm in self.pulls}
        self.order: list[str] = []  # settled pulls: those before each are observed too
        self._waiting: list[str] = []  # pulls of the current plan that are not handed out
        self._unsettled: deque[str] = deque()  # pulls of the current plan that are not in `order`
        self._settled = dict.fromkeys(self.pulls, 0)  # pulls of each arm in `order`
        self._in_flight: set[str] = set()
        self._coming: Iterator[Plan] = self._plans()

    @abstractmethod
    def _plans(self) -> Plans:
        """Yield plan after plan; resumed when all pulls of the last one are observed."""

    def next(self, at_most: int | None = None) -> list[str]:
        """Hand out pulls that may be made now, at most one an arm."""
        # Empty when the race is over, or can only go on after pulls in flight are observed.
        most = len(self.pulls) if at_most is None else as_count(at_most, "at_most")
        while not self._unsettled:
            plan = next(self._coming, None)
            if plan is None:
                return []
            self._waiting = list(plan)
            self._unsettled = deque(plan)
        handed: list[str] = []
        passed: list[str] = []
        scanned = 0
        for arm in self._waiting:
            if len(handed) == most or len(self._in_flight) == len(self.pulls):
                break
            scanned += 1
            if arm in self._in_flight:
                passed.append(arm)
            else:
                handed.append(arm)
                self._in_flight.add(arm)
        self._waiting = passed + self._waiting[scanned:]
        return handed

    def observe(self, arm: str, error: float) -> None:
        """Tell the result, in 0 .. `worst_error`, of a pull that :meth:`next` handed out."""
        if arm not in self._in_flight:
            raise InvalidArgument(
                f"no pull of {arm!r} is in flight",
                hint="Observe each arm that next() handed out, once.",
                argument="arm",
            )
        value = as_number(error, "error", most=self.worst_error, what=f"the error of {arm!r}")
        self._in_flight.remove(arm)
        self.curves[arm].append(value)
        while self._unsettled and self._settled[first := self._unsettled[0]] < len(self.curves[first]):
            self.order.append(self._unsettled.popleft())
            self._settled[first] += 1

    @property
    def in_flight(self) -> frozenset[str]:
        """The arms of which a pull is handed out and not observed."""
        return frozenset(self._in_flight)

    @property
    def racing(self) -> list[str]:
        """The arms that are not at their end."""
        return [arm for arm, pulls in self.pulls.items() if len(self.curves[arm]) < pulls]

    @property
    def finished(self) -> bool:
        """Whether every arm is at its end."""
        return not self.racing

    def error(self, arm: str) -> float:
        """Return the last error of an arm, `worst_error` before its first pull."""
        curve = self.curves[arm]
        return curve[-1] if curve else self.worst_error

    def slope(self, arm: str) -> float:
        """Return by how much the last pull of an arm lowered its error, 0 where it rose."""
        curve = self.curves[arm]
        before = curve[-2] if len(curve) > 1 else self.worst_error
        return max(0.0, before - self.error(arm))


class Uniform(Strategy):
    """Round robin: what the others are measured against.

    No result changes anything, so all pulls are one plan and an arm never waits for another.
    """

    def _plans(self) -> Plans:
        yield [
            arm
            for block in range(max(self.pulls.values()))
            for arm, pulls in self.pulls.items()
            if block < pulls
        ]


class BestFirst(Strategy):
    """Greedy on the last error, held back by tangents.

    Arm b may overtake arm a if ``t_b < t_a`` and ``e_b - s_b (t_a - t_b) < e_a``: a curve that
    falls ever more slowly cannot be below the left side at pull t_a. One pull in flight at a time.
    """

    def _plans(self) -> Plans:
        yield list(self.pulls)
        while racing := self.racing:
            ranked = sorted(racing, key=self.error)
            # The arm with the fewest pulls cannot be overtaken: there always is one.
            yield [next(arm for arm in ranked if not self._overtaken(arm, racing))]

    def _overtaken(self, arm: str, racing: Sequence[str]) -> bool:
        error, done = self.error(arm), len(self.curves[arm])
        for rival in racing:
            ahead = done - len(self.curves[rival])
            if ahead > 0 and self.error(rival) - self.slope(rival) * ahead < error:
                return True
        return False


class SuccessiveHalving(Strategy):
    """Rounds of equal pulls, after each of which only the best arms go on; a round is one plan.

    A bracket starts with all arms that are not at their end; an arm that gets there restarts the
    budgets, which otherwise double. A bracket whose first r is 0 is passed over.
    """

    def __init__(
        self,
        arms: Mapping[str, int],
        *,
        eta: int = 2,
        accounting: Accounting = "package",
        worst_error: float = 1.0,
    ) -> None:
        super().__init__(arms, worst_error=worst_error)
        if accounting not in get_args(Accounting):
            raise InvalidArgument(
                f"there is no accounting {accounting!r}",
                hint=f"Known: {', '.join(get_args(Accounting))}",
                argument="accounting",
            )
        self.eta = as_count(eta, "eta", least=2)
        self.accounting = accounting

    def _plans(self) -> Plans:
        first = 1 if self.accounting == "package" else len(self.pulls)
        live, budget = self.racing, first
        while live:
            rounds = self._rounds(len(live))
            if budget >= len(live) * rounds:
                yield from self._bracket(live, budget, rounds)
            still = self.racing
            budget = 2 * budget if len(still) == len(live) else first
            live = still

    def _rounds(self, n: int) -> int:
        # ceil(log_eta n), without the rounding of logarithms
        halvings = 0
        while self.eta**halvings < n:
            halvings += 1
        return halvings + 1 if self.accounting == "package" else max(1, halvings)

    def _bracket(self, live: Sequence[str], budget: int, rounds: int) -> Plans:
        arms, target = list(live), 0
        for _ in range(rounds):
            target += budget // (len(arms) * rounds)
            k = max(1, len(arms) // self.eta)
            hopeful = yield from self._round(arms, target, k)
            if len(arms) == 1:
                return
            arms = sorted(hopeful, key=self.error)[:k]

    def _round(self, arms: list[str], target: int, k: int) -> Generator[Plan, None, list[str]]:
        """Pull arms up to the target; return those among which the best k are."""
        yield self._up_to(arms, target)
        return arms

    def _up_to(self, arms: Sequence[str], target: int) -> Plan:
        return [arm for arm in arms for _ in range(self._missing(arm, target))]

    def _missing(self, arm: str, target: int) -> int:
        """How many pulls an arm is short of the target, or of its end if that comes first."""
        return max(0, min(target, self.pulls[arm]) - len(self.curves[arm]))


class TangentHalving(SuccessiveHalving):
    """Successive halving that leaves an arm for later once its tangent cannot reach the best k.

    An arm with m pulls to make in the round ends it at ``e - s m`` or above. The k best go to the
    target first, so that the others are held against errors that are final for the round.
    """

    def _round(self, arms: list[str], target: int, k: int) -> Generator[Plan, None, list[str]]:
        # Two pulls make a tangent, and tell the leaders of a first round apart.
        yield self._up_to(arms, min(2, target))
        yield self._up_to(sorted(arms, key=self.error)[:k], target)
        hopeful = self._hopeful(arms, target, k)
        while short := [arm for arm in hopeful if self._missing(arm, target)]:
            yield short
            hopeful = self._hopeful(hopeful, target, k)
        return hopeful

    def _hopeful(self, arms: Sequence[str], target: int, k: int) -> list[str]:
        """Return the arms that can still be among the best k at the target."""
        bar = sorted(map(self.error, arms))[k - 1]
        return [arm for arm in arms if self._lowest(arm, target) <= bar]

    def _lowest(self, arm: str, target: int) -> float:
        if len(self.curves[arm]) < 2:
            return 0.0
        return self.error(arm) - self.slope(arm) * self._missing(arm, target)


STRATEGIES: dict[str, Callable[..., Strategy]] = {
    "uniform": Uniform,
    "best_first": BestFirst,
    "successive_halving": SuccessiveHalving,
    "successive_halving_paper": partial(SuccessiveHalving, accounting="paper"),
    "tangent_halving": TangentHalving,
    "tangent_halving_paper": partial(TangentHalving, accounting="paper"),
}


def strategy_named(name: str, arms: Mapping[str, int], *, worst_error: float = 1.0) -> Strategy:
    """Return a new strategy of the family, before its first pull."""
    if name not in STRATEGIES:
        raise InvalidArgument(
            f"there is no strategy named {name!r}",
            hint=f"Known: {', '.join(STRATEGIES)}",
            argument="strategy",
        )
    return STRATEGIES[name](arms, worst_error=worst_error)


def as_count(value: Any, argument: str, *, least: int = 1) -> int:
    """Return a whole number, or say what is wrong with it."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InvalidArgument(
            f"{argument} is {value!r}", hint=f"Give a whole number of at least {least}.", argument=argument
        )
    return int(value)


def as_number(value: Any, argument: str, *, most: float = math.inf, what: str | None = None) -> float:
    """Return a finite number from 0, or say what is wrong with it."""
    number = float(value) if isinstance(value, Real) else math.nan
    if not 0.0 <= number <= most or math.isinf(number):
        raise InvalidArgument(
            f"{what or argument} is {value!r}",
            hint=f"Give a number from 0 to {most:g}." if most < math.inf else "Give a number from 0.",
            argument=argument,
        )
    return number


def as_worst_error(value: Any) -> float:
    """Return the error before the first pull, or say what is wrong with it."""
    if as_number(value, "worst_error") == 0.0:
        raise InvalidArgument(
            "worst_error is 0",
            hint="Give 1 where errors are rates, the development rows where they are counts.",
            argument="worst_error",
        )
    return float(value)


def as_arms(arms: Mapping[str, int]) -> dict[str, int]:
    """Return the arms of a race, or say what is wrong with them."""
    if not arms:
        raise InvalidArgument("there are no arms", hint="Race at least one.", argument="arms")
    for arm, pulls in arms.items():
        if not isinstance(pulls, Integral) or isinstance(pulls, bool) or pulls < 1:
            raise InvalidArgument(
                f"arm {arm!r} has {pulls!r} pulls to its end",
                hint="Give a whole number of at least 1.",
                argument="arms",
            )
    return {arm: int(pulls) for arm, pulls in arms.items()}
