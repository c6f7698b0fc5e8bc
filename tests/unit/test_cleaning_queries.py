"""Certain-prediction queries against brute-forced worlds."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cleaning_oracle import conditional_label_probabilities, separate_votes

from easeml_ray.cleaning import CPClean, label_probabilities, possible_labels
from easeml_ray.cleaning import boundaries as boundaries_module
from easeml_ray.cleaning.alternatives import read_alternatives
from easeml_ray.cleaning.boundaries import Block, conditional_votes, vote_probabilities
from easeml_ray.cleaning.distances import squared_distances
from easeml_ray.cleaning.ranking import nearest_first
from easeml_ray.cleaning.shortlists import shortlist
from easeml_ray.errors import InvalidArgument

GOLDENS = json.loads((Path(__file__).parents[1] / "data" / "cpclean_worlds.json").read_text())


def ragged(instance: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, list[int], list[list[float]]]:
    candidates = np.array([c for row in instance["cand_X"] for c in row], dtype=float)
    row_ptr = np.cumsum([0] + [len(row) for row in instance["cand_X"]])
    return candidates, row_ptr, instance["y_train"], [instance["x_val"]]


@pytest.fixture(params=GOLDENS["instances"], ids=lambda instance: instance["id"])
def golden(request: pytest.FixtureRequest) -> dict[str, Any]:
    instance: dict[str, Any] = request.param
    return instance


def test_label_probabilities_equal_the_goldens(golden: dict[str, Any]) -> None:
    prior = [float(Fraction(p)) for row in golden["prior"] for p in row]
    found = label_probabilities(*ragged(golden), k=golden["K"], n_classes=golden["n_classes"], prior=prior)
    exact = [float(Fraction(p)) for p in golden["label_prob"]]
    np.testing.assert_allclose(found[0], exact, rtol=0, atol=1e-12)


def test_uniform_prior_counts_the_worlds_of_the_goldens(golden: dict[str, Any]) -> None:
    found = label_probabilities(*ragged(golden), k=golden["K"], n_classes=golden["n_classes"])
    counts = np.array(golden["world_counts"]) / golden["n_worlds"]
    np.testing.assert_allclose(found[0], counts, rtol=0, atol=1e-12)


def test_conditional_counts_equal_the_goldens(golden: dict[str, Any]) -> None:
    found = conditional_label_probabilities(*ragged(golden), k=golden["K"], n_classes=golden["n_classes"])
    counts = np.array([c for row in golden["cond_world_counts"] for c in row], dtype=float)
    np.testing.assert_allclose(found[0], counts / counts.sum(axis=1, keepdims=True), rtol=0, atol=1e-12)


def test_possible_labels_equal_the_goldens(golden: dict[str, Any]) -> None:
    found = possible_labels(*ragged(golden), k=golden["K"], n_classes=golden["n_classes"])
    assert np.flatnonzero(found[0]).tolist() == golden["possible_labels"]
    assert (found[0].sum() == 1) == golden["certain"]


def test_cleaning_to_the_truth_predicts_the_golden_label(golden: dict[str, Any]) -> None:
    clean = CPClean(*ragged(golden), [0], k=golden["K"], n_classes=golden["n_classes"])
    for row in clean.uncertain_rows:
        clean.condition(row, golden["truth_index"][row])
    assert clean.certain_fraction == 1.0
    assert clean.label_probabilities[0].argmax() == golden["knn_truth_world"]


def test_three_classes_have_labels_that_extreme_worlds_miss() -> None:
    case = GOLDENS["minmax_counterexample"]
    candidates = np.sqrt([[d] for row in case["sq_dist"] for d in row])
    row_ptr = np.cumsum([0] + [len(row) for row in case["sq_dist"]])
    arguments = candidates, row_ptr, case["y_train"], [[0.0]]
    found = possible_labels(*arguments, k=case["K"], n_classes=case["n_classes"])
    assert np.flatnonzero(found[0]).tolist() == case["possible_labels"]
    assert case["possible_labels"] != case["minmax_possible_labels"]
    probabilities = label_probabilities(*arguments, k=case["K"], n_classes=case["n_classes"])
    counts = np.array(case["world_counts"]) / case["n_worlds"]
    np.testing.assert_allclose(probabilities[0], counts, rtol=0, atol=1e-12)
    given = conditional_label_probabilities(*arguments, k=case["K"], n_classes=case["n_classes"])
    counts = np.array([c for row in case["cond_world_counts"] for c in row], dtype=float)
    np.testing.assert_allclose(given[0], counts / counts.sum(axis=1, keepdims=True), rtol=0, atol=1e-12)


def many_rows(seed: int, n_classes: int, *, mixed: bool = False, n_rows: int = 40) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, size=n_rows)
    candidates = rng.integers(0, 12, size=(sizes.sum(), 2)).astype(float)
    labels = rng.integers(n_classes, size=sizes.sum() if mixed else n_rows)
    return candidates, np.concatenate([[0], np.cumsum(sizes)]), labels


@pytest.mark.parametrize(("k", "n_classes"), [(1, 2), (3, 2), (3, 10), (5, 3), (7, 2)])
def test_separate_and_joint_tallies_agree(k: int, n_classes: int) -> None:
    rows = read_alternatives(*many_rows(0, n_classes), n_classes=n_classes)
    for elements, _ in nearest_first(rows, rows.prior, np.array([[5.0, 5.0], [0.0, 11.0]]), k):
        nearest = shortlist(rows, rows.prior, elements, k)
        joint = Block(nearest, k, slice(0, len(nearest.elements)))
        np.testing.assert_allclose(
            separate_votes(nearest, k, np.float64), joint.votes(np.float64), atol=1e-14
        )
        np.testing.assert_array_equal(separate_votes(nearest, k, np.bool_), joint.votes(np.bool_))


def test_many_neighbours_of_many_classes_are_counted() -> None:
    candidates, row_ptr, labels = many_rows(1, 10, n_rows=60)
    found = label_probabilities(candidates, row_ptr, labels, [[6.0, 6.0]], k=21, n_classes=10)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    rng = np.random.default_rng(0)
    sizes = np.diff(row_ptr)
    distances = squared_distances(np.array([[6.0, 6.0]]), candidates)[0]
    hits = np.zeros(10)
    for _ in range(4000):
        world = row_ptr[:-1] + rng.integers(sizes)
        nearest = np.argsort(distances[world], kind="stable")[:21]
        hits[np.bincount(labels[nearest], minlength=10).argmax()] += 1
    np.testing.assert_allclose(found[0], hits / 4000, atol=0.03)


@pytest.mark.parametrize(("k", "mixed"), [(9, False), (3, True)])
def test_blocks_of_boundaries_change_nothing(k: int, mixed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = read_alternatives(*many_rows(2, 3, mixed=mixed, n_rows=120 if mixed else 60))
    ((elements, _),) = nearest_first(rows, rows.prior, np.array([[6.0, 6.0]]), k)
    nearest = shortlist(rows, rows.prior, elements, k)
    whole, base = conditional_votes(nearest, k), vote_probabilities(nearest, k)
    monkeypatch.setattr(boundaries_module, "FEWEST_BOUNDARIES", 5)
    monkeypatch.setattr(boundaries_module, "BLOCK_VALUES", 1)
    parts = conditional_votes(nearest, k)
    np.testing.assert_allclose(vote_probabilities(nearest, k), base, atol=1e-14)
    for name in ("base", "inside", "outside"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-14)


def test_worlds_too_improbable_for_a_float_stay_possible() -> None:
    # Label 1 needs all of rows 0, 1, 2 at their second alternative: probability 1e-450.
    clean = CPClean(
        [[0.0], [9.0], [0.0], [9.0], [0.0], [9.0], [5.0], [6.0], [7.0]],
        [0, 2, 4, 6, 7, 8, 9],
        [0, 0, 0, 1, 1, 1],
        [[0.0]],
        [0],
        k=3,
        prior=[1.0, 1e-150] * 3 + [1.0] * 3,
    )
    assert clean.possible_labels.tolist() == [[True, True]]
    assert clean.label_probabilities[0, 1] < 1e-299
    assert clean.certain_fraction == 0.0


def test_equal_rows_tie_exactly_wherever_they_stand() -> None:
    rng = np.random.default_rng(0)
    point, row = rng.normal(size=(1, 37)), rng.normal(size=37)
    others = rng.normal(size=(101, 37))
    others[[0, 3, 50, 99, 100]] = row
    distances = squared_distances(point, others)[0]
    assert len(set(distances[[0, 3, 50, 99, 100]])) == 1


def test_distance_ties_go_to_the_smaller_row() -> None:
    for labels in ([0, 1], [1, 0]):
        found = label_probabilities([[1.0], [-1.0]], [0, 1, 2], labels, [[0.0]], k=1)
        assert found[0, labels[0]] == 1.0


def test_vote_ties_go_to_the_smaller_label() -> None:
    found = label_probabilities([[1.0], [2.0], [3.0]], [0, 1, 2, 3], [2, 1, 0], [[0.0]], k=3)
    assert found.tolist() == [[1.0, 0.0, 0.0]]


def test_no_points_give_no_lines() -> None:
    assert label_probabilities([[1.0]], [0, 1], [0], np.zeros((0, 1)), k=1).shape == (0, 2)


def test_impossible_alternatives_have_no_conditional_probability() -> None:
    given = conditional_label_probabilities(
        [[1.0], [9.0], [2.0]], [0, 2, 3], [0, 1], [[0.0]], k=1, prior=[1.0, 0.0, 1.0]
    )
    assert np.isnan(given[0, 1]).all()
    assert given[0, 0].tolist() == [1.0, 0.0]


GOOD: dict[str, Any] = {
    "candidates": [[0.0], [1.0], [2.0]],
    "row_ptr": [0, 2, 3],
    "labels": [0, 1],
    "points": [[0.0]],
    "k": 1,
}


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("k", 2),
        ("k", 3),
        ("k", 0),
        ("candidates", [[np.nan], [0.0], [1.0]]),
        ("row_ptr", [0, 2]),
        ("row_ptr", [0, 2, 2, 3]),
        ("row_ptr", [0.0, 2.0, 3.0]),
        ("row_ptr", [0]),
        ("labels", [0, 1, 1, 0]),
        ("labels", [0, -1]),
        ("points", [[0.0, 1.0]]),
        ("prior", [0.5, 0.6, 1.0]),
        ("prior", [1.5, -0.5, 1.0]),
        ("prior", [1.0, 1.0]),
        ("n_classes", 1),
    ],
)
def test_bad_arguments_are_named(argument: str, value: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        label_probabilities(**{**GOOD, argument: value})
    assert caught.value.argument == argument


def test_joint_votes_beyond_counting_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidArgument) as caught:
        label_probabilities(
            rng.normal(size=(80, 2)), np.arange(41) * 2, rng.integers(10, size=80), [[0.0, 0.0]], k=9
        )
    assert caught.value.argument == "k"


def brute_force(candidates: Any, row_ptr: Any, labels: Any, point: Any, k: int, n_classes: int) -> np.ndarray:
    result = np.zeros(n_classes)
    distances = ((np.asarray(candidates) - point) ** 2).sum(axis=1)
    for world in product(*(range(row_ptr[i], row_ptr[i + 1]) for i in range(len(row_ptr) - 1))):
        order = sorted(range(len(world)), key=lambda row: (distances[world[row]], row))[:k]
        result[np.bincount([labels[world[row]] for row in order], minlength=n_classes).argmax()] += 1
    return result / result.sum()


@pytest.mark.parametrize("seed", range(6))
def test_uncertain_labels_equal_brute_force(seed: int) -> None:
    candidates, row_ptr, labels = many_rows(seed, 4, mixed=True, n_rows=7)
    found = label_probabilities(candidates, row_ptr, labels, [[6.0, 6.0]], k=3, n_classes=4)
    exact = brute_force(candidates, row_ptr, labels, [6.0, 6.0], 3, 4)
    np.testing.assert_allclose(found[0], exact, rtol=0, atol=1e-12)
