"""What a strategy is: the order in which embeddings take their next block of train rows.

Symbols
-------
arm = an embedding; it has a known number of pulls to its end
pull = one more block of train rows for one arm, which gives its error on the whole
    development set
curve = an arm's errors after its pulls 1, 2, …
plan = pulls, in order, none of whose results can change which of them are made

A strategy runs every arm to its end unless somebody stops it. What a good one gains is that
the best arm gets there early.

*Purity*: no I/O, no clock, no randomness. *Decisions* are made only between plans, from the
curves as they stand when the last plan is complete. So results may come late and in any
order among the pulls in flight; the pulls that are made, and their `order`, are those of a
run of one pull at a time. *Replay*: a new strategy with the same parameters that is told the
same errors is in the same state; that is also how a race is taken up again after an
interruption, as a strategy does not pickle. *Thread safety*: none, one thread drives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TypeAlias

from easeml_ray.errors import InvalidArgument
from easeml_ray.feasibility.race.arguments import as_arms, as_count, as_number, as_worst_error

__all__ = ["Plan", "Plans", "Strategy"]

Plan: TypeAlias = Sequence[str]
"""Arms, each as often as it is pulled; their order is that of a run of one pull at a time."""

Plans: TypeAlias = Generator[Plan, None, None]


class Strategy(ABC):
    """The order of the pulls of a race; a subclass says it plan by plan.

    Parameters
    ----------
    arms : mapping of str to int
        Pulls of each arm to its end, at least 1. The order of the arms decides ties.
    worst_error : float
        The error before the first pull, which no error exceeds: 1 where errors are rates, the
        number of development rows where they are counts.

    Attributes
    ----------
    pulls : dict of str to int
        As given.
    worst_error : float
        As given.
    curves : dict of str to list of float
        Errors observed so far. To be read, not changed.
    order : list of str
        The arm of each pull made so far, as far as it is settled: a pull stands here once it
        and all those before it in a run of one pull at a time are observed. To be read, not
        changed.

    Raises
    ------
    InvalidArgument
        If there is no arm, one has no pull, or `worst_error` is not a positive number.
    """

    def __init__(self, arms: Mapping[str, int], *, worst_error: float = 1.0) -> None:
        self.pulls = as_arms(arms)
        self.worst_error = as_worst_error(worst_error)
        self.curves: dict[str, list[float]] = {arm: [] for arm in self.pulls}
        self.order: list[str] = []
        self._waiting: list[str] = []  # pulls of the current plan that are not handed out
        self._unsettled: deque[str] = deque()  # pulls of the current plan that are not in `order`
        self._settled = dict.fromkeys(self.pulls, 0)  # pulls of each arm in `order`
        self._in_flight: set[str] = set()
        self._coming: Iterator[Plan] = self._plans()

    @abstractmethod
    def _plans(self) -> Plans:
        """Yield plan after plan; resumed when all pulls of the last one are observed."""

    def next(self, at_most: int | None = None) -> list[str]:
        """Hand out pulls that may be made now, at most one an arm.

        Parameters
        ----------
        at_most : int, optional
            Most pulls to hand out, all that may be made by default. With 1, and no other in
            flight, the calls run through `order`.

        Returns
        -------
        list of str
            Different arms, the first in `order` first. Empty when the race is over, or when
            it can only go on after pulls in flight are observed.

        Raises
        ------
        InvalidArgument
            If `at_most` is below 1.
        """
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
        """Tell the result of a pull that :meth:`next` handed out.

        Parameters
        ----------
        arm : str
            The arm that was pulled.
        error : float
            Its error on the development rows, in 0 .. `worst_error`.

        Raises
        ------
        InvalidArgument
            If no pull of the arm is in flight, or the error is out of range.
        """
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
