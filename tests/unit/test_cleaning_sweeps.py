"""The compiled sweep against the clear counting, boundary by boundary."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from cleaning_oracle import conditional_label_probabilities

from easeml_ray.cleaning import label_probabilities, possible_labels
from easeml_ray.cleaning import pointwise as pointwise_module
from easeml_ray.cleaning.alternatives import Alternatives, read_alternatives
from easeml_ray.cleaning.boundaries import conditional_votes, vote_probabilities, vote_support
from easeml_ray.cleaning.distances import Distances, squared_distances
from easeml_ray.cleaning.pointwise import CONDITIONAL, PROBABILITY, information, sweep
from easeml_ray.cleaning.ranking import RankedPoints, rank_points
from easeml_ray.cleaning.shortlists import shortlist


def uncertain_rows(
    seed: int,
    n_classes: int,
    *,
    n_rows: int = 40,
    fewest: int = 1,
    most: int = 4,
    skewed: bool = False,
    width: int = 12,
) -> Alternatives:
    """Rows on a grid, so that ties are common."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(fewest, most + 1, size=n_rows)
    row_ptr = np.concatenate([[0], np.cumsum(sizes)])
    weights = 10.0 ** rng.integers(-6, 1, size=row_ptr[-1]) if skewed else rng.random(row_ptr[-1])
    return read_alternatives(
        rng.integers(0, width, size=(row_ptr[-1], 2)).astype(float),
        row_ptr,
        rng.integers(n_classes, size=n_rows),
        n_classes=n_classes,
        prior=weights / np.repeat(np.add.reduceat(weights, row_ptr[:-1]), sizes),
    )


def rank(rows: Alternatives, k: int, n_points: int = 4, seed: int = 0) -> RankedPoints:
    span = rows.candidates.max()
    points = np.random.default_rng(seed).integers(0, span + 1, size=(n_points, 2)).astype(float)
    return rank_points(rows, points, np.zeros(n_points, dtype=np.int64), k)


def assert_equal_to_the_oracle(ranked: RankedPoints, atol: float = 1e-12) -> None:
    """Q1, Q2 and Q2 given every alternative, by both."""
    rows, k = ranked.rows, ranked.k
    arguments = rows.candidates, rows.row_ptr, rows.labels, ranked.points
    options: dict[str, Any] = {"k": k, "n_classes": rows.n_classes}
    given = conditional_label_probabilities(*arguments, **options, prior=rows.prior)
    found = label_probabilities(*arguments, **options, prior=rows.prior)
    possible = possible_labels(*arguments, **options)
    for v in range(ranked.n_points):
        nearest = shortlist(rows, rows.prior, ranked.nearest(v), k)
        votes = conditional_votes(nearest, k)
        expected = np.zeros((len(rows.prior), rows.n_classes))
        by_row = np.zeros((rows.n_rows, rows.n_classes))
        by_row[:, nearest.labels] = votes.base
        by_row[nearest.rows[:, None], nearest.labels] = votes.outside.T
        expected = by_row[rows.row_of]
        expected[nearest.elements[:, None], nearest.labels] = votes.inside.T
        np.testing.assert_allclose(given[v], expected, rtol=0, atol=atol)
        np.testing.assert_allclose(
            found[v, nearest.labels], vote_probabilities(nearest, k), rtol=0, atol=atol
        )
        np.testing.assert_array_equal(possible[v, nearest.labels], vote_support(nearest, k))


@pytest.mark.parametrize("k", [1, 3, 5, 7])
@pytest.mark.parametrize("n_classes", [2, 3, 4])
def test_sweep_equals_the_oracle(n_classes: int, k: int) -> None:
    for seed in range(2):
        assert_equal_to_the_oracle(rank(uncertain_rows(seed, n_classes), k))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_priors_of_a_millionth_lose_no_digits(n_classes: int) -> None:
    for seed in range(3):
        assert_equal_to_the_oracle(rank(uncertain_rows(seed, n_classes, skewed=True), 3), atol=1e-13)


def test_sixty_candidates_a_row_lose_no_digits() -> None:
    rows = uncertain_rows(0, 2, n_rows=12, most=60, width=40)
    assert_equal_to_the_oracle(rank(rows, 3, n_points=2), atol=1e-13)


@pytest.mark.parametrize("skewed", [False, True])
def test_what_is_cut_off_a_long_list_is_less_than_rounding(skewed: bool) -> None:
    ranked = rank(uncertain_rows(3, 2, n_rows=120, fewest=6, most=6, width=40, skewed=skewed), 3, n_points=2)
    (swept,) = sweep(ranked, ranked.rows.prior, np.arange(2), CONDITIONAL)
    if not skewed:
        whole = [
            len(shortlist(ranked.rows, ranked.rows.prior, ranked.nearest(v), 3).elements) for v in range(2)
        ]
        assert (swept.found.n_entries < 0.8 * np.array(whole)).all()
    assert_equal_to_the_oracle(ranked, atol=1e-14)


def test_neighbouring_alternatives_of_a_row_are_one_entry() -> None:
    rows = read_alternatives([[1.0], [1.0], [2.0], [3.0], [9.0]], [0, 3, 5], [0, 1])
    (swept,) = sweep(
        rank_points(rows, np.array([[0.0]]), np.array([0]), 1), rows.prior, np.array([0]), CONDITIONAL
    )
    # Nothing lies between the first row's three alternatives: it is nearest for sure.
    assert swept.found.n_labels.tolist() == [1]
    rows = read_alternatives([[1.0], [1.0], [4.0], [3.0], [9.0]], [0, 3, 5], [0, 1])
    (swept,) = sweep(
        rank_points(rows, np.array([[0.0]]), np.array([0]), 1), rows.prior, np.array([0]), CONDITIONAL
    )
    assert swept.found.n_entries.tolist() == [3]
    np.testing.assert_allclose(swept.found.probabilities, [[2 / 3 + 1 / 6, 1 / 6]])


def test_chunks_of_points_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ranked = rank(uncertain_rows(1, 3), 3, n_points=20)
    whole = information(ranked, ranked.rows.prior, np.arange(20))
    monkeypatch.setattr(pointwise_module, "CHUNK", 30)
    parts = information(ranked, ranked.rows.prior, np.arange(20))
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-12)


def test_arrays_from_the_object_store_need_no_second_compilation() -> None:
    from easeml_ray.cleaning.sweeps import sweep_points

    ranked = rank(uncertain_rows(1, 3), 3)
    list(sweep(ranked, ranked.rows.prior, np.arange(4), PROBABILITY))
    before = len(sweep_points.signatures)
    prior = ranked.rows.prior.copy()
    for array in (prior, ranked.elements, ranked.rows.row_of, ranked.rows.labels, ranked.start):
        array.flags.writeable = False
    list(sweep(ranked, prior, np.arange(4), CONDITIONAL))
    assert len(sweep_points.signatures) == before == 1


def test_distance_ties_equal_an_enumeration_of_worlds() -> None:
    """Every distance is 1 or 2: only the order of the rows decides."""
    rng = np.random.default_rng(0)
    for _ in range(6):
        sizes = rng.integers(1, 4, size=6)
        row_ptr = np.concatenate([[0], np.cumsum(sizes)])
        candidates = rng.choice([-2.0, -1.0, 1.0, 2.0], size=(row_ptr[-1], 1))
        labels = rng.integers(3, size=6)
        total = np.zeros(3)
        for world in product(*(range(a, b) for a, b in pairwise(row_ptr))):
            order = sorted(range(6), key=lambda row: (abs(candidates[world[row], 0]), row))[:3]
            total[np.bincount(labels[order], minlength=3).argmax()] += 1
        found = label_probabilities(candidates, row_ptr, labels, [[0.0]], k=3, n_classes=3)
        np.testing.assert_allclose(found[0], total / total.sum(), rtol=0, atol=1e-12)


def test_one_hot_cells_count_differences_exactly() -> None:
    rng = np.random.default_rng(0)
    numeric = rng.normal(size=(30, 3))[rng.integers(30, size=400)]
    one_hot = np.eye(50)[rng.integers(50, size=400)]
    others = np.hstack([numeric[:, :2], one_hot, numeric[:, 2:]])
    points = np.hstack([rng.normal(size=(5, 2)), np.eye(50)[:5], rng.normal(size=(5, 1))])
    found = squared_distances(points, others)
    direct = ((points[:, None] - others[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(found, direct, rtol=1e-13)
    # The same numbers beside another brand: nearer by exactly 2, or exactly as far.
    far = found - 2.0 * (points[:, None, 2:52] != others[None, :, 2:52]).any(axis=2)
    for v in range(5):
        same = {tuple(row): set() for row in numeric}
        for row, value in zip(numeric, found[v] - far[v], strict=True):
            same[tuple(row)].add(value)
        assert all(values <= {0.0, 2.0} for values in same.values())
    blocks = Distances(points, others)
    np.testing.assert_array_equal(np.concatenate([blocks.block(0, 2), blocks.block(2, 5)]), found)


def test_columns_of_zeros_and_ones_on_one_side_only_are_numbers() -> None:
    others = np.tile([[0.0, 1.0, 0.0, 1.0, 1.0]], (7, 1))
    found = squared_distances(np.full((1, 5), 0.5), others)
    np.testing.assert_array_equal(found, 1.25)
