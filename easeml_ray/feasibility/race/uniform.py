"""Every arm in turn, one pull each."""

from __future__ import annotations

from easeml_ray.feasibility.race.base import Plans, Strategy

__all__ = ["Uniform"]


class Uniform(Strategy):
    """Round robin: what the others are measured against.

    No result changes anything, so all pulls are one plan and an arm never waits for another.

    Parameters
    ----------
    arms : mapping of str to int
        Pulls of each arm to its end.
    worst_error : float
        The error before the first pull.

    Examples
    --------
    >>> race = Uniform({"raw": 2, "pca-8": 1})
    >>> race.next()
    ['raw', 'pca-8']
    >>> race.observe("raw", 0.3)
    >>> race.next()
    ['raw']
    """

    def _plans(self) -> Plans:
        yield [
            arm
            for block in range(max(self.pulls.values()))
            for arm, pulls in self.pulls.items()
            if block < pulls
        ]
