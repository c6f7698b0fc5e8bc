"""The one way that state meets the store: decide, append, fold, reply.

The Ray shell, the in-process runtime and the tests all run components through this class.
"""

from __future__ import annotations

import gc
import json
from dataclasses import replace
from typing import Any

from easeml_ray.component.base import ComponentState
from easeml_ray.component.messages import WorkRejected
from easeml_ray.errors import EasemlError, TooLarge, VersionConflict
from easeml_ray.messages import SYSTEM, Action, Command, Decision, Event, kind_named, kind_of
from easeml_ray.runtime.issue import is_final, refusal
from easeml_ray.store.base import EventStore

__all__ = ["Host"]

_AT_ONCE = 5_000  # events that are in memory at a time


class Host:
    """Runs one component's state against an event store; not thread safe: hold a lock.

    The state is fresh: :meth:`start` fills it. ``actor`` is the name under which incarnations are counted.
    """

    def __init__(self, state: ComponentState, store: EventStore, *, actor: str) -> None:
        self.state = state
        self.store = store
        self.actor = actor
        self.epoch = 0
        self.cursor = 0
        self.versions: dict[str, int] = {}
        self._own = f"{state.component}/"
        self._prefix = self._own if state.follows is None else ""
        self._kinds = None if state.follows is None else frozenset(kind_named(body) for body in state.follows)

    def start(self) -> None:
        """Raise the incarnation and fold all that is in the store."""
        self.epoch = self.store.incarnate(self.actor)
        # All that is folded stays: while it grows, the collector would look through it again and again.
        collecting = gc.isenabled()
        gc.disable()
        try:
            self.follow()
        finally:
            if collecting:
                gc.enable()

    def follow(self) -> int:
        """Fold what the store holds past the cursor, in commit order; return how many events."""
        count, limit = 0, _AT_ONCE
        while limit == _AT_ONCE:
            events = self.store.read(
                prefix=self._prefix, after_seq=self.cursor, limit=_AT_ONCE, kinds=self._kinds
            )
            self._take(events)
            count, limit = count + len(events), len(events)
        return count

    def handle(self, command: Command) -> dict[str, Any]:
        """Handle a command once: a repeated ``command_id`` gets the stored reply.

        An EasemlError says that the command is rejected; nothing was written.
        """
        done = self.store.find(command.command_id)
        if done:
            return self._known(done)
        if self.state.follows:
            self.follow()
        try:
            return self._append(command, self._decision(command))
        except TooLarge as error:  # what a store refuses before it writes anything
            action = self.state.actions.get(command.command_id)
            return self._append(command, self._refused(command, action, error))
        except VersionConflict:
            # Only this host writes the stream: an earlier append lost its answer and was made.
            if not self.follow():
                raise
        done = self.store.find(command.command_id)
        return self._known(done) if done else self._append(command, self._decision(command))

    def _known(self, done: list[Event]) -> dict[str, Any]:
        """Return the reply of a command that was handled before, whether or not it was folded."""
        if done[-1].seq > self.cursor:
            self.follow()
        return dict(done[-1].reply or {})

    def _decision(self, command: Command) -> Decision:
        """Judge a command; a result of work that the state refuses becomes a rejection of the work."""
        action = self.state.actions.get(command.command_id)
        try:
            decision = self._judged(command, action)
        except EasemlError as error:
            return self._refused(command, action, error)
        if not decision.events:
            raise AssertionError(f"{kind_of(command.body)} was accepted without an event")
        return decision

    def _refused(self, command: Command, action: Action | None, error: EasemlError) -> Decision:
        """Return the rejection of the work whose result was refused; raise the refusal of anything else."""
        if action is None or action.to is not None or not is_final(error):
            raise error
        # Asked again, the work would bring the same result: it would stay due for ever.
        return self._judged(replace(command, body=refusal(action, error)), action)

    def _judged(self, command: Command, action: Action | None) -> Decision:
        body = command.body
        if not isinstance(body, WorkRejected):
            return self.state.decide(command)
        more = self.state.rejected(command.project, action.body, body) if action else ()
        return Decision((body, *more))

    def _append(self, command: Command, decision: Decision) -> dict[str, Any]:
        stream = f"{self.state.component}/{command.project or SYSTEM}"
        version = self.versions.get(stream, 0)
        last = len(decision.events) - 1
        events = [
            Event(
                stream=stream,
                version=version + index + 1,
                command_id=command.command_id,
                ordinal=index,
                tenant=command.principal.tenant,
                project=command.project or SYSTEM,
                actor=self.actor,
                epoch=self.epoch,
                at=command.now,
                body=body,
                reply_json=json.dumps(decision.reply) if index == last else None,
            )
            for index, body in enumerate(decision.events)
        ]
        stored = self.store.append(stream, events, expected_version=version)
        if self.state.follows:
            self.follow()  # takes in, in commit order, what others appended meanwhile
        else:
            self._take(stored)
        return decision.reply

    def _take(self, events: list[Event]) -> None:
        fold, own, versions = self.state.fold, self._own, self.versions
        for event in events:
            fold(event)
            self.cursor = event.seq
            if event.stream.startswith(own):
                versions[event.stream] = event.version
