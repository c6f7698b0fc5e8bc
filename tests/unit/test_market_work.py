"""Rows of several owners, from the file to what each is paid and to the row ids they get in train."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from projects import small_project

from easeml_ray.component.data import VersionData
from easeml_ray.errors import (
    Conflict,
    HeldOutOverlap,
    InvalidArgument,
    InvalidTable,
    NotFound,
    SchemaMismatch,
    TooLarge,
)
from easeml_ray.market import seller_shapley, split_payment
from easeml_ray.market.label_messages import (
    Labelled,
    LabelsWanted,
    LearnLabels,
    PlacedLabel,
)
from easeml_ray.market.messages import Audit, Buy, Propose, ShowMarket
from easeml_ray.messages import Principal, Role
from easeml_ray.process.messages import CreateProject
from easeml_ray.registry.messages import VersionAdded
from easeml_ray.runtime.local import LocalBench, LocalSystem
from easeml_ray.store.blobs import ArrowBlobStore
from easeml_ray.store.memory import MemoryEventStore

WHO = Principal("lab", Role.TENANT, "ann")


class Shop:
    """A project with data, and files offered to it."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryEventStore()
        self.system = LocalSystem(self.store, ArrowBlobStore(str(folder)))
        known = small_project(noise=0.1)
        task = {**known.task, "when_undecided": "ask", "target_accuracy": 0.9}
        self.send("process", CreateProject(name="small", task=task))
        asyncio.run(self.system.upload("small", WHO, known.data, format="csv"))
        self.data = known.data

    def send(self, component: str, body: Any) -> dict[str, Any]:
        return asyncio.run(self.system.handle(component, "small", WHO, body))

    def offer(
        self, name: str, data: bytes, owner_column: str | None = "donor", labelled: bool = True
    ) -> dict[str, Any]:
        return asyncio.run(
            self.system.offer(
                "small",
                WHO,
                data,
                offer=name,
                seller="co-op",
                price_cents=1001,
                terms="",
                owner_column=owner_column,
                labelled=labelled,
                format="csv",
            )
        )

    @property
    def version(self) -> Any:
        versions = self.system.hosts["registry"].state.projects["small"].versions
        return versions[max(versions)].version

    def shown(self) -> dict[str, Any]:
        return self.system.hosts["market"].state.read("small", ShowMarket())


def rows(count: int = 30, *, seed: int = 9, donors: tuple[str, ...] = ("cyd", "ada", "bob")) -> bytes:
    """Return a file of new rows, those of the last donor labelled at random."""
    rng = np.random.default_rng(seed)
    lines = ["id,a,b,c,y,donor"]
    for row in range(count):
        kind, donor = int(rng.integers(0, 2)), donors[row % len(donors)]
        angle = rng.uniform(0, np.pi)
        x, y = (np.cos(angle), np.sin(angle)) if kind == 0 else (1 - np.cos(angle), 0.5 - np.sin(angle))
        label = int(rng.integers(0, 2)) if donor == donors[-1] else kind
        lines.append(f"{90_000 + row},{x:.4f},{y:.4f},{rng.normal():.4f},{label},{donor}")
    return "\n".join(lines).encode()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, quick_probes: None) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


def test_the_price_is_split_by_the_seller_game_and_an_audit_finds_the_same(shop: Shop) -> None:
    shop.offer("shared", rows())
    before = shop.version
    shop.send("market", Buy(offer="shared", approved_by="ann", version=before))
    (purchase,) = (p for p in shop.shown()["purchases"] if p["offer"] == "shared")
    bench = LocalBench(shop.system, "market", "oracle")
    data = VersionData(bench, "lab", before)
    train, development = data.train, data.development
    offered = shop.system.blobs.get_table("lab", purchase["digest"])
    values = seller_shapley(
        np.concatenate([train.X, data.encoder.transform(offered)]),
        np.concatenate([train.y, data.classes.encode(offered["y"])]),
        np.concatenate([np.full(len(train.y), 3), np.arange(30) % 3]),
        development.X,
        development.y,
        k=5,
    )
    of = {"cyd": values[0], "ada": values[1], "bob": values[2]}
    assert [p["seller"] for p in purchase["payments"]] == sorted(of)
    cents = [p["cents"] for p in purchase["payments"]]
    assert cents == split_payment([of[name] for name in sorted(of)], 1001)
    assert sum(cents) == 1001
    assert purchase["development"] == before.development.digest

    assert shop.send("market", Audit()) == {"intact": True, "recomputed": 1}
    audit = shop.shown()["audit"]
    assert audit["intact"] and audit["purchases"]["shared"]["agrees"]


def test_bought_rows_can_be_traced_to_their_owners(shop: Shop) -> None:
    made = (e.body.command for e in shop.store.read() if isinstance(e.body, VersionAdded))
    added = [one for one in made if one.arrivals]
    (arrival,) = added[0].arrivals
    table = shop.system.blobs.get_table("lab", arrival.digest)
    assert set(table["owner"].to_pylist()) == {"ada", "bob", "cyd"}
    assert arrival.rows == table.num_rows == 30 and arrival.places == ""
    bench = LocalBench(shop.system, "market", "trace")
    train = bench.table(added[0].version.train)
    mine = train.filter([i is not None and i >= arrival.first for i in train["row_id"].to_pylist()])
    assert mine["a"].to_pylist() == table["a"].to_pylist()


@pytest.mark.parametrize(
    ("data", "column", "error"),
    [
        (rows(), "nobody", SchemaMismatch),
        (rows(), "a", SchemaMismatch),
        (rows(), "y", SchemaMismatch),
        (rows().replace(b",ada", b",", 1), "donor", InvalidTable),
        (rows(300, donors=tuple(f"d{i}" for i in range(250))), "donor", TooLarge),
    ],
)
def test_owners_that_cannot_be_paid_are_refused(
    shop: Shop, data: bytes, column: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        shop.offer("refused", data, column)
    assert "refused" not in {o["offer"] for o in shop.shown()["offers"]}


def test_a_file_without_an_owner_column_has_one_owner(shop: Shop) -> None:
    shop.offer("whole", rows(seed=12), None)
    made = next(o for o in shop.shown()["offers"] if o["offer"] == "whole")
    assert made["owners"] == 1


def test_rows_that_are_held_out_are_refused_without_saying_which(shop: Shop) -> None:
    with pytest.raises(HeldOutOverlap) as caught:
        shop.offer("stolen", shop.data, None)
    assert caught.value.count > 0 and "row" in str(caught.value)
    assert "stolen" not in {o["offer"] for o in shop.shown()["offers"]}
    assert shop.shown()["refused"] == [{"offer": "stolen", "seller": "co-op", "held_out": caught.value.count}]
    with pytest.raises(NotFound):
        shop.send("market", Buy(offer="stolen", approved_by="ann", version=shop.version))


def unlabelled(seed: int) -> bytes:
    lines = [line.split(b",") for line in rows(12, seed=seed).split(b"\n")]
    return b"\n".join(b",".join(line[:4]) for line in lines)


def test_rows_without_labels_are_valued_bought_and_labelled_in_rounds(shop: Shop) -> None:
    data = unlabelled(31)
    assert shop.offer("bare", data, None, labelled=False) == {"offer": "bare", "rows": 12}
    before = shop.version
    shop.send(
        "market",
        Propose(version=before, accuracy=0.5, target_accuracy=0.9, budget_cents=2000.0, label_cents=2.5),
    )
    plan, values = shop.shown()["plan"], shop.shown()["values"]
    worth = {one["offer"]: one for one in plan["alone"]}
    assert worth["bare"]["cost_cents"] == 1001 + 30 and worth["whole"]["cost_cents"] == 1001
    assert plan["curve"][0]["spent_cents"] == 0
    assert len(plan["curve"]) == len(plan["chosen"]) + 1
    assert values["number"] == before.number and values["kept"][-1] == 1.0
    assert values["best"][-1] == values["worst"][-1] and len(values["highest"]) == 10
    assert values["highest"][0][1] > values["lowest"][0][1]

    shop.send("market", Buy(offer="bare", approved_by="ann", version=before))
    done = 0
    while not shop.shown()["labelling"]["bare"]["over"]:
        event = [e.body for e in shop.store.read() if isinstance(e.body, LabelsWanted)][-1]
        wanted = event.command
        assert wanted.first == done and wanted.classes == ("0", "1")
        (row,) = asyncio.run(shop.system.offered_rows("small", [(event.digest, wanted.first)]))
        assert set(row) == {"a", "b", "c"}
        places = range(wanted.first, wanted.first + wanted.count)
        # Nobody knows the class of the first row.
        labels = tuple(
            PlacedLabel(place=place, label="1" if place else None, cost_cents=2.5)
            for place in reversed(places)
        )
        shop.send("market", LearnLabels(offer="bare", labels=labels))
        done += wanted.count
    assert done == 12 and shop.shown()["labelling"]["bare"] == {"asked": 12, "labelled": 11, "over": True}
    (labelled,) = (e.body.command for e in shop.store.read() if isinstance(e.body, Labelled))
    table = shop.system.blobs.get_table("lab", labelled.digest)
    assert labelled.rows == table.num_rows == 11 and set(table["y"].to_pylist()) == {"1"}
    assert shop.version.number == before.number + 1
    bench = LocalBench(shop.system, "market", "labelled")
    train = bench.table(shop.version.train)
    assert train.num_rows == bench.table(before.train).num_rows + 11
    assert train["a"].to_pylist()[-11:] == table["a"].to_pylist()
    with pytest.raises(NotFound):
        shop.send("market", LearnLabels(offer="whole", labels=()))
    with pytest.raises(Conflict, match="begun and ended"):
        shop.send("market", LearnLabels(offer="bare", labels=()))
    # No development row both values rows and judges the values.
    words = re.search(r"on (\d+) development rows, .* on (\d+) others", values["method"])
    assert words is not None
    assert sum(int(word) for word in words.groups()) == before.development.rows


def test_rows_without_labels_are_offered_as_such(shop: Shop) -> None:
    with pytest.raises(SchemaMismatch, match="has the label column"):
        shop.offer("refused", rows(), None, labelled=False)
    with pytest.raises(SchemaMismatch, match="lacks the columns y"):
        shop.offer("refused", unlabelled(32), None)
    owned = b"\n".join(line + b",ada" for line in unlabelled(33).split(b"\n")).replace(b"c,ada", b"c,donor")
    with pytest.raises(InvalidArgument, match="several owners"):
        shop.offer("refused", owned, "donor", labelled=False)
