"""An event as one flat row of plain values, the form in which every backend keeps it.

Backends store rows, not objects: what ``append`` returns and what ``read`` returns later
have then gone through the same encoding, so a state folded live and one folded again from
the store cannot differ.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
from easeml_ray.messages import MAX_MESSAGE_BYTES, Event, kind_of
from easeml_ray.messages import decode as decode_body
from easeml_ray.messages import encode as encode_body

__all__ = ["Row", "check_batch", "decode", "duplicate", "encode", "stale", "version_conflict"]

Row = dict[str, Any]


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
        "reply": _reply(event),
    }


def _reply(event: Event) -> str | None:
    if event.reply is None:
        return None
    try:
        text = json.dumps(event.reply)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            f"the reply of command {event.command_id!r} is no JSON: {error}",
            hint="A reply is a dict of plain values.",
            argument="reply",
        ) from error
    if len(text) > MAX_MESSAGE_BYTES:
        raise TooLarge(
            f"a reply of {len(text)} bytes is over the limit of {MAX_MESSAGE_BYTES}",
            hint="Store the data as a blob and reply with its digest.",
            limit=MAX_MESSAGE_BYTES,
            size=len(text),
        )
    return text


def decode(row: Mapping[str, Any]) -> Event:
    """Rebuild an event from its row."""
    try:
        body = decode_body(row["kind"], row["body"])
    except ValidationError as error:
        raise StoreError(
            f"event {row['event_id']!r} does not fit {row['kind']} (form {row['kind_version']}): {error}",
            hint="The store was written by another version of easeml_ray, or it is damaged.",
        ) from error
    known = getattr(type(body), "kind_version", 1)
    if row["kind_version"] > known:
        raise SchemaTooNew(
            f"event {row['event_id']!r} is form {row['kind_version']} of {row['kind']}; {known} is known",
            hint="Update easeml_ray to the version that wrote this store.",
            found=row["kind_version"],
            known=known,
        )
    return Event(
        stream=row["stream"],
        version=row["version"],
        command_id=row["command_id"],
        index=int(row["event_id"].rpartition(":")[2]),
        tenant=row["tenant"],
        project=row["project"],
        actor=row["actor"],
        epoch=row["epoch"],
        at=row["at"],
        body=body,
        reply=None if row["reply"] is None else json.loads(row["reply"]),
        seq=row["seq"],
    )


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
