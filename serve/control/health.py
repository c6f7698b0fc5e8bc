"""Whether the control application lives, and whether the system behind it answers."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from easeml_ray.gate.messages import ShowKey
from easeml_ray.messages import SYSTEM
from serve.auth import Running

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def health() -> dict[str, Any]:
    """Tell that this process answers."""
    return {"status": "alive"}


@router.get("/readyz")
async def ready(system: Running) -> dict[str, Any]:
    """Tell that the system answers and can take data: its gate has a key."""
    await system.read("gate", SYSTEM, ShowKey())
    return {"status": "ready"}
