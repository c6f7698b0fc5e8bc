"""Data: the upload, fresh test sets, versions with lineage, and rows for people to look at."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from easeml_ray.errors import CapabilityDenied, InvalidArgument
from easeml_ray.messages import Pillar, Role
from easeml_ray.registry.messages import ShowVersions
from serve.auth import CommandId, Grant, Running, on_project
from serve.bodies import read_upload

__all__ = ["FILE", "Format", "router"]

router = APIRouter(prefix="/v1/projects/{project}/data", tags=["data"])

_Owned = Annotated[Grant, Depends(on_project(Role.TENANT))]
_MAX_IDS = 500

Format = Annotated[
    str | None, Query(alias="format", description="csv or parquet; by default the bytes say it.")
]

FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            media: {"schema": {"type": "string", "format": "binary"}}
            for media in ("text/csv", "application/vnd.apache.parquet", "application/octet-stream")
        },
    }
}
"""OpenAPI of a route that takes the bytes of a file."""


@router.put("", status_code=201, openapi_extra=FILE)
async def upload(
    request: Request, system: Running, grant: _Owned, command_id: CommandId, format_: Format = None
) -> dict[str, Any]:
    """Upload the project's data: checked, split into pillars and sealed, or refused whole."""
    data = await read_upload(request, request.app.state.upload_bytes)
    return await system.upload(grant.project, grant.principal, data, format=format_, command_id=command_id)


@router.put("/stable", status_code=201, openapi_extra=FILE)
async def upload_test_set(
    request: Request,
    system: Running,
    grant: _Owned,
    command_id: CommandId,
    format_: Format = None,
    labelled: Annotated[bool, Query(description="whether the file has the label column")] = True,
) -> dict[str, Any]:
    """Upload a fresh stable test set; it is sealed to the gate's key.

    Of one without labels people are asked for those that verdicts need.
    """
    data = await read_upload(request, request.app.state.upload_bytes)
    return await system.upload_test_set(
        grant.project, grant.principal, data, format=format_, labelled=labelled, command_id=command_id
    )


@router.get("")
async def show_versions(system: Running, grant: _Owned) -> dict[str, Any]:
    """List the data versions with their lineage."""
    return await system.read("registry", grant.project, ShowVersions())


@router.get("/{pillar}/rows")
async def show_rows(
    system: Running,
    grant: _Owned,
    pillar: str,
    ids: Annotated[str, Query(description="row ids, separated by commas", examples=["3,17"])],
) -> dict[str, Any]:
    """Show train or development rows of the newest version in their most probable world."""
    if pillar in (Pillar.STABLE, Pillar.REALTIME):
        raise CapabilityDenied(
            f"nobody reads single rows of the {pillar} pillar",
            hint="Test rows are seen after their release; realtime rows in the requests about them.",
            holder="people",
            pillar=pillar,
            verb="read",
        )
    if pillar not in (Pillar.TRAIN, Pillar.DEVELOPMENT):
        raise InvalidArgument(
            f"no pillar {pillar!r}", hint="Rows are shown of train and development.", argument="pillar"
        )
    rows = await system.rows(grant.project, pillar, _row_ids(ids))
    return {"project": grant.project, "pillar": pillar, "rows": rows}


def _row_ids(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise InvalidArgument(
            f"{text[:60]!r} are no row ids", hint="Separate whole numbers by commas: 3,17.", argument="ids"
        ) from None
    if len(found) > _MAX_IDS:
        raise InvalidArgument(
            f"{len(found)} rows are asked for at once", hint=f"Ask for at most {_MAX_IDS}.", argument="ids"
        )
    return found
