"""What the components believe: feasibility, cleaning, models, gate, pool.

Every belief is answered as its component gives it: with interval, method, and the number of the
data version that it was computed from.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response

from easeml_ray.automl.messages import ShowSearches
from easeml_ray.cleaning.messages import ShowCleaning
from easeml_ray.cleaning.picture import draw as draw_curve
from easeml_ray.errors import Conflict, NotFound, NotReady
from easeml_ray.feasibility.messages import CancelStudy, ShowReport
from easeml_ray.feasibility.picture import draw
from easeml_ray.feasibility.report import FeasibilityReport
from easeml_ray.gate.messages import ShowGate
from easeml_ray.messages import Role
from easeml_ray.pictures import MEDIA_TYPES
from easeml_ray.pool.messages import ShowPool
from serve.auth import CommandId, Grant, Running, on_project

__all__ = ["router"]

router = APIRouter(prefix="/v1/projects/{project}", tags=["beliefs"])

_Owned = Annotated[Grant, Depends(on_project(Role.TENANT))]


_Version = Annotated[int | None, Query(description="a data version; by default all, the newest last")]


@router.get("/feasibility")
async def show_feasibility(
    system: Running,
    grant: _Owned,
    version: _Version = None,
    report: Annotated[bool, Query(description="add the whole report of the last belief shown")] = False,
) -> dict[str, Any]:
    """Show the belief about the Bayes error of each data version, newest last.

    The whole report has the curves of all embeddings as `[n_train, errors, cover_hart]`, their slopes,
    the advice with its gains, and the reference class that the interval was calibrated on. While a study
    is under way, `progress` tells how far it is: `done` of `total` (0: not known yet) of a `stage`; the
    first time there is no belief beside it.
    """
    found = await system.read("feasibility", grant.project, ShowReport(number=version))
    if report:
        digest = found["beliefs"][-1]["report"] if found["beliefs"] else None
        found = {**found, "report": await system.blob_json(grant.project, digest) if digest else None}
    return found


@router.get(
    "/feasibility/picture",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}, "description": "The picture."}},
)
async def draw_feasibility(
    system: Running,
    grant: _Owned,
    version: _Version = None,
    kind: Annotated[Literal["svg", "png"], Query(description="vectors or pixels")] = "svg",
) -> Response:
    """Draw the report of the last belief: error against train rows, the target, and the Bayes error."""
    beliefs = (await system.read("feasibility", grant.project, ShowReport(number=version)))["beliefs"]
    if not beliefs:
        raise NotReady(
            f"the first study of {grant.project} is under way", hint="Come again when it has ended."
        )
    value = await system.blob_json(grant.project, beliefs[-1]["report"])
    try:
        report = FeasibilityReport.from_dict(value)
    except (KeyError, ValueError) as error:
        raise Conflict(
            f"the report of version {beliefs[-1]['number']} is of an earlier easeml_ray",
            hint="The next study writes one that can be drawn.",
        ) from error
    content = await asyncio.to_thread(draw, report, kind)
    return Response(content, media_type=MEDIA_TYPES[kind])


@router.post("/feasibility/cancel")
async def cancel_study(system: Running, grant: _Owned, command_id: CommandId) -> dict[str, Any]:
    """Cancel the study that is under way; the project then asks how to go on."""
    command = CancelStudy()
    return await system.handle("feasibility", grant.project, grant.principal, command, command_id=command_id)


@router.get("/cleaning")
async def show_cleaning(system: Running, grant: _Owned) -> dict[str, Any]:
    """Show what cleaning can reach, the options with their gains and costs, and the way so far.

    `curve` has a point for each data version that was proposed for: `cells` answered before it, the
    accuracies that a vote of nearest neighbours can have, and the share of development rows that every
    possible repair predicts alike. `belief.action` is PROCEED, CLEAN or ACQUIRE, with its `reason`.
    """
    shown = await system.read("cleaning", grant.project, ShowCleaning())
    try:
        searches = await system.read("automl", grant.project, ShowSearches())
    except NotFound:  # nothing was trained yet
        return {**shown, "checks": []}
    return {**shown, "checks": searches["checks"]}


@router.get(
    "/cleaning/picture",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}, "description": "The picture."}},
)
async def draw_cleaning(
    system: Running,
    grant: _Owned,
    kind: Annotated[Literal["svg", "png"], Query(description="vectors or pixels")] = "svg",
) -> Response:
    """Draw accuracy and certainty against the cells answered so far."""
    shown = await system.read("cleaning", grant.project, ShowCleaning())
    if not shown["curve"]:
        raise NotReady(
            f"{grant.project} has no curve: no row has several alternatives",
            hint="It begins with the first proposal for data with missing cells.",
        )
    content = await asyncio.to_thread(draw_curve, shown["curve"], shown["target_accuracy"], kind)
    return Response(content, media_type=MEDIA_TYPES[kind])


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
