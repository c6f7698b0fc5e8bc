"""LabelOracle's state: the durable queue of human requests and what answers cost.

A request goes OPEN → LEASED → ANSWERED, SKIPPED or EXPIRED. The same item never goes twice to
one annotator; it is repeated only until ``answers_per_item`` different annotators answered.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar

from easeml_ray.component.base import ComponentState
from easeml_ray.errors import Conflict, InvalidAnswer, NotFound, RequestClosed
from easeml_ray.messages import Command, Decision, Event
from easeml_ray.oracle.answers import checked_answer
from easeml_ray.oracle.messages import (
    Answer,
    Answered,
    AnswerRequests,
    Asked,
    Close,
    Expire,
    Expired,
    Lease,
    Leased,
    ListRequests,
    Opened,
    OpenRequests,
    Passed,
    ReleaseLeases,
    Skip,
    Skipped,
    Volunteer,
    Volunteered,
)

__all__ = ["OracleState", "Request", "RequestState"]


class RequestState(StrEnum):
    """Where a request stands."""

    OPEN = "OPEN"
    LEASED = "LEASED"
    ANSWERED = "ANSWERED"
    SKIPPED = "SKIPPED"
    EXPIRED = "EXPIRED"


_PENDING = (RequestState.OPEN, RequestState.LEASED)


@dataclass(slots=True)
class Request:
    """One item and what people said of it.

    opened : the round that it belongs to; answers : by annotator, in order of arrival; value : the
    final one (majority, ties to the earlier); leased_to, leased_until : who works on it now, seconds
    since 1970.
    """

    id: int
    opened: OpenRequests
    asked: Asked
    state: RequestState = RequestState.OPEN
    leased_to: str | None = None
    leased_until: float = 0.0
    answers: dict[str, Any] = field(default_factory=dict)
    value: Any = None


@dataclass
class _Queue:
    """One project's requests.

    requests : by id, which count up; by_state : the ids of those in each state; by_key : the newest
    request for each item; seen_by : the annotators who had an item, by its key; spent, reserved :
    cents for answers that came and for those that are still asked for; volunteered : values given
    before anybody asked, by key, and who gave them.
    """

    requests: dict[int, Request] = field(default_factory=dict)
    by_state: dict[str, set[int]] = field(default_factory=lambda: {state: set() for state in RequestState})
    batches: dict[str, list[int]] = field(default_factory=dict)
    by_key: dict[str, int] = field(default_factory=dict)
    seen_by: dict[str, set[str]] = field(default_factory=dict)
    volunteered: dict[str, tuple[str, Any]] = field(default_factory=dict)
    spent: float = 0.0
    reserved: float = 0.0

    def pending(self, batch: str) -> list[Request]:
        """Return the requests of a batch that nothing closed yet."""
        return [r for i in self.batches.get(batch, []) if (r := self.requests[i]).state in _PENDING]

    def add(self, request: Request) -> None:
        """Take in a new request."""
        self.requests[request.id] = request
        self.by_state[request.state].add(request.id)
        self.by_key[request.asked.item.key] = request.id
        self.reserved += request.asked.cost_cents * request.opened.answers_per_item

    def move(self, request: Request, state: RequestState, leased_to: str | None = None) -> None:
        """Put a request into a state; ``leased_to`` is for LEASED only."""
        self.by_state[request.state].remove(request.id)
        self.by_state[state].add(request.id)
        request.state, request.leased_to = state, leased_to

    def shut(self, ids: Iterable[int], state: RequestState) -> None:
        """Close requests without a value, and give back what was reserved for them."""
        for identity in ids:
            request = self.requests[identity]
            self.move(request, state)
            open_answers = request.opened.answers_per_item - len(request.answers)
            self.reserved -= request.asked.cost_cents * open_answers

    def seen(self, request: Request, annotator: str) -> None:
        """Note that an annotator had the item of a request."""
        self.seen_by.setdefault(request.asked.item.key, set()).add(annotator)

    def found(self, query: ListRequests) -> list[Request]:
        """Return the requests that a query is for, newest first; looks at no more than it must."""
        among: Iterable[int] = self.requests
        if query.ids is not None:
            among = {identity for identity in query.ids if identity in self.requests}
        elif query.batch is not None:
            among = self.batches.get(query.batch, ())
        elif query.state is not None:
            among = self.by_state.get(query.state, ())
        return [
            request
            for request in map(self.requests.__getitem__, sorted(among, reverse=True))
            if (query.state is None or request.state == query.state)
            and (query.kind is None or request.opened.kind is query.kind)
            and (query.batch is None or request.opened.batch == query.batch)
        ]


class OracleState(ComponentState):
    """Requests of all projects."""

    component: ClassVar[str] = "oracle"

    def __init__(self) -> None:
        super().__init__()
        self.projects: dict[str, _Queue] = {}

    def decide(self, command: Command) -> Decision:
        """Judge a command; see :class:`ComponentState`."""
        queue = self.projects.get(command.project, _Queue())
        match command.body:
            case OpenRequests() as body:
                return self._open(queue, body)
            case Lease() as body:
                return self._lease(queue, body, command.now)
            case ReleaseLeases() as body:
                return Decision((body,))
            case AnswerRequests() as body:
                return self._answer(command.project, queue, body)
            case Skip() as body:
                return self._skip(command.project, queue, body)
            case Expire(batch=batch) | Close(batch=batch):
                late = tuple(request.id for request in queue.pending(batch))
                expired = Expired(command=Expire(batch=batch), requests=late)
                return Decision((expired,), {"expired": len(late)})
            case Volunteer(annotator=annotator, key=key, value=value) as body:
                open_now = queue.by_key.get(key)
                if open_now is not None and queue.requests[open_now].state in _PENDING:
                    given = Answer(request=open_now, value=value)
                    return self._answer(
                        command.project, queue, AnswerRequests(annotator=annotator, answers=(given,))
                    )
                return Decision((Volunteered(command=body),), {"kept": True})
        raise TypeError(f"{type(command.body).__name__} is no command of the oracle")

    @staticmethod
    def _open(queue: _Queue, body: OpenRequests) -> Decision:
        """Open requests, and answer those whose values were volunteered before."""
        first = len(queue.requests) + 1
        events: list[Any] = [Opened(command=body, first=first)]
        for identity, item in enumerate(body.items, first):
            if item.item.key not in queue.volunteered:
                continue
            annotator, value = queue.volunteered[item.item.key]
            try:
                given = Answer(request=identity, value=checked_answer(identity, body, item, value))
            except InvalidAnswer:  # it was given before anybody knew what would be asked
                continue
            answer = AnswerRequests(annotator=annotator, answers=(given,))
            events.append(Answered(command=answer, closed=(given,) if body.answers_per_item == 1 else ()))
        return Decision(tuple(events), {"first": first, "count": len(body.items)})

    @staticmethod
    def _lease(queue: _Queue, body: Lease, now: float) -> Decision:
        pending = (queue.requests[i] for state in _PENDING for i in queue.by_state[state])
        free = [
            request
            for request in pending
            if (request.state is RequestState.OPEN or request.leased_to == body.annotator)
            and body.annotator not in queue.seen_by.get(request.asked.item.key, ())
            and (not body.kinds or request.opened.kind in body.kinds)
        ]
        # The most valuable first; within one batch in the order of the asker.
        free.sort(key=lambda r: (-(r.opened.gain.mean if r.opened.gain else 0.0), r.id))
        taken = tuple(request.id for request in free[: body.limit])
        until = now + body.seconds
        return Decision(
            (Leased(command=body, requests=taken, until=until),), {"requests": list(taken), "until": until}
        )

    def _answer(self, project: str, queue: _Queue, body: AnswerRequests) -> Decision:
        checked: list[Answer] = []
        closed: list[Answer] = []
        seen: set[int] = set()
        for answer in body.answers:
            request = self._pending_request(project, queue, answer.request, body.annotator)
            if body.annotator in queue.seen_by.get(request.asked.item.key, ()) or answer.request in seen:
                raise Conflict(
                    f"{body.annotator} had the item of request {answer.request} already",
                    hint="One item is never asked twice of one annotator.",
                )
            seen.add(answer.request)
            value = checked_answer(request.id, request.opened, request.asked, answer.value)
            checked.append(Answer(request=answer.request, value=value))
            given = {**request.answers, body.annotator: value}
            if len(given) >= request.opened.answers_per_item:
                closed.append(Answer(request=answer.request, value=_majority(given)))
        answered = Answered(command=replace(body, answers=tuple(checked)), closed=tuple(closed))
        return Decision((answered,), {"answered": len(checked), "closed": len(closed)})

    def _skip(self, project: str, queue: _Queue, body: Skip) -> Decision:
        """Close what one person was asked; what several are asked stays open for the others."""
        ids = tuple(dict.fromkeys(body.requests))
        asked = [self._pending_request(project, queue, identity, body.annotator) for identity in ids]
        passed = tuple(r.id for r in asked if r.opened.answers_per_item > 1)
        closed = tuple(r.id for r in asked if r.opened.answers_per_item == 1)
        events: list[Any] = []
        if passed:
            events.append(Passed(command=replace(body, requests=passed)))
        if closed or not passed:
            events.append(Skipped(command=replace(body, requests=closed)))
        return Decision(tuple(events), {"skipped": len(ids)})

    @staticmethod
    def _pending_request(project: str, queue: _Queue, identity: int, annotator: str) -> Request:
        """Return a request that ``annotator`` may close."""
        request = queue.requests.get(identity)
        if request is None:
            raise NotFound(
                f"no request {identity} in {project}",
                hint=f"easeml requests list {project} shows the open ones.",
                what="request",
                name=str(identity),
            )
        if request.state not in _PENDING:
            raise RequestClosed(
                f"request {identity} of {project} is {request.state.value}",
                hint=f"easeml requests list {project} shows the open ones.",
                request=str(identity),
                state=request.state.value,
            )
        if request.state is RequestState.LEASED and request.leased_to != annotator:
            raise Conflict(
                f"request {identity} is leased to another annotator",
                hint="Lease requests of your own: easeml label.",
            )
        return request

    def apply(self, event: Event) -> None:
        """Take in one event; see :class:`ComponentState`."""
        queue = self.projects.setdefault(event.project, _Queue())
        match event.body:
            case Opened(command=opened, first=first):
                for identity, item in enumerate(opened.items, first):
                    queue.add(Request(identity, opened, item))
                queue.batches.setdefault(opened.batch, []).extend(range(first, first + len(opened.items)))
                self.owe(event, Expire(batch=opened.batch), to=self.component, at=opened.deadline)
            case Leased(command=Lease(annotator=annotator), requests=ids, until=until):
                for identity in ids:
                    request = queue.requests[identity]
                    queue.move(request, RequestState.LEASED, annotator)
                    request.leased_until = until
                if ids:
                    release = ReleaseLeases(requests=ids, until=until)
                    self.owe(event, release, to=self.component, at=until)
            case ReleaseLeases(requests=ids, until=until):
                for identity in ids:
                    request = queue.requests[identity]
                    if request.state is RequestState.LEASED and request.leased_until <= until:
                        queue.move(request, RequestState.OPEN)
            case Answered(command=AnswerRequests(annotator=annotator, answers=answers), closed=closed):
                for answer in answers:
                    request = queue.requests[answer.request]
                    request.answers[annotator] = answer.value
                    queue.seen(request, annotator)
                    queue.move(request, RequestState.OPEN)
                    queue.spent += request.asked.cost_cents
                    queue.reserved -= request.asked.cost_cents
                for answer in closed:
                    request = queue.requests[answer.request]
                    queue.move(request, RequestState.ANSWERED)
                    request.value = answer.value
            case Passed(command=Skip(annotator=annotator, requests=ids)):
                for identity in ids:
                    queue.move(queue.requests[identity], RequestState.OPEN)
                    queue.seen(queue.requests[identity], annotator)
            case Skipped(command=Skip(annotator=annotator, requests=ids)):
                for identity in ids:
                    queue.seen(queue.requests[identity], annotator)
                queue.shut(ids, RequestState.SKIPPED)
            case Expired(requests=ids):
                queue.shut(ids, RequestState.EXPIRED)
            case Volunteered(command=Volunteer(annotator=annotator, key=key, value=value)):
                queue.volunteered[key] = (annotator, value)

    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; see :class:`ComponentState`."""
        if not isinstance(query, ListRequests):
            raise TypeError(f"{type(query).__name__} is no query of the oracle")
        queue = self.projects.get(project, _Queue())
        found = queue.found(query)
        return {
            "project": project,
            "counts": {state.value: len(ids) for state in RequestState if (ids := queue.by_state[state])},
            "spent_cents": queue.spent,
            "reserved_cents": queue.reserved,
            "total": len(found),
            "requests": [_shown(request) for request in found[: query.limit]],
        }

    def validate(self) -> None:
        """Check the invariants."""
        super().validate()
        for queue in self.projects.values():
            requests = queue.requests.values()
            for state, ids in queue.by_state.items():
                assert ids == {r.id for r in requests if r.state == state}
            reserved = sum(
                r.asked.cost_cents * (r.opened.answers_per_item - len(r.answers))
                for r in requests
                if r.state in _PENDING
            )
            assert math.isclose(queue.reserved, reserved, abs_tol=1e-6)
            spent = sum(r.asked.cost_cents * len(r.answers) for r in requests)
            assert math.isclose(queue.spent, spent, abs_tol=1e-6)


def _majority(answers: dict[str, Any]) -> Any:
    """Return the value that most gave, of a tie the earlier."""
    return Counter(answers.values()).most_common(1)[0][0]


def _shown(request: Request) -> dict[str, Any]:
    opened = request.opened
    return {
        "id": request.id,
        "kind": opened.kind.value,
        "state": request.state.value,
        "title": opened.title,
        "key": request.asked.item.key,
        "payload": asdict(request.asked.item),
        "choices": list(opened.choices),
        "gain": opened.gain.mean if opened.gain else None,
        "cost_cents": request.asked.cost_cents,
        "asker": opened.asker,
        "batch": opened.batch,
        "deadline": opened.deadline,
        "leased_to": request.leased_to,
        "value": request.value,
    }
