"""Uncertain tables: form, operations, and what they refuse."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from easeml_ray.errors import (
    DuplicateIds,
    EasemlError,
    InvalidArgument,
    InvalidTable,
    MissingColumn,
    NestedColumn,
    NotFound,
)
from easeml_ray.uncertain import UncertainTable


def records(**changes: Any) -> pa.Table:
    """Row 5 has three alternatives (two agree in x), row 3 is certain, row 8 has two."""
    columns: dict[str, Any] = {
        "row_id": [5, 5, 5, 3, 8, 8],
        "parent_id": pa.array([None, None, None, 2, None, None], pa.int64()),
        "group_id": ["a", "a", "a", "b", "c", "c"],
        "probability": [0.25, 0.5, 0.25, 1.0, 0.4, 0.6],
        "x": [1.0, 1.0, 2.0, 3.0, None, 4.0],
        "c": pa.array(["u", "v", "v", "u", "u", "u"]).dictionary_encode(),
        "label": [0, 0, 1, 1, 0, 0],
    }
    return pa.table({key: value for key, value in {**columns, **changes}.items() if value is not None})


def test_rows_and_records_are_described() -> None:
    table = UncertainTable(records())
    assert table.n_rows == 3
    assert table.row_ids.tolist() == [5, 3, 8]
    assert table.row_ptr.tolist() == [0, 3, 4, 6]
    assert table.probability.tolist() == [0.25, 0.5, 0.25, 1.0, 0.4, 0.6]
    assert table.table.column_names == list(records().column_names)
    assert table.alternatives(8)["x"].to_pylist() == [None, 4.0]
    assert repr(table) == "UncertainTable(3 rows, 6 alternatives)"
    assert table == UncertainTable(table.table)


def test_entropy_is_in_bits_and_adds_over_rows() -> None:
    table = UncertainTable(records())
    h8 = -(0.4 * np.log2(0.4) + 0.6 * np.log2(0.6))
    np.testing.assert_allclose(table.row_entropy(), [1.5, 0.0, h8])
    assert table.entropy() == pytest.approx(1.5 + h8)


def test_worlds_are_counted() -> None:
    assert UncertainTable(records()).log10_worlds() == pytest.approx(np.log10(6))


def test_the_most_probable_world_takes_the_first_of_equals() -> None:
    table = UncertainTable(records(probability=[0.4, 0.4, 0.2, 1.0, 0.4, 0.6]))
    world = table.most_probable()
    assert world["row_id"].to_pylist() == [5, 3, 8]
    assert world["c"].to_pylist() == ["u", "u", "u"]
    assert world["x"].to_pylist() == [1.0, 3.0, 4.0]
    assert UncertainTable(world).entropy() == 0.0


def test_scattered_records_are_gathered_stably() -> None:
    shuffled = records().take(pa.array([4, 0, 3, 1, 5, 2]))
    table = UncertainTable(shuffled)
    assert table.row_ids.tolist() == [8, 5, 3]
    assert table.alternatives(5).equals(UncertainTable(records()).alternatives(5))


def test_equal_alternatives_merge_and_add_up() -> None:
    table = UncertainTable(records(x=[1.0, 1.0, 1.0, 3.0, None, None], c=["u", "v", "u", "u", "u", "u"],
                                   label=[0, 0, 0, 1, 0, 0]))  # fmt: skip
    assert table.row_ptr.tolist() == [0, 2, 3, 4]
    assert table.probability.tolist() == [0.5, 0.5, 1.0, 1.0]


def test_nan_equals_nan_when_alternatives_merge() -> None:
    table = UncertainTable(
        pa.table({"row_id": [1, 1], "probability": [0.5, 0.5], "x": [float("nan"), float("nan")]})
    )
    assert table.row_ptr.tolist() == [0, 1]


def test_impossible_alternatives_are_left_out() -> None:
    table = UncertainTable(records(probability=[0.5, 0.5, 0.0, 1.0, 0.0, 1.0]))
    assert table.row_ptr.tolist() == [0, 2, 3, 4]


def test_parent_and_group_may_be_absent() -> None:
    table = UncertainTable(records(parent_id=None, group_id=None))
    assert table.table["parent_id"].null_count == 6
    assert table.table["group_id"].to_pylist() == [5, 5, 5, 3, 8, 8]


def test_other_integer_and_float_widths_are_widened() -> None:
    table = UncertainTable(
        records(
            row_id=pa.array([5, 5, 5, 3, 8, 8], pa.uint16()),
            probability=pa.array([0.25, 0.5, 0.25, 1, 0.5, 0.5], pa.float32()),
        )
    )
    assert table.table["row_id"].type == pa.int64()
    assert table.table["probability"].type == pa.float64()


def test_conditioning_on_an_alternative_leaves_the_old_table_alone() -> None:
    table = UncertainTable(records())
    before = table.table
    learned = table.condition(5, 1)
    assert learned.row_entropy()[0] == 0.0
    assert learned.alternatives(5)["c"].to_pylist() == ["v"]
    assert learned.alternatives(8).equals(table.alternatives(8))
    assert table.table is before and table.row_ptr.tolist() == [0, 3, 4, 6]
    with pytest.raises(ValueError, match="read-only"):
        table.probability[0] = 1.0


def test_a_cell_keeps_the_alternatives_that_agree() -> None:
    learned = UncertainTable(records()).condition_cell(5, "x", 1.0 + 1e-12)
    np.testing.assert_allclose(learned.probability, [1 / 3, 2 / 3, 1.0, 0.4, 0.6])
    assert learned.alternatives(5)["x"].to_pylist() == [1.0, 1.0]


def test_a_cell_of_a_category_keeps_what_agrees() -> None:
    learned = UncertainTable(records()).condition_cell(5, "c", "v")
    np.testing.assert_allclose(learned.probability[:2], [2 / 3, 1 / 3])


def test_a_cell_that_nothing_agrees_with_is_written_and_equal_alternatives_merge() -> None:
    learned = UncertainTable(records()).condition_cell(5, "c", "new").condition_cell(5, "label", 1)
    # The label keeps the last alternative; before, the first two differed in c only.
    assert learned.alternatives(5).select(["x", "c", "label"]).to_pylist() == [
        {"x": 2.0, "c": "new", "label": 1}
    ]
    merged = UncertainTable(records()).condition_cell(5, "c", "new")
    assert merged.alternatives(5)["x"].to_pylist() == [1.0, 2.0]
    np.testing.assert_allclose(merged.probability[:2], [0.75, 0.25])
    assert pa.types.is_dictionary(merged.table["c"].type)


def test_a_missing_value_can_be_an_answer() -> None:
    table = UncertainTable(records())
    assert table.condition_cell(8, "x", None).alternatives(8)["x"].to_pylist() == [None]
    assert table.condition_cell(8, "x", float("nan")).row_entropy()[2] == 0.0
    assert table.condition_cell(3, "x", None).alternatives(3)["x"].to_pylist() == [None]


@pytest.mark.parametrize("value", [7, 7.0, np.float64(7), np.int32(7), pa.scalar(7)])
def test_numbers_of_any_kind_are_answers(value: Any) -> None:
    learned = UncertainTable(records()).condition_cell(3, "label", value)
    assert learned.alternatives(3)["label"].to_pylist() == [7]
    assert learned.table["label"].type == pa.int64()


def test_sampled_worlds_come_as_often_as_they_are_probable() -> None:
    table = UncertainTable(records())
    rng = np.random.default_rng(0)
    counts: dict[tuple[Any, ...], int] = {}
    for _ in range(3000):
        world = table.sample(rng)
        assert world["row_id"].to_pylist() == [5, 3, 8]
        key = tuple(tuple(row.values()) for row in world.select(["x", "c", "label"]).to_pylist())
        counts[key] = counts.get(key, 0) + 1
    rows = [table.alternatives(i).select(["x", "c", "label"]).to_pylist() for i in (5, 3, 8)]
    masses = [table.alternatives(i)["probability"].to_pylist() for i in (5, 3, 8)]
    assert len(counts) == 6
    for world_rows, world_masses in zip(product(*rows), product(*masses), strict=True):
        key = tuple(tuple(row.values()) for row in world_rows)
        assert counts[key] / 3000 == pytest.approx(np.prod(world_masses), abs=0.03)


def test_certain_tables_have_one_world() -> None:
    table = UncertainTable.certain(pa.table({"row_id": [1, 2], "x": [1.0, None], "label": ["a", "b"]}))
    assert (table.n_rows, table.entropy(), table.log10_worlds()) == (2, 0.0, 0.0)
    assert table.most_probable().equals(table.table)
    with pytest.raises(DuplicateIds) as caught:
        UncertainTable.certain(pa.table({"row_id": [1, 1], "x": [1.0, 2.0]}))
    assert caught.value.rows == [1]
    with pytest.raises(InvalidTable):
        UncertainTable.certain(records())
    with pytest.raises(MissingColumn):
        UncertainTable.certain(pa.table({"x": [1.0]}))


def test_empty_tables_are_tables() -> None:
    table = UncertainTable(records().slice(0, 0))
    assert (table.n_rows, table.entropy(), table.log10_worlds()) == (0, 0.0, 0.0)
    assert table.most_probable().num_rows == table.sample(np.random.default_rng(0)).num_rows == 0
    assert table.row_entropy().shape == (0,)


def test_many_conditionings_stay_one_chunk() -> None:
    table = UncertainTable(records())
    for value in range(5):
        table = table.condition_cell(5, "x", float(value) + 100).condition_cell(8, "c", str(value))
    assert table.table["x"].num_chunks == 1
    assert table.alternatives(8)["c"].to_pylist() == ["4", "4"]


@pytest.mark.parametrize(
    ("changes", "error", "column"),
    [
        ({"row_id": None}, MissingColumn, None),
        ({"probability": None}, MissingColumn, None),
        ({"row_id": ["a"] * 6}, InvalidTable, "row_id"),
        ({"row_id": [5, 5, 5, 3, 8, None]}, InvalidTable, "row_id"),
        ({"probability": [0.25, 0.5, 0.25, 1.0, 0.4, 0.5]}, InvalidTable, "probability"),
        ({"probability": [0.25, 0.5, 0.25, 1.0, 1.4, -0.4]}, InvalidTable, "probability"),
        ({"probability": [0.25, 0.5, 0.25, 1.0, 0.4, float("nan")]}, InvalidTable, "probability"),
        ({"probability": [0.25, 0.5, 0.25, 1.0, 0.4, None]}, InvalidTable, "probability"),
        ({"probability": ["0.2"] * 6}, InvalidTable, "probability"),
        ({"parent_id": ["a"] * 6}, InvalidTable, "parent_id"),
        ({"parent_id": [1, 1, 2, 2, 2, 2]}, InvalidTable, "parent_id"),
        ({"group_id": ["a", "a", "b", "b", "c", "c"]}, InvalidTable, "group_id"),
        ({"group_id": [0.5] * 6}, InvalidTable, "group_id"),
        ({"group_id": ["a", "a", "a", "b", "c", None]}, InvalidTable, "group_id"),
        ({"x": [[1], [2], [3], [4], [5], [6]]}, NestedColumn, "x"),
    ],
)
def test_bad_tables_are_named(changes: dict[str, Any], error: type[EasemlError], column: str | None) -> None:
    with pytest.raises(error) as caught:
        UncertainTable(records(**changes))
    assert caught.value.column == column
    assert caught.value.hint


def test_probabilities_that_do_not_sum_name_their_row() -> None:
    with pytest.raises(InvalidTable) as caught:
        UncertainTable(records(probability=[0.25, 0.5, 0.25, 1.0, 0.4, 0.5]))
    assert caught.value.rows == [8]


def test_more_than_32_alternatives_are_refused_but_equal_ones_count_once() -> None:
    many = pa.table({"row_id": [4] * 33, "probability": [1 / 33] * 33, "x": list(range(33))})
    with pytest.raises(InvalidTable) as caught:
        UncertainTable(many)
    assert caught.value.rows == [4]
    equal = many.set_column(2, "x", pa.array([i % 32 for i in range(33)]))
    assert UncertainTable(equal).table.num_rows == 32


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda t: t.condition(4, 0), NotFound),
        (lambda t: t.condition(5, 3), InvalidArgument),
        (lambda t: t.condition(5, -1), InvalidArgument),
        (lambda t: t.alternatives(4), NotFound),
        (lambda t: t.condition_cell(4, "x", 1.0), NotFound),
        (lambda t: t.condition_cell(5, "y", 1.0), MissingColumn),
        (lambda t: t.condition_cell(5, "probability", 1.0), InvalidArgument),
        (lambda t: t.condition_cell(5, "label", 1.5), InvalidArgument),
        (lambda t: t.condition_cell(5, "label", True), InvalidArgument),
        (lambda t: t.condition_cell(5, "label", 2**80), InvalidArgument),
        (lambda t: t.condition_cell(5, "label", float("nan")), InvalidArgument),
        (lambda t: t.condition_cell(5, "x", 2**1025), InvalidArgument),
        (lambda t: t.condition_cell(5, "c", 3), InvalidArgument),
        (lambda t: t.condition_cell(5, "x", "three"), InvalidArgument),
    ],
)
def test_bad_answers_are_named(call: Any, error: type[EasemlError]) -> None:
    with pytest.raises(error) as caught:
        call(UncertainTable(records()))
    assert caught.value.hint
