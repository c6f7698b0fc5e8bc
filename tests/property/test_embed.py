from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from easeml_ray.embed import Classes, Encoder, embedding_named

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


# Rows that repeat, constant columns, single rows and single features all occur.
tables = st.tuples(st.integers(1, 12), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.sampled_from([-1e6, -1.5, 0.0, 0.1, 2.0, 1e-9]))
)
table_names = st.sampled_from(
    [
        "raw",
        "standardise",
        "quantile",
        "pca-3",
        "random-projection-3",
        "random-fourier-5",
        "nca-2",
        "discriminant",
    ]
)


@settings(max_examples=60, deadline=None)
@given(table_names, tables, st.data())
def test_a_row_is_embedded_the_same_in_any_company(name: str, train: np.ndarray, data: st.DataObject) -> None:
    labels = data.draw(arrays(np.int64, len(train), elements=st.integers(0, 2)))
    fitted = embedding_named(name).fit(train, labels)
    Z = fitted.transform(train)
    assert Z.shape == (len(train), fitted.n_dimensions) and np.isfinite(Z).all()
    index = data.draw(st.lists(st.integers(0, len(train) - 1), min_size=1, max_size=200))
    assert np.array_equal(fitted.transform(train[index]), Z[index])


@settings(max_examples=30, deadline=None)
@given(tables)
def test_quantiles_depend_only_on_the_order_of_values(train: np.ndarray) -> None:
    rising = np.cbrt(train) * 3.0 + 1.0
    before, after = (embedding_named("quantile").fit(X).transform(X) for X in (train, rising))
    assert np.array_equal(before, after)


@settings(max_examples=30, deadline=None)
@given(tables, st.integers(1, 6))
def test_components_never_lengthen_a_distance(train: np.ndarray, k: int) -> None:
    S, Z = (embedding_named(name).fit(train).transform(train) for name in ("standardise", f"pca-{k}"))
    longer = np.linalg.norm(Z[0] - Z, axis=1) - np.linalg.norm(S[0] - S, axis=1)
    assert longer.max() < 1e-9
