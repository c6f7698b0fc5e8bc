"""Rounds of equal pulls, after each of which only the best arms go on.

Symbols
-------
n = arms of a bracket, eta = the factor by which they thin out
B = budget of a bracket, pulls; S = arms of a round
R = rounds of a bracket
r = pulls that a round adds, ``floor(B / (|S| R))``
T = target of a round: total pulls of an arm, the sum of r over the rounds of the bracket so far
k = arms that go on, ``max(1, floor(|S| / eta))``

A bracket starts with all arms that are not at their end. A round pulls each arm of S up to T
pulls in all, those of earlier brackets included, then keeps the k with the lowest errors.
Where that leaves one arm it gets one more round. Brackets follow with budgets that double;
one whose first r is 0 is passed over. When an arm has come to its end, the next bracket is
without it and starts again from the first budget. Two accountings are in use:

package
    first budget 1, ``R = ceil(log_eta n) + 1``, as in the easeml package
paper
    first budget the number of all arms, ``R = max(1, ceil(log_eta n))``, as in the code that
    the paper was measured with

References
----------
K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization", AISTATS 2016, section 3 (the doubling of the budget).
C. Renggli, L. Rimanic, L. Kolar, W. Wu, C. Zhang, "Ease.ML/Snoopy: Towards automatic
feasibility studies for ML via quantitative understanding of data quality for ML", ICDE 2023
(the tangents).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Literal, TypeAlias, get_args

from easeml_ray.errors import InvalidArgument
from easeml_ray.feasibility.race.arguments import as_count
from easeml_ray.feasibility.race.base import Plan, Plans, Strategy

__all__ = ["Accounting", "SuccessiveHalving", "TangentHalving"]

Accounting: TypeAlias = Literal["package", "paper"]
"""How budgets begin and rounds are counted; see the module."""


class SuccessiveHalving(Strategy):
    """Successive halving; all pulls of a round are one plan.

    Parameters
    ----------
    arms : mapping of str to int
        Pulls of each arm to its end.
    eta : int
        Factor by which the arms of a round thin out, at least 2.
    accounting : {"package", "paper"}
        How budgets begin and rounds are counted.
    worst_error : float
        The error before the first pull.

    Raises
    ------
    InvalidArgument
        As :class:`Strategy`; if eta is below 2 or the accounting is unknown.

    Examples
    --------
    >>> race = SuccessiveHalving({"raw": 4, "pca-8": 4})
    >>> for arm, error in zip(race.next(), (0.4, 0.2)):
    ...     race.observe(arm, error)
    >>> race.next()
    ['pca-8']
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
    """Successive halving that gives up an arm within a round as soon as its tangent does.

    Let an arm have at least two pulls, error e, slope s = its last drop (at least 0) and m
    pulls to make in the round. On a curve that falls ever more slowly it ends the round at
    ``e - s m`` or above. If k arms of the round have errors below that already, it cannot be
    among the k that go on, and the rest of its pulls are left to later brackets.

    The k best go to the target first, all at once, so that the others are held against errors
    that are final for the round; these then take one pull each at a time, all at once. Errors
    on few development rows are not convex, and an arm given up by mistake waits for a later
    bracket: tangents change when an arm is pulled, never whether.

    Parameters
    ----------
    arms : mapping of str to int
        Pulls of each arm to its end.
    eta : int
        Factor by which the arms of a round thin out, at least 2.
    accounting : {"package", "paper"}
        How budgets begin and rounds are counted.
    worst_error : float
        The error before the first pull.

    Raises
    ------
    InvalidArgument
        As :class:`SuccessiveHalving`.

    Examples
    --------
    >>> race = TangentHalving({"raw": 8, "pca-8": 8})
    >>> while arms := race.next(at_most=1):
    ...     done = len(race.curves[arms[0]])
    ...     race.observe(arms[0], {"raw": 0.5, "pca-8": 0.2}[arms[0]] * 0.9**done)
    >>> "".join(arm[0] for arm in race.order)
    'rppprppppprrrrrr'
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
