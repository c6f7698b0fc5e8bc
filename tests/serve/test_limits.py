"""What is too large, what nobody foresaw, and what stands on the OpenAPI pages."""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from easeml_ray.errors import NotReady, StoreError, SystemFailure, TooLarge
from serve.control import build as build_control
from serve.control.deployment import ControlReplica
from serve.prediction import build as build_prediction
from serve.prediction.deployment import PredictionReplica, UnderPrefix
from tests.serve.house import TASK, House, open_house, table


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A system whose control application takes 4 KiB of file and 1 KiB of anything else."""
    opened, close = open_house(tmp_path_factory.mktemp("small"), upload_bytes=4096, json_bytes=1024)
    yield opened
    close()


def token_of(house: House, tenant: str) -> str:
    return str(house.admin.create_tenant(tenant)["token"])


def test_an_upload_over_the_limit_is_refused_and_writes_nothing(small: House) -> None:
    ann = small.client(token_of(small, "ann"))
    ann.create_project("p", TASK)
    before = small.events
    with pytest.raises(TooLarge) as refused:
        ann.upload("p", table(300))
    assert refused.value.status == 413 and refused.value.limit == 4096 and refused.value.hint
    assert small.events == before


def test_an_upload_without_a_length_is_stopped_while_it_streams(small: House) -> None:
    token = token_of(small, "ann")
    given = 0

    async def chunks() -> Any:
        nonlocal given
        for _ in range(1000):
            given += 1
            yield b"x" * 1024

    async def put() -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=small.transport.control, base_url="http://x") as http:
            return await http.put("/v1/projects/p/data", content=chunks(), headers=headers)

    answer = small.run(put())
    assert (answer.status_code, answer.json()["kind"]) == (413, "TooLarge")
    assert given < 10


def test_a_large_body_is_refused_before_anybody_asks_who_sends_it(small: House) -> None:
    answer = small.http().post("/v1/projects", json={"name": "x" * 2000, "task": {}})
    assert (answer.status_code, answer.json()["kind"]) == (413, "TooLarge")
    assert small.http().put("/v1/projects/p/data", content=b"x" * 5000).status_code == 401


class Broken:
    """A system of which everything fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def read(self, *_: Any) -> Any:
        raise self.error

    async def watch_deployments(self, seen: Any, *, seconds: float) -> Any:
        await asyncio.sleep(0.01)
        raise self.error


def ask(app: FastAPI, path: str, *, root_path: str = "", token: str = "t") -> httpx.Response:
    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app, root_path=root_path)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
            return await http.get(path, headers={"Authorization": f"Bearer {token}"})

    return asyncio.run(get())


def test_what_nobody_foresaw_tells_its_number_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    app = build_control(Broken(RuntimeError("password=hunter2 at /srv/secret.py")))  # type: ignore[arg-type]
    answer = ask(app, "/v1/projects")
    document = answer.json()
    assert (answer.status_code, document["kind"]) == (500, "SystemFailure")
    assert "hunter2" not in answer.text and "RuntimeError" not in answer.text
    incident = document["detail"].split()[-1]
    assert incident in caplog.text and "hunter2" in caplog.text


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotReady("soon", hint="wait"), 503), (StoreError("full"), 500), (SystemFailure("broken"), 500)],
)
def test_failures_of_the_system_keep_their_kind(error: Exception, status: int) -> None:
    answer = ask(build_control(Broken(error)), "/readyz")  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["kind"]) == (status, type(error).__name__)


def test_both_applications_describe_themselves(small: House) -> None:
    control = small.http().get("/openapi.json").json()
    prediction = small.http().get("/v2/openapi.json").json()
    assert {"/v1/projects/{project}/data", "/v1/requests", "/healthz"} <= set(control["paths"])
    assert {"/v2/models/{project}/infer", "/v2/health/ready"} <= set(prediction["paths"])
    for document in (control, prediction):
        for path, methods in document["paths"].items():
            for operation in methods.values():
                assert "default" in operation["responses"], path
                assert "422" not in operation["responses"], path
    assert small.http().get("/docs").status_code == 200
    assert small.http().get("/v2/docs").status_code == 200
    assert small.http().get("/healthz").json() == {"status": "alive"}
    assert small.http().get("/v2").json()["extensions"] == ["predict", "feedback"]


def test_the_prefix_of_serve_leaves_the_routes_as_they_are() -> None:
    app = build_prediction(Broken(NotReady("soon")))  # type: ignore[arg-type]
    assert ask(app, "/v2/health/live", root_path="/v2").status_code == 404
    app = build_prediction(Broken(NotReady("soon")))  # type: ignore[arg-type]
    app.add_middleware(UnderPrefix)
    assert ask(app, "/v2/health/live", root_path="/v2").json() == {"live": True}
    assert ask(app, "/behind/v2/health/live", root_path="/behind/v2").json() == {"live": True}
    assert '"/v2/openapi.json"' in ask(app, "/v2/docs", root_path="/v2").text.replace("'", '"')


def test_replicas_connect_by_name_and_serve_the_applications(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def connect(name: str) -> Broken:
        names.append(name)
        return Broken(NotReady("soon"))

    actors = types.ModuleType("actors.system")
    actors.connect = connect  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "actors.system", actors)
    control = asyncio.run(ControlReplica("one").__serve_build_asgi_app__())
    prediction = asyncio.run(PredictionReplica("two").__serve_build_asgi_app__())
    assert names == ["one", "two"]
    assert ask(control, "/healthz").json() == {"status": "alive"}
    assert ask(prediction, "/v2/health/live", root_path="/v2").json() == {"live": True}


def test_no_file_here_imports_ray_but_as_ray_serve() -> None:
    for path in Path("serve").rglob("*.py"):
        for line in path.read_text().splitlines():
            code = line.strip()
            if code.startswith(("import ray", "from ray")):
                assert code == "import ray.serve as ray_serve" and path.name == "deployment.py", path
