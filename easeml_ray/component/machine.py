"""What the five state machines share: a table of transitions and a typed refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from easeml_ray.errors import IllegalTransition

__all__ = ["Machine"]

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True)
class Machine(Generic[S, E]):
    """A pure state machine; whatever is not in ``transitions`` is refused.

    ``name`` is what it is called in errors, ``initial`` the state of a new instance.
    """

    name: str
    initial: S
    transitions: Mapping[tuple[S, E], S]

    def next(self, state: S, event: E, *, instance: str) -> S:
        """Return the state after ``event``, or raise IllegalTransition, which lists the legal ones."""
        after = self.transitions.get((state, event))
        if after is None:
            allowed = self.allowed(state)
            raise IllegalTransition(
                f"{self.name} {instance} is {state.value}: {event.value} is not possible now",
                hint=f"Possible now: {', '.join(allowed)}." if allowed else "This state is final.",
                machine=self.name,
                instance=instance,
                state=state.value,
                event=event.value,
                allowed=allowed,
            )
        return after

    def allowed(self, state: S) -> list[str]:
        """Return the events that are legal in ``state``."""
        return sorted({event.value for (source, event) in self.transitions if source == state})

    def is_final(self, state: S) -> bool:
        """Tell whether no event is legal in ``state``."""
        return not self.allowed(state)
