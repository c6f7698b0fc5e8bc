"""Invariants of stored models: damage is noticed, and rows are independent of one another."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from easeml_ray.arms import ModelMetadata, ServableModel, dump, load, train
from easeml_ray.embed import Classes, Encoder
from easeml_ray.errors import StoreError, TooLarge

TABLE = pa.table({"x": np.linspace(-1, 1, 30), "kind": ["a", "b", "c"] * 10})


@cache
def model() -> ServableModel:
    encoder, classes = Encoder.fit(TABLE, ["x", "kind"]), Classes(("high", "low"))
    X, y = encoder.transform(TABLE), (TABLE["x"].to_numpy() > 0).astype(int)
    fitted = train("naive_bayes", X, y, X, y, n_classes=2, seed=0)
    metadata = ModelMetadata("naive_bayes", "line", 1, fitted.dev_accuracy, fitted.dev_lower, 30, 0)
    return ServableModel(fitted.estimator, encoder, classes, metadata)


@cache
def container() -> bytes:
    return dump(model())


@given(st.data())
@settings(max_examples=35, deadline=None)
def test_a_damaged_container_is_refused_or_unharmed(data: Any) -> None:
    damaged = bytearray(container())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = load(bytes(damaged[: data.draw(st.sampled_from([len(damaged), len(damaged) // 2]))]))
    except (StoreError, TooLarge):
        return
    assert (found.predict_proba(TABLE) == model().predict_proba(TABLE)).all()


records = st.fixed_dictionaries(
    {
        "x": st.none() | st.floats(-1e6, 1e6) | st.integers(-5, 5) | st.booleans(),
        "kind": st.none() | st.sampled_from("abcd"),
    }
)


@given(st.lists(records, max_size=6))
@settings(max_examples=20, deadline=None)
def test_a_row_s_answer_does_not_depend_on_the_others(rows: list[dict[str, Any]]) -> None:
    together = model().predict_proba(rows)
    assert together.shape == (len(rows), 2)
    for i, row in enumerate(rows):
        assert np.allclose(model().predict_proba([row])[0], together[i], rtol=1e-12, atol=0)
