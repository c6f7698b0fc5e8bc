"""What Cleaner proposes for a version with missing cells, and over how many workers it computes it."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections import Counter
from concurrent.futures import Future
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from projects import small_project

from easeml_ray.cleaning import CPClean, work
from easeml_ray.cleaning.messages import Propose, ProposeRepairs, Suggest
from easeml_ray.cleaning.spread import part_information, spread_information
from easeml_ray.cleaning.work import propose_repairs
from easeml_ray.component.base import Job
from easeml_ray.component.executor import LocalExecutor
from easeml_ray.messages import DataVersion, Principal, Role
from easeml_ray.process.messages import CreateProject
from easeml_ray.runtime.local import LocalBench, LocalSystem
from easeml_ray.store.blobs import ArrowBlobStore
from easeml_ray.store.memory import MemoryEventStore

WHO = Principal("lab", Role.TENANT, "ann")


class Proposals:
    """One version of a project with missing cells, and what is proposed for it."""

    def __init__(self, folder: Path) -> None:
        known = small_project(missing=0.3)
        self.system = LocalSystem(MemoryEventStore(), ArrowBlobStore(str(folder)))
        asyncio.run(self.system.handle("process", "small", WHO, CreateProject(name="small", task=known.task)))
        asyncio.run(self.system.upload("small", WHO, known.data, format="csv"))
        # Its labels are noisy, so that it stops at requests to relabel, in its repaired version.
        versions = self.system.hosts["registry"].state.projects["small"].versions
        self.version = versions[max(versions)].version
        self.command = Propose(
            version=self.version,
            accuracy=0.8,
            error=0.2,
            target_accuracy=0.95,
            price_label=10.0,
            price_cell=5.0,
            items=12,
        )

    def propose(
        self, *skipped: str, items: int = 12, version: DataVersion | None = None, continued: bool = False
    ) -> Suggest:
        command = replace(self.command, items=items, version=version or self.version)
        body = ProposeRepairs(command=command, skipped=skipped, noise=None, continued=continued)
        job = Job("propose", "small", WHO.tenant, 0, body)
        return propose_repairs(job, LocalBench(self.system, "cleaning", job.id))

    @cached_property
    def first(self) -> Suggest:
        return self.propose()


@pytest.fixture(scope="module")
def proposals(tmp_path_factory: pytest.TempPathFactory, quick_probes: None) -> Proposals:
    return Proposals(tmp_path_factory.mktemp("proposals"))


def cells(suggested: Suggest) -> Any:
    return next(option for option in suggested.options if option.kind == "CLEAN_CELL")


def test_cells_carry_their_bits_what_they_tell_and_their_part_of_the_gain(proposals: Proposals) -> None:
    suggested = proposals.first
    option = cells(suggested)
    assert len(option.items) == 12
    assert option.cost_cents == 60.0
    assert all(item.bits > 0 and item.information >= 0 for item in option.items)
    assert sum(item.points for item in option.items) == pytest.approx(100 * option.gain.mean, abs=0.01)
    for row in {item.row_id for item in option.items}:
        told = [item.information for item in option.items if item.row_id == row]
        assert told == sorted(told, reverse=True)


def test_the_belief_says_what_cells_can_do_for_the_target(proposals: Proposals) -> None:
    belief = proposals.first.belief
    points = belief.certain_correct + belief.certain_wrong + belief.uncertain_points
    assert points == proposals.version.development.rows
    assert belief.lower <= belief.expected <= belief.upper
    assert belief.action in ("PROCEED", "CLEAN", "ACQUIRE") and belief.reason
    assert belief.certified == (belief.upper < 0.95 and belief.default < 0.95)


def test_skipped_cells_are_not_proposed_again_and_others_take_their_place(proposals: Proposals) -> None:
    first = [item.key for item in cells(proposals.first).items]
    second = [item.key for item in cells(proposals.propose(*first)).items]
    assert len(second) == 12
    assert not set(first) & set(second)


def test_a_row_asked_for_in_part_promises_a_part(proposals: Proposals) -> None:
    """One cell of the first row alone; all it could tell is never promised for less than all of it."""
    suggested = proposals.propose(items=40)
    whole, one = cells(suggested), cells(proposals.propose(items=1))
    assert len(one.items) == 1
    assert 0.0 <= one.gain.mean <= whole.gain.mean
    belief = suggested.belief
    assert whole.gain.mean <= max(0.0, belief.potential - belief.expected) + 1e-12


def test_the_same_version_is_proposed_the_same(proposals: Proposals) -> None:
    assert proposals.first == proposals.propose()


# -- rows that lack several cells, of numbers and of words -----------------------------------------


def mixed_csv(rows: int = 160) -> bytes:
    """Return a file whose rows may lack a number, a word, or both."""
    rng = np.random.default_rng(5)
    lines = ["id,size,colour,kind"]
    for row in range(rows):
        giant = rng.random() < 0.5
        size = f"{rng.normal(3.0 if giant else 0.0, 1.0):.3f}"
        colour = rng.choice(
            ["red", "blue", "a, very; odd 'colour'"], p=[0.6, 0.3, 0.1] if giant else [0.1, 0.8, 0.1]
        )
        if row % 4 == 0:
            size = ""
        if row % 3 == 0:
            colour = ""
        lines.append(f'{row},{size},"{colour}",{"giant" if giant else "dwarf"}')
    return "\n".join(lines).encode()


class Mixed(Proposals):
    """One version of that file."""

    def __init__(self, folder: Path) -> None:
        task = {"label": "kind", "id_column": "id", "target_accuracy": 0.99, "when_undecided": "ask"}
        task["gate"] = {"condition": "n > 0.6 +/- 0.3", "steps": 2}
        self.system = LocalSystem(MemoryEventStore(), ArrowBlobStore(str(folder)))
        asyncio.run(self.system.handle("process", "small", WHO, CreateProject(name="small", task=task)))
        asyncio.run(self.system.upload("small", WHO, mixed_csv(), format="csv"))
        versions = self.system.hosts["registry"].state.projects["small"].versions
        self.version = next(
            versions[n].version for n in sorted(versions) if versions[n].version.uncertain_rows
        )
        self.command = Propose(
            version=self.version,
            accuracy=0.8,
            error=0.2,
            target_accuracy=0.99,
            price_label=10.0,
            price_cell=5.0,
            items=200,
        )


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, quick_probes: None) -> Mixed:
    return Mixed(tmp_path_factory.mktemp("mixed"))


def test_cells_of_words_and_of_numbers_say_what_an_answer_is(mixed: Mixed) -> None:
    items = cells(mixed.first).items
    assert {item.column: item.answer for item in items} == {"size": "number", "colour": "text"}
    for item in items:
        values = [value for value, _ in item.candidates]
        wanted = str if item.answer == "text" else float
        assert len(values) > 1 and all(isinstance(value, wanted) for value in values)
        assert sum(weight for _, weight in item.candidates) == pytest.approx(1.0, abs=0.01)


def test_a_row_that_lacks_two_cells_is_asked_for_cell_by_cell(mixed: Mixed) -> None:
    items = cells(mixed.first).items
    twice = [row for row, count in Counter(item.row_id for item in items).items() if count == 2]
    assert twice
    order = [item.row_id for item in items]
    for row in twice:
        first = order.index(row)
        assert order[first : first + 2] == [row, row]


def test_verified_cells_are_not_asked_for(mixed: Mixed) -> None:
    keys = [item.key for item in cells(mixed.first).items]
    digest = mixed.system.blobs.put_json(WHO.tenant, keys[:10])
    answered = replace(mixed.version, answered=digest)
    left = [item.key for item in cells(mixed.propose(version=answered)).items]
    assert left and not set(left) & set(keys[:10])


def test_no_more_cells_are_asked_for_than_a_message_can_carry(
    mixed: Mixed, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cells(mixed.first).items
    monkeypatch.setattr(work, "_MOST_BYTES", 1_500)
    few = cells(mixed.propose()).items
    assert 0 < len(few) < len(whole)
    assert [item.key for item in few] == [item.key for item in whole][: len(few)]
    assert len(json.dumps([asdict(item) for item in few])) <= 1_500


def test_a_version_with_every_cell_known_ends_the_curve(mixed: Mixed) -> None:
    """Its belief is one accuracy, and there is no advice about cells."""
    versions = mixed.system.hosts["registry"].state.projects["small"].versions
    whole = versions[1].version
    known = replace(whole, train=whole.development, uncertain_rows=0)
    belief = mixed.propose(version=known, continued=True).belief
    assert belief.lower == belief.upper == belief.expected == belief.default
    assert (belief.certain_fraction, belief.uncertain_points, belief.action) == (1.0, 0, None)


def test_values_that_are_no_numbers_are_one_value() -> None:
    compared = work._comparable([float("nan"), 1.0, float("nan"), None, "1.0", None, True])
    assert compared.tolist() == [0, 1, 0, 2, 3, 2, 4]


def three_classes() -> CPClean:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 40)
    row_ptr = np.arange(0, 121, 3)
    X = np.repeat(rng.standard_normal((40, 2)), 3, axis=0) + 0.6 * rng.standard_normal((120, 2))
    return CPClean(X, row_ptr, labels, rng.standard_normal((60, 2)), rng.integers(0, 3, 60))


def test_a_part_that_came_through_an_object_store_is_only_read() -> None:
    clean = three_classes()
    buffers: list[pickle.PickleBuffer] = []
    sent = pickle.dumps(clean, protocol=5, buffer_callback=buffers.append)
    part = pickle.loads(sent, buffers=[bytes(buffer.raw()) for buffer in buffers])
    assert np.array_equal(part_information(part), clean.information())
    assert np.array_equal(part_information(part), clean.information())


def test_workers_that_each_see_some_points_add_up_to_one_that_sees_all() -> None:
    clean = three_classes()
    parts: list[int] = []

    class Three(LocalExecutor):
        width = 3

        def submit(self, function: Any, /, *args: Any) -> Future[Any]:
            parts.append(args[0].n_points)
            return super().submit(function, *args)

    whole = spread_information(clean, LocalExecutor())
    assert parts == []
    assert np.abs(spread_information(clean, Three(), spread_points=10) - whole).max() < 1e-12
    assert len(parts) == 3 and sum(parts) == np.count_nonzero(~clean.certain)
