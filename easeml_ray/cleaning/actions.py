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
    """An action and what speaks for it."""

    action: Literal["PROCEED", "CLEAN", "ACQUIRE"]
    certified: bool  # no possible world reaches the target on these development points: a proof, no estimate
    probability: float  # that the cleaned data reach the target, over the alternatives as believed
    reason: str


def advise(belief: CleaningBelief, target: float) -> CleaningAdvice:
    """Choose between going on, cleaning and acquiring for a target accuracy of the vote, 0 to 1."""
    if not 0 <= target <= 1:
        raise InvalidArgument(
            f"the target accuracy is {target}", hint="Give a number from 0 to 1.", argument="target"
        )
    probability = belief.probability_at_least(target)
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
    return CleaningAdvice(
        "ACQUIRE",
        False,
        probability,
        f"possible (up to {belief.upper:.4f}) but improbable: with probability {probability:.3f}",
    )
