"""Any strategy until an arm has finished, then only the arms that may still end below it.

Measured on 40 races of three to eight random projections of Gaussian mixtures, 300 or 1,000
development rows (tests/benchmarks/embedding_race.py, ``mixtures``), with TangentHalving: the
rule as a stop made 86 % of all pulls at one standard error and always found the best arm;
leaving arms out made 57 % and missed it once. At zero standard errors they made 55 % and 35 %
and missed it five and eight times.
"""

from __future__ import annotations

from easeml_ray.errors import InvalidArgument
from easeml_ray.feasibility.race.base import Plans, Strategy
from easeml_ray.feasibility.race.stop import TangentStop

__all__ = ["Contenders"]


class Contenders(Strategy):
    """Leave out, arm by arm, what :class:`TangentStop` would not wait for.

    A stop ends a race when no arm is a contender any more; until then every arm goes on,
    and arms that others have left far behind have few pulls, so that little is known of them.
    Here only contenders go on, one pull each at a time, all at once. The other arms stay where
    they are: unlike the other strategies, this one does not run every arm to its end.

    The plans of the first strategy are made whole. Uniform has one only, so it gains nothing.

    Parameters
    ----------
    first : Strategy
        New. It leads until an arm has finished and is of no other use after that.
    stop : TangentStop
        Over the same arms; says which are contenders.

    Raises
    ------
    InvalidArgument
        If `first` is not new, or `stop` is over other arms.

    Examples
    --------
    >>> from easeml_ray.feasibility.race import TangentHalving, run_race
    >>> curves = {"raw": [0.50, 0.47, 0.46, 0.46], "pca-8": [0.30, 0.20, 0.16, 0.15]}
    >>> arms = {"raw": 4, "pca-8": 4}
    >>> strategy = Contenders(TangentHalving(arms), TangentStop(arms, rows=10_000))
    >>> result = run_race(strategy, lambda arm, block: curves[arm][block])
    >>> result.best, len(result.curves["raw"])
    ('pca-8', 2)
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
