"""Invariants of uncertain tables."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from easeml_ray.uncertain import UncertainTable

SETTINGS = settings(max_examples=30, deadline=None)


@st.composite
def tables(draw: st.DrawFn) -> UncertainTable:
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    ids = draw(st.lists(st.integers(-5, 99), min_size=len(sizes), max_size=len(sizes), unique=True))
    columns: dict[str, list[object]] = {"row_id": [], "probability": [], "x": [], "c": [], "label": []}
    for row_id, size in zip(ids, sizes, strict=True):
        weights = np.array(draw(st.lists(st.integers(0, 6), min_size=size, max_size=size)), dtype=float)
        weights[0] += 1
        columns["row_id"] += [row_id] * size
        columns["probability"] += (weights / weights.sum()).tolist()
        columns["x"] += draw(
            st.lists(st.sampled_from([None, 0.0, 0.5, float("nan"), 1e300]), min_size=size, max_size=size)
        )
        columns["c"] += draw(st.lists(st.sampled_from([None, "a", "b"]), min_size=size, max_size=size))
        columns["label"] += draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
    schema = pa.schema(
        {"row_id": pa.int64(), "probability": pa.float64(), "x": pa.float64(), "c": pa.string(),
         "label": pa.int64()}
    )  # fmt: skip
    table = pa.table(columns, schema=schema)
    return UncertainTable(table.take(pa.array(draw(st.permutations(range(table.num_rows))))))


def row_sums(table: UncertainTable) -> np.ndarray:
    return np.add.reduceat(table.probability, table.row_ptr[:-1])


@SETTINGS
@given(tables())
def test_probabilities_sum_to_one_and_entropy_lies_between_its_bounds(table: UncertainTable) -> None:
    np.testing.assert_allclose(row_sums(table), 1, atol=1e-12)
    entropy = table.row_entropy()
    assert (entropy >= 0).all()
    assert (entropy <= np.log2(np.diff(table.row_ptr)) + 1e-9).all()
    assert table.entropy() <= table.log10_worlds() / np.log10(2) + 1e-9


@SETTINGS
@given(tables())
def test_worlds_are_as_many_as_their_enumeration(table: UncertainTable) -> None:
    sizes = np.diff(table.row_ptr)
    n_worlds = sum(1 for _ in product(*(range(size) for size in sizes)))
    assert np.isclose(10 ** table.log10_worlds(), n_worlds)
    rows = [table.probability[a:b] for a, b in pairwise(table.row_ptr)]
    world_masses = [np.prod(masses) for masses in product(*rows)]
    assert np.isclose(sum(world_masses), 1)
    joint = -sum(p * np.log2(p) for p in world_masses)
    assert np.isclose(joint, table.entropy(), atol=1e-9)


@SETTINGS
@given(tables(), st.data())
def test_conditioning_settles_the_row_and_leaves_the_others(
    table: UncertainTable, data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, table.n_rows - 1))
    size = int(np.diff(table.row_ptr)[row])
    alternative = data.draw(st.integers(0, size - 1))
    learned = table.condition(int(table.row_ids[row]), alternative)
    assert learned.row_entropy()[row] == 0
    others = np.arange(table.n_rows) != row
    np.testing.assert_array_equal(learned.row_entropy()[others], table.row_entropy()[others])
    assert learned.row_ids.tolist() == table.row_ids.tolist()
    assert learned.entropy() <= table.entropy() + 1e-12


@SETTINGS
@given(tables(), st.data())
def test_learning_a_cell_twice_is_learning_it_once(table: UncertainTable, data: st.DataObject) -> None:
    row_id = int(data.draw(st.sampled_from(table.row_ids.tolist())))
    column, value = data.draw(
        st.sampled_from(
            [("x", 0.0), ("x", 0.5), ("x", None), ("x", 7.5), ("x", float("nan")), ("c", "a"), ("c", "z"),
             ("c", None), ("label", 1), ("label", 9)]
        )
    )  # fmt: skip
    once = table.condition_cell(row_id, column, value)
    twice = once.condition_cell(row_id, column, value)
    assert once.table.drop_columns(["probability"]).num_rows == twice.table.num_rows
    np.testing.assert_allclose(once.probability, twice.probability, atol=1e-15)
    np.testing.assert_allclose(row_sums(once), 1, atol=1e-12)
    cells = once.alternatives(row_id)[column].to_pylist()
    assert all(cell == value or (cell != cell and value != value) for cell in cells)


@SETTINGS
@given(tables(), st.integers(0, 2**32 - 1))
def test_a_table_of_its_own_records_or_of_a_world_is_well_formed(table: UncertainTable, seed: int) -> None:
    again = UncertainTable(table.table)
    np.testing.assert_array_equal(again.probability, table.probability)
    assert again.row_ptr.tolist() == table.row_ptr.tolist()
    for world in (table.most_probable(), table.sample(np.random.default_rng(seed))):
        certain = UncertainTable(world)
        assert certain.entropy() == 0
        assert certain.row_ids.tolist() == table.row_ids.tolist()
