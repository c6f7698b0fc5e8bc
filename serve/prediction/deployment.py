"""The prediction application as a Ray Serve application, to be run at the route prefix /v2."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    import ray.serve as ray_serve
    from fastapi import FastAPI

__all__ = ["ROUTE_PREFIX", "PredictionReplica", "UnderPrefix", "application"]

ROUTE_PREFIX = "/v2"


class UnderPrefix:
    """ASGI middleware: routes begin with the prefix that Ray Serve counts as the root path.

    Serve leaves the path whole and adds its route prefix to ``root_path``, which routing then
    takes off the path; our routes carry the prefix themselves, so that they read the same
    without Serve.

    Parameters
    ----------
    app
        What to wrap.
    prefix : str
        Serve's route prefix.
    """

    def __init__(self, app: ASGIApp, *, prefix: str = ROUTE_PREFIX) -> None:
        self.app = app
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            scope = {**scope, "root_path": scope.get("root_path", "").removesuffix(self.prefix)}
        await self.app(scope, receive, send)


class PredictionReplica:
    """One process of the application, before Ray Serve wraps it.

    Parameters
    ----------
    name : str
        A running system of actors.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    async def __serve_build_asgi_app__(self) -> FastAPI:
        """Connect and return the application; Ray Serve calls it once, in the replica."""
        from actors.system import connect
        from serve.prediction.app import build

        # In a thread: it waits for the system in an event loop of its own.
        app = build(await asyncio.to_thread(connect, self.name))
        app.add_middleware(UnderPrefix)
        return app


def application(system_name: str, *, replicas: int = 1) -> ray_serve.Application:
    """Return the application to run: ``ray_serve.run(…, name=…, route_prefix=ROUTE_PREFIX)``.

    Each replica connects to the system by its name, pulls what is deployed, and answers from
    models in its own memory.

    Parameters
    ----------
    system_name : str
        A running system of actors.
    replicas : int
        How many processes answer.
    """
    import ray.serve as ray_serve

    replica = ray_serve.ingress()(PredictionReplica)
    deployment = ray_serve.deployment(
        name="Prediction",
        num_replicas=replicas,
        max_ongoing_requests=64,
        ray_actor_options={"num_cpus": 0.1},
        graceful_shutdown_timeout_s=10,
    )
    bound: ray_serve.Application = deployment(replica).bind(system_name)
    return bound
