"""What every component's state is, and what carries its work.

A component's ``state.py`` holds its actor's whole state as a :class:`ComponentState`:
``decide(command)`` judges and answers with events, ``fold(event)`` takes them in,
``due()`` names what must happen next, ``read(query)`` answers without a trace. No I/O, no Ray,
no clock and no randomness but what the command carries.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from easeml_ray.component.messages import WorkRejected
from easeml_ray.messages import Action, Command, Decision, Event, action_id, kind_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from easeml_ray.messages import DatasetRef, DataVersion, Pillar
    from easeml_ray.store.base import BlobStore

__all__ = ["Bench", "ComponentState", "Encoded", "Executor", "Job", "Perform", "Progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a piece of work says it is."""

    # done, total: of whatever the stage counts; ``total`` is 0 while that is not known
    done: int
    total: int
    stage: str  # what it is at, in a few words for people


class ComponentState(ABC):
    """The state of one actor, over all projects."""

    component: ClassVar[str]
    follows: ClassVar[frozenset[type] | None] = None
    """The events of all components that the state folds, in commit order; None: all of its own alone."""

    def __init__(self) -> None:
        # Everything that is due, by action id; none is the command_id of an event that was folded.
        self.actions: dict[str, Action] = {}
        # What work that is due last said of itself, by action id. Never an event: it is lost with the
        # process, and no decision rests on it.
        self.progress: dict[str, Progress] = {}

    @abstractmethod
    def decide(self, command: Command) -> Decision:
        """Judge a command; raise an EasemlError to reject it. Must not change the state."""

    @abstractmethod
    def apply(self, event: Event) -> None:
        """Take in one event; called by :meth:`fold`."""

    @abstractmethod
    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; must not change the state."""

    def rejected(self, project: str, work: Any, rejection: WorkRejected) -> tuple[Any, ...]:
        """Return the events by which the state goes on although a piece of work was rejected."""
        # They stand behind the rejection itself. Must not change the state.
        return ()

    def fold(self, event: Event) -> None:
        """Settle the action that the event names, then take it in."""
        if event.command_id in self.actions:
            self.settle(event.command_id)
        self.apply(event)

    def settle(self, action: str) -> None:
        """Take an action off what is due, if it is; also what :meth:`apply` calls one off with."""
        if self.actions.pop(action, None) is not None:
            self.progress.pop(action, None)

    def note(self, action: str, progress: Progress) -> bool:
        """Remember how far a piece of work is; tell whether anybody waits for it still."""
        if action not in self.actions:
            return False
        self.progress[action] = progress
        return True

    def due(self) -> list[Action]:
        """Return what must happen next, oldest first."""
        return list(self.actions.values())

    def owe(
        self,
        event: Event,
        body: Any,
        *,
        to: str | None = None,
        at: float = 0.0,
        project: str | None = None,
        tenant: str | None = None,
    ) -> str:
        """Make an action due because of ``event`` and return its id."""
        # `project` and `tenant` are the event's unless given.
        kind, ordinal = kind_of(body), 0
        made_by = (self.component, event.stream, event.version, kind)
        while (identity := action_id(*made_by, ordinal)) in self.actions:
            ordinal += 1  # nothing is settled while one event is taken in
        self.actions[identity] = Action(
            id=identity,
            project=project or event.project,
            tenant=tenant or event.tenant,
            body=body,
            to=to,
            at=at,
        )
        return identity

    def validate(self) -> None:
        """Check the invariants; tests call it after every event."""
        for identity, action in self.actions.items():
            assert identity == action.id
        assert self.progress.keys() <= self.actions.keys()


class Executor(Protocol):
    """Runs plain functions beside the work that submits them, wherever there is room.

    A function stands at the top of a module of easeml_ray, is pure, and may run more than once. What it
    raises, its future raises: EasemlErrors as they are, anything else as WorkFailed. How many are in flight
    at once, and so how many results are held, is the caller's business; what it answers must not depend on
    :attr:`width`. Wait with ``future.result()``, best for the oldest first: that lends the waiting task's own
    share of a processor to the others, which ``concurrent.futures.wait`` does not.
    """

    width: int
    """How many run at once if nobody else works: a few more than this in flight keep all busy."""

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Run ``function(*args)``; small arguments by value, large ones as handles of :meth:`share`."""
        ...

    def share(self, value: Any) -> Any:
        """Return a handle of a large value: sent once, it arrives as the value, not to be written to."""
        # It stands for the value as an argument of :meth:`submit` itself, not inside a list or a tuple.
        ...


@dataclass(frozen=True, slots=True)
class Encoded:
    """One pillar in its most probable world: X (n_rows, n_features), y (n_rows,), row_ids (n_rows,)."""

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    row_ids: NDArray[np.int64]


class Bench(Protocol):
    """What a piece of work may touch: blobs, pillars through the registry's check, more processors."""

    blobs: BlobStore

    def table(self, ref: DatasetRef) -> pa.Table:
        """Return a pillar of a version, read with the capability of the bench's component."""
        ...

    def encoded(self, tenant: str, version: DataVersion, pillar: Pillar) -> Encoded:
        """Return train or development in its most probable world, encoded once for all that ask."""
        ...

    def gate_key(self) -> bytes:
        """Return the gate's private key; only the gate's own process has one."""
        ...

    def data_key(self) -> bytes:
        """Return the key of the digests of held-out rows."""
        ...

    def predict(self, tenant: str, model: str, features: pa.Table) -> NDArray[np.int64]:
        """Return the class codes that a stored model gives to rows without labels.

        ModelFailed is what the model raised; any other error says nothing about the model.
        """
        ...

    def latency(self, tenant: str, model: str, features: pa.Table) -> float:
        """Return the 95th percentile of a model's milliseconds for one row; errors as of :meth:`predict`."""
        ...

    def executor(self) -> AbstractContextManager[Executor]:
        """Return an executor; what is still pending at the end of the ``with`` is cancelled."""
        ...

    def progress(self, done: int, total: int, stage: str) -> None:
        """Say how far the work is, as often as one likes; see :class:`Progress`."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """One issue of a piece of work."""

    id: str
    project: str
    tenant: str
    seed: int
    body: Any

    @classmethod
    def of(cls, action: Action) -> Job:
        """Return the job that an action asks for."""
        return cls(action.id, action.project, action.tenant, action.seed, action.body)


Perform = Callable[[Job, Bench], Any]
"""A plain function of a component's work.py: does the work and returns the command body
that reports it to the component."""
