"""What to do about a target accuracy: go on, clean, or acquire other data.

Symbols
-------
A = target accuracy of the vote
default, upper, potential = of the :class:`CleaningBelief`
P = probability that a world, drawn by its probability, reaches A
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from easeml_ray.cleaning.worlds import CleaningBelief
from easeml_ray.errors import InvalidArgument

__all__ = ["CleaningAdvice", "advise"]

# A target that more worlds than not reach is worth cleaning for.
LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class CleaningAdvice:
    """An action and what speaks for it.

    Attributes
    ----------
    action : str
        PROCEED: the target is reached as the data are. CLEAN: cleaning can be expected to reach
        it, or to bring enough. ACQUIRE: it cannot; other data are needed.
    certified : bool
        No possible world reaches the target on these development points: a proof, no estimate.
    probability : float
        Probability that the cleaned data reach the target, over the alternatives as believed.
    reason : str
        In words.
    """

    action: Literal["PROCEED", "CLEAN", "ACQUIRE"]
    certified: bool
    probability: float
    reason: str


def advise(belief: CleaningBelief, target: float, *, worthwhile: float | None = None) -> CleaningAdvice:
    """Choose between going on, cleaning and acquiring.

    Parameters
    ----------
    belief : CleaningBelief
        Of the development points.
    target : float
        Accuracy wanted of the nearest-neighbour vote, 0 to 1.
    worthwhile : float, optional
        Cleaning that promises this much more accuracy is advised even if it misses the target.

    Returns
    -------
    CleaningAdvice
        The action with its evidence.

    Raises
    ------
    InvalidArgument
        If the target is not in 0 .. 1.

    Examples
    --------
    >>> from easeml_ray.cleaning import CPClean
    >>> clean = CPClean([[0.0], [1.0], [9.0], [4.0]], [0, 1, 3, 4], [0, 1, 0], [[2.0]], [1], k=1)
    >>> advise(clean.belief(), 1.0).action
    'PROCEED'
    """
    if not 0 <= target <= 1:
        raise InvalidArgument(
            f"the target accuracy is {target}", hint="Give a number from 0 to 1.", argument="target"
        )
    probability = belief.probability_at_least(target)
    promise = belief.potential - belief.default
    if belief.default >= target:
        return CleaningAdvice(
            "PROCEED", False, probability, f"the vote reaches {belief.default:.4f} with the data as they are"
        )
    if belief.upper < target:
        return CleaningAdvice(
            "ACQUIRE", True, 0.0, f"no repair of these rows lets the vote reach more than {belief.upper:.4f}"
        )
    if belief.potential >= target or probability >= LIKELY:
        return CleaningAdvice(
            "CLEAN",
            False,
            probability,
            f"a good repair gives {belief.potential:.4f}; any reaches it with probability {probability:.2f}",
        )
    if worthwhile is not None and promise >= worthwhile:
        return CleaningAdvice("CLEAN", False, probability, f"a good repair promises {promise:.4f} more")
    return CleaningAdvice(
        "ACQUIRE",
        False,
        probability,
        f"possible (up to {belief.upper:.4f}) but improbable: with probability {probability:.3f}",
    )
