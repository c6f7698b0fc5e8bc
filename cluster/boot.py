"""Puts a system on a running Ray node: ``python -m cluster.boot``, started by cluster.local.

A process of its own, so that whoever starts it can end it when a start hangs. Lines that begin with
``easeml:`` tell how far it is; after ``ready`` its output ends, and it stays as the driver of the
system as long as the node lives. Ray ends idle workers of a job whose driver is gone: without it,
every task of the actors would begin with a new process.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from actors.config import NAMESPACE, SystemConfig
from actors.system import ActorSystem, ensure
from easeml_ray.errors import EasemlError
from easeml_ray.messages import SYSTEM, Principal, Role
from easeml_ray.process.messages import CreateTenant, ShowTenants

__all__ = ["ADMIN", "boot", "main", "serve_http", "stay"]

ADMIN = "local"
"""The tenant of the person at the machine, with the role admin."""

_LOOK_SECONDS = 2.0


def main() -> None:
    """Boot by the plan on standard input and stay; what went wrong is told as JSON in the last line.

    Everybody may read a process's arguments, and the address of a store may hold a password.
    """
    plan = json.load(sys.stdin)
    try:
        boot(plan)
    except EasemlError as error:
        print(f"easeml-error: {json.dumps(error.to_dict())}", flush=True)
        sys.exit(error.exit_code)
    stay(plan["node"])


def _say(text: str) -> None:
    print(f"easeml: {text}", flush=True)


def boot(plan: dict[str, Any]) -> None:
    """Create the actors, the admin and the HTTP applications."""
    import ray

    ray.init(address=plan["ray_address"], namespace=NAMESPACE, log_to_driver=False)
    state = Path(plan["state"])
    local = SystemConfig.local(state, name=plan["system"], slots=plan["slots"])
    config = SystemConfig(
        local.name,
        local.state,
        plan["store"] or local.store,
        plan["blobs"] or local.blobs,
        local.slots,
    )
    _say("starting nine actors")
    system = ensure(config)
    asyncio.run(ensure_admin(system, Path(plan["token_file"]).read_text()))
    _say("starting the HTTP applications")
    serve_http(config.name, plan["http_port"])
    _say("ready")


def stay(node: int) -> None:
    """Be the driver until the process that holds the node ends, or this one is killed."""
    # Whoever waited for the start reads to the end of the pipe; from here on the log has all.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with contextlib.suppress(psutil.NoSuchProcess):
        holder = psutil.Process(node)
        while holder.is_running() and holder.status() != psutil.STATUS_ZOMBIE:
            time.sleep(_LOOK_SECONDS)
    os._exit(0)  # nothing is left that Ray could be told


async def ensure_admin(system: ActorSystem, token: str) -> None:
    """Make the token known as the admin's, once."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    known = await system.read("process", SYSTEM, ShowTenants())
    if digest not in known["tenants"].get(ADMIN, {}):
        who = Principal(ADMIN, Role.SYSTEM, "boot")
        await system.handle(
            "process", SYSTEM, who, CreateTenant(name=ADMIN, role=Role.ADMIN.value, token_hash=digest)
        )


def serve_http(system: str, port: int) -> None:
    """Run the control and the prediction application on Ray Serve, on loopback."""
    import ray.serve as ray_serve

    from serve.control.deployment import application as control
    from serve.prediction.deployment import application as prediction

    ray_serve.start(http_options={"host": "127.0.0.1", "port": port}, proxy_location="HeadOnly")
    ray_serve.run(control(system), name="easeml-control", route_prefix="/", blocking=False)
    ray_serve.run(prediction(system), name="easeml-prediction", route_prefix="/v2", blocking=False)


if __name__ == "__main__":
    main()
