"""DataRegistry shares what is encoded among all that ask, without any Ray: the task is a future."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest
from harness import version

from actors import data_registry
from actors.data_registry import DataRegistryActor
from easeml_ray.messages import Pillar


class Registry(DataRegistryActor):
    """The actor with a cache of a given room, and a state that gives every capability."""

    def __init__(self, room: int) -> None:
        self.shared: OrderedDict[tuple[str, str], tuple[Any, int]] = OrderedDict()
        self.encoding: dict[tuple[str, str], asyncio.Future[Any]] = {}
        self.room = room
        self.config: Any = None

    async def read(self, project: str, query: Any) -> dict[str, Any]:
        return {"tenant": "lab"}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.Future[Any]]:
    """Give the list of what was asked of the encoding task, in order."""
    asked: list[asyncio.Future[Any]] = []

    def remote(*_: Any) -> asyncio.Future[Any]:
        asked.append(asyncio.get_running_loop().create_future())
        return asked[-1]

    monkeypatch.setattr(data_registry, "encode", SimpleNamespace(remote=remote))
    return asked


def end(task: asyncio.Future[Any], size: int) -> None:
    task.set_result(SimpleNamespace(X=SimpleNamespace(nbytes=size)))


def test_one_that_is_cancelled_does_not_take_the_encoding_from_another(
    made: list[asyncio.Future[Any]],
) -> None:
    async def play() -> list[Any]:
        registry = Registry(room=10)
        first, second = (
            asyncio.create_task(registry.encoded(version(1), Pillar.TRAIN, {})) for _ in range(2)
        )
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        end(made[0], 1)
        assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], asyncio.CancelledError)
        return await second

    assert asyncio.run(play()) == made
    assert len(made) == 1


def test_what_is_encoded_is_given_even_if_another_took_its_room_at_once(
    made: list[asyncio.Future[Any]],
) -> None:
    async def play() -> list[list[Any]]:
        registry = Registry(room=10)
        asks = [asyncio.create_task(registry.encoded(version(n), Pillar.TRAIN, {})) for n in (1, 2)]
        while len(made) < 2:
            await asyncio.sleep(0)
        for task in made:
            end(task, 8)
        given = await asyncio.gather(*asks)
        assert len(registry.shared) == 1
        return given

    assert asyncio.run(play()) == [[made[0]], [made[1]]]
