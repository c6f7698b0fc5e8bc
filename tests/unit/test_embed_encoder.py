from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from easeml_ray.embed import CategoricalColumn, Encoder, NumericColumn
from easeml_ray.embed import columns as module
from easeml_ray.errors import (
    DuplicateIds,
    InvalidArgument,
    InvalidTable,
    MissingColumn,
    NestedColumn,
    SchemaMismatch,
    TooFewRows,
)


def table() -> pa.Table:
    return pa.table(
        {
            "age": pa.array([10, 20, None, 30], pa.int64()),
            "height": pa.array([1.0, float("nan"), 2.0, 3.0]),
            "member": pa.array([True, False, True, None]),
            "city": pa.array(["Bern", "Aarau", None, "Bern"]),
        }
    )


def test_numbers_are_standardised_by_the_values_present_and_missing_ones_become_the_mean() -> None:
    X = Encoder.fit(table(), ["age", "height", "member"]).transform(table())
    age = (np.array([10.0, 20.0, 30.0]) - 20.0) / np.sqrt(200 / 3)
    assert np.allclose(X[[0, 1, 3], 0], age)
    assert X[2, 0] == 0.0 and X[1, 1] == 0.0 and X[3, 2] == 0.0
    assert X.dtype == np.float64 and X.flags.c_contiguous


def test_categories_are_sorted_one_hot_columns_with_one_for_missing_cells() -> None:
    encoder = Encoder.fit(table(), ["city"])
    assert encoder.feature_names == ["city=Aarau", "city=Bern", "city:missing"]
    assert encoder.transform(table()).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_an_unknown_category_gives_zeros() -> None:
    encoder = Encoder.fit(table(), ["city"])
    assert encoder.transform(pa.table({"city": ["Chur"]})).tolist() == [[0, 0, 0]]


def test_the_most_frequent_categories_are_kept_and_the_rest_shares_a_column() -> None:
    train = pa.table({"c": ["b", "b", "a", "d", "d", "e"]})
    encoder = Encoder.fit(train, ["c"], max_categories=3)
    assert encoder.feature_names == ["c=a", "c=b", "c=d", "c:other", "c:missing"]
    assert encoder.transform(pa.table({"c": ["e", "new", "a"]})).tolist() == [
        [0, 0, 0, 1, 0],
        [0, 0, 0, 1, 0],
        [1, 0, 0, 0, 0],
    ]


def test_a_dictionary_column_is_encoded_like_its_text() -> None:
    as_text = table().select(["city"])
    as_dictionary = pa.table({"city": as_text["city"].dictionary_encode()})
    encoder = Encoder.fit(as_text, ["city"])
    assert Encoder.fit(as_dictionary, ["city"]) == encoder
    assert np.array_equal(encoder.transform(as_dictionary), encoder.transform(as_text))


def test_chunks_and_other_columns_do_not_matter() -> None:
    encoder = Encoder.fit(table(), ["age", "city"])
    cut = pa.concat_tables([table().slice(0, 1), table().slice(1)])
    assert np.array_equal(encoder.transform(cut), encoder.transform(table().select(["city", "age"])))


def test_columns_encoded_together_are_those_encoded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches, chunks of other lengths a column, and kinds that take turns change no bit."""
    rng = np.random.default_rng(3)
    numbers = rng.normal(size=(50, 3))
    numbers[rng.random(numbers.shape) < 0.2] = np.nan
    mixed = pa.table(
        {
            "x": pa.chunked_array([numbers[:7, 0], numbers[7:, 0]]),
            "c": rng.choice(["a", "b", "c"], 50),
            "whole": pa.array(rng.integers(-5, 5, 50), pa.int16()),
            "d": pa.array(rng.choice(["u", None], 50), pa.string()),
            "y": pa.chunked_array([numbers[:31, 1], numbers[31:, 1]]),
            "flag": pa.array(rng.random(50) < 0.5),
            "z": pa.array(numbers[:, 2], from_pandas=True),
        }
    )
    encoder = Encoder.fit(mixed, mixed.column_names)
    alone = [Encoder((column,)).transform(mixed) for column in encoder.columns]
    monkeypatch.setattr(module, "BATCH_ROWS", 8)
    assert (encoder.transform(mixed) == np.hstack(alone)).all()
    x, fitted = numbers[:, 0], encoder.columns[0]
    assert isinstance(fitted, NumericColumn)
    assert (alone[0][:, 0] == np.where(np.isnan(x), 0.0, (x - fitted.mean) / fitted.scale)).all()
    assert encoder.n_features == len(encoder.feature_names) == np.hstack(alone).shape[1]


def test_infinity_is_told_by_its_rows_in_the_whole_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 2)
    encoder = Encoder.fit(pa.table({"x": [0.0], "y": [0.0]}), ["x", "y"])
    endless = pa.table({"x": [0.0, 1.0, 2.0, np.inf, 4.0, -np.inf], "y": [np.inf] * 6})
    with pytest.raises(InvalidTable, match=r"'x' holds infinity in 2 row\(s\), the first is row 3") as caught:
        encoder.transform(endless)
    assert (caught.value.column, caught.value.rows) == ("x", [3, 5])


class Watched:
    """A table that counts how often its names are asked for: Arrow makes them anew each time."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.asked = 0

    @property
    def column_names(self) -> list[str]:
        self.asked += 1
        return self.table.column_names

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)


def test_the_names_of_a_wide_table_are_read_once() -> None:
    wide = pa.table({f"c{i}": [1.0, 2.0] for i in range(50)})
    encoder = Encoder.fit(wide, wide.column_names)
    watched = Watched(wide)
    assert (encoder.transform(watched) == encoder.transform(wide)).all()
    assert watched.asked == 1


def test_a_constant_column_and_a_column_without_values_give_zeros() -> None:
    train = pa.table(
        {"c": [0.1, 0.1, 0.1], "n": pa.array([None, None, None], pa.float64()), "e": pa.nulls(3)}
    )
    X = Encoder.fit(train, ["c", "n", "e"]).transform(train)
    assert X.shape == (3, 3) and np.allclose(X, 0.0, atol=1e-12)


def test_a_table_without_rows_is_transformed_to_no_rows() -> None:
    encoder = Encoder.fit(table(), ["age", "city"])
    assert encoder.transform(table().slice(0, 0)).shape == (0, encoder.n_features)


def test_json_round_trip_keeps_the_map_and_the_digest() -> None:
    encoder = Encoder.fit(table(), ["age", "height", "city"])
    again = Encoder.from_json(encoder.to_json())
    assert again == encoder and again.digest == encoder.digest and len(encoder.digest) == 64
    assert np.array_equal(again.transform(table()), encoder.transform(table()))
    assert isinstance(again.columns[0], NumericColumn) and isinstance(again.columns[2], CategoricalColumn)


def test_digests_differ_when_the_map_differs() -> None:
    assert Encoder.fit(table(), ["age"]).digest != Encoder.fit(table().slice(1), ["age"]).digest


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 99, "columns": []}'])
def test_json_that_is_no_encoder_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="not an encoder"):
        Encoder.from_json(text)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(MissingColumn, match="city") as caught:
        Encoder.fit(table(), ["age", "city"]).transform(table().select(["age"]))
    assert caught.value.columns == ["city"]


def test_a_column_of_the_other_kind_is_refused() -> None:
    encoder = Encoder.fit(table(), ["age", "city"])
    with pytest.raises(SchemaMismatch, match="'age' is categorical here but was numeric"):
        encoder.transform(pa.table({"age": ["ten"], "city": ["Bern"]}))
    with pytest.raises(SchemaMismatch, match="'city' is numeric here"):
        encoder.transform(pa.table({"age": [1], "city": [1]}))


def test_columns_without_an_encoding_are_refused() -> None:
    day = pa.table({"d": [datetime.date(2020, 1, 1)]})
    with pytest.raises(InvalidTable, match="'d' of type date32"):
        Encoder.fit(day, ["d"])
    with pytest.raises(NestedColumn, match="'l' is nested"):
        Encoder.fit(pa.table({"l": [[1, 2]]}), ["l"])
    with pytest.raises(InvalidTable, match="infinity in 1 row"):
        Encoder.fit(pa.table({"x": [1.0, float("inf")]}), ["x"])
    with pytest.raises(InvalidTable, match="dictionary of int64"):
        Encoder.fit(pa.table({"x": pa.array([1, 2]).dictionary_encode()}), ["x"])


def test_bad_calls_to_fit_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="no feature columns"):
        Encoder.fit(table(), [])
    with pytest.raises(DuplicateIds, match="named twice: age"):
        Encoder.fit(table(), ["age", "age"])
    with pytest.raises(TooFewRows, match="no rows"):
        Encoder.fit(table().slice(0, 0), ["age"])
    with pytest.raises(InvalidArgument, match="max_categories is 0"):
        Encoder.fit(table(), ["city"], max_categories=0)
