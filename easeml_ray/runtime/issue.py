"""From a due action to the command that settles it; the same rules on every runtime.

* A *send* goes to its component under the action's id. A refusal is recorded in the stream
  of the sender, so that it is settled and seen.
* *Work* is performed and its result sent to its own component under the action's id. A typed
  error is recorded there as WorkRejected.
* What the machinery fails at (:func:`is_final` says no) is neither: it stays due and is issued again.
"""

from __future__ import annotations

from typing import Any

from easeml_ray.component.messages import WorkRejected
from easeml_ray.errors import (
    EasemlError,
    NotReady,
    StaleIncarnation,
    StoreError,
    SystemFailure,
    VersionConflict,
)
from easeml_ray.messages import Action, Command, Principal, Role, kind_of
from easeml_ray.process.messages import RecordRejection

__all__ = ["command_of", "is_final", "refusal"]


def is_final(error: BaseException) -> bool:
    """Tell whether repeating the same action would be refused in the same way."""
    passing = (NotReady, SystemFailure, StoreError, StaleIncarnation, VersionConflict)
    return isinstance(error, EasemlError) and not isinstance(error, passing)


def command_of(action: Action, component: str, body: Any, *, now: float) -> Command:
    """Return the command by which ``component`` sends a body or reports a result."""
    principal = Principal(action.tenant, Role.SYSTEM, component)
    return Command(action.id, action.project, principal, now, action.seed, body)


def refusal(action: Action, error: EasemlError) -> Any:
    """Return the body that records a final error in the stream of the action's own component."""
    kind = kind_of(action.body)
    if action.to is not None:
        return RecordRejection(to=action.to, kind=kind, error=error.to_dict())
    return WorkRejected(kind=kind, error=error.to_dict())
