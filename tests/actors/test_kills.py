"""Each of the nine actors is killed once with SIGKILL while it works; the project ends the same."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import ray
from projects import SmallProject, small_project

from actors.call import find_actor
from actors.config import SystemConfig
from actors.system import ActorSystem, ensure
from easeml_ray.errors import EasemlError
from easeml_ray.feasibility.messages import ShowReport
from easeml_ray.gate.messages import ShowGate
from easeml_ray.messages import Principal, Role
from easeml_ray.oracle.messages import Answer, AnswerRequests, ListRequests
from easeml_ray.pool.messages import ShowPool
from easeml_ray.process.messages import CreateProject, ShowBill, ShowProject
from easeml_ray.registry.messages import FindLatest
from easeml_ray.runtime.components import ACTORS
from easeml_ray.runtime.local import LocalSystem
from easeml_ray.store import open_event_store
from easeml_ray.store.blobs import ArrowBlobStore
from easeml_ray.store.memory import MemoryEventStore

pytestmark = pytest.mark.ray

WHO = Principal("lab", Role.TENANT, "ann")
NAME = "small"
SECONDS = 240.0


class Killer:
    """Kills each actor once, when the project is seen to be at that actor's work."""

    def __init__(self, system: str) -> None:
        self.system = system
        self.left: dict[str, Callable[[dict[str, Any]], bool]] = {
            "DataRegistry": lambda seen: seen["phase"] == "AUGMENTING" or seen["version"] == 1,
            "FeasibilityEstimator": lambda seen: seen["phase"] == "FEASIBILITY",
            "Cleaner": lambda seen: seen["phase"] == "IMPROVING",
            "Market": lambda seen: seen["phase"] == "IMPROVING" and "Cleaner" not in self.left,
            "LabelOracle": lambda seen: seen["phase"] in ("RELABELLING", "CLEANING"),
            "Lifecycle": lambda seen: seen["phase"] == "FEASIBILITY" and seen["rounds"] >= 1,
            "TenantScheduler": lambda seen: seen["training"] > 0,
            "CIGate": lambda seen: bool(seen["judging"]),
            "ModelPool": lambda seen: seen["picking"],
        }
        self.killed: dict[str, int] = {}

    async def watch(self, seen: dict[str, Any]) -> None:
        for actor, at_work in list(self.left.items()):
            if at_work(seen):
                who = await asyncio.wait_for(_await(find_actor(self.system, actor).ready.remote()), 60)
                os.kill(who["pid"], signal.SIGKILL)
                self.killed[actor] = who["pid"]
                del self.left[actor]
                return  # one at a time, so that each meets a system that works


async def _await(reference: Any) -> Any:
    return await reference


async def look(system: ActorSystem, rounds: int) -> dict[str, Any]:
    seen = await system.read("process", NAME, ShowProject())
    gate = await system.read("gate", NAME, ShowGate())
    pool = await system.read("pool", NAME, ShowPool())
    return {
        **seen,
        "rounds": rounds,
        "judging": any(era["judging"] for era in gate["eras"]),
        "eras": gate["eras"],
        "picking": any(window["state"] == "PICKING" for window in pool["windows"]),
        "windows": pool["windows"],
        "models": pool["models"],
    }


async def live(system: ActorSystem, known: SmallProject, killer: Killer) -> tuple[dict[str, Any], list[str]]:
    """Carry the project through its life; return the end and the ids of acknowledged commands."""
    acknowledged = ["create", "upload"]
    await system.handle("process", NAME, WHO, CreateProject(name=NAME, task=known.task), command_id="create")
    await system.upload(NAME, WHO, known.data, format="csv", command_id="upload")
    until, sent, rounds = time.monotonic() + SECONDS, 0, 0
    while time.monotonic() < until:
        seen = await look(system, rounds)
        await killer.watch(seen)
        listed = await system.read("oracle", NAME, ListRequests(state="OPEN", limit=200))
        requests = listed["requests"]
        for request in requests:
            if "request_id" in request["payload"]:
                (request["row"],) = await system.realtime_rows(NAME, [request["payload"]["request_id"]])
        if requests:
            rounds += 1
            answers = tuple(Answer(request=r["id"], value=known.answer(r)) for r in requests)
            identity = f"answers-{rounds}"
            try:
                await system.handle(
                    "oracle",
                    NAME,
                    WHO,
                    AnswerRequests(annotator="truth", answers=answers),
                    command_id=identity,
                )
                acknowledged.append(identity)
            except EasemlError as error:  # a request may close between the list and the answer
                assert type(error).__name__ in ("RequestClosed", "Conflict"), error
        over = [era for era in seen["eras"] if era["state"] in ("EXHAUSTED", "RELEASED")]
        if over and seen["deployed"] and sent < 2:
            for part in range(2):
                rows = known.stream[sent * 40 + part * 20 : sent * 40 + part * 20 + 20]
                segment = f"s{sent}-{part}"
                await system.store_segment(NAME, segment, pa.Table.from_pylist(rows), 0)
                acknowledged.append(f"segment-{segment}")
            sent += 1
        done = [w for w in seen["windows"] if w["state"] == "RELEASED"]
        if len(done) == 2 and not killer.left:
            return seen, acknowledged
        await asyncio.sleep(0.02)
    raise AssertionError(f"not done in {SECONDS} s: {seen}, left to kill: {sorted(killer.left)}")


async def undisturbed(known: SmallProject, folder: Any) -> list[tuple[int, str]]:
    """Return the decisions of the same project in one process, where nobody is killed."""
    system = LocalSystem(MemoryEventStore(), ArrowBlobStore(str(folder)))
    await system.handle("process", NAME, WHO, CreateProject(name=NAME, task=known.task))
    await system.upload(NAME, WHO, known.data, format="csv")
    for _ in range(40):
        requests = (await system.read("oracle", NAME, ListRequests(state="OPEN", limit=200)))["requests"]
        if not requests:
            break
        answers = tuple(Answer(request=r["id"], value=known.answer(r)) for r in requests)
        await system.handle("oracle", NAME, WHO, AnswerRequests(annotator="truth", answers=answers))
    return await decisions(system)


async def decisions(system: Any) -> list[tuple[int, str]]:
    report = await system.read("feasibility", NAME, ShowReport())
    return [(belief["number"], belief["decision"]) for belief in report["beliefs"]]


@pytest.fixture
def system(cluster: Any, tmp_path: Path) -> Iterator[ActorSystem]:
    """A system beside the session's; nothing of it is left at work beside later tests."""
    yield ensure(SystemConfig.local(tmp_path, name="kills", slots=1))
    for actor, _ in ACTORS.values():
        ray.kill(find_actor("kills", actor), no_restart=True)


def test_a_project_survives_the_death_of_each_actor(system: ActorSystem, tmp_path_factory: Any) -> None:
    known = small_project()
    killer = Killer("kills")
    seen, acknowledged = asyncio.run(live(system, known, killer))

    # Every actor was killed once and lives in another process and a later incarnation.
    assert sorted(killer.killed) == sorted(actor.name for actor in ACTORS.values())
    for actor, pid in killer.killed.items():
        who = ray.get(find_actor("kills", actor).ready.remote(), timeout=60)
        assert who["pid"] != pid
        assert who["epoch"] >= 2

    # The same decisions on the same versions as where nobody was killed.
    expected = asyncio.run(undisturbed(known, tmp_path_factory.mktemp("undisturbed")))
    assert asyncio.run(decisions(system)) == expected
    assert seen["problem"] is None

    # A deployed model that passed.
    passed = {v["model"] for era in seen["eras"] for v in era["verdicts"] if v["verdict"] == "PASS"}
    assert seen["deployed"] in passed

    # Budgets balance: what people were paid is what the ledger says, and within the budget.
    bill = asyncio.run(system.read("process", NAME, ShowBill()))
    queue = asyncio.run(system.read("oracle", NAME, ListRequests()))
    computed = ("automl", "feasibility")
    human = sum(line["cost_cents"] for line in bill["lines"] if not line["what"].startswith(computed))
    assert queue["spent_cents"] == pytest.approx(human)
    assert queue["reserved_cents"] == pytest.approx(0)
    assert bill["improvement_spent_cents"] <= bill["improvement_budget_cents"]

    # No acknowledged event lost or doubled; streams without gaps.
    store = open_event_store(system.config.store)
    events = store.read()
    assert len({event.event_id for event in events}) == len(events)
    for command in acknowledged:
        assert store.find(command), command
    by_stream: dict[str, list[int]] = {}
    for event in events:
        by_stream.setdefault(event.stream, []).append(event.version)
    for stream, versions in by_stream.items():
        assert versions == list(range(1, len(versions) + 1)), stream
    version = asyncio.run(system.read("registry", NAME, FindLatest()))["version"]
    assert version["number"] == seen["version"]
