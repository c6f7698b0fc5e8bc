from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from easeml_ray.embed import Classes, Encoder

numbers = st.none() | st.floats(-1e6, 1e6)
texts = st.none() | st.sampled_from(["", "a", "b", "other", "missing", "é"])
rows = st.lists(st.tuples(numbers, texts), min_size=1, max_size=12)


def as_table(cells: list[tuple[float | None, str | None]]) -> pa.Table:
    return pa.table(
        {
            "x": pa.array([x for x, _ in cells], pa.float64()),
            "c": pa.array([c for _, c in cells], pa.string()),
        }
    )


def row_by_row(encoder: Encoder, cells: list[tuple[float | None, str | None]]) -> np.ndarray:
    """Encode with plain loops."""
    number, category = encoder.columns
    encoded = []
    for x, c in cells:
        ones = [float(c == name) for name in category.categories]
        if category.other:
            ones.append(float(c is not None and c not in category.categories))
        encoded.append([0.0 if x is None else (x - number.mean) / number.scale, *ones, float(c is None)])
    return np.array(encoded)


@settings(max_examples=35, deadline=None)
@given(train=rows, other=rows, most=st.integers(1, 4))
def test_encoding_equals_the_loop_over_cells(train: list, other: list, most: int) -> None:
    encoder = Encoder.fit(as_table(train), ["x", "c"], max_categories=most)
    assert np.array_equal(encoder.transform(as_table(other)), row_by_row(encoder, other))
    assert Encoder.from_json(encoder.to_json()) == encoder
    present = [x for x, _ in train if x is not None]
    if present:
        assert math.isclose(encoder.columns[0].mean, float(np.mean(present)), abs_tol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=1, max_size=20))
def test_decoding_undoes_encoding(labels: list[int]) -> None:
    classes = Classes.fit(labels)
    assert classes.decode(classes.encode(labels)) == [str(label) for label in labels]
