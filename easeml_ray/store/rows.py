"""An event as one flat row of plain values, the form in which every backend keeps it.

Backends store rows, not objects: what ``append`` returns and what ``read`` returns later have then gone
through the same encoding, so a state folded live and one folded again from the store cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from pydantic import ValidationError

from easeml_ray.errors import (
    InvalidArgument,
    SchemaTooNew,
    StaleIncarnation,
    StoreError,
    TooLarge,
    VersionConflict,
)
from easeml_ray.messages import MAX_MESSAGE_BYTES, Event, decoder, kind_of
from easeml_ray.messages import encode as encode_body

__all__ = [
    "COLUMNS",
    "Row",
    "check_batch",
    "decode",
    "duplicate",
    "encode",
    "event_of",
    "stale",
    "stored",
    "version_conflict",
]

Row = dict[str, Any]

_decoders: dict[str, Callable[[str], Any]] = {}


def check_batch(stream: str, events: Sequence[Event], expected_version: int) -> None:
    """Refuse a batch that breaks the contract whatever the store holds."""
    if expected_version < 0:
        raise _bad_batch(f"an expected version of {expected_version}", "Use 0 for a new stream.")
    for position, event in enumerate(events):
        if event.stream != stream:
            raise _bad_batch(
                f"event {position} of stream {event.stream!r} in an append to {stream!r}",
                "Append to one stream at a time.",
            )
        if event.version != expected_version + 1 + position:
            raise _bad_batch(
                f"event {position} has version {event.version}, not {expected_version + 1 + position}",
                "Number the events on from the expected version.",
            )
        if (event.actor, event.epoch) != (events[0].actor, events[0].epoch):
            raise _bad_batch(
                f"event {position} is of another actor or epoch than event 0",
                "One append is the work of one incarnation.",
            )


def _bad_batch(message: str, hint: str) -> InvalidArgument:
    return InvalidArgument(message, hint=hint, argument="events")


def encode(event: Event) -> Row:
    """Return an event as a row without ``seq``."""
    return {
        "stream": event.stream,
        "version": event.version,
        "event_id": event.event_id,
        "command_id": event.command_id,
        "kind": kind_of(event.body),
        "kind_version": getattr(type(event.body), "kind_version", 1),
        "tenant": event.tenant,
        "project": event.project,
        "actor": event.actor,
        "epoch": event.epoch,
        "at": event.at,
        "body": encode_body(event.body),
        "reply": _checked_reply(event),
    }


def _checked_reply(event: Event) -> str | None:
    text = event.reply_json
    if text is not None and len(text) > MAX_MESSAGE_BYTES:
        raise TooLarge(
            f"a reply of {len(text)} bytes is over the limit of {MAX_MESSAGE_BYTES}",
            hint="Store the data as a blob and reply with its digest.",
            limit=MAX_MESSAGE_BYTES,
            size=len(text),
        )
    return text


def decode(row: Row, kinds: Collection[str] | None = None) -> Event:
    """Rebuild an event from its row, see :func:`event_of`."""
    return event_of(kinds, *(row[column] for column in COLUMNS))


def stored(row: Row) -> Event:
    """Return the event of a row about to be kept, as :func:`decode` will; InvalidArgument if it could not be.

    A row that is kept and cannot be read would stop every actor that follows its kind.
    """
    try:
        return decode(row)
    except StoreError as error:
        raise InvalidArgument(
            f"a {row['kind']} could not be read again: {error}",
            hint="Give values that JSON can hold: numbers must be finite.",
            argument="body",
        ) from error


COLUMNS = (
    "stream", "version", "event_id", "command_id", "kind", "kind_version", "tenant", "project", "actor",
    "epoch", "at", "body", "reply", "seq",
)  # fmt: skip
"""The columns of a row, in the order in which :func:`event_of` takes them."""


def event_of(
    kinds: Collection[str] | None,
    stream: str,
    version: int,
    event_id: str,
    command_id: str,
    kind: str,
    kind_version: int,
    tenant: str,
    project: str,
    actor: str,
    epoch: int,
    at: float,
    body: str,
    reply: str | None,
    seq: int,
) -> Event:
    """Rebuild an event from the values of its row; with ``kinds``, those of other kinds have no body."""
    made = None
    if kinds is None or kind in kinds:
        decode_body = _decoders.get(kind)
        if decode_body is None:
            decode_body = _decoders[kind] = decoder(kind)
        try:
            made = decode_body(body)
        except ValidationError as error:
            raise StoreError(
                f"event {event_id!r} does not fit {kind} (form {kind_version}): {error}",
                hint="The store was written by another version of easeml_ray, or it is damaged.",
            ) from error
    if kind_version != 1 and kind_version > (known := getattr(type(made), "kind_version", 1)):
        raise SchemaTooNew(
            f"event {event_id!r} is form {kind_version} of {kind}; {known} is known",
            hint="Update easeml_ray to the version that wrote this store.",
            found=kind_version,
            known=known,
        )
    ordinal = int(event_id[len(command_id) + 1 :])
    return Event(stream, version, command_id, ordinal, tenant, project, actor, epoch, at, made, reply, seq)


def stale(actor: str, epoch: int, current: int) -> StaleIncarnation:
    """Return the error of an append whose epoch is not the actor's latest."""
    return StaleIncarnation(
        f"{actor} writes as incarnation {epoch}, but the latest is {current}",
        hint="End this process: its successor has taken over."
        if epoch < current
        else "Call incarnate(actor) once before the first append and use the epoch it returns.",
        actor=actor,
        epoch=epoch,
        current=current,
    )


def version_conflict(stream: str, expected: int, found: int) -> VersionConflict:
    """Return the error of an append to a stream that has moved on."""
    return VersionConflict(
        f"stream {stream!r} is at version {found}, not {expected}",
        hint="Read what was appended, decide again, and append to the new version.",
        stream=stream,
        expected=expected,
        found=found,
    )


def duplicate(stream: str, event_id: str, expected: int, found: int) -> VersionConflict:
    """Return the error of an append that repeats an ``event_id``."""
    return VersionConflict(
        f"event {event_id!r} is already in the store",
        hint="The command was handled before: find(command_id) returns what it did.",
        stream=stream,
        expected=expected,
        found=found,
    )
