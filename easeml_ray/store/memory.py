"""The log of events in the memory of one process: for tests and for work that may be lost."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Sequence

from easeml_ray.errors import StoreError
from easeml_ray.messages import Event
from easeml_ray.store.rows import Row, check_batch, decode, duplicate, encode, stale, stored, version_conflict

__all__ = ["MemoryEventStore"]


class MemoryEventStore:
    """An :class:`~easeml_ray.store.base.EventStore` without any disk.

    It keeps the whole contract but durability, and serves the threads of one process.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._rows: list[Row] = []  # row with seq n stands at n - 1
        self._versions: dict[str, int] = {}  # stream -> version of its last event
        self._epochs: dict[str, int] = {}  # actor -> latest epoch
        self._commands: defaultdict[str, dict[str, Row]] = defaultdict(dict)  # -> event_id -> row
        self._closed = False

    def incarnate(self, actor: str) -> int:
        """Raise the epoch of ``actor`` and return it (first epoch: 1)."""
        with self._lock:
            self._check_open()
            self._epochs[actor] = self._epochs.get(actor, 0) + 1
            return self._epochs[actor]

    def append(self, stream: str, events: Sequence[Event], *, expected_version: int) -> list[Event]:
        """Append events to a stream; see :class:`~easeml_ray.store.base.EventStore`."""
        check_batch(stream, events, expected_version)
        rows = [encode(event) for event in events]
        with self._lock:
            self._check_open()
            if not rows:
                return []
            self._check_state(stream, rows, expected_version)
            for seq, row in enumerate(rows, len(self._rows) + 1):
                row["seq"] = seq
            kept = [stored(row) for row in rows]
            for row in rows:
                self._rows.append(row)
                self._commands[row["command_id"]][row["event_id"]] = row
            self._versions[stream] = rows[-1]["version"]
        return kept

    def _check_state(self, stream: str, rows: list[Row], expected: int) -> None:
        actor, epoch = rows[0]["actor"], rows[0]["epoch"]
        current = self._epochs.get(actor, 0)
        if current == 0 or epoch != current:
            raise stale(actor, epoch, current)
        found = self._versions.get(stream, 0)
        if found != expected:
            raise version_conflict(stream, expected, found)
        fresh: set[str] = set()
        for row in rows:
            event_id = row["event_id"]
            if event_id in fresh or event_id in self._commands.get(row["command_id"], {}):
                raise duplicate(stream, event_id, expected, found)
            fresh.add(event_id)

    def read(
        self,
        *,
        prefix: str = "",
        after_seq: int = 0,
        limit: int | None = None,
        kinds: Collection[str] | None = None,
    ) -> list[Event]:
        """Return events in the order of seq; see :class:`~easeml_ray.store.base.EventStore`."""
        with self._lock:
            self._check_open()
            rows = [r for r in self._rows[max(after_seq, 0) :] if r["stream"].startswith(prefix)]
        return [decode(row, kinds) for row in rows[:limit]]

    def find(self, command_id: str) -> list[Event]:
        """Return the events that a command appended, by index; empty if none."""
        with self._lock:
            self._check_open()
            rows = list(self._commands.get(command_id, {}).values())
        return sorted((decode(row) for row in rows), key=lambda event: event.ordinal)

    def close(self) -> None:
        """Forget everything; the store can no longer be used."""
        with self._lock:
            self._closed = True
            self._rows.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed", hint="Open it again.")
