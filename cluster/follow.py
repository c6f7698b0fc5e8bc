"""Where a project stands, for those who follow it: whether to wait, to ask somebody, or to stop."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

__all__ = ["Standing", "open_kinds", "settled", "standing"]

_ON_THE_WAY = ("TRAINED", "ADMITTED", "GATING")
_ASIDE = ("LABEL_REALTIME",)  # asked for while the endpoint answers: nothing waits for it
_IN_TIME = "NEW_TEST_SET"  # asked for before the models wait for it


class Standing(StrEnum):
    """What a follower can do."""

    MOVING = "MOVING"
    """Wait: the system works on it."""
    PEOPLE = "PEOPLE"
    """Somebody must answer before it goes on."""
    SERVING = "SERVING"
    """A model passed and answers; all models have their verdicts."""
    NO_MODEL = "NO_MODEL"
    """All models have their verdicts, and none passed."""
    HALTED = "HALTED"
    """Paused or cancelled."""


def open_kinds(shown: Mapping[str, Any], among: Collection[str] | None = None) -> set[str]:
    """Return the kinds of request that wait for people, those of ``among`` if given."""
    kinds = {batch["kind"] for batch in shown["waiting_for"]}
    return kinds if among is None else kinds & set(among)


def settled(models: Mapping[str, Any]) -> bool:
    """Tell whether every model of the newest search has its verdict.

    Parameters
    ----------
    models : mapping
        ``searches`` and ``models``, as the control API shows them.
    """
    searches = models["searches"]
    if not searches or searches[-1]["state"] == "OPEN":
        return False
    return not any(m["state"] in _ON_THE_WAY and not m["floor"] for m in models["models"])


def standing(shown: Mapping[str, Any], models: Mapping[str, Any]) -> Standing:
    """Return what a follower of a project can do.

    Parameters
    ----------
    shown : mapping
        The project as it stands.
    models : mapping
        ``searches`` and ``models`` of the project.
    """
    if shown["control"] != "RUNNING":
        return Standing.HALTED
    asked = open_kinds(shown) - set(_ASIDE)
    if asked - {_IN_TIME} or (_IN_TIME in asked and _waits_for_test(models)):
        return Standing.PEOPLE
    if shown["phase"] != "READY" or not settled(models):
        return Standing.MOVING
    return Standing.SERVING if shown["deployed"] else Standing.NO_MODEL


def _waits_for_test(models: Mapping[str, Any]) -> bool:
    searching = bool(models["searches"]) and models["searches"][-1]["state"] == "OPEN"
    return not searching and any(m["state"] == "ADMITTED" for m in models["models"])
