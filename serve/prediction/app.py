"""The prediction endpoint as a FastAPI application: ``/v2``, the Open Inference Protocol.

Beside the protocol's ``infer`` stand ``predict``, which takes rows as JSON records, and
``feedback``, which takes the true label of a row that was answered.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from fastapi import APIRouter, Depends, FastAPI, Request
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from easeml_ray.arms.model import ServableModel, table_of
from easeml_ray.errors import InvalidAnswer, InvalidArgument, NotFound, NotReady
from easeml_ray.messages import Role
from easeml_ray.oracle.messages import Volunteer
from easeml_ray.runtime.system import System
from serve.auth import Access, CommandId, Grant, Known, on_project
from serve.bodies import BoundedBodies
from serve.prediction.models import ModelCache, Served
from serve.prediction.protocol import InferRequest, inferred, metadata, records_of
from serve.prediction.segments import Segments
from serve.problems import PROBLEMS, Answer, install_problems

__all__ = ["MAX_ROWS", "build"]

MAX_ROWS = 10_000
"""Rows of one request."""

_BODY_BYTES = 16 * 2**20
_REQUEST_ID = re.compile(r"[0-9a-f]{32}:[0-9]{1,6}")
_GRACE = 60.0  # seconds for which known tokens pass while the system does not say who they are
_ON_ITS_WAY = 0.5  # seconds after which a row that was answered is in its window

router = APIRouter(prefix="/v2", tags=["prediction"])

_Granted = Annotated[Grant, Depends(on_project(Role.TENANT))]


@dataclass(frozen=True, slots=True)
class _Engine:
    """What answers; stands in ``app.state.engine``."""

    models: ModelCache
    segments: Segments


def _engine(request: Request) -> _Engine:
    engine: _Engine = request.app.state.engine
    return engine


_Working = Annotated[_Engine, Depends(_engine)]


class Rows(BaseModel):
    """Rows as records: every column of the model, null where a cell is missing."""

    model_config = ConfigDict(extra="forbid")

    rows: list[dict[str, Any]] = Field(min_length=1, max_length=MAX_ROWS)


class Feedback(BaseModel):
    """The true label of a row that was answered."""

    model_config = ConfigDict(extra="forbid")

    request_id: str
    label: bool | int | float | str


@router.get("")
async def server() -> dict[str, Any]:
    """Tell what this server is; the protocol's server metadata."""
    return {"name": "easeml", "version": "2", "extensions": ["predict", "feedback"]}


@router.get("/health/live")
async def live() -> dict[str, Any]:
    """Tell that this process answers."""
    return {"live": True}


@router.get("/health/ready")
async def ready(engine: _Working) -> dict[str, Any]:
    """Tell that this process knows what is deployed."""
    if not engine.models.ready:
        raise NotReady("what is deployed is not known yet", hint="Try again in a second.")
    return {"ready": True}


@router.get("/models/{project}")
async def show_model(engine: _Working, grant: _Granted) -> dict[str, Any]:
    """Describe the model that answers: its inputs, classes and where it comes from."""
    return metadata(grant.project, await engine.models.get(grant.project))


@router.get("/models/{project}/ready")
async def model_ready(engine: _Working, grant: _Granted) -> dict[str, Any]:
    """Tell that a model answers."""
    served = await engine.models.get(grant.project)
    return {"name": grant.project, "ready": True, "model_version": str(served.deployment.number)}


@router.post("/models/{project}/predict")
async def predict(access: Known, engine: _Working, grant: _Granted, body: Rows) -> dict[str, Any]:
    """Answer rows; a row's request id is what its feedback names, null if it was not sampled."""
    served = await engine.models.get(grant.project)
    probabilities, request_ids = await _answer(access, engine, grant.project, served, body.rows)
    names = served.model.classes.names
    return {
        "labels": served.model.classes.decode(probabilities.argmax(axis=1)),
        "probabilities": [dict(zip(names, row, strict=True)) for row in probabilities.tolist()],
        "model": served.deployment.model,
        "arm": served.deployment.arm,
        "model_version": served.deployment.number,
        "data_version": served.deployment.version,
        "request_ids": request_ids,
    }


@router.post("/models/{project}/infer")
async def infer(access: Known, engine: _Working, grant: _Granted, body: InferRequest) -> dict[str, Any]:
    """Answer tensors."""
    served = await engine.models.get(grant.project)
    records = records_of(body, served.model)
    if len(records) > MAX_ROWS:
        raise InvalidArgument(
            f"{len(records)} rows in one request", hint=f"Send at most {MAX_ROWS}.", argument="inputs"
        )
    probabilities, request_ids = await _answer(access, engine, grant.project, served, records)
    return inferred(grant.project, served, body, probabilities, request_ids)


@router.post("/models/{project}/feedback")
async def feedback(
    access: Known, engine: _Working, grant: _Granted, body: Feedback, command_id: CommandId
) -> dict[str, Any]:
    """Take the true label of a row: it answers the row's request, or is kept for it."""
    label = _label(body.label)
    classes = (await engine.models.get(grant.project)).model.classes.names
    if label not in classes:
        raise InvalidAnswer(
            f"{label!r} is no class of {grant.project}",
            hint=f"Choose one of: {', '.join(classes[:20])}.",
            request=body.request_id,
        )
    await _check_served(access.system, grant.project, body.request_id)
    command = Volunteer(grant.caller.actor, f"realtime:{body.request_id}", label)
    reply = await access.system.handle(
        "oracle", grant.project, grant.principal, command, command_id=command_id
    )
    return {"request_id": body.request_id, "label": label, **reply}


def _label(value: bool | int | float | str) -> str:
    """Return a label as the class is spelt: true, 3 (also for 3.0), or the text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


async def _check_served(system: System, project: str, request_id: str) -> None:
    if not _REQUEST_ID.fullmatch(request_id):
        raise InvalidArgument(
            f"{request_id[:60]!r} is no request id",
            hint="Give one of the request_ids that predict answered.",
            argument="request_id",
        )
    try:
        await system.realtime_rows(project, [request_id])
    except NotFound:
        # Feedback can be faster than its row, which is handed over a moment after the answer.
        await asyncio.sleep(_ON_ITS_WAY)
        await system.realtime_rows(project, [request_id])


async def _answer(
    access: Access, engine: _Engine, project: str, served: Served, records: list[dict[str, Any]]
) -> tuple[NDArray[np.float64], list[str | None]]:
    table, probabilities = await asyncio.to_thread(_predicted, served.model, records)
    drawn = engine.segments.draw(len(records), await access.projects.sample_rate(project))
    # As the model saw them: one type a column in every segment. Only what is kept becomes rows.
    rows = await asyncio.to_thread(table.filter(pa.array(drawn)).to_pylist) if drawn.any() else []
    return probabilities, engine.segments.add(project, rows, drawn)


def _predicted(model: ServableModel, records: list[dict[str, Any]]) -> tuple[pa.Table, NDArray[np.float64]]:
    table = table_of(records, model.encoder)
    return table, model.predict_proba(table)


def build(
    system: System,
    *,
    rng: np.random.Generator | None = None,
    models: int = 32,
    body_bytes: int = _BODY_BYTES,
) -> FastAPI:
    """Return the prediction application of a system.

    Parameters
    ----------
    system : System
        In this process or on Ray.
    rng : numpy.random.Generator, optional
        Draws which rows enter windows; fresh entropy if not given.
    models : int
        Models that are kept loaded.
    body_bytes : int
        Upper limit of a body, in bytes.
    """
    access = Access.to(system, grace=_GRACE)
    engine = _Engine(
        ModelCache(system, access.projects.owner, capacity=models),
        Segments(system, rng=rng or np.random.default_rng()),
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine.models.start()
        yield
        await engine.models.close()
        await engine.segments.close()

    app = FastAPI(
        title="Ease.ML prediction",
        version="2",
        description="The deployed models, by project, behind the Open Inference Protocol.",
        default_response_class=Answer,
        responses=PROBLEMS,
        redirect_slashes=False,
        docs_url="/v2/docs",
        redoc_url=None,
        openapi_url="/v2/openapi.json",
        lifespan=lifespan,
    )
    app.state.access = access
    app.state.engine = engine
    app.include_router(router)
    app.add_middleware(BoundedBodies, limit=body_bytes)
    install_problems(app)
    return app
