"""The one way that state meets the store: decide, append, fold, reply.

The Ray shell, the in-process runtime and the tests all run components through this class.
"""

from __future__ import annotations

from typing import Any

from easeml_ray.errors import VersionConflict
from easeml_ray.messages import SYSTEM, Command, Decision, Event, dump, kind_of
from easeml_ray.process.component import ComponentState
from easeml_ray.process.messages import WorkRejected
from easeml_ray.store.base import EventStore

__all__ = ["Host"]


class Host:
    """Runs one component's state against an event store; not thread safe: hold a lock.

    Parameters
    ----------
    state : ComponentState
        A fresh state; :meth:`start` fills it from the store.
    store : EventStore
        Where its streams are.
    actor : str
        Name under which incarnations are counted.
    """

    def __init__(self, state: ComponentState, store: EventStore, *, actor: str) -> None:
        self.state = state
        self.store = store
        self.actor = actor
        self.epoch = 0
        self.cursor = 0
        self.versions: dict[str, int] = {}

    def start(self) -> None:
        """Raise the incarnation and fold all that is in the store."""
        self.epoch = self.store.incarnate(self.actor)
        self.follow()

    def follow(self) -> int:
        """Fold what the store holds past the cursor, in commit order; return how many events."""
        prefix = "" if self.state.follows else f"{self.state.component}/"
        events = self.store.read(prefix=prefix, after_seq=self.cursor)
        for event in events:
            self._take(event)
        return len(events)

    def handle(self, command: Command) -> dict[str, Any]:
        """Handle a command once: a repeated ``command_id`` gets the stored reply.

        Raises
        ------
        EasemlError
            The command is rejected; nothing was written.
        """
        done = self.store.find(command.command_id)
        if done:
            return dict(done[-1].reply or {})
        if self.state.follows:
            self.follow()
        if isinstance(command.body, WorkRejected):
            decision = Decision((command.body,))
        else:
            decision = self.state.decide(command)
        if not decision.events:
            raise AssertionError(f"{kind_of(command.body)} was accepted without an event")
        stream = f"{self.state.component}/{command.project or SYSTEM}"
        version = self.versions.get(stream, 0)
        last = len(decision.events) - 1
        events = [
            Event(
                stream=stream,
                version=version + index + 1,
                command_id=command.command_id,
                index=index,
                tenant=command.principal.tenant,
                project=command.project or SYSTEM,
                actor=self.actor,
                epoch=self.epoch,
                at=command.now,
                body=body,
                reply=decision.reply if index == last else None,
            )
            for index, body in enumerate(decision.events)
        ]
        for body in decision.events:
            dump(body)  # refuses what is too large before anything is written
        try:
            stored = self.store.append(stream, events, expected_version=version)
        except VersionConflict:
            # The same command may have been appended by a call that lost its answer.
            done = self.store.find(command.command_id)
            if done:
                self.follow()
                return dict(done[-1].reply or {})
            raise
        if self.state.follows:
            self.follow()  # takes in, in commit order, what others appended meanwhile
        else:
            for event in stored:
                self._take(event)
        return decision.reply

    def _take(self, event: Event) -> None:
        self.state.fold(event)
        self.cursor = event.seq
        if event.component == self.state.component:
            self.versions[event.stream] = event.version
