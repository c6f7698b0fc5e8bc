from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from cluster.demo.application import Application
from cluster.demo.clinic import clinic
from cluster.demo.digits import digits
from cluster.narrator import Line
from cluster.demo.scenario import Player, play
from easeml_ray.client import Client
from easeml_ray.messages import SYSTEM, Principal, Role
from easeml_ray.process.local import LocalSystem
from easeml_ray.process.messages import CreateTenant
from easeml_ray.store import open_stores

pytestmark = pytest.mark.filterwarnings("ignore::starlette.exceptions.StarletteDeprecationWarning")

ADMIN = "local.secret"


class House:
    """Both HTTP applications behind one address, in one event loop."""

    def __init__(self, control: ASGIApp, prediction: ASGIApp) -> None:
        self.control, self.prediction = control, prediction

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        served = scope["type"] == "lifespan" or scope["path"].startswith("/v2")
        await (self.prediction if served else self.control)(scope, receive, send)


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    from serve.auth import token_hash
    from serve.control.app import build as control
    from serve.prediction.app import build as prediction

    system = LocalSystem(*open_stores("memory://", str(tmp_path_factory.mktemp("blobs"))))
    admin = CreateTenant("local", Role.ADMIN.value, token_hash(ADMIN))
    system._handle("process", SYSTEM, Principal("local", Role.SYSTEM, "test"), admin)
    with TestClient(House(control(system), prediction(system))) as client:
        yield client


Story = tuple[list[dict[str, Any]], list[Line]]


@pytest.fixture(scope="module")
def story(http: TestClient) -> Story:
    lines: list[Line] = []
    admin = Client("http://testserver", ADMIN, http=http)

    def player(application: Application) -> Player:
        token = admin.create_tenant(application.tenant)["token"]
        return Player(Client("http://testserver", token, http=http), application, lines.append)

    results = play([player(digits()), player(clinic())], pause=0.1, patience=60)
    return results, lines


def test_story(story: Story) -> None:
    for line in story[1]:
        print(line.project, line.stage, line.text)
    print(story[0])
    assert 0
