"""The family of arms by name: those of the library and those that the operator installed."""

from __future__ import annotations

from importlib.metadata import entry_points

from easeml_ray.arms.base import Arm
from easeml_ray.arms.dummy import Dummy
from easeml_ray.arms.forest import Forest
from easeml_ray.arms.logistic import Logistic
from easeml_ray.arms.naive_bayes import NaiveBayes
from easeml_ray.arms.neighbours import Neighbours
from easeml_ray.arms.svc import SupportVectors
from easeml_ray.errors import InvalidArgument

__all__ = ["ARMS", "ARM_NAMES", "ENTRY_POINT_GROUP", "FLOOR", "arm_named", "available_arms"]

ENTRY_POINT_GROUP = "easeml_ray.arms"

FLOOR = "dummy"
"""The arm that is model 0 of every search."""

# Cheap first: the order in which a search without any observation tries them.
ARMS: dict[str, Arm] = {
    arm.name: arm for arm in (Dummy(), NaiveBayes(), Logistic(), Neighbours(), Forest(), SupportVectors())
}

ARM_NAMES: tuple[str, ...] = tuple(ARMS)
"""The library's arms, cheap first."""


def available_arms() -> list[str]:
    """Return the names that :func:`arm_named` knows, the library's own first.

    Returns
    -------
    list of str
        The library's arms from cheap to costly, then installed ones by name; an installed arm
        cannot take the name of one of the library's.

    Examples
    --------
    >>> available_arms()[:6]
    ['dummy', 'naive_bayes', 'logistic', 'neighbours', 'forest', 'svc']
    """
    installed = {point.name for point in entry_points(group=ENTRY_POINT_GROUP)}
    return [*ARMS, *sorted(installed - set(ARMS))]


def arm_named(name: str) -> Arm:
    """Return an arm.

    Parameters
    ----------
    name : str
        One of :func:`available_arms`.

    Returns
    -------
    Arm
        The library's, or what the installed factory of that name makes.

    Raises
    ------
    InvalidArgument
        If there is none of that name.

    Examples
    --------
    >>> arm_named("forest").family
    'forest'
    """
    if name in ARMS:
        return ARMS[name]
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name == name:
            made: Arm = point.load()()
            return made
    raise InvalidArgument(
        f"there is no arm named {name!r}",
        hint=f"Known: {', '.join(available_arms())}; others are entry points of {ENTRY_POINT_GROUP}",
        argument="arm",
    )
