"""The control application as a Ray Serve application, to be run at the route prefix /."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ray.serve as ray_serve
    from fastapi import FastAPI

__all__ = ["ROUTE_PREFIX", "ControlReplica", "application"]

ROUTE_PREFIX = "/"


class ControlReplica:
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
        from serve.control.app import build

        # In a thread: it waits for the system in an event loop of its own.
        return build(await asyncio.to_thread(connect, self.name))


def application(system_name: str, *, replicas: int = 1) -> ray_serve.Application:
    """Return the application to run: ``ray_serve.run(…, name=…, route_prefix=ROUTE_PREFIX)``.

    Parameters
    ----------
    system_name : str
        A running system of actors, to which each replica connects.
    replicas : int
        How many processes answer.
    """
    import ray.serve as ray_serve

    replica = ray_serve.ingress()(ControlReplica)
    # An upload is in the replica's memory while it is checked: few requests at once.
    deployment = ray_serve.deployment(
        name="Control",
        num_replicas=replicas,
        max_ongoing_requests=32,
        ray_actor_options={"num_cpus": 0.1},
        graceful_shutdown_timeout_s=10,
    )
    bound: ray_serve.Application = deployment(replica).bind(system_name)
    return bound
