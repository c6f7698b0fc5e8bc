"""What every programmed annotator is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

__all__ = ["Annotator", "Value"]

Value: TypeAlias = str | float | int | bool
"""An answer."""


class Annotator(Protocol):
    """Answers requests from what it knows, without asking anybody.

    An annotator keeps no memory of what it answered: the same request gets the same answer,
    so that a run that was interrupted and taken up again goes on as if it had not been.
    """

    name: str  # shown wherever its answers are; says that it is a program
    kinds: tuple[str, ...]  # the request kinds that it answers; requests of other kinds are left to people

    def answer(self, request: Mapping[str, Any]) -> Value | None:
        """Return the answer to a request, None where it knows none.

        `request` is as the oracle shows it: ``kind``, ``key``, ``payload``, ``choices``, ``cost_cents``, and
        with ``row`` the features of the row that it is about, where there is one.
        """
        ...
