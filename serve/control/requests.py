"""Requests to people: the queue, leases, answers, and the rows that they are about."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from easeml_ray.errors import Forbidden, NotFound
from easeml_ray.messages import SYSTEM, Principal, Role
from easeml_ray.oracle.messages import (
    Answer,
    AnswerRequests,
    Close,
    Kind,
    Lease,
    ListRequests,
    Skip,
)
from easeml_ray.oracle.state import RequestState
from easeml_ray.process.messages import ListProjects
from easeml_ray.runtime.rows import rows_of
from easeml_ray.runtime.system import System
from serve.auth import CommandId, Grant, Known, Running, allow, on_project

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["requests"])

_MAX_LIST = 500
_MAX_ANSWERS = 200
_MAX_LEASE_SECONDS = 24 * 3600.0

_LABELLING = (
    Kind.CLEAN_CELL,
    Kind.RELABEL,
    Kind.LABEL_ROW,
    Kind.LABEL_DEVELOPMENT,
    Kind.LABEL_TEST,
    Kind.LABEL_REALTIME,
)
"""What an annotator may answer; the other kinds spend money or change what is served."""

_Person = Annotated[Principal, Depends(allow(Role.TENANT, Role.ANNOTATOR))]
_Granted = Annotated[Grant, Depends(on_project(Role.TENANT, Role.ANNOTATOR))]
_Owned = Annotated[Grant, Depends(on_project(Role.TENANT))]
_Id = Annotated[int, Field(ge=1)]
_Rows = Annotated[bool, Query(description="add the contents of the row that each request is about")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LeaseWanted(_Body):
    """Reserve open requests; no kinds: of every kind that the caller may answer."""

    kinds: tuple[Kind, ...] = ()
    limit: int = Field(20, ge=1, le=_MAX_ANSWERS)
    seconds: float = Field(600.0, gt=0, le=_MAX_LEASE_SECONDS)


class OneAnswer(_Body):
    """The answer to one request."""

    request: _Id
    value: bool | int | float | str


class Answers(_Body):
    """Answers, taken all or none."""

    answers: list[OneAnswer] = Field(min_length=1, max_length=_MAX_ANSWERS)


class Unknown(_Body):
    """Requests that the caller cannot answer."""

    requests: list[_Id] = Field(min_length=1, max_length=_MAX_ANSWERS)


class Batch(_Body):
    """A batch of requests."""

    batch: str = Field(min_length=1)


@router.get("/requests")
async def list_requests(
    access: Known,
    caller: _Person,
    project: str | None = None,
    state: RequestState | None = None,
    kind: Kind | None = None,
    limit: Annotated[int, Query(ge=1, le=_MAX_LIST)] = 100,
    rows: _Rows = False,
) -> dict[str, Any]:
    """List requests, newest first, of one project or of all that the caller sees."""
    if project is None:
        tenant = None if caller.role is Role.ADMIN else caller.tenant
        shown = await access.system.read("process", SYSTEM, ListProjects(tenant=tenant))
        names = [p["project"] for p in shown["projects"]]
    else:
        grant = await on_project(Role.TENANT, Role.ANNOTATOR)(access, project, caller)
        names = [grant.project]
    query = ListRequests(state=state.value if state else None, kind=kind, limit=limit)
    found: list[dict[str, Any]] = []
    totals: list[dict[str, Any]] = []
    for name in names:
        queue = await access.system.read("oracle", name, query)
        totals.append({key: value for key, value in queue.items() if key != "requests"})
        wanted = queue["requests"][: limit - len(found)]
        found += await _shown(access.system, name, wanted, rows)
    return {"requests": found, "total": sum(t["total"] for t in totals), "projects": totals}


@router.get("/projects/{project}/requests/{request_id}")
async def show_request(
    system: Running, grant: _Granted, request_id: Annotated[int, Path(ge=1)], rows: _Rows = False
) -> dict[str, Any]:
    """Show one request."""
    found = await _find(system, grant.project, [request_id])
    return (await _shown(system, grant.project, found, rows))[0]


@router.post("/projects/{project}/requests/lease")
async def lease_requests(
    system: Running, grant: _Granted, body: LeaseWanted, command_id: CommandId, rows: _Rows = False
) -> dict[str, Any]:
    """Reserve open requests for the caller, the most valuable first, and show them."""
    kinds = body.kinds
    if grant.caller.role is Role.ANNOTATOR:
        _allow_kinds(kinds)
        kinds = kinds or _LABELLING
    command = Lease(annotator=grant.caller.actor, kinds=kinds, limit=body.limit, seconds=body.seconds)
    reply = await _command(system, grant, command_id, command)
    leased = await _find(system, grant.project, reply["requests"]) if reply["requests"] else []
    leased.sort(key=lambda request: reply["requests"].index(request["id"]))
    return {"until": reply["until"], "requests": await _shown(system, grant.project, leased, rows)}


@router.post("/projects/{project}/requests/answers")
async def answer_requests(
    system: Running, grant: _Granted, body: Answers, command_id: CommandId
) -> dict[str, Any]:
    """Answer requests under the caller's name, all or none."""
    await _may_answer(system, grant, [answer.request for answer in body.answers])
    answers = tuple(Answer(request=answer.request, value=answer.value) for answer in body.answers)
    given = AnswerRequests(annotator=grant.caller.actor, answers=answers)
    return await system.answer(grant.project, grant.principal, given, command_id=command_id)


@router.post("/projects/{project}/requests/skip")
async def skip_requests(
    system: Running, grant: _Granted, body: Unknown, command_id: CommandId
) -> dict[str, Any]:
    """Say that the caller does not know; the requests close without a value."""
    await _may_answer(system, grant, body.requests)
    requests = tuple(dict.fromkeys(body.requests))
    return await _command(system, grant, command_id, Skip(annotator=grant.caller.actor, requests=requests))


@router.post("/projects/{project}/requests/close")
async def close_requests(
    system: Running, grant: _Owned, body: Batch, command_id: CommandId
) -> dict[str, Any]:
    """Withdraw what is still open in a batch."""
    known = await system.read("oracle", grant.project, ListRequests(batch=body.batch, limit=1))
    if not known["total"]:
        raise NotFound(
            f"no batch {body.batch[:60]} in {grant.project}",
            hint=f"GET /v1/requests?project={grant.project} shows the batch of every request.",
            what="batch",
            name=body.batch[:60],
        )
    return await _command(system, grant, command_id, Close(batch=body.batch))


async def _command(system: System, grant: Grant, command_id: str | None, body: Any) -> dict[str, Any]:
    return await system.handle("oracle", grant.project, grant.principal, body, command_id=command_id)


def _allow_kinds(kinds: tuple[Kind, ...]) -> None:
    closed = [kind for kind in kinds if kind not in _LABELLING]
    if closed:
        raise Forbidden(
            f"an annotator does not answer {closed[0]}",
            hint="It spends money or changes what is served: the tenant answers it.",
        )


async def _may_answer(system: System, grant: Grant, ids: list[int]) -> None:
    """Let annotators label only; ids that are not there are left to the oracle."""
    if grant.caller.role is Role.ANNOTATOR:
        query = ListRequests(ids=tuple(ids), limit=len(ids))
        known = await system.read("oracle", grant.project, query)
        _allow_kinds(tuple(Kind(request["kind"]) for request in known["requests"]))


async def _find(system: System, project: str, ids: list[int]) -> list[dict[str, Any]]:
    query = ListRequests(ids=tuple(ids), limit=len(ids))
    found = (await system.read("oracle", project, query))["requests"]
    missing = sorted(set(ids) - {request["id"] for request in found})
    if missing:
        raise NotFound(
            f"no request {missing[0]} in {project}",
            hint=f"GET /v1/requests?project={project} lists them.",
            what="request",
            name=str(missing[0]),
        )
    return list(found)


async def _shown(
    system: System, project: str, requests: list[dict[str, Any]], rows: bool
) -> list[dict[str, Any]]:
    """Return requests with their project and, if wanted, the row that each is about."""
    shown = [{"project": project, **request} for request in requests]
    if not rows or not shown:
        return shown
    for request, row in zip(shown, await rows_of(system, project, requests), strict=True):
        request["row"] = row
    return shown
