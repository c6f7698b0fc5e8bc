"""What LabelOracle is told: requests to people, leases, answers."""

from __future__ import annotations

from enum import StrEnum

from easeml_ray.items import Item, Value
from easeml_ray.messages import Gain, message, value

__all__ = [
    "Answer",
    "AnswerRequests",
    "Answered",
    "Asked",
    "Close",
    "Expire",
    "Expired",
    "Kind",
    "Lease",
    "Leased",
    "ListRequests",
    "OpenRequests",
    "Opened",
    "Passed",
    "ReleaseLeases",
    "Skip",
    "Skipped",
    "Volunteer",
    "Volunteered",
]


class Kind(StrEnum):
    """What a person can be asked for."""

    CONFIRM_SCHEMA = "CONFIRM_SCHEMA"
    RESOLVE_REJECTS = "RESOLVE_REJECTS"
    CLEAN_CELL = "CLEAN_CELL"
    RELABEL = "RELABEL"
    LABEL_ROW = "LABEL_ROW"
    BUY_ROW = "BUY_ROW"
    LABEL_DEVELOPMENT = "LABEL_DEVELOPMENT"
    LABEL_TEST = "LABEL_TEST"
    NEW_TEST_SET = "NEW_TEST_SET"
    LABEL_REALTIME = "LABEL_REALTIME"
    APPROVE_DEPLOY = "APPROVE_DEPLOY"
    OVERRIDE_TARGET = "OVERRIDE_TARGET"


@value
class Asked:
    """One item to ask for, and what an answer costs."""

    item: Item
    cost_cents: float


@message("oracle.OpenRequests")
class OpenRequests:
    """Ask people for a batch of items of one kind."""

    kind: Kind
    batch: str
    asker: str
    title: str
    items: tuple[Asked, ...]
    choices: tuple[str, ...]
    gain: Gain | None
    deadline: float
    answers_per_item: int


@message("oracle.Opened")
class Opened:
    """The requests are open; their ids count up from ``first``."""

    command: OpenRequests
    first: int


@message("oracle.Lease")
class Lease:
    """Reserve open requests for an annotator."""

    annotator: str
    kinds: tuple[Kind, ...]
    limit: int
    seconds: float


@message("oracle.Leased")
class Leased:
    """Requests are reserved until ``until``."""

    command: Lease
    requests: tuple[int, ...]
    until: float


@message("oracle.ReleaseLeases")
class ReleaseLeases:
    """Give back what a lease held past its time; due by the clock."""

    requests: tuple[int, ...]
    until: float


@value
class Answer:
    """One answer."""

    request: int
    value: Value


@message("oracle.AnswerRequests")
class AnswerRequests:
    """Answer requests, all or none."""

    annotator: str
    answers: tuple[Answer, ...]


@message("oracle.Answered")
class Answered:
    """Answers came in; ``closed`` requests need no more and have these final values."""

    command: AnswerRequests
    closed: tuple[Answer, ...]


@message("oracle.Skip")
class Skip:
    """An annotator does not know; a request for one answer is closed without a value."""

    annotator: str
    requests: tuple[int, ...]


@message("oracle.Passed")
class Passed:
    """An annotator does not know, of items that others are asked as well: they stay open."""

    command: Skip


@message("oracle.Skipped")
class Skipped:
    """Requests were closed without a value."""

    command: Skip


@message("oracle.Expire")
class Expire:
    """Close what passed its deadline; due by the clock."""

    batch: str


@message("oracle.Expired")
class Expired:
    """Requests passed their deadline."""

    command: Expire
    requests: tuple[int, ...]


@message("oracle.Close")
class Close:
    """Withdraw what is still open in a batch."""

    batch: str


@message("oracle.Volunteer")
class Volunteer:
    """A label nobody asked for (feedback): answers an open request of the key, else is kept."""

    annotator: str
    key: str
    value: Value


@message("oracle.Volunteered")
class Volunteered:
    """A label was given before anybody asked."""

    command: Volunteer


@message("oracle.ListRequests")
class ListRequests:
    """Query: requests, newest first; ``ids`` names single ones."""

    state: str | None = None
    kind: Kind | None = None
    batch: str | None = None
    limit: int = 100
    ids: tuple[int, ...] | None = None
