"""Tenants and their tokens."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from easeml_ray.errors import Conflict, InvalidSpec
from easeml_ray.messages import SYSTEM, Principal, Role
from easeml_ray.process.messages import CreateTenant, ShowTenants
from serve.auth import CommandId, Known, Running, allow, make_token, token_hash

__all__ = ["router"]

router = APIRouter(prefix="/v1/tenants", tags=["tenants"])

_ACTOR = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_Admin = Annotated[Principal, Depends(allow())]


class NewTenant(BaseModel):
    """A tenant, or another token of one."""

    model_config = ConfigDict(extra="forbid")

    name: str
    role: str = Role.TENANT.value
    actor: str | None = Field(
        None,
        description="The person or program behind the token: the name under which it answers, "
        "sells and decides. By default the tenant itself, or one made up for annotators and sellers.",
    )


@router.post("", status_code=201)
async def create_tenant(
    access: Known, body: NewTenant, caller: _Admin, command_id: CommandId
) -> dict[str, Any]:
    """Make a tenant or another token of one; the token is shown here and never again."""
    if body.actor is not None and not _ACTOR.fullmatch(body.actor):
        raise InvalidSpec(
            f"{body.actor!r} is no name for an actor",
            hint="Use 1 to 40 lower-case letters, digits and hyphens, e.g. anna.",
            field="actor",
        )
    actor = body.actor
    if actor is None and body.role in (Role.ANNOTATOR, Role.SELLER):
        # Answers count by annotator and offers by seller: two tokens are two persons.
        actor = f"{body.role}-{make_token('').strip('.-_')[:6].lower().replace('_', '0')}"
    token = make_token(body.name, actor)
    made = CreateTenant(name=body.name, role=body.role, token_hash=token_hash(token))
    reply = await access.system.handle("process", SYSTEM, caller, made, command_id=command_id)
    if not await access.authenticator.knows(made.token_hash):
        raise Conflict(
            "a token was made under this Idempotency-Key before, and it is shown only once",
            hint="Send another key, or none, to get another token.",
        )
    return {**reply, "actor": actor or body.name, "token": token}


@router.get("")
async def list_tenants(system: Running, caller: _Admin) -> dict[str, Any]:
    """List the tenants, with how many tokens of which role each has."""
    shown = await system.read("process", SYSTEM, ShowTenants())
    return {
        "tenants": [
            {"tenant": name, "tokens": dict(Counter(hashes.values()))}
            for name, hashes in sorted(shown["tenants"].items())
        ]
    }
