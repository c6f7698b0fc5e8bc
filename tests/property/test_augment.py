"""Invariants of repairs over random tables with missing cells."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from easeml_ray.augment import DEFAULT_REPAIRERS, alternatives
from easeml_ray.augment.columns import missing
from easeml_ray.uncertain import UncertainTable


@st.composite
def train_tables(draw: st.DrawFn) -> pa.Table:
    n = draw(st.integers(2, 8))
    number = st.one_of(st.none(), st.sampled_from([-1.5, 0.0, 2.0, float("nan")]))
    columns = {
        "x": pa.array([1.0, *draw(st.lists(number, min_size=n, max_size=n))], pa.float64()),
        "n": pa.array(
            [3, *draw(st.lists(st.none() | st.integers(-4, 4), min_size=n, max_size=n))], pa.int32()
        ),
        "c": pa.array(["a", *draw(st.lists(st.sampled_from([None, "a", "b"]), min_size=n, max_size=n))]),
    }
    return pa.table({"row_id": np.arange(n + 1), **columns, "label": [0] * (n + 1)})


@settings(max_examples=15, deadline=None)
@given(train_tables())
def test_alternatives_complete_each_row_and_keep_what_was_there(table: pa.Table) -> None:
    found = alternatives(table, ["x", "n", "c"], "label")
    uncertain = UncertainTable(found)
    assert uncertain.row_ids.tolist() == table["row_id"].to_pylist()
    assert (np.diff(uncertain.row_ptr) <= len(DEFAULT_REPAIRERS)).all()
    np.testing.assert_allclose(np.add.reduceat(uncertain.probability, uncertain.row_ptr[:-1]), 1)
    gaps = {name: missing(table[name]) for name in ("x", "n", "c")}
    complete = ~(gaps["x"] | gaps["n"] | gaps["c"])
    assert (np.diff(uncertain.row_ptr)[complete] == 1).all()
    for name, gap in gaps.items():
        assert not missing(found[name]).any()
        original = dict(zip(table["row_id"].to_pylist(), table[name].to_pylist(), strict=True))
        for row_id, value in zip(found["row_id"].to_pylist(), found[name].to_pylist(), strict=True):
            assert gap[row_id] or value == original[row_id]
