"""What components say to one another: the envelopes, the values they share, and the codec.

Bodies of commands, events, queries and work are frozen dataclasses of plain values; each component keeps its
own in ``<component>/messages.py`` and marks them with :func:`message`. Nothing over :data:`MAX_MESSAGE_BYTES`
travels by value: data goes by :class:`DatasetRef` or by the digest of a blob.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar, dataclass_transform

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from easeml_ray.errors import InvalidArgument, TooLarge
from easeml_ray.items import Item, shown_item

__all__ = [
    "MAX_MESSAGE_BYTES",
    "SYSTEM",
    "Action",
    "Command",
    "DataVersion",
    "DatasetRef",
    "Decision",
    "Event",
    "Gain",
    "LedgerLine",
    "Option",
    "Pillar",
    "Principal",
    "Role",
    "action_id",
    "decoder",
    "encode",
    "kind_named",
    "kind_of",
    "message",
    "value",
]

MAX_MESSAGE_BYTES = 64 * 1024
"""Upper limit of one encoded command, event, reply or query, in bytes."""

SYSTEM = "_system"
"""The project name under which a component keeps what belongs to no project."""

T = TypeVar("T")

_bodies: dict[str, type[Any]] = {}
_kinds: dict[type[Any], str] = {}
_adapters: dict[type[Any], TypeAdapter[Any]] = {}


@dataclass_transform(frozen_default=True, kw_only_default=True)
def message(kind: str) -> Callable[[type[T]], type[T]]:
    """Make a class a message body: frozen, keyword-only, and known to the codec by ``kind``.

    A kind is ``<component>.<Name>`` and stands in stores for ever: it stays when a class moves or is renamed.
    """

    def made(cls: type[T]) -> type[T]:
        body = value(cls)
        if kind in _bodies:
            raise TypeError(f"two messages of kind {kind}")
        _bodies[kind], _kinds[body] = body, kind
        return body

    return made


@dataclass_transform(frozen_default=True, kw_only_default=True)
def value(cls: type[T]) -> type[T]:
    """Make a class a part of messages: frozen and keyword-only, never sent by itself."""
    # Infinity must come back from JSON as it went in.
    cls.__pydantic_config__ = {"ser_json_inf_nan": "constants"}  # type: ignore[attr-defined]
    return dataclass(frozen=True, slots=True, kw_only=True)(cls)


def kind_of(body: object) -> str:
    """Return the kind of a message body."""
    return _kinds[type(body)]


def kind_named(cls: type[Any]) -> str:
    """Return the kind of a class of message bodies."""
    return _kinds[cls]


def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    if cls not in _adapters:
        _adapters[cls] = TypeAdapter(cls)
    return _adapters[cls]


def encode(body: object) -> str:
    """Return a body as JSON text.

    TooLarge beyond :data:`MAX_MESSAGE_BYTES`, InvalidArgument for text that is no Unicode (a lone surrogate).
    """
    try:
        data = _adapter(type(body)).dump_json(body)
    except PydanticSerializationError as error:
        raise InvalidArgument(
            f"a {kind_of(body)} cannot be written: {error}",
            hint="Give values that JSON can hold, and text that is Unicode.",
            argument="body",
        ) from error
    if len(data) > MAX_MESSAGE_BYTES:
        raise TooLarge(
            f"a {kind_of(body)} of {len(data)} bytes is over the limit of {MAX_MESSAGE_BYTES}",
            hint="Store the data as a blob and send its digest.",
            limit=MAX_MESSAGE_BYTES,
            size=len(data),
        )
    return data.decode()


def decoder(kind: str) -> Callable[[str], Any]:
    """Return what rebuilds a body of this kind from the text that :func:`encode` gave.

    InvalidArgument if no such kind is known; the result raises pydantic's ValidationError for other text.
    """
    if kind not in _bodies:
        raise InvalidArgument(
            f"no message of kind {kind!r} is known",
            hint="Is the store of a newer easeml_ray, or is a component's messages module not imported?",
            argument="kind",
        )
    return _adapter(_bodies[kind]).validator.validate_json


class Pillar(StrEnum):
    """The four physically separate parts of a project's data."""

    TRAIN = "train"
    DEVELOPMENT = "development"
    STABLE = "stable"
    REALTIME = "realtime"


class Role(StrEnum):
    """What a principal may do."""

    ADMIN = "admin"
    TENANT = "tenant"
    ANNOTATOR = "annotator"
    SELLER = "seller"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a tenant's name, a role, and the actor or person behind it."""

    tenant: str
    role: Role
    actor: str


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """One pillar of one data version, by reference."""

    project: str
    pillar: Pillar
    version: int
    digest: str  # sha256 of the part digests, in order
    schema: str  # digest of the column names and types
    rows: int  # number of entities (alternatives of one row count once)


@dataclass(frozen=True, slots=True)
class DataVersion:
    """One version of a project's train and development data."""

    project: str
    # number, parent: 1 is the upload; parent 0 means none
    number: int
    parent: int
    train: DatasetRef
    development: DatasetRef
    schema: str  # digest of the JSON {label, features, classes, …}
    encoder: str  # digest of the fitted ``embed.Encoder``, fitted on the most probable world of train
    n_classes: int
    uncertain_rows: int  # train rows with more than one alternative
    # digest of the JSON list of the keys of items that a person answered when asked by RELABEL or
    # CLEAN_CELL; empty before the first answer
    answered: str = ""

    def pillar(self, pillar: Pillar) -> DatasetRef:
        """Return train or development."""
        return self.train if pillar is Pillar.TRAIN else self.development


@dataclass(frozen=True, slots=True)
class Gain:
    """Expected rise of the deployed model's true accuracy by one action alone.

    In accuracy points (0 to 1), capped at the target; ``lower`` and ``upper`` are a 90 % interval.
    """

    mean: float
    lower: float
    upper: float

    def __post_init__(self) -> None:
        """Check that the mean lies inside its interval."""
        if not self.lower <= self.mean <= self.upper:
            raise InvalidArgument(
                f"a gain of {self.mean} outside its interval [{self.lower}, {self.upper}]",
                hint="Give lower <= mean <= upper.",
                argument="mean",
            )


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """Uncertainty that an event removed, and what that cost."""

    variable: str  # the random variable, e.g. ``label of train row 17``
    # entropy_before, entropy_after: in bits
    entropy_before: float
    entropy_after: float
    cost_cents: float  # what was paid for it
    evidence: str  # what it rests on: a request, a version, a digest
    count: int = 1  # how many independent variables of this form the line sums up


@dataclass(frozen=True, slots=True)
class Option:
    """One action that could be taken next, with what it is worth and what it costs."""

    id: str
    kind: str  # the request kind (``RELABEL``, ``CLEAN_CELL``, ``BUY_ROW``, …) or ``TRAIN``, ``GATE``
    title: str  # one sentence for a person
    gain: Gain  # expected rise in accuracy
    cost_cents: float  # expected cost of the whole option
    items: tuple[Item, ...] = ()  # what people would be asked about
    choices: tuple[str, ...] = ()  # the answers that are allowed; empty: free
    method: str = ""  # how the gain was computed

    @property
    def gain_per_cent(self) -> float:
        """Expected accuracy points per cent of money; what options are ranked by."""
        return self.gain.mean / max(self.cost_cents, 0.01)

    def shown(self) -> dict[str, Any]:
        """Return the option as people's surfaces show it."""
        return {**asdict(self), "items": [shown_item(item) for item in self.items]}


@dataclass(frozen=True, slots=True)
class Command:
    """A request to change state, as ``decide`` sees it.

    ``now`` (seconds since 1970) and ``seed`` (64 bits) are stamped by the runtime;
    ``decide`` may use them, ``fold`` sees outcomes only.
    """

    command_id: str
    project: str
    principal: Principal
    now: float
    seed: int
    body: Any


class Event(NamedTuple):
    """Something that happened, as it stands in the store.

    ``stream`` is ``<component>/<project>``; ``version`` counts from 1 within the stream;
    ``seq`` is the commit order over all streams. The last event of a command carries its
    ``reply`` as JSON text. A tuple: a restart makes hundreds of thousands of them.
    """

    stream: str
    version: int
    command_id: str
    ordinal: int
    tenant: str
    project: str
    actor: str
    epoch: int
    at: float
    body: Any
    reply_json: str | None = None
    seq: int = 0

    @property
    def reply(self) -> dict[str, Any] | None:
        """What the sender of the command was answered; None but for its last event."""
        reply: dict[str, Any] | None = None if self.reply_json is None else json.loads(self.reply_json)
        return reply

    @property
    def event_id(self) -> str:
        """``<command_id>:<ordinal>``, unique over the store."""
        return f"{self.command_id}:{self.ordinal}"

    @property
    def component(self) -> str:
        """The component whose stream this is."""
        return self.stream.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Decision:
    """What ``decide`` answers: the events to append and the reply to the caller."""

    events: tuple[Any, ...]
    reply: dict[str, Any] = field(default_factory=dict)


class Action(NamedTuple):
    """Something that state says is due.

    With ``to`` it is a command body to send to that component under ``id`` as its
    command_id; without, it is work, whose result comes back to its own component as a
    command of the same id. Either way the first event whose command_id is ``id`` settles it.
    """

    id: str
    project: str
    tenant: str
    body: Any
    to: str | None = None
    at: float = 0.0  # not before this time, in seconds since 1970

    @property
    def seed(self) -> int:
        """64 bits of randomness that a re-issue repeats."""
        return int(self.id[:16], 16)


def action_id(owner: str, stream: str, version: int, kind: str, ordinal: int) -> str:
    """Return sha256 of (owner, stream, version of the event that made it due, kind, ordinal).

    ``owner`` is the component that owes it, ``ordinal`` counts the actions of one kind that one
    event made due. The body is no part of it: a release that gives a message another field must
    not do again what was done.
    """
    # No name holds a line break.
    return hashlib.sha256(f"{owner}\n{stream}\n{version}\n{kind}\n{ordinal}".encode()).hexdigest()
