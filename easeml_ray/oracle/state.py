"""LabelOracle's state: the durable queue of human requests and what answers cost.

A request goes OPEN → LEASED → ANSWERED, SKIPPED or EXPIRED. The same item never goes twice to
one annotator; it is repeated only until ``answers_per_item`` different annotators answered.
"""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from easeml_ray.component.base import ComponentState
from easeml_ray.errors import BudgetExceeded, Conflict, InvalidAnswer, NotFound, RequestClosed
from easeml_ray.messages import Command, Decision, Event
from easeml_ray.oracle.messages import (
    Answer,
    Answered,
    AnswerRequests,
    Asked,
    Close,
    Expire,
    Expired,
    Kind,
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
from easeml_ray.sealing import HEADER

__all__ = ["OracleState", "Request", "RequestState"]

_BATCH_BYTES = 24 * 1024  # of all answers of a batch: what follows from them is one message


class RequestState(StrEnum):
    """Where a request stands."""

    OPEN = "OPEN"
    LEASED = "LEASED"
    ANSWERED = "ANSWERED"
    SKIPPED = "SKIPPED"
    EXPIRED = "EXPIRED"


_PENDING = (RequestState.OPEN, RequestState.LEASED)


@dataclass
class Request:
    """One item and what people said of it.

    answers : by annotator, in order of arrival; value : the final one (majority, ties to the
    earlier); leased_to, leased_until : who works on it now, seconds since 1970.
    """

    id: int
    opened: Opened
    item: Asked
    state: RequestState = RequestState.OPEN
    leased_to: str | None = None
    leased_until: float = 0.0
    answers: dict[str, Any] = field(default_factory=dict)
    value: Any = None

    def final_value(self) -> Any:
        """Return the majority of the answers, ties to the earlier."""
        return Counter(self.answers.values()).most_common(1)[0][0]


@dataclass
class _Queue:
    """One project's requests.

    spent, reserved : cents for answers that came and for those that are still asked for;
    volunteered : values given before anybody asked, by key.
    """

    tenant: str
    requests: dict[int, Request] = field(default_factory=dict)
    batches: dict[str, list[int]] = field(default_factory=dict)
    by_key: dict[str, int] = field(default_factory=dict)
    seen_by: dict[str, set[str]] = field(default_factory=dict)  # item key -> annotators
    volunteered: dict[str, tuple[str, Any]] = field(default_factory=dict)
    spent: float = 0.0
    reserved: float = 0.0

    def pending(self, batch: str) -> list[Request]:
        return [r for i in self.batches.get(batch, []) if (r := self.requests[i]).state in _PENDING]


class OracleState(ComponentState):
    """Requests of all projects."""

    component: ClassVar[str] = "oracle"

    def __init__(self) -> None:
        super().__init__()
        self.projects: dict[str, _Queue] = {}

    def decide(self, command: Command) -> Decision:
        """Judge a command; see :class:`ComponentState`."""
        queue = self.projects.get(command.project, _Queue(command.principal.tenant))
        match command.body:
            case OpenRequests() as body:
                return self._open(command, queue, body)
            case Lease() as body:
                return self._lease(command, queue, body)
            case ReleaseLeases() as body:
                return Decision((body,))
            case AnswerRequests(annotator=annotator, answers=answers):
                return self._answer(command.project, queue, annotator, answers)
            case Skip(annotator=annotator, requests=requests):
                return self._skip(command.project, queue, annotator, tuple(dict.fromkeys(requests)))
            case Expire(batch=batch) | Close(batch=batch):
                late = tuple(request.id for request in queue.pending(batch))
                return Decision((Expired(requests=late, batch=batch),), {"expired": len(late)})
            case Volunteer(annotator=annotator, key=key, value=value):
                open_now = queue.by_key.get(key)
                if open_now is not None and queue.requests[open_now].state in _PENDING:
                    given = (Answer(request=open_now, value=value),)
                    return self._answer(command.project, queue, annotator, given)
                return Decision((Volunteered(annotator=annotator, key=key, value=value),), {"kept": True})
        raise TypeError(f"{type(command.body).__name__} is no command of the oracle")

    def _open(self, command: Command, queue: _Queue, body: OpenRequests) -> Decision:
        cost = sum(item.cost_cents for item in body.items) * body.answers_per_item
        if body.budget_cents is not None:
            left = body.budget_cents - queue.spent - queue.reserved
            if cost > left + 1e-9:
                raise BudgetExceeded(
                    f"{len(body.items)} requests cost {cost:.2f} cents, {left:.2f} are left",
                    hint="Raise budgets.improvement_cents or ask for fewer items.",
                    budget="improvement_cents",
                    asked=cost,
                    left=left,
                )
        first = len(queue.requests) + 1
        opened = Opened(
            kind=body.kind,
            batch=body.batch,
            asker=body.asker,
            title=body.title,
            items=body.items,
            choices=body.choices,
            gain=body.gain,
            deadline=body.deadline,
            answers_per_item=body.answers_per_item,
            first=first,
        )
        events: list[Any] = [opened]
        for identity, item in enumerate(body.items, first):
            if item.key not in queue.volunteered:
                continue
            annotator, value = queue.volunteered[item.key]
            try:
                given = Answer(request=identity, value=_checked(Request(identity, opened, item), value))
            except InvalidAnswer:  # it was given before anybody knew what would be asked
                continue
            closed = (given,) if body.answers_per_item == 1 else ()
            events.append(Answered(annotator=annotator, answers=(given,), closed=closed))
        return Decision(tuple(events), {"first": first, "count": len(body.items)})

    def _lease(self, command: Command, queue: _Queue, body: Lease) -> Decision:
        free = [
            request
            for request in queue.requests.values()
            if (request.state is RequestState.OPEN or request.leased_to == body.annotator)
            and request.state in _PENDING
            and body.annotator not in queue.seen_by.get(request.item.key, ())
            and (not body.kinds or request.opened.kind in body.kinds)
        ]
        # The most valuable first; within one batch in the order of the asker.
        free.sort(key=lambda r: (-(r.opened.gain.mean if r.opened.gain else 0.0), r.id))
        taken = tuple(request.id for request in free[: body.limit])
        until = command.now + body.seconds
        return Decision(
            (Leased(annotator=body.annotator, requests=taken, until=until),),
            {"requests": list(taken), "until": until},
        )

    def _answer(self, project: str, queue: _Queue, annotator: str, answers: tuple[Answer, ...]) -> Decision:
        closed: list[Answer] = []
        seen: set[int] = set()
        for answer in answers:
            request = self._pending_request(project, queue, answer.request, annotator)
            if annotator in queue.seen_by.get(request.item.key, ()) or answer.request in seen:
                raise Conflict(
                    f"{annotator} had the item of request {answer.request} already",
                    hint="One item is never asked twice of one annotator.",
                )
            seen.add(answer.request)
            value = _checked(request, answer.value)
            given = {**request.answers, annotator: value}
            if len(given) >= request.opened.answers_per_item:
                final = Counter(given.values()).most_common(1)[0][0]
                closed.append(Answer(request=answer.request, value=final))
        checked = tuple(
            Answer(request=a.request, value=_checked(queue.requests[a.request], a.value)) for a in answers
        )
        return Decision(
            (Answered(annotator=annotator, answers=checked, closed=tuple(closed)),),
            {"answered": len(answers), "closed": len(closed)},
        )

    def _skip(self, project: str, queue: _Queue, annotator: str, requests: tuple[int, ...]) -> Decision:
        """Close what one person was asked; what several are asked stays open for the others."""
        asked = [self._pending_request(project, queue, identity, annotator) for identity in requests]
        passed = tuple(r.id for r in asked if r.opened.answers_per_item > 1)
        closed = tuple(r.id for r in asked if r.opened.answers_per_item == 1)
        events: list[Any] = []
        if passed:
            events.append(Passed(annotator=annotator, requests=passed))
        if closed or not passed:
            events.append(Skipped(annotator=annotator, requests=closed))
        return Decision(tuple(events), {"skipped": len(requests)})

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
        queue = self.projects.setdefault(event.project, _Queue(event.tenant))
        match event.body:
            case Opened() as body:
                numbers = list(range(body.first, body.first + len(body.items)))
                for identity, item in zip(numbers, body.items, strict=True):
                    queue.requests[identity] = Request(identity, body, item)
                    queue.by_key[item.key] = identity
                    queue.reserved += item.cost_cents * body.answers_per_item
                queue.batches.setdefault(body.batch, []).extend(numbers)
                self.owe(event, Expire(batch=body.batch), to=self.component, at=body.deadline)
            case Leased(annotator=annotator, requests=requests, until=until):
                for identity in requests:
                    request = queue.requests[identity]
                    request.state = RequestState.LEASED
                    request.leased_to, request.leased_until = annotator, until
                if requests:
                    self.owe(
                        event, ReleaseLeases(requests=requests, until=until), to=self.component, at=until
                    )
            case ReleaseLeases(requests=requests, until=until):
                for identity in requests:
                    request = queue.requests[identity]
                    if request.state is RequestState.LEASED and request.leased_until <= until:
                        request.state, request.leased_to = RequestState.OPEN, None
            case Answered(annotator=annotator, answers=answers, closed=closed):
                for answer in answers:
                    request = queue.requests[answer.request]
                    request.answers[annotator] = answer.value
                    queue.seen_by.setdefault(request.item.key, set()).add(annotator)
                    request.state, request.leased_to = RequestState.OPEN, None
                    queue.spent += request.item.cost_cents
                    queue.reserved -= request.item.cost_cents
                for answer in closed:
                    request = queue.requests[answer.request]
                    request.state, request.value = RequestState.ANSWERED, answer.value
            case Passed(annotator=annotator, requests=requests):
                for identity in requests:
                    request = queue.requests[identity]
                    request.state, request.leased_to = RequestState.OPEN, None
                    queue.seen_by.setdefault(request.item.key, set()).add(annotator)
            case Skipped(annotator=annotator, requests=requests):
                for identity in requests:
                    key = queue.requests[identity].item.key
                    queue.seen_by.setdefault(key, set()).add(annotator)
                self._shut(queue, requests, RequestState.SKIPPED)
            case Expired(requests=requests, batch=_):
                self._shut(queue, requests, RequestState.EXPIRED)
            case Volunteered(annotator=annotator, key=key, value=value):
                queue.volunteered[key] = (annotator, value)

    @staticmethod
    def _shut(queue: _Queue, requests: tuple[int, ...], state: RequestState) -> None:
        for identity in requests:
            request = queue.requests[identity]
            request.state, request.leased_to = state, None
            open_answers = request.opened.answers_per_item - len(request.answers)
            queue.reserved -= request.item.cost_cents * open_answers

    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; see :class:`ComponentState`."""
        if not isinstance(query, ListRequests):
            raise TypeError(f"{type(query).__name__} is no query of the oracle")
        queue = self.projects.get(project, _Queue(""))
        found = [
            request
            for request in reversed(queue.requests.values())
            if (query.ids is None or request.id in query.ids)
            and (query.state is None or request.state == query.state)
            and (query.kind is None or request.opened.kind is query.kind)
            and (query.batch is None or request.opened.batch == query.batch)
        ]
        counts = Counter(request.state.value for request in queue.requests.values())
        return {
            "project": project,
            "counts": dict(counts),
            "spent_cents": queue.spent,
            "reserved_cents": queue.reserved,
            "total": len(found),
            "requests": [_shown(request) for request in found[: query.limit]],
        }

    def validate(self) -> None:
        """Check the invariants."""
        super().validate()
        for queue in self.projects.values():
            reserved = sum(
                r.item.cost_cents * (r.opened.answers_per_item - len(r.answers))
                for r in queue.requests.values()
                if r.state in _PENDING
            )
            assert math.isclose(queue.reserved, reserved, abs_tol=1e-6)
            spent = sum(r.item.cost_cents * len(r.answers) for r in queue.requests.values())
            assert math.isclose(queue.spent, spent, abs_tol=1e-6)


def _shown(request: Request) -> dict[str, Any]:
    opened = request.opened
    return {
        "id": request.id,
        "kind": opened.kind.value,
        "state": request.state.value,
        "title": opened.title,
        "key": request.item.key,
        "payload": request.item.payload,
        "choices": list(opened.choices),
        "gain": opened.gain.mean if opened.gain else None,
        "cost_cents": request.item.cost_cents,
        "asker": opened.asker,
        "batch": opened.batch,
        "deadline": opened.deadline,
        "leased_to": request.leased_to,
        "value": request.value,
    }


def _checked(request: Request, value: Any) -> Any:
    """Return the answer in the form that was asked for, or refuse it."""
    choices = request.opened.choices
    if request.opened.kind is Kind.LABEL_TEST:
        return _sealed(request, value)
    if choices:
        if str(value) not in choices:
            raise InvalidAnswer(
                f"{value!r} is no answer to request {request.id}",
                hint=f"Choose one of: {', '.join(choices[:20])}.",
                request=str(request.id),
            )
        return str(value)
    match request.item.payload.get("answer"):
        case "number":
            return _number(request, value)
        case "decision":
            return _decision(request, value)
        case "upload":
            raise InvalidAnswer(
                f"request {request.id} is answered by a file",
                hint="Upload the test set: easeml data test-set PROJECT FILE.",
                request=str(request.id),
            )
        case "text":
            value = str(value)
    most = _BATCH_BYTES // len(request.opened.items)
    if len(json.dumps(value)) > most:
        raise InvalidAnswer(
            f"the answer to request {request.id} is longer than {most} bytes",
            hint="Shorten it, or skip the request.",
            request=str(request.id),
        )
    return value


def _sealed(request: Request, value: Any) -> str:
    """Take a label of a test row only as the gate alone can read it."""
    try:
        if not base64.b64decode(str(value), validate=True).startswith(HEADER):
            raise ValueError("not sealed")
    except ValueError as error:
        # The label itself stays out of the message.
        raise InvalidAnswer(
            f"the answer to request {request.id} is not sealed to the gate's key",
            hint="Answer through the API, the client or easeml label: they seal it.",
            request=str(request.id),
        ) from error
    return str(value)


def _number(request: Request, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidAnswer(
            f"request {request.id} wants a number, not {value!r}",
            hint="Give a finite number, e.g. 12.5.",
            request=str(request.id),
        )
    return number


def _decision(request: Request, value: Any) -> str:
    """Return ``train``, ``improve`` or a target in (0, 1) as text."""
    text = str(value).strip().lower()
    try:
        is_target = 0 < float(text) < 1
    except ValueError:
        is_target = False
    if text in ("train", "improve") or is_target:
        return text
    raise InvalidAnswer(
        f"{value!r} is no answer to request {request.id}",
        hint="Answer train, improve, or a target accuracy between 0 and 1, e.g. 0.85.",
        request=str(request.id),
    )
