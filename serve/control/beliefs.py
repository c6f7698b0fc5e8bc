"""What the components believe: feasibility, cleaning, models, gate, pool.

Every belief is answered as its component gives it: with interval, method, and the number of the
data version that it was computed from.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from easeml_ray.automl.messages import ShowSearches
from easeml_ray.cleaning.messages import ShowCleaning
from easeml_ray.errors import NotFound
from easeml_ray.feasibility.messages import ShowReport
from easeml_ray.gate.messages import ShowGate
from easeml_ray.messages import Role
from easeml_ray.pool.messages import ShowPool
from serve.auth import Grant, Running, on_project

__all__ = ["router"]

router = APIRouter(prefix="/v1/projects/{project}", tags=["beliefs"])

_Owned = Annotated[Grant, Depends(on_project(Role.TENANT))]


@router.get("/feasibility")
async def show_feasibility(
    system: Running,
    grant: _Owned,
    version: Annotated[int | None, Query(description="a data version; by default all")] = None,
    report: Annotated[bool, Query(description="add the newest belief's whole report")] = False,
) -> dict[str, Any]:
    """Show the belief about the Bayes error of each data version, newest last."""
    found = await system.read("feasibility", grant.project, ShowReport(version))
    if report:
        digest = found["beliefs"][-1]["report"]
        found = {**found, "report": await system.blob_json(grant.project, digest) if digest else None}
    return found


@router.get("/cleaning")
async def show_cleaning(system: Running, grant: _Owned) -> dict[str, Any]:
    """Show what cleaning can reach, and the options with their gains and costs."""
    return await system.read("cleaning", grant.project, ShowCleaning())


@router.get("/models")
async def show_models(system: Running, grant: _Owned) -> dict[str, Any]:
    """Show the searches and every model: how it was measured, and where it stands."""
    pool = await system.read("pool", grant.project, ShowPool())
    try:
        search = await system.read("automl", grant.project, ShowSearches())
    except NotFound:
        search = {"slots": None, "searches": []}
    trials = {t["model"]: t for s in search["searches"] for t in s["finished"]}
    models = [{**m, "seconds": trials.get(m["model"], {}).get("seconds")} for m in pool["models"]]
    return {
        "project": grant.project,
        "deployed": pool["deployed"],
        "models": models,
        "slots": search["slots"],
        "searches": search["searches"],
    }


@router.get("/gate")
async def show_gate(system: Running, grant: _Owned) -> dict[str, Any]:
    """Show the eras: condition, guarantee, what is left of them, and the verdicts."""
    return await system.read("gate", grant.project, ShowGate())


@router.get("/pool")
async def show_pool(system: Running, grant: _Owned) -> dict[str, Any]:
    """Show the candidates, the windows with the posterior over them, and what is deployed."""
    return await system.read("pool", grant.project, ShowPool())
