"""No label of a stable row is found outside the gate's process: on disk, in answers, or in what tasks get.

A canary is a label together with what tells its row, or the labels of many rows in their order: the
names of the classes themselves are known to everybody. Both are looked for in every form that text, JSON
and arrays take here.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import ray
from ray import cloudpickle

from actors.call import call, find_actor
from actors.ci_gate import CIGateActor
from actors.config import NAMESPACE, actor_name
from actors.system import ActorSystem, connect, ensure
from easeml_ray import Client
from easeml_ray.gate.messages import GateModels
from easeml_ray.ingest import prepare
from easeml_ray.messages import Pillar, Principal, Role
from easeml_ray.store import open_event_store

pytestmark = pytest.mark.ray

SYSTEM_NAME = "local"  # of the one that the fixture started
CLASSES = tuple(sorted(f"k{secrets.token_hex(6)}" for _ in range(3)))
SHARES = {"train": 0.4, "development": 0.2, "stable": 0.4}
WINDOW = 40  # of rows in their order: as many that a model gets right by chance are not to be had
NOISE = 0.4
SEED = 5
TASK: dict[str, Any] = {
    "label": "kind",
    "id_column": "id",
    "target_accuracy": 0.4,
    "shares": SHARES,
    "when_undecided": "train",
    "minimum_gain": 0.0,
    "seed": SEED,
}
STEERED = {"condition": "n > 0.2 +/- 0.15", "steps": 12, "adaptivity": "full", "reliability": 0.9}
PAIRED = {"condition": "n - o > 0.02 +/- 0.3", "steps": 2, "adaptivity": "full", "reliability": 0.9}


def make_watched(folder: Path) -> type[CIGateActor]:
    """Return a gate that keeps what it hands to tasks, to other actors and to the object store."""

    class WatchedGate(CIGateActor):
        async def prepare(self) -> None:
            from ray.actor import ActorMethod
            from ray.remote_function import RemoteFunction

            def kept(inner: Callable[..., Any], name: str) -> Callable[..., Any]:
                def record(this: Any, *args: Any, **kwargs: Any) -> Any:
                    data = cloudpickle.dumps((args, kwargs), protocol=4)  # buffers are inside, in clear
                    (folder / f"{name}-{secrets.token_hex(8)}").write_bytes(data)
                    return inner(this, *args, **kwargs)

                return record

            RemoteFunction._remote = kept(RemoteFunction._remote, "task")
            ActorMethod._remote = kept(ActorMethod._remote, "call")
            put = ray.put

            def record_put(value: Any, **how: Any) -> Any:
                data = cloudpickle.dumps(value, protocol=4)
                (folder / f"put-{secrets.token_hex(8)}").write_bytes(data)
                return put(value, **how)

            ray.put = record_put
            await super().prepare()

    return WatchedGate


@dataclass
class Scene:
    """The served system with a watched gate, and everything that it answered."""

    endpoint: Any
    system: ActorSystem
    inputs: Path
    answers: list[bytes] = field(default_factory=list)

    def client(self, token: str) -> Client:
        def keep(response: httpx.Response) -> None:
            self.answers.append(response.read())

        http = httpx.Client(event_hooks={"response": [keep]}, timeout=60.0)
        return Client(self.endpoint.url, token, http=http)

    def haystack(self) -> Iterator[tuple[str, bytes]]:
        """Yield all that is kept of the system outside the gate's process."""
        for folder in (Path(self.system.config.state), Path(self.endpoint.folder), self.inputs):
            for path in folder.rglob("*"):
                if path.is_file() and not path.is_symlink():
                    yield str(path), path.read_bytes()
        for i, answer in enumerate(self.answers):
            yield f"answer {i}", answer
        events = open_event_store(self.system.config.store).read()
        yield "events", "\n".join(map(repr, events)).encode()
        for node in ray.nodes():
            metrics = httpx.get(f"http://127.0.0.1:{node['MetricsExportPort']}/metrics", timeout=20.0)
            yield "metrics", metrics.content


def end(actor: Any) -> None:
    """Kill the gate for good and wait until its name is free."""
    ray.kill(actor, no_restart=True)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            find_actor(SYSTEM_NAME, "CIGate")
        except ValueError:
            return
        time.sleep(0.1)
    raise AssertionError("the gate's name is not free")


@pytest.fixture(scope="module")
def scene(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("inputs")
    system = connect(SYSTEM_NAME)
    end(find_actor(SYSTEM_NAME, "CIGate"))
    name = actor_name(SYSTEM_NAME, "CIGate")
    options = {"name": name, "namespace": NAMESPACE, "lifetime": "detached", "max_restarts": -1}
    watched = ray.remote(make_watched(folder)).options(**options, num_cpus=0).remote(system.config)
    ray.get(watched.ready.remote(), timeout=60)
    yield Scene(cluster, system, folder)
    end(watched)
    ensure(system.config)


def rows_of(count: int, seed: int) -> tuple[np.ndarray, list[str], list[str]]:
    """Return features, the last of which tells a row, labels that no model predicts for long, and a CSV."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    X = np.column_stack([rng.normal(size=count) + 3 * (y == 1), rng.normal(size=count) + 3 * (y == 2)])
    X = np.column_stack([np.round(X, 5), np.round(100 * rng.random(count), 7)])
    said = np.where(rng.random(count) < NOISE, rng.integers(0, 3, count), y)
    labels = [CLASSES[code] for code in said]
    lines = [
        f"c{seed}-{i},{a},{b},{c},{label}"
        for i, ((a, b, c), label) in enumerate(zip(X.tolist(), labels, strict=True))
    ]
    return X, labels, lines


HEADER = "id,a,b,c,kind"
FILLER = 0x7F  # what the object store is filled with, and left out of the search


@dataclass
class Needles:
    """Forms in which labels of stable rows, in the order of the pillar, could stand somewhere."""

    texts: list[bytes] = field(default_factory=list)  # each holds the name of a class
    codes: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, features: list[float], labels: list[str]) -> Needles:
        """Make them of the last features of rows and of their labels."""
        found = cls()
        for c, label in zip(features, labels, strict=True):
            found.texts += [f"{c},{label}".encode(), f"'c': {c}, 'kind': '{label}".encode()]
            found.texts += [f'"c": {c}, "kind": "{label}'.encode(), f'"c":{c},"kind":"{label}'.encode()]
        codes = np.array([CLASSES.index(label) for label in labels])
        # In a column's dictionary classes stand in the order in which they come.
        first = {word: place for place, word in enumerate(dict.fromkeys(labels))}
        for start in range(0, len(codes) - WINDOW, WINDOW // 2):
            part, words = codes[start : start + WINDOW], labels[start : start + WINDOW]
            found.texts += [
                joiner.join(words).encode() for joiner in ("", ",", ", ", "\n", "', '", '","', '", "')
            ]
            found.codes += [part.astype(kind).tobytes() for kind in ("i1", "<i2", "<i4", "<i8", "<f4", "<f8")]
            found.codes += [joiner.join(map(str, part)).encode() for joiner in ("", ",", ", ", "\n")]
            found.codes.append(np.array([first[word] for word in words], dtype="<i4").tobytes())
        return found

    def hits(self, content: bytes) -> int:
        named = any(name.encode() in content for name in CLASSES)
        return sum(needle in content for needle in [*self.codes, *(self.texts if named else ())])


def spill() -> int:
    """Put more into the object store than it holds; return how many bytes Ray wrote to disk for it."""
    held = [ray.put(np.full(32 * 2**20, FILLER, dtype=np.uint8)) for _ in range(12)]
    assert ray.get(held[0], timeout=60)[0] == FILLER
    folder = Path(ray._private.worker._global_node.get_session_dir_path())
    files = [path for path in folder.rglob("ray_spilled_objects*/*") if path.is_file()]
    return sum(path.stat().st_size for path in files)


def wait_for(true: Callable[[], Any], seconds: float = 120.0) -> Any:
    until = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.2)
    return found


def look_everywhere(scene: Scene, needles: Needles) -> int:
    places = 0
    for where, content in scene.haystack():
        assert not needles.hits(content.replace(bytes([FILLER]) * 2**16, b"")), where
        places += 1
    return places


def test_no_label_of_a_sealed_row_is_found_anywhere(scene: Scene) -> None:
    with Client(scene.endpoint.url, scene.endpoint.token) as admin:
        client = scene.client(admin.create_tenant("canary")["token"])
    X, labels, lines = rows_of(700, 1)
    data = "\n".join([HEADER, *lines]).encode()
    client.create_project("canary", {**TASK, "gate": STEERED})
    client.upload("canary", data, format="csv")
    shares = {Pillar(name): share for name, share in SHARES.items()}
    salt = f"canary:{SEED}".encode()
    parts = prepare(data, format="csv", label="kind", id_column="id", shares=shares, salt=salt)
    stable = parts.tables[Pillar.STABLE]["row_id"].to_pylist()
    needles = Needles.of([float(X[row, 2]) for row in stable], [labels[row] for row in stable])
    assert len(stable) > 200
    assert needles.hits(data) == len(stable)  # they would be found where they are

    def judged() -> Any:
        eras = client.gate("canary")["eras"]
        era = eras[0] if eras else {"verdicts": []}
        return era["verdicts"] and not era["judging"] and not era["queued"] and era

    era = wait_for(judged)
    assert era["state"] == "ACTIVE"  # nothing was released
    wait_for(lambda: not client.project("canary")["training"])
    client.ledger("canary")
    client.requests("canary", limit=200)
    with pytest.raises(Exception, match="used before") as refused:
        client.upload_test_set("canary", data, format="csv")
    scene.answers.append(repr(refused.value).encode())
    assert spill() > 0
    tasks = [path.read_bytes() for path in scene.inputs.glob("task-*")]
    arrays = X[stable[:50], 2].astype("<f8").tobytes()
    assert any(arrays in task for task in tasks)  # features of stable rows do reach tasks
    assert not any(name in task for task in tasks for name in (b"kind", *map(str.encode, CLASSES)))
    assert look_everywhere(scene, needles) > 50


def gate_model(project: str, model: str, old: str) -> None:
    """Have the gate judge a model, past what training and admission would send it."""
    root = Principal(project, Role.SYSTEM, "tests")
    body = GateModels(models=(model,), old=old)
    asyncio.run(call(SYSTEM_NAME, "CIGate", "handle", secrets.token_hex(8), project, root, body))


def test_no_label_that_people_give_of_a_sealed_row_is_found_anywhere(scene: Scene) -> None:
    """A test set without labels, over HTTP, on the cluster."""
    with Client(scene.endpoint.url, scene.endpoint.token) as admin:
        client = scene.client(admin.create_tenant("asked")["token"])
    _, _, lines = rows_of(400, 2)
    client.create_project("asked", {**TASK, "gate": PAIRED})
    client.upload("asked", "\n".join([HEADER, *lines]).encode(), format="csv")
    wait_for(lambda: client.project("asked")["phase"] == "READY")
    wait_for(lambda: {"dummy", "forest"} <= {model["arm"] for model in client.models("asked")["models"]})
    wait_for(lambda: client.project("asked")["training"] == 0)
    models = {model["arm"]: model["model"] for model in client.models("asked")["models"]}
    spare = iter(models.values())
    while client.gate("asked")["eras"][0]["state"] in ("SEALED", "ACTIVE"):
        gate_model("asked", next(spare), models["dummy"])
        wait_for(lambda: client.gate("asked")["eras"][0]["judging"] is None)

    X, labels, lines = rows_of(300, 3)
    bare = [line.rsplit(",", 1)[0] for line in lines]
    client.upload_test_set("asked", "\n".join(["id,a,b,c", *bare]).encode(), format="csv", labelled=False)
    era = wait_for(lambda: client.gate("asked")["eras"][1:])[0]
    assert (era["labelled"], era["state"]) == (False, "SEALED")
    gate_model("asked", models["forest"], models["dummy"])
    truth = {float(X[i, 2]): (i, labels[i]) for i in range(len(labels))}
    given: dict[int, tuple[int, str]] = {}
    while not client.gate("asked")["eras"][1]["verdicts"]:
        asked = client.requests("asked", kind="LABEL_TEST", state="OPEN", limit=200, rows=True)
        assert all(set(request["row"]) == {"a", "b", "c"} for request in asked)
        given |= {request["id"]: truth[request["row"]["c"]] for request in asked}
        if asked:
            client.answer("asked", {request["id"]: given[request["id"]][1] for request in asked})
        time.sleep(0.2)
    assert len(given) > 2 * WINDOW
    closed = client.requests("asked", kind="LABEL_TEST", state="ANSWERED", limit=500, rows=True)
    assert len(closed) == len(given)
    assert all(request["row"] is None for request in closed)  # shown while their label was wanted
    assert client.gate("asked")["eras"][1]["state"] == "ACTIVE"

    needles = Needles.of(
        [float(X[row, 2]) for row, _ in given.values()], [label for _, label in given.values()]
    )
    for number, (_, label) in given.items():
        needles.texts += [f'"{number}": "{label}'.encode(), f"{number}: '{label}".encode()]
        needles.texts += [f'"request": {number}, "value": "{label}'.encode()]
        needles.texts += [f'"request":{number},"value":"{label}'.encode()]
        needles.texts += [f"request={number}, value='{label}".encode()]
    assert spill() > 0
    assert look_everywhere(scene, needles) > 50
    blobs = Path(scene.system.config.state) / "blobs"
    clear = b"".join(path.read_bytes() for path in blobs.rglob("*") if path.is_file())
    numbers = [np.float64(X[row, 2]).tobytes() for row, _ in given.values()]
    assert not any(number in clear for number in numbers)  # nor are their features in clear any more
