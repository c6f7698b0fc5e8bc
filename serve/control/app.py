"""The control API as a FastAPI application; one router file a topic."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from easeml_ray.runtime.system import System
from serve.auth import Access
from serve.bodies import JSON_BYTES, UPLOAD_BYTES, BoundedBodies
from serve.control import beliefs, data, health, market, projects, requests, tenants
from serve.problems import PROBLEMS, Answer, install_problems

__all__ = ["api_version", "build"]

_DESCRIPTION = """\
Ease.ML manages the life of a classifier: whether its target can be reached, what to clean, label
or buy when not, training, a statistical gate, and the choice of the model that answers.

Send `Authorization: Bearer TOKEN` with every request; `Idempotency-Key: KEY` with a command makes
it happen once however often it is sent. Errors are problem documents (RFC 9457) with a hint.
Predictions stand in an application of their own under `/v2`.
"""


def api_version() -> str:
    """Return the version of the installed package."""
    try:
        return version("easeml_ray")
    except PackageNotFoundError:
        from easeml_ray import __version__

        return __version__


def build(system: System, *, upload_bytes: int = UPLOAD_BYTES, json_bytes: int = JSON_BYTES) -> FastAPI:
    """Return the control application of a system.

    Parameters
    ----------
    system : System
        In this process or on Ray.
    upload_bytes, json_bytes : int
        Upper limits of an uploaded file and of every other body, in bytes.
    """
    app = FastAPI(
        title="Ease.ML control",
        version=api_version(),
        description=_DESCRIPTION,
        default_response_class=Answer,
        responses=PROBLEMS,
        redirect_slashes=False,
    )
    app.state.access = Access.to(system)
    app.state.upload_bytes = upload_bytes
    for topic in (health, tenants, projects, data, beliefs, market, requests):
        app.include_router(topic.router)
    app.add_middleware(BoundedBodies, limit=json_bytes)
    install_problems(app)
    return app
