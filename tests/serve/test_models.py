"""The cache of deployed models: swaps, failures, eviction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from easeml_ray.errors import BlobMissing, NoModel, NotReady
from serve.prediction import models as module
from serve.prediction.models import ModelCache


class Pool:
    """Stands for a system: says what is deployed, and holds models that are their own digests."""

    def __init__(self) -> None:
        self.deployed: dict[str, dict[str, Any]] = {}
        self.broken: set[str] = set()
        self.reads: list[str] = []
        self.fail_looks = 0
        self.blobs = self

    def deploy(self, project: str, digest: str) -> None:
        number = self.deployed.get(project, {"deployment": 0})["deployment"] + 1
        self.deployed[project] = {"model": digest, "arm": "svc", "version": 1, "deployment": number}

    def get(self, tenant: str, digest: str) -> bytes:
        self.reads.append(digest)
        if digest in self.broken:
            raise BlobMissing(f"no blob {digest}", digest=digest)
        return digest.encode()

    async def watch_deployments(self, seen: dict[str, int], *, seconds: float) -> dict[str, Any]:
        if self.fail_looks:
            self.fail_looks -= 1
            raise RuntimeError("ModelPool is restarting")
        until = asyncio.get_running_loop().time() + seconds
        while {p: d["deployment"] for p, d in self.deployed.items()} == seen:
            if asyncio.get_running_loop().time() >= until:
                break
            await asyncio.sleep(0.002)
        return {project: dict(told) for project, told in self.deployed.items()}


def play(monkeypatch: pytest.MonkeyPatch, story: Callable[[Pool, ModelCache], Any], **given: Any) -> None:
    monkeypatch.setattr(module, "load", lambda data: data.decode())
    monkeypatch.setattr(module, "_PAUSE", 0.01)

    async def run() -> None:
        async def owner(project: str) -> str:
            return "ann"

        pool = Pool()
        cache = ModelCache(pool, owner, seconds=0.05, **given)  # type: ignore[arg-type]
        cache.start()
        try:
            await story(pool, cache)
        finally:
            await cache.close()

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


async def answers(cache: ModelCache, project: str) -> Any:
    return (await cache.get(project)).model


def test_before_the_first_look_nothing_is_known_and_then_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pool: Pool, cache: ModelCache) -> None:
        with pytest.raises(NotReady) as early:
            await cache.get("p")
        assert not isinstance(early.value, NoModel)
        await until(lambda: cache.ready)
        with pytest.raises(NoModel):
            await cache.get("p")

    play(monkeypatch, story)


def test_a_deployment_is_swapped_in_and_loaded_before_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pool: Pool, cache: ModelCache) -> None:
        pool.deploy("p", "m1")
        await until(lambda: "m1" in pool.reads and cache.ready)
        assert await answers(cache, "p") == "m1"
        pool.deploy("p", "m2")
        await until(lambda: "m2" in pool.reads)
        await until(lambda: cache._serving["p"].model == "m2")
        served = await cache.get("p")
        assert (served.model, served.deployment.number) == ("m2", 2)
        assert pool.reads == ["m1", "m2"]

    play(monkeypatch, story)


def test_a_model_that_does_not_load_leaves_the_old_one_answering_until_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(pool: Pool, cache: ModelCache) -> None:
        pool.deploy("p", "m1")
        await until(lambda: cache.ready and cache._serving.get("p") is not None)
        pool.broken.add("m2")
        pool.deploy("p", "m2")
        pool.deploy("q", "m3")
        await until(lambda: pool.reads.count("m2") >= 2)
        assert await answers(cache, "p") == "m1"
        assert await answers(cache, "q") == "m3"
        pool.broken.clear()
        await until(lambda: cache._serving["p"].model == "m2")
        assert await answers(cache, "p") == "m2"

    play(monkeypatch, story)


def test_a_first_model_that_does_not_load_is_not_ready_and_not_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(pool: Pool, cache: ModelCache) -> None:
        pool.broken.add("m1")
        pool.deploy("p", "m1")
        await until(lambda: cache.ready and "m1" in pool.reads)
        with pytest.raises(NotReady, match="does not load"):
            await cache.get("p")

    play(monkeypatch, story)


def test_looks_that_fail_do_not_end_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pool: Pool, cache: ModelCache) -> None:
        pool.fail_looks = 3
        pool.deploy("p", "m1")
        await until(lambda: cache.ready)
        assert await answers(cache, "p") == "m1"

    play(monkeypatch, story)


def test_the_least_recently_used_model_is_dropped_and_loaded_again_when_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(pool: Pool, cache: ModelCache) -> None:
        for name in "abc":
            pool.deploy(name, f"m-{name}")
        await until(lambda: cache.ready and len(cache._serving) == 3)
        assert pool.reads == ["m-a", "m-b"]  # the third would only push another out
        assert await answers(cache, "a") == "m-a"
        assert await answers(cache, "c") == "m-c"
        assert list(cache._models) == ["m-a", "m-c"]
        assert await answers(cache, "b") == "m-b"
        assert pool.reads.count("m-b") == 2

    play(monkeypatch, story, capacity=2)


def test_many_callers_share_one_load(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pool: Pool, cache: ModelCache) -> None:
        for name in "ab":
            pool.deploy(name, f"m-{name}")
        await until(lambda: cache.ready and len(cache._serving) == 2)
        found = await asyncio.gather(*(answers(cache, "b") for _ in range(20)))
        assert found == ["m-b"] * 20 and pool.reads.count("m-b") == 1

    play(monkeypatch, story, capacity=1)
