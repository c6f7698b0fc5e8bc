"""Projects: their definition, where they stand, what a person decides, what it all costs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from easeml_ray.messages import SYSTEM, Principal, Role
from easeml_ray.process.messages import (
    ControlProject,
    CreateProject,
    ListProjects,
    OverrideTarget,
    RequestImprovement,
    ShowBill,
    ShowNext,
    ShowProject,
)
from easeml_ray.process.project import ControlEvent
from easeml_ray.runtime.system import System
from serve.auth import CommandId, Grant, Running, allow, on_project

__all__ = ["router"]

router = APIRouter(prefix="/v1/projects", tags=["projects"])

_Tenant = Annotated[Principal, Depends(allow(Role.TENANT))]
_Owned = Annotated[Grant, Depends(on_project(Role.TENANT))]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewProject(_Body):
    """An application; ``task`` is a task specification."""

    name: str
    task: dict[str, Any]


class ControlChange(_Body):
    """Pause, resume or cancel."""

    event: ControlEvent


class Improvement(_Body):
    """Ask for the data to be improved although nothing forces it."""

    reason: str = Field(min_length=1, max_length=1000)


class Override(_Body):
    """Another target, or to train against the belief; both are logged with the reason."""

    target_accuracy: float | None = None
    train: bool = False
    reason: str = Field("", max_length=1000)


@router.post("", status_code=201)
async def create_project(
    system: Running, body: NewProject, caller: _Tenant, command_id: CommandId
) -> dict[str, Any]:
    """Define an application; the whole task is answered, defaults filled in."""
    command = CreateProject(name=body.name, task=body.task)
    return await system.handle("process", body.name, caller, command, command_id=command_id)


@router.get("")
async def list_projects(system: Running, caller: _Tenant) -> dict[str, Any]:
    """List the caller's projects and where they stand; an admin sees all."""
    tenant = None if caller.role is Role.ADMIN else caller.tenant
    return await system.read("process", SYSTEM, ListProjects(tenant=tenant))


@router.get("/{project}")
async def show_project(system: Running, grant: _Owned) -> dict[str, Any]:
    """Show where a project stands and what it waits for."""
    return await system.read("process", grant.project, ShowProject())


async def _command(system: System, grant: Grant, command_id: str | None, body: Any) -> dict[str, Any]:
    return await system.handle("process", grant.project, grant.principal, body, command_id=command_id)


@router.post("/{project}/control")
async def control_project(
    system: Running, grant: _Owned, body: ControlChange, command_id: CommandId
) -> dict[str, Any]:
    """Pause, resume or cancel a project; what is served goes on being served."""
    return await _command(system, grant, command_id, ControlProject(event=body.event.value))


@router.post("/{project}/improve")
async def improve_project(
    system: Running, grant: _Owned, body: Improvement, command_id: CommandId
) -> dict[str, Any]:
    """Ask for cleaning, relabelling or purchases, chosen by expected gain per cent."""
    return await _command(system, grant, command_id, RequestImprovement(reason=body.reason))


@router.post("/{project}/target")
async def override_target(
    system: Running, grant: _Owned, body: Override, command_id: CommandId
) -> dict[str, Any]:
    """Set another target, or train against the belief."""
    command = OverrideTarget(target_accuracy=body.target_accuracy, train=body.train, reason=body.reason)
    return await _command(system, grant, command_id, command)


@router.get("/{project}/next")
async def show_next(system: Running, grant: _Owned) -> dict[str, Any]:
    """Rank all options of all steps by expected gain per cent."""
    return await system.read("process", grant.project, ShowNext())


@router.get("/{project}/ledger")
async def show_ledger(system: Running, grant: _Owned) -> dict[str, Any]:
    """Show the bill: what was spent, and what uncertainty that removed."""
    return await system.read("process", grant.project, ShowBill())
