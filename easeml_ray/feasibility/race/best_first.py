"""The arm with the lowest error, unless another may overtake it with as many pulls.

Symbols
-------
t_a = pulls of arm a so far
e_a = its last error
s_a = its slope: how much its last pull lowered the error, at least 0

Arm b may overtake arm a if ``t_b < t_a`` and ``e_b - s_b (t_a - t_b) < e_a``: on a curve that
falls ever more slowly, no error at pull t_a can be below the left side.
"""

from __future__ import annotations

from collections.abc import Sequence

from easeml_ray.feasibility.race.base import Plans, Strategy

__all__ = ["BestFirst"]


class BestFirst(Strategy):
    """Greedy on the last error, held back by tangents.

    Each decision needs the result of the pull before, so after the first pull of every arm
    only one is ever in flight: a strategy for one worker.

    Parameters
    ----------
    arms : mapping of str to int
        Pulls of each arm to its end.
    worst_error : float
        The error before the first pull; the first slope is counted from it.

    Examples
    --------
    >>> race = BestFirst({"raw": 3, "pca-8": 3})
    >>> for arm, error in zip(race.next(), (0.4, 0.2)):
    ...     race.observe(arm, error)
    >>> race.next(), race.next()
    (['pca-8'], [])
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
