"""Both HTTP applications on a whole system in this process, without Ray and without sockets."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
from fastapi import FastAPI

from easeml_ray import Client
from easeml_ray.errors import NotReady
from easeml_ray.messages import SYSTEM, Principal, Role
from easeml_ray.process.messages import CreateTenant
from easeml_ray.runtime.local import LocalSystem
from easeml_ray.store import open_stores
from serve.auth import make_token, token_hash
from serve.control import build as build_control
from serve.prediction import build as build_prediction

T = TypeVar("T")
URL = "http://ease.ml"

TASK: dict[str, Any] = {
    "label": "kind",
    "id_column": "id",
    "target_accuracy": 0.8,
    "gate": {"condition": "n > 0.6 +/- 0.3", "steps": 2},
    "when_undecided": "train",
    "window_rows": 16,
    "budgets": {"realtime_labels": 6},
}


class Loop:
    """One event loop in a thread: the system is of one thread, like both applications."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, work: Coroutine[Any, Any, T], *, seconds: float = 60.0) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class Bridge(httpx.BaseTransport):
    """Carries requests of a synchronous client to the two applications, as Serve routes them."""

    def __init__(self, loop: Loop, control: FastAPI, prediction: FastAPI) -> None:
        self.loop = loop
        self.control = httpx.ASGITransport(control)
        self.prediction = httpx.ASGITransport(prediction)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        served = request.url.path == "/v2" or request.url.path.startswith("/v2/")
        inner = self.prediction if served else self.control

        async def send() -> tuple[int, httpx.Headers, bytes]:
            response = await inner.handle_async_request(request)
            return response.status_code, response.headers, await response.aread()

        status, headers, content = self.loop.run(send())
        return httpx.Response(status, headers=headers, content=content)


@dataclass
class House:
    """A running system with its applications and clients."""

    system: LocalSystem
    loop: Loop
    transport: Bridge
    clients: dict[str, Client] = field(default_factory=dict)

    def client(self, token: str | None) -> Client:
        return Client(URL, token, transport=self.transport)

    def http(self, token: str | None = None, **headers: str) -> httpx.Client:
        sent = {"Authorization": f"Bearer {token}", **headers} if token else headers
        return httpx.Client(transport=self.transport, base_url=URL, headers=sent)

    def new(self, tenant: str, role: str = "tenant", actor: str | None = None) -> Client:
        """Return the client of a fresh token."""
        return self.client(self.admin.create_tenant(tenant, role, actor=actor)["token"])

    @property
    def admin(self) -> Client:
        return self.clients["admin"]

    @property
    def events(self) -> int:
        """Count what was written; served rows come into the pool by themselves, a moment later."""
        return sum(not event.stream.startswith("pool/") for event in self.system.store.read())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run(work)


def open_house(folder: Path, **build: Any) -> tuple[House, Callable[[], None]]:
    store, blobs = open_stores("memory://", str(folder))
    system = LocalSystem(store, blobs)
    token = make_token("root")
    root = Principal(SYSTEM, Role.SYSTEM, "tests")
    system._handle(
        "process", SYSTEM, root, CreateTenant(name="root", role="admin", token_hash=token_hash(token))
    )
    loop = Loop()
    stack = AsyncExitStack()

    async def start() -> Bridge:
        control = build_control(system, **build)
        prediction = build_prediction(system, rng=np.random.default_rng(0))
        for app in (control, prediction):
            await stack.enter_async_context(app.router.lifespan_context(app))
        return Bridge(loop, control, prediction)

    house = House(system, loop, loop.run(start()))
    house.clients["admin"] = house.client(token)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            house.admin.ready()
            break
        except NotReady:
            time.sleep(0.01)

    def close() -> None:
        loop.run(stack.aclose())
        loop.close()

    return house, close


def table(rows: int = 300, *, seed: int = 0, noise: float = 0.0) -> bytes:
    """Return a CSV of two classes apart by three standard deviations; one text column, two ids."""
    rng = np.random.default_rng(seed)
    lines = ["id,size,weight,colour,kind"]
    for i in range(rows):
        one = rng.random() < 0.5
        size, weight = rng.normal(3.0 * one, 1.0), rng.normal(-2.0 * one, 1.0)
        flipped = one != (rng.random() < noise)
        label = "giant" if flipped else "dwarf"
        lines.append(f"s{seed}-{i},{size:.4f},{weight:.4f},{'rgb'[rng.integers(3)]},{label}")
    return "\n".join(lines).encode()
