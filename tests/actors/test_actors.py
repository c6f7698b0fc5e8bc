"""What only a real cluster can show: names, errors across processes, fencing, lost objects."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import ray
from projects import small_project

from actors.call import call, find_actor
from actors.data import resolve
from actors.system import ActorSystem, connect
from easeml_ray import errors
from easeml_ray.errors import CapabilityDenied, EasemlError, InvalidSpec, NotFound, TooLarge
from easeml_ray.messages import SYSTEM, Principal, Role
from easeml_ray.process.messages import CreateProject, ShowProject
from easeml_ray.registry.capability import Capability, mint
from easeml_ray.runtime.components import ACTORS

pytestmark = pytest.mark.ray

WHO = Principal("people", Role.TENANT, "ann")
NAME = "local"


@pytest.fixture(scope="module")
def system(cluster: Any) -> ActorSystem:
    return connect(NAME)


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


def test_nine_actors_answer_under_their_names(system: ActorSystem) -> None:
    for actor, _ in ACTORS.values():
        who = ray.get(find_actor(NAME, actor).ready.remote(), timeout=30)
        assert who["actor"] == actor
        assert who["epoch"] >= 1
    assert connect(NAME).config == system.config


@ray.remote(num_cpus=0)
def raise_it(value: dict[str, Any]) -> None:
    raise EasemlError.from_dict(value)


def test_every_error_class_survives_the_way_across_ray(cluster: Any) -> None:
    made = [
        getattr(errors, name)("what", hint="do", **dict.fromkeys(getattr(errors, name).declared, 1))
        for name in errors.__all__
    ]
    references = [raise_it.remote(error.to_dict()) for error in made]
    for error, reference in zip(made, references, strict=True):
        with pytest.raises(ray.exceptions.RayTaskError) as caught:
            ray.get(reference, timeout=60)
        assert caught.value.cause == error
        assert type(caught.value.cause) is type(error)


def test_an_actors_refusal_reaches_the_caller_as_its_own_class(system: ActorSystem) -> None:
    with pytest.raises(NotFound, match="no project nowhere"):
        run(system.read("process", "nowhere", ShowProject()))
    task = {**small_project().task, "target_accuracy": 1.2}
    with pytest.raises(InvalidSpec) as caught:
        run(system.handle("process", "p", WHO, CreateProject(name="p", task=task)))
    assert caught.value.field == "target_accuracy"


def test_a_message_over_64_kib_is_refused_and_leaves_no_trace(system: ActorSystem) -> None:
    task = {**small_project().task, "features": ["x" * 80_000]}
    with pytest.raises(TooLarge):
        run(system.handle("process", "big", WHO, CreateProject(name="big", task=task)))
    with pytest.raises(NotFound):
        run(system.read("process", "big", ShowProject()))


def test_the_same_command_id_is_handled_once(system: ActorSystem) -> None:
    body = CreateProject(name="once", task=small_project().task)
    first = run(system.handle("process", "once", WHO, body, command_id="once-1"))
    again = run(system.handle("process", "once", WHO, body, command_id="once-1"))
    assert again == first


def test_an_older_incarnation_of_a_live_actor_cannot_write(system: ActorSystem) -> None:
    """Raise the epoch behind the actor's back: its next append ends its process, Ray restarts it."""
    from easeml_ray.store import open_event_store

    handle = find_actor(NAME, "Lifecycle")
    before = ray.get(handle.ready.remote(), timeout=30)
    store = open_event_store(system.config.store)
    assert store.incarnate("Lifecycle") == before["epoch"] + 1
    body = CreateProject(name="fenced", task=small_project().task)
    reply = run(system.handle("process", "fenced", WHO, body))
    assert reply["project"] == "fenced"
    after = ray.get(handle.ready.remote(), timeout=60)
    assert after["pid"] != before["pid"]
    assert after["epoch"] > before["epoch"] + 1
    written = [e for e in store.read(prefix="process/") if e.project == "fenced"]
    assert [e.epoch for e in written] == [after["epoch"]]


def test_a_waiting_replica_hears_of_nothing_until_the_time_is_up(system: ActorSystem) -> None:
    shown = run(system.watch_deployments({}, seconds=0.0))
    seen = {name: deployed["deployment"] for name, deployed in shown.items()}
    started = time.monotonic()
    assert run(system.watch_deployments(seen, seconds=1.0)) == shown
    assert 0.9 < time.monotonic() - started < 10


def test_pillars_come_back_after_their_owner_was_killed(system: ActorSystem) -> None:
    known = small_project("data")
    task = {**known.task, "when_undecided": "ask"}
    run(system.handle("process", "data", WHO, CreateProject(name="data", task=task)))
    run(system.upload("data", WHO, known.data, format="csv"))
    version, *_ = run(system._latest("data"))
    capability = mint("data", version.train.pillar, "people")
    table = resolve(NAME, version.train, capability)
    assert table.num_rows == version.train.rows
    pid = ray.get(find_actor(NAME, "DataRegistry").ready.remote(), timeout=30)["pid"]
    os.kill(pid, signal.SIGKILL)
    assert resolve(NAME, version.train, capability).equals(table)


def test_the_registry_refuses_a_capability_that_nobody_minted(system: ActorSystem) -> None:
    version, *_ = run(system._latest("data"))
    forged = Capability("data", version.train.pillar, frozenset({"read"}), "gate")
    with pytest.raises(CapabilityDenied):
        resolve(NAME, version.train, forged)


def test_only_the_gates_process_may_open_its_key(system: ActorSystem) -> None:
    key = Path(system.config.state) / "gate.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert run(call(NAME, "CIGate", "read", SYSTEM, _show_key()))["public_key"]


def _show_key() -> Any:
    from easeml_ray.gate.messages import ShowKey

    return ShowKey()
