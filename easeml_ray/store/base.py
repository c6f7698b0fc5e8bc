"""The contract of the two stores. Every backend passes tests/unit/store_conformance.py.

EventStore
    An append-only log of events in streams. *Who writes*: a stream ``<component>/<project>``
    is written by one actor class only. *Order*: within a stream, versions are 1, 2, 3, … without
    gaps; over all streams ``seq`` rises in commit order, so that a follower that has seen seq n
    will never later find an event with a smaller seq. *Atomicity*: the events of one append are
    all in the store or none is. *Durability*: an append that returned survives SIGKILL and power
    loss (where the medium is durable at all). *Optimism*: an append names the version that it
    expects the stream to have, and raises VersionConflict otherwise. *Idempotence*: ``event_id`` =
    ``command_id:index`` is unique; ``find(command_id)`` returns what a command already did.
    *Fencing*: ``incarnate(actor)`` raises the actor's epoch and returns it; an append checks in
    its own transaction that its epoch is still the actor's latest and raises StaleIncarnation
    otherwise, so an orphan of a lost node cannot write.
    *Thread safety*: all methods may be called from several threads and processes at once.
    *Ownership*: the store never keeps or changes an object that it was given.

BlobStore
    Immutable bytes under ``<tenant>/<sha256>``. *Atomicity*: a blob is whole or absent.
    *Durability*: a ``put`` that returned survives SIGKILL and power loss. *Idempotence*: putting the same
    bytes again is a no-op. ``delete`` exists for one purpose: to drop what must not stay in clear.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

import pyarrow as pa

from easeml_ray.messages import Event

__all__ = ["BlobStore", "EventStore"]


class EventStore(Protocol):
    """An append-only log; see the module's prose for the contract."""

    def incarnate(self, actor: str) -> int:
        """Raise the epoch of ``actor`` and return it (first epoch: 1)."""
        ...

    def append(self, stream: str, events: Sequence[Event], *, expected_version: int) -> list[Event]:
        """Append events to ``<component>/<project>`` in one transaction and return them with their ``seq``.

        They have versions ``expected_version + 1, …`` (0: the stream is new), one ``actor`` and one
        ``epoch``. VersionConflict if the stream has another version or an event_id is already there,
        StaleIncarnation if the epoch is not the actor's latest, TooLarge for a body over 64 KiB.
        """
        ...

    def read(
        self,
        *,
        prefix: str = "",
        after_seq: int = 0,
        limit: int | None = None,
        kinds: Collection[str] | None = None,
    ) -> list[Event]:
        """Return events with seq > ``after_seq`` in streams that begin with ``prefix``, by seq.

        With ``kinds`` events of other kinds come without their bodies (None), for followers that need
        only know that they happened.
        """
        ...

    def find(self, command_id: str) -> list[Event]:
        """Return the events that a command appended, by index; empty if none."""
        ...

    def close(self) -> None:
        """Release connections; the store can no longer be used."""
        ...


class BlobStore(Protocol):
    """Immutable, content-addressed bytes; see the module's prose for the contract."""

    def put(self, tenant: str, data: bytes | pa.Buffer) -> str:
        """Store bytes and return their sha256 in hex."""
        ...

    def get(self, tenant: str, digest: str) -> pa.Buffer:
        """Return the bytes; memory-mapped where the medium allows.

        BlobMissing if the tenant has no such blob, BlobCorrupt if the bytes do not have this digest (checked
        once per process and blob).
        """
        ...

    def has(self, tenant: str, digest: str) -> bool:
        """Tell whether a blob is there."""
        ...

    def delete(self, tenant: str, digest: str) -> None:
        """Remove a blob; one that is absent is no error."""
        ...

    def put_table(self, tenant: str, table: pa.Table) -> str:
        """Store a table as one Arrow IPC file and return its digest."""
        ...

    def get_table(self, tenant: str, digest: str) -> pa.Table:
        """Return a table; zero copies from a local disk."""
        ...

    def put_json(self, tenant: str, value: Any) -> str:
        """Store a JSON value (sorted keys) and return its digest."""
        ...

    def get_json(self, tenant: str, digest: str) -> Any:
        """Return a JSON value."""
        ...
