"""Repair strategies and the uncertain table that they make."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from easeml_ray.augment import DEFAULT_REPAIRERS, REPAIRERS, Repairer, alternatives, repairer_named
from easeml_ray.augment.columns import fill_column, missing
from easeml_ray.augment.neighbours import NeighbourRepairer
from easeml_ray.errors import (
    DuplicateIds,
    EmptyColumn,
    InvalidArgument,
    InvalidTable,
    MissingColumn,
    NotFound,
    NotReady,
    SchemaMismatch,
)
from easeml_ray.uncertain import UncertainTable


def features() -> pa.Table:
    return pa.table(
        {
            "x": pa.array([1.0, 2.0, None, float("nan"), 9.0, 2.0]),
            "n": pa.array([1, 2, 2, None, 8, 4], pa.int16()),
            "flag": pa.array([True, None, True, False, True, False]),
            "city": pa.array(["b", "a", None, "a", "b", "c"]),
            "size": pa.array(["s", None, "m", "s", "l", "s"])
            .dictionary_encode()
            .cast(pa.dictionary(pa.int8(), pa.large_string())),
            "whole": pa.array([5, 6, 7, 8, 9, 10]),
        }
    )


def train() -> pa.Table:
    table = features().append_column("label", pa.array(list("uvuvuv")))
    return table.add_column(0, "row_id", pa.array([10, 11, 12, 13, 14, 15]))


@pytest.mark.parametrize("name", sorted(REPAIRERS))
def test_every_repairer_keeps_the_contract(name: str) -> None:
    repairer, table = repairer_named(name), features()
    assert isinstance(repairer, Repairer)
    assert repairer.name == name
    filled = repairer.fit(table).complete(table)
    assert filled.schema == table.schema
    for column in table.column_names:
        assert not missing(filled[column]).any()
        there = ~missing(table[column])
        before, after = table[column].to_pylist(), filled[column].to_pylist()
        assert [b for b, t in zip(before, there, strict=True) if t] == [
            a for a, t in zip(after, there, strict=True) if t
        ]
    assert repairer.complete(table).equals(filled)
    assert repairer.complete(table.slice(0, 0)).num_rows == 0


@pytest.mark.parametrize(
    ("name", "x", "n", "flag", "city", "size"),
    [
        ("mean", 3.5, 3, True, "a", "s"),
        ("median", 2.0, 2, True, "a", "s"),
        ("mode", 2.0, 2, True, "a", "s"),
        ("lower_quartile", 1.75, 2, False, "b", "l"),
        ("upper_quartile", 3.75, 4, True, "c", "m"),
        ("constant", 0.0, 0, False, "missing", "missing"),
    ],
)
def test_column_repairers_fill_with_their_statistic(
    name: str, x: float, n: int, flag: bool, city: str, size: str
) -> None:
    filled = repairer_named(name).fit(features()).complete(features())
    assert filled["x"].to_pylist()[2:4] == [x, x]
    assert filled["n"].to_pylist()[3] == n
    assert filled["flag"].to_pylist()[1] is flag
    assert filled["city"].to_pylist()[2] == city
    assert filled["size"].to_pylist()[1] == size


def test_neighbours_are_found_by_the_other_cells() -> None:
    table = pa.table({"a": [0.0, 0.1, 0.2, 100.0, 100.1, 100.2], "b": [1.0, 1.0, None, 7.0, None, 7.0]})
    filled = NeighbourRepairer(k=2).fit(table).complete(table)
    np.testing.assert_allclose(filled["b"].to_numpy(), [1, 1, 1, 7, 7, 7])


def test_neighbours_use_evenly_spaced_donors() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=200)
    b = pa.array([None if i % 10 == 3 else 2 * v for i, v in enumerate(a)])
    table = pa.table({"a": a, "b": b})
    few = NeighbourRepairer(k=1, max_donors=20).fit(table).complete(table)["b"].to_numpy()
    gaps = missing(table["b"])
    assert np.abs(few - 2 * a)[gaps].mean() < 0.6
    with pytest.raises(InvalidArgument):
        NeighbourRepairer(k=0)


def test_only_categorical_columns_have_neighbours_too() -> None:
    table = pa.table({"c": ["a", None, "a", "b"]})
    assert NeighbourRepairer().fit(table).complete(table)["c"].to_pylist() == ["a", "a", "a", "b"]


def test_large_integers_keep_every_digit() -> None:
    column = pa.chunked_array([pa.array([2**62 + 1, None])])
    assert fill_column(column, 3.0).to_pylist() == [2**62 + 1, 3]


def test_repairers_refuse_what_they_cannot_do() -> None:
    with pytest.raises(NotReady):
        repairer_named("mean").complete(features())
    with pytest.raises(SchemaMismatch):
        repairer_named("mean").fit(features()).complete(features().select(["x"]))
    with pytest.raises(NotFound) as caught:
        repairer_named("guess")
    assert caught.value.name == "guess"
    for name in REPAIRERS:
        with pytest.raises(EmptyColumn) as empty:
            repairer_named(name).fit(pa.table({"x": pa.array([None, None], pa.float64())}))
        assert empty.value.column == "x"
    with pytest.raises(InvalidTable):
        repairer_named("mean").fit(pa.table({"x": [1.0, float("inf")]}))
    with pytest.raises(InvalidTable) as dates:
        repairer_named("mean").fit(pa.table({"day": pa.array([1, None], pa.date32())}))
    assert dates.value.column == "day"


def test_complete_columns_of_other_types_pass() -> None:
    table = pa.table({"day": pa.array([1, 2], pa.date32()), "x": [1.0, None]})
    assert repairer_named("mean").fit(table).complete(table)["day"].equals(table["day"])


def test_alternatives_are_whole_rows_by_strategy_never_a_cross_product() -> None:
    result = alternatives(train(), features().column_names, "label")
    table = UncertainTable(result)
    assert result.column_names == [
        "row_id", "parent_id", "group_id", "probability", *features().column_names, "label",
    ]  # fmt: skip
    assert table.row_ids.tolist() == [10, 11, 12, 13, 14, 15]
    sizes = np.diff(table.row_ptr)
    assert sizes[[0, 4, 5]].tolist() == [1, 1, 1]
    assert (sizes[[1, 2, 3]] > 1).all() and (sizes <= len(DEFAULT_REPAIRERS)).all()
    for name in features().column_names:
        assert not missing(result[name]).any()
    completions = {
        tuple(repairer_named(n).fit(features()).complete(features()).slice(2, 1).to_pylist()[0].values())
        for n in DEFAULT_REPAIRERS
    }
    found = table.alternatives(12).select(features().column_names).to_pylist()
    assert {tuple(row.values()) for row in found} == completions


def test_probability_is_the_share_of_strategies_that_agree() -> None:
    table = pa.table({"row_id": [1, 2, 3, 4], "x": [0.0, 0.0, 3.0, None], "label": [0, 0, 1, 1]})
    found = alternatives(
        table, ["x"], "label", repairers=["median", "mean", "mode", repairer_named("constant")]
    )
    last = found.filter(pa.array([False, False, False, True, True]))
    assert last["x"].to_pylist() == [0.0, 1.0]
    np.testing.assert_allclose(last["probability"].to_numpy(), [0.75, 0.25])


def test_one_strategy_leaves_no_uncertainty() -> None:
    found = UncertainTable(alternatives(train(), ["x", "city"], "label", repairers=["mean"]))
    assert found.entropy() == 0.0
    assert found.n_rows == 6


def test_complete_tables_stay_as_they_are() -> None:
    found = alternatives(train(), ["whole"], "label")
    assert found["probability"].to_pylist() == [1.0] * 6
    assert found["label"].to_pylist() == list("uvuvuv")


def test_lineage_is_carried_along() -> None:
    table = train().append_column("group_id", pa.array(list("ppqqrr")))
    table = table.append_column("parent_id", pa.array([None, 1, None, 2, None, None], pa.int64()))
    found = alternatives(table, ["x", "n"], "label")
    assert set(zip(*(found[c].to_pylist() for c in ("row_id", "group_id", "parent_id")), strict=True)) == {
        (10, "p", None), (11, "p", 1), (12, "q", None), (13, "q", 2), (14, "r", None), (15, "r", None),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"feature_columns": ["nowhere"]}, MissingColumn),
        ({"label_column": "nowhere"}, MissingColumn),
        ({"feature_columns": ["label"]}, InvalidArgument),
        ({"feature_columns": ["row_id"]}, InvalidArgument),
        ({"feature_columns": []}, InvalidArgument),
        ({"repairers": []}, InvalidArgument),
        ({"repairers": ["mean"] * 33}, InvalidArgument),
        ({"repairers": ["guess"]}, NotFound),
        ({"table": pa.concat_tables([train(), train()])}, DuplicateIds),
        ({"table": train().drop_columns(["row_id"])}, MissingColumn),
    ],
)
def test_bad_calls_are_named(change: dict[str, Any], error: type[Exception]) -> None:
    good = {"table": train(), "feature_columns": ["x"], "label_column": "label"}
    with pytest.raises(error):
        alternatives(**{**good, **change})
