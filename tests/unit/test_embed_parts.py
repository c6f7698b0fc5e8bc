"""What the embeddings are made of, each by an example that can be reckoned in the head."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from easeml_ray.annotators.listed import parse_answers
from easeml_ray.augment.columns import Kind, kind_of
from easeml_ray.embed.fourier import median_distance
from easeml_ray.embed.linear import Linear, principal_directions
from easeml_ray.embed.quantile import Quantile
from easeml_ray.embed.recipe import in_blocks
from easeml_ray.embed.rows import as_texts
from easeml_ray.embed.standardise import column_scale
from easeml_ray.embed.subsample import stratified_rows
from easeml_ray.embed.tfidf import Tfidf, unit_rows
from easeml_ray.uncertain.cells import as_cell


def test_blocks_are_filled_up_and_cut_again() -> None:
    shapes = []

    def summed(block: np.ndarray) -> np.ndarray:
        shapes.append(block.shape)
        return block @ np.ones((2, 1))

    assert in_blocks(summed, np.arange(6.0).reshape(3, 2), 1, 2).tolist() == [[1.0], [5.0], [9.0]]
    assert shapes == [(2, 2), (2, 2)]


def test_linear_maps_shift_scale_and_turn() -> None:
    turned = Linear(np.array([1.0, 1.0]), np.array([1.0, 2.0]), np.ones((2, 1)))
    assert turned(np.array([[2.0, 5.0]])).tolist() == [[3.0]]
    assert column_scale(np.array([[0.0, 5.0], [2.0, 5.0]])).tolist() == [1.0, 1.0]
    assert unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [[0.6, 0.8], [0.0, 0.0]]


def test_the_first_principal_direction_is_that_of_the_rows_its_largest_entry_positive() -> None:
    found = principal_directions(np.array([[1.0, 0.1], [-1.0, -0.1]]), 1)
    assert found[:, 0] == pytest.approx(np.array([1.0, 0.1]) / np.sqrt(1.01))


def test_equal_rows_do_not_count_for_the_median_distance() -> None:
    assert median_distance(np.array([[0.0], [1.0], [1.0], [3.0]])) == 2.0
    assert median_distance(np.zeros((3, 1))) == 1.0


def test_a_subsample_has_every_class_in_its_share() -> None:
    y = np.repeat([0, 1], [80, 20])
    assert np.bincount(y[stratified_rows(y, 10, seed=0)]).tolist() == [8, 2]


def test_quantiles_and_words_have_the_weights_that_their_definitions_say() -> None:
    scores = Quantile().fit([[1.0], [10.0], [1000.0]]).transform([[10.0], [5000.0]])
    assert scores.round(2).tolist() == [[0.0], [0.97]]
    weights = Tfidf().fit(["a good cat", "a bad dog"]).transform(["the dog", "nothing known"])
    assert weights.round(2).tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]
    assert as_texts(pa.array(["one", "two"])) == ["one", "two"]


def test_kinds_cells_and_answers_are_read_as_they_are_meant() -> None:
    assert kind_of(pa.bool_()) is Kind.NUMERIC
    assert kind_of(pa.dictionary(pa.int8(), pa.string())) is Kind.CATEGORICAL
    assert kind_of(pa.date32()) is Kind.OTHER
    assert as_cell(3, pa.float64(), "x").equals(pa.scalar(3.0))
    answers = parse_answers(b"request,value\n7,yes\nlabel:train:3,no\n")
    assert answers == {"7": "yes", "label:train:3": "no"}
