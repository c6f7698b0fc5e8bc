"""When a race may end before every arm is at its end.

Symbols
-------
a = an arm that is not at its end; t = its pulls so far, m = pulls to its end
e_i = its error rate after pull i
w = window, ``max(1, floor(t / 2))`` pulls
s = mean drop a pull over the window, ``max(0, (e_{t-w} - e_t) / w)``
T = development rows
d = estimated share of rows that one of e_{t-w}, e_t has right and the other wrong
z = standard errors allowed for

The errors of a nearest-neighbour rule fall, on the whole, ever more slowly as train grows.
If they do, no later pull lowers the error by more than s, and the arm ends at
``e_t - m s`` or above. Both errors are measured on the same few rows, so s is uncertain. The
standard error of the paired difference ``e_{t-w} - e_t`` is ``sqrt(d / T)`` (its mean square is
left out, which only widens it). With rows in random order the nearest row of the first t
blocks lies in the last w of them with probability w/t; a row whose nearest row stays cannot
change sides, and one that gets a new one is counted as if the two were drawn independently:

    d = w/t (e_{t-w} (1 - e_t) + e_t (1 - e_{t-w}))

    lowest(a) = e_t - m (s + z sqrt(d / T) / w)

This is a heuristic: nothing keeps a curve from falling faster later on, and z is no
confidence level, since the rule looks at every arm after every pull. A longer window makes s
less uncertain and, on a convex curve, larger; half the pulls does well in both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from easeml_ray.feasibility.race.arguments import as_arms, as_count, as_number, as_worst_error

__all__ = ["TangentStop"]


class TangentStop:
    """Stop when no arm can be expected to end below the best finished one.

    Parameters
    ----------
    arms : mapping of str to int
        Pulls of each arm to its end, as given to the strategy.
    rows : int
        Development rows T behind each error.
    worst_error : float
        As given to the strategy; errors divided by it are rates.
    tolerance : float
        By how much an arm may end below the best without being waited for, a rate.
    standard_errors : float
        Standard errors z of a drop that are allowed for; 0 trusts the curves as they are.

    Raises
    ------
    InvalidArgument
        If the arms or a number are out of range.

    Notes
    -----
    Nothing stops before an arm has finished, nor while one has fewer than two pulls. A strategy
    that leaves arms behind early leaves them undecided;
    :class:`~easeml_ray.feasibility.race.Contenders` does better there.

    Examples
    --------
    >>> stop = TangentStop({"raw": 3, "pca-8": 4}, rows=1000)
    >>> stop({"raw": [0.3, 0.2, 0.15], "pca-8": [0.6, 0.55]})
    True
    >>> stop({"raw": [0.3, 0.2, 0.15], "pca-8": [0.6, 0.3]})
    False
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
        """Return whether the race may end.

        Parameters
        ----------
        curves : mapping of str to sequence of float
            Errors of each arm so far.

        Returns
        -------
        bool
            True when every arm is at its end or cannot be expected to become the best.
        """
        finished = any(len(curves[arm]) == pulls for arm, pulls in self.pulls.items())
        return finished and not self.contenders(curves)

    def contenders(self, curves: Mapping[str, Sequence[float]]) -> list[str]:
        """Return the arms not at their end that may still end below the best finished one.

        An arm that is none does not become one later, unless it is pulled.

        Parameters
        ----------
        curves : mapping of str to sequence of float
            Errors of each arm so far.

        Returns
        -------
        list of str
            All arms that are not at their end while none is.
        """
        left = {arm: pulls - len(curves[arm]) for arm, pulls in self.pulls.items()}
        ends = [curves[arm][-1] / self.worst_error for arm in left if left[arm] == 0]
        bar = min(ends, default=math.inf) - self.tolerance
        return [arm for arm in left if left[arm] > 0 and self.lowest(curves[arm], left[arm]) < bar]

    def lowest(self, curve: Sequence[float], left: int) -> float:
        """Return the lowest error rate that an arm is expected to end at.

        Parameters
        ----------
        curve : sequence of float
            Its errors so far.
        left : int
            Pulls m to its end.

        Returns
        -------
        float
            A rate; minus infinity before the second pull, below 0 where the arm is open.
        """
        t = len(curve)
        if t < 2:
            return -math.inf
        w = max(1, t // 2)
        now, before = curve[-1] / self.worst_error, curve[-1 - w] / self.worst_error
        discordant = w / t * (before * (1.0 - now) + now * (1.0 - before))
        drop = max(0.0, before - now) + self.standard_errors * math.sqrt(discordant / self.rows)
        return now - left * drop / w
