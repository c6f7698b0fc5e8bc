"""What comes is known again: rows of test sets as they came, whatever became of them since."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from projects import csv_bytes, small_project, table_of

from easeml_ray.component.base import Job
from easeml_ray.errors import AlreadyExists, Conflict, HeldOutOverlap, TooLarge
from easeml_ray.market.messages import OfferMade
from easeml_ray.messages import Principal, Role
from easeml_ray.process.messages import CreateProject
from easeml_ray.process.task import parse_task
from easeml_ray.registry.messages import (
    Absorb,
    AddVersion,
    Correction,
    PillarsSealed,
    Revise,
    ReviseVersion,
    ShowVersions,
    TestSetAdded,
    VersionAdded,
)
from easeml_ray.registry.work import revise_version
from easeml_ray.runtime import system as system_module
from easeml_ray.runtime.intake import TestSet, take
from easeml_ray.runtime.local import LocalBench, LocalSystem
from easeml_ray.store.blobs import ArrowBlobStore
from easeml_ray.store.memory import MemoryEventStore

WHO = Principal("lab", Role.TENANT, "ann")
NAMES = ["a", "b", "c"]
GATE = {"condition": "n > 0.5 +/- 0.3", "steps": 1}


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


class House:
    """A project with missing cells that waits for an answer, so that nothing is trained."""

    def __init__(
        self, folder: Path, *, change: Callable[[bytes], bytes] = lambda data: data, **changes: Any
    ) -> None:
        self.store = MemoryEventStore()
        self.system = LocalSystem(self.store, ArrowBlobStore(str(folder)))
        self.known = small_project(noise=0.0, missing=0.4)
        task = {**self.known.task, "target_accuracy": 0.999, "when_undecided": "ask", "gate": GATE, **changes}
        self.task = parse_task(task)
        self.send("process", CreateProject(name="small", task=task))
        run(self.system.upload("small", WHO, change(self.known.data), format="csv"))

    def send(self, component: str, body: Any) -> dict[str, Any]:
        return run(self.system.handle(component, "small", WHO, body))

    def add(self, data: bytes, **more: Any) -> dict[str, Any]:
        return run(self.system.upload_test_set("small", WHO, data, format="csv", **more))

    def told(self, kind: type) -> list[Any]:
        return [event.body for event in self.store.read() if isinstance(event.body, kind)]

    @property
    def version(self) -> Any:
        return run(self.system._latest("small"))[0]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, quick_probes: None) -> House:
    return House(tmp_path_factory.mktemp("house"))


@pytest.fixture
def own(tmp_path: Path, quick_probes: None) -> House:
    return House(tmp_path)


def fresh(count: int, seed: int, *, rows: list[str] | None = None) -> bytes:
    """Return a file of new rows, with given ones (a, b, c and y as text) behind the third."""
    rng = np.random.default_rng(seed)
    data = csv_bytes(table_of(rng.normal(size=(count, 3)), rng.integers(0, 2, count), NAMES))
    lines = data.decode().splitlines()
    lines[4:4] = [f'"g{i}",{row}' for i, row in enumerate(rows or [])]
    return "\n".join(lines).replace('"r', f'"f{seed}-').encode()


def incomplete(house: House) -> list[str]:
    """Return the rows of the first file that came with a missing cell, without their ids."""
    lines = house.known.data.decode().splitlines()[1:]
    return [line.split(",", 1)[1] for line in lines if "" in line.split(",")]


def test_rows_are_known_as_they_came_though_their_missing_cells_were_filled(house: House) -> None:
    assert house.version.uncertain_rows > 50  # they have alternatives by now
    rows = incomplete(house)
    with pytest.raises(HeldOutOverlap) as caught:
        house.add(fresh(30, 1, rows=rows[:7]))
    assert caught.value.count == 7
    assert caught.value.rows == [4, 5, 6, 7, 8, 9, 10]
    assert "4, 5, 6, 7, 8, …" in caught.value.message
    with pytest.raises(HeldOutOverlap) as caught:
        house.add(fresh(30, 1, rows=rows[:50]))
    assert (caught.value.count, caught.value.rows) == (50, list(range(4, 24)))


def test_a_preparation_gets_names_of_blobs_and_no_tables(house: House, monkeypatch: Any) -> None:
    seen: list[TestSet] = []
    take = LocalSystem.take

    async def watched(self: Any, asked: TestSet, data: bytes) -> Any:
        seen.append(asked)
        return await take(self, asked, data)

    monkeypatch.setattr(LocalSystem, "take", watched)
    house.add(fresh(30, 2))
    values = [getattr(seen[0], field.name) for field in fields(seen[0])]
    assert not any(isinstance(value, pa.Table | list) for value in values)
    assert all(isinstance(name, str) and len(name) == 64 for name in seen[0].known)


def test_digests_take_sixteen_bytes_each_in_one_sorted_blob(house: House) -> None:
    (sealed,) = (event.command for event in house.told(PillarsSealed))
    packed = bytes(house.system.blobs.get("lab", sealed.known))
    assert len(packed) == 2 * 16 * sealed.version.train.rows
    digests = [packed[i : i + 16] for i in range(0, len(packed), 16)]
    assert digests == sorted(set(digests))


def test_bought_rows_are_known_as_they_came(own: House) -> None:
    rows = ["0.25,,0.5,1", "1.25,0.75,,0"]
    terms = {"offer": "o", "seller": "s", "price_cents": 1, "terms": "", "format": "csv"}
    run(own.system.offer("small", WHO, fresh(10, 3, rows=rows), **terms))
    (digest,) = [
        e.body.command.digest for e in own.store.read(prefix="market/") if isinstance(e.body, OfferMade)
    ]
    own.send(
        "registry", Revise(number=own.version.number, corrections=(), purchases=(digest,), reason="purchase")
    )
    with pytest.raises(HeldOutOverlap) as caught:
        own.add(fresh(30, 4, rows=rows))
    assert caught.value.rows == [4, 5]


def test_rows_are_known_as_they_were_corrected(own: House) -> None:
    cells = own.known.cells
    row_id, column = min(cells)
    value = round(cells[row_id, column] + 0.125, 4)
    correction = Correction(pillar="train", row_id=row_id, column=column, value=value, evidence="e")
    own.send(
        "registry",
        Revise(number=own.version.number, corrections=(correction,), purchases=(), reason="answers"),
    )
    given = own.known.data.decode().splitlines()[row_id + 1].split(",")[1:]
    given[NAMES.index(column)] = str(value)
    with pytest.raises(HeldOutOverlap) as caught:
        own.add(fresh(30, 5, rows=[",".join(given)]))
    assert caught.value.rows == [4]
    assert own.told(VersionAdded)[-1].command.known


def test_labelled_rows_of_a_window_are_known_while_they_wait(own: House) -> None:
    served = pa.table(
        {
            "a": [0.5],
            "b": pa.nulls(1, pa.float64()),
            "c": [0.25],
            "_label_code": pa.array([1]),
            "_request": ["s:0"],
        }
    )
    digest = own.system.blobs.put_table("lab", served)
    own.send("registry", Absorb(source="window:1", digest=digest, rows=1))
    for number in (own.version.number, None):
        with pytest.raises(HeldOutOverlap) as caught:
            own.add(fresh(30, 6, rows=["0.5,,0.25,1"]))
        assert caught.value.rows == [4]
        if number:
            own.send("registry", Revise(number=number, corrections=(), purchases=(), reason="released"))
    assert own.told(VersionAdded)[-1].command.counts["added"] == 1.0


def test_the_rows_of_a_released_set_are_no_fresh_ones_and_may_be_offered(own: House) -> None:
    data = fresh(30, 7)
    own.add(data)
    (added,) = (event.command for event in own.told(TestSetAdded))
    terms = {"offer": "o", "seller": "s", "price_cents": 1, "terms": "", "format": "csv"}
    with pytest.raises(HeldOutOverlap) as stolen:
        run(own.system.offer("small", WHO, data, **terms))
    assert (stolen.value.count, stolen.value.rows) == (30, [])
    # Only two of its rows were labelled; the others are nowhere in train.
    labelled = pa.table({"a": [9.0, 8.0], "b": [1.0, 1.0], "c": [1.0, 1.0], "y": ["0", "1"]})
    digest = own.system.blobs.put_table("lab", labelled.append_column("group_id", pa.array(["k", "l"])))
    own.send("registry", Absorb(source="era:2", digest=digest, rows=2, sealed=added.stable, train_only=True))
    with pytest.raises(HeldOutOverlap) as caught:
        own.add(data.replace(b'"f7', b'"again'))
    assert caught.value.count == 30
    run(own.system.offer("small", WHO, data, **{**terms, "offer": "later"}))
    shown = run(own.system.read("registry", "small", ShowVersions()))
    assert shown["test_sets"][1] == {"rows": 30, "sealed": False}
    assert 30 not in shown["stable_rows"]


# -- two things at a time ---------------------------------------------------------------------------


class Meanwhile:
    """Does something while a test set is being checked; counts how often one is."""

    def __init__(self, house: House, monkeypatch: Any, *steps: Callable[[], Any]) -> None:
        self.count = 0
        self.steps = list(steps)
        monkeypatch.setattr(system_module, "_PAUSES", (0.0,) * 4)
        take = house.system.take

        async def watched(asked: TestSet, data: bytes) -> Any:
            body = await take(asked, data)
            self.count += 1
            if self.steps:
                found = self.steps.pop(0)()
                if asyncio.iscoroutine(found):
                    await found
            return body

        monkeypatch.setattr(house.system, "take", watched)


def test_of_two_equal_sets_at_a_time_one_is_taken(own: House, monkeypatch: Any) -> None:
    data = fresh(30, 8)
    Meanwhile(own, monkeypatch, lambda: own.system.upload_test_set("small", WHO, data, format="csv"))
    with pytest.raises(HeldOutOverlap):
        own.add(data)
    assert len(own.told(TestSetAdded)) == 1


def test_of_two_sets_at_a_time_both_are_taken(own: House, monkeypatch: Any) -> None:
    other = fresh(30, 9)
    Meanwhile(own, monkeypatch, lambda: own.system.upload_test_set("small", WHO, other, format="csv"))
    assert own.add(fresh(31, 10)) == {"stable_rows": 31}
    assert [added.command.stable_rows for added in own.told(TestSetAdded)] == [30, 31]


def test_a_set_waits_for_rows_that_are_joining(own: House, monkeypatch: Any) -> None:
    digest = own.system.blobs.put_table("lab", _offered(["5.5"]))
    revise = Revise(number=own.version.number, corrections=(), purchases=(digest,), reason="purchase")
    begin = partial(own.system._handle, "registry", "small", WHO, revise)
    meanwhile = Meanwhile(own, monkeypatch, begin, lambda: None, own.system.settle)
    with pytest.raises(HeldOutOverlap) as caught:
        own.add(fresh(30, 11, rows=["5.5,1.0,1.0,1"]))
    assert caught.value.rows == [4]
    assert meanwhile.count == 3


def test_a_set_is_given_up_when_rows_go_on_joining(own: House, monkeypatch: Any) -> None:
    revise = Revise(number=own.version.number, corrections=(), purchases=(), reason="purchase")
    meanwhile = Meanwhile(own, monkeypatch, partial(own.system._handle, "registry", "small", WHO, revise))
    with pytest.raises(Conflict, match="joining") as caught:
        own.add(fresh(30, 12))
    assert "Try again" in caught.value.hint
    assert meanwhile.count == 5


def _offered(values: list[str]) -> pa.Table:
    ones = [1.0] * len(values)
    rows = {"a": [float(v) for v in values], "b": ones, "c": ones, "y": ["1"] * len(values)}
    return pa.table({**rows, "group_id": [f"w{v}" for v in values]})


# -- an answer that was lost ------------------------------------------------------------------------


def test_a_set_whose_answer_was_lost_can_be_sent_again(own: House, monkeypatch: Any) -> None:
    data = fresh(30, 13)
    first = own.add(data, command_id="k1")
    length = len(own.store.read())
    meanwhile = Meanwhile(own, monkeypatch)
    assert own.add(data, command_id="k1") == first == {"stable_rows": 30}
    assert (len(own.store.read()), meanwhile.count) == (length, 0)
    with pytest.raises(HeldOutOverlap):
        own.add(data, command_id="k2")


def test_an_upload_that_comes_again_is_not_prepared_again(
    tmp_path: Path, quick_probes: None, monkeypatch: Any
) -> None:
    house = House(tmp_path)
    house.send("process", CreateProject(name="other", task={**house.known.task, "gate": GATE}))
    upload = house.system.upload
    first = run(upload("other", WHO, house.known.data, format="csv", command_id="up"))
    meanwhile = Meanwhile(house, monkeypatch)
    assert run(upload("other", WHO, house.known.data, format="csv", command_id="up")) == first
    for other in ("up-2", None):
        with pytest.raises(AlreadyExists):
            run(upload("other", WHO, house.known.data, format="csv", command_id=other))
    assert meanwhile.count == 0
    assert run(house.system.replied("registry", "never")) is None


# -- what is told -----------------------------------------------------------------------------------


def test_of_a_class_only_what_is_needed_is_told(tmp_path: Path, quick_probes: None) -> None:
    condition = 'n > 0.5 +/- 0.3 /\\ recall(n, "1") > 0.3 +/- 0.3 /\\ n[a = "1"] > 0.1 +/- 0.45'
    house = House(tmp_path, change=_sliced, gate={"condition": condition, "steps": 1})
    house.add(_sliced(fresh(150, 14)))
    house.add(_sliced(fresh(250, 15)))
    told = [body.command.subset_rows for kind in (PillarsSealed, TestSetAdded) for body in house.told(kind)]
    of_class, of_slice = 'rows of the class "1"', 'rows where a is "1"'
    assert all(set(one) == {of_class, of_slice} for one in told)
    assert len({one[of_class] for one in told}) == 1
    assert 0 < told[0][of_class] < 75  # the clause needs no more, and they all have more
    assert len({one[of_slice] for one in told}) == 3


def _with_slice(line: str, place: int) -> str:
    cells = line.split(",")
    cells[1] = str(place % 2)
    return ",".join(cells)


def _sliced(data: bytes) -> bytes:
    lines = data.decode().splitlines()
    return "\n".join([lines[0], *(_with_slice(line, i) for i, line in enumerate(lines[1:]))]).encode()


def test_classes_that_no_request_can_carry_are_refused_before_people_are_asked(house: House) -> None:
    names = [f"class {i:04d} " + "x" * 50 for i in range(500)]
    schema = house.system.blobs.get_json("lab", house.version.schema)
    options: dict[str, Any] = {
        "format": "csv",
        "tenant": "lab",
        "task": house.task,
        "public_key": b"",
        "labelled": False,
        "known": (),
        "waiting": (),
        "checked": 0,
    }
    local: dict[str, Any] = {"blobs": house.system.blobs, "data_key": b"key"}
    with pytest.raises(TooLarge) as caught:
        take(TestSet(schema={**schema, "classes": names}, **options), b"", **local)
    assert caught.value.limit == 24 * 1024 < caught.value.size == len(json.dumps(names))
    assert "with its labels" in caught.value.hint
    short = ["ä" * 8 for _ in range(600)]  # in a message each takes six times the room
    with pytest.raises(TooLarge):
        take(TestSet(schema={**schema, "classes": short}, **options), b"", **local)


def test_rows_of_a_biased_sample_join_train_alone(house: House) -> None:
    rows = [str(i) for i in range(100, 160)]
    digest = house.system.blobs.put_table("lab", _offered(rows))
    revise = Revise(number=house.version.number, corrections=(), purchases=(), reason="released")
    body = ReviseVersion(
        command=revise,
        version=house.version,
        absorbed=(digest,),
        held_out=(),
        next_row_id=10_000,
    )
    bench = LocalBench(house.system, "registry", "test")
    made: dict[bool, AddVersion] = {}
    for only in (True, False):
        work = replace(body, train_only=(digest,) if only else ())
        made[only] = revise_version(Job("id", "small", "lab", 0, work), bench)
    grown = {only: one.version.development.rows - body.version.development.rows for only, one in made.items()}
    assert grown[True] == 0 < grown[False] < 60
    assert made[True].version.train.rows == body.version.train.rows + 60
