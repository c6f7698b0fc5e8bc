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
from easeml_ray.embed.extras import installed, made, require
from easeml_ray.errors import InvalidArgument

__all__ = ["ARMS", "ENTRY_POINT_GROUP", "FLOOR", "arm_named", "available_arms", "searchable_arms"]

ENTRY_POINT_GROUP = "easeml_ray.arms"

FLOOR = "dummy"
"""The arm that is model 0 of every search."""

# Cheap first: the order in which a search without any observation tries them.
ARMS: dict[str, Arm] = {
    arm.name: arm for arm in (Dummy(), NaiveBayes(), Logistic(), Neighbours(), Forest(), SupportVectors())
}

_MEMBERS = "name, family, cost_hint, limits, extra and build"


def searchable_arms() -> tuple[str, ...]:
    """Return the arms that a search runs, in the order in which it first tries them.

    Returns
    -------
    tuple of str
        The library's own from cheap to costly, then installed ones likewise. An arm whose extra
        is missing is left out. An installed arm cannot take the name of one of the library's;
        one that cannot be made stands last, so that its trial says why.

    Examples
    --------
    >>> searchable_arms()[:6]
    ('dummy', 'naive_bayes', 'logistic', 'neighbours', 'forest', 'svc')
    """
    own = [name for name, arm in ARMS.items() if _is_ready(arm)]
    costs: dict[str, float] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name in ARMS or point.name in costs:
            continue
        try:
            arm: Arm = made("arm", point, Arm, _MEMBERS)
        except InvalidArgument:
            costs[point.name] = float("inf")
        else:
            if _is_ready(arm):
                costs[point.name] = arm.cost_hint
    return (*own, *sorted(costs, key=lambda name: (costs[name], name)))


def available_arms() -> list[str]:
    """Return the names of :func:`searchable_arms` as a list: all that can be named in a search."""
    return list(searchable_arms())


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
        If there is none of that name, the installed one cannot be made, or its extra is missing.

    Examples
    --------
    >>> arm_named("forest").family
    'forest'
    """
    arm = ARMS.get(name)
    for point in entry_points(group=ENTRY_POINT_GROUP) if arm is None else ():
        if point.name == name:
            arm = made("arm", point, Arm, _MEMBERS)
            break
    if arm is None:
        raise InvalidArgument(
            f"there is no arm named {name!r}",
            hint=f"Known: {', '.join(available_arms())}; others are entry points of {ENTRY_POINT_GROUP}",
            argument="arm",
        )
    if arm.extra is not None:
        require("arm", name, arm.extra.name, *arm.extra.modules)
    return arm


def _is_ready(arm: Arm) -> bool:
    return arm.extra is None or installed(*arm.extra.modules)
