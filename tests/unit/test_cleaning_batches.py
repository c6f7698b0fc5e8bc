"""Batches of rows, single cells, shards, samples, and what to do about a target."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from easeml_ray.cleaning import CleaningBelief, CPClean
from easeml_ray.cleaning.actions import advise
from easeml_ray.cleaning.cells import cell_gain
from easeml_ray.errors import InvalidAnswer, InvalidArgument, OneClass


def cleaner(
    seed: int = 0, n_rows: int = 30, n_points: int = 25, n_classes: int = 2, **options: Any
) -> CPClean:
    """Rows of two features, a third with up to four repairs of both."""
    rng = np.random.default_rng(seed)
    sizes = np.where(rng.random(n_rows) < 0.5, rng.integers(2, 5, size=n_rows), 1)
    row_ptr = np.concatenate([[0], np.cumsum(sizes)])
    labels = rng.integers(n_classes, size=n_rows)
    labels[:2] = 0, 1
    candidates = rng.normal(size=(row_ptr[-1], 2)) + np.repeat(labels, sizes)[:, None]
    y_dev = rng.integers(n_classes, size=n_points)
    X_dev = rng.normal(size=(n_points, 2)) + y_dev[:, None]
    return CPClean(candidates, row_ptr, labels, X_dev, y_dev, n_classes=n_classes)


def entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log2(np.maximum(p, 1e-300))).sum(axis=-1)


def information_of(clean: CPClean, rows: list[int]) -> float:
    """Information of learning all these rows together, over all that they can be."""
    before = entropy(clean.label_probabilities).mean()
    row_ptr, prior, left = clean.row_ptr, clean.prior, 0.0
    for world in product(*(range(row_ptr[row], row_ptr[row + 1]) for row in rows)):
        part = clean.shard(np.arange(clean.n_points))
        for row, element in zip(rows, world, strict=True):
            if row in part.uncertain_rows:
                part.condition(row, element - row_ptr[row])
        left += prior[list(world)].prod() * entropy(part.label_probabilities).mean()
    return float(before - left)


def test_a_batch_takes_the_rows_that_complete_each_other() -> None:
    # Ten points are of class 1 if row 0 or row 1 is near, three if row 3 is.
    clean = CPClean(
        [[1.0], [9.0], [2.0], [9.0], [5.0], [101.0], [109.0], [105.0]],
        [0, 2, 4, 5, 7, 8],
        [1, 1, 0, 1, 0],
        [[0.0]] * 10 + [[100.0]] * 3,
        [1] * 13,
        k=1,
        prior=[0.5, 0.5, 0.25, 0.75, 1.0, 0.5, 0.5, 1.0],
    )
    assert np.argsort(-clean.information_gain(), kind="stable")[:2].tolist() == [0, 3]
    batch = clean.suggest(2)
    assert batch.rows.tolist() == [0, 1]
    assert batch.bits[1] == pytest.approx(10 / 13 * 0.5 * entropy(np.array([0.25, 0.75])), abs=1e-9)
    assert batch.total == pytest.approx(information_of(clean, [0, 1]), abs=1e-9)
    assert batch.total > information_of(clean, [0, 3])


@pytest.mark.parametrize("seed", range(4))
def test_rows_never_tell_less_once_others_are_known(seed: int) -> None:
    batch = cleaner(seed).suggest(8, draws=32)
    assert (batch.bits >= batch.alone - 0.01).all()


@pytest.mark.parametrize("seed", range(3))
def test_first_of_a_batch_is_the_next_row_and_each_is_taken_once(seed: int) -> None:
    clean = cleaner(seed)
    batch = clean.suggest(6, seed=seed)
    assert batch.rows[0] == clean.next_row()
    assert len(set(batch.rows.tolist())) == len(batch.rows) == 6
    np.testing.assert_allclose(batch.alone, clean.information_gain()[batch.rows])
    assert np.isin(batch.rows, clean.uncertain_rows).all()
    again = clean.suggest(6, seed=seed)
    np.testing.assert_array_equal(batch.rows, again.rows)
    assert clean.next_row() == batch.rows[0]  # asking changed nothing


def test_batches_tell_no_less_than_the_best_single_rows_on_average() -> None:
    chosen, best = [], []
    for seed in range(12):
        clean = cleaner(seed, n_rows=14, n_points=12)
        rows = clean.suggest(3, draws=24, seed=seed).rows.tolist()
        top = np.argsort(-clean.information_gain(), kind="stable")[: len(rows)].tolist()
        chosen.append(information_of(clean, rows))
        best.append(information_of(clean, top) if set(top) != set(rows) else chosen[-1])
    assert np.mean(chosen) >= np.mean(best)
    assert np.all(np.array(chosen) >= np.array(best) - 0.01)


def test_a_batch_ends_where_nothing_is_left_to_tell() -> None:
    clean = CPClean([[0.0], [9.0], [4.0]], [0, 2, 3], [1, 0], [[0.0]], [1], k=1)
    assert clean.suggest(5).rows.tolist() == [0]
    assert clean.condition(0, 0).suggest(5).rows.size == 0


def test_the_cells_of_a_row_tell_at_most_what_the_row_tells() -> None:
    clean = cleaner(1, n_classes=3)
    whole = clean.information_gain()
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2, size=len(clean.prior))
    bits = cell_gain(clean, values)
    assert (bits <= whole + 1e-9).all() and (bits >= 0).all() and bits.any()
    np.testing.assert_allclose(cell_gain(clean, np.arange(len(values))), whole, atol=1e-9)
    assert not cell_gain(clean, np.zeros(len(values))).any()


def test_a_cell_tells_what_conditioning_on_its_values_tells() -> None:
    clean = cleaner(2, n_rows=12, n_points=6)
    row = int(clean.information_gain().argmax())
    row_ptr, prior = clean.row_ptr, clean.prior
    at = np.arange(row_ptr[row], row_ptr[row + 1])
    values = np.array(["x"] * len(prior))
    values[at[0]] = "y"
    left = 0.0
    for group in (at[:1], at[1:]):
        mass = prior[group].sum()
        conditional = prior.copy()
        conditional[at] = 0.0
        conditional[group] = prior[group] / mass
        told = CPClean(
            clean.candidates,
            row_ptr,
            clean.labels,
            clean.knowledge.ranked.points,
            clean.knowledge.ranked.y,
            prior=conditional,
        )
        left += mass * entropy(told.label_probabilities).mean()
    expected = entropy(clean.label_probabilities).mean() - left
    assert cell_gain(clean, values)[row] == pytest.approx(expected, abs=1e-9)


def test_a_cell_needs_a_value_in_each_alternative() -> None:
    with pytest.raises(InvalidArgument) as caught:
        cell_gain(cleaner(), [1, 2])
    assert caught.value.argument == "values"


def test_shards_add_up_to_the_whole_through_a_run() -> None:
    clean = cleaner(4, n_rows=60, n_points=40, n_classes=3)
    shards = [clean.shard(np.arange(start, start + 10)) for start in range(0, 40, 10)]
    for _ in range(5):
        total = np.sum([shard.information() for shard in shards], axis=0)
        np.testing.assert_allclose(total, clean.information(), rtol=0, atol=1e-12)
        assert sum(shard.certain.sum() for shard in shards) == clean.certain.sum()
        row = clean.next_row()
        if row is None:
            break
        for part in (clean, *shards):
            part.condition(row, 0)


def test_an_answer_through_a_shard_leaves_the_others_alone() -> None:
    clean = cleaner(4)
    before = clean.information_gain()
    shard = clean.shard(np.arange(5))
    shard.condition(int(shard.uncertain_rows[0]), 0)
    np.testing.assert_array_equal(clean.information_gain(), before)
    assert shard.n_points == 5


def test_a_sample_of_all_points_is_the_whole_and_samples_average_to_it() -> None:
    clean = cleaner(5, n_points=30)
    whole = clean.information_gain()
    np.testing.assert_allclose(clean.information_gain(sample=30), whole, atol=1e-9)
    n_open = int((~clean.certain).sum())
    assert n_open > 6
    samples = [clean.information_gain(sample=n_open // 2, seed=seed) for seed in range(300)]
    np.testing.assert_allclose(np.mean(samples, axis=0), whole, atol=0.1 * whole.max())
    assert clean.next_row(sample=8, seed=1) in clean.uncertain_rows


def test_an_inserted_answer_equals_ranking_everything_again() -> None:
    rng = np.random.default_rng(7)
    clean = cleaner(7, n_rows=40, n_points=30, n_classes=3)
    for row in rng.permutation(clean.uncertain_rows)[:8]:
        # Near, far, and equal to another row: inside a list, beyond it, and tied.
        value = [rng.normal(size=2), np.array([50.0, 50.0]), clean.candidates[-1]][rng.integers(3)]
        clean.condition_value(int(row), value)
        ranked = clean.knowledge.ranked
        fresh = CPClean(
            clean.candidates,
            clean.row_ptr,
            clean.labels,
            ranked.points,
            ranked.y,
            n_classes=3,
            prior=clean.prior,
        )
        np.testing.assert_array_equal(clean.possible_labels, fresh.possible_labels)
        np.testing.assert_allclose(clean.label_probabilities, fresh.label_probabilities, rtol=0, atol=1e-14)
        np.testing.assert_allclose(clean.information_gain(), fresh.information_gain(), rtol=0, atol=1e-9)
        for v in range(30):
            new, old = fresh.knowledge.ranked.nearest(v), ranked.nearest(v)
            np.testing.assert_array_equal(old[: len(new)], new)


def test_gains_kept_between_answers_equal_those_computed_anew() -> None:
    clean = cleaner(8, n_rows=80, n_points=50)
    while (row := clean.next_row()) is not None:
        clean.condition(row, 0)
        anew = clean.shard(np.arange(50))
        np.testing.assert_array_equal(clean.information_gain(), anew.information_gain())
        np.testing.assert_array_equal(clean.certain, anew.certain)


BELIEF = CleaningBelief(
    lower=0.5,
    upper=0.9,
    expected=0.7,
    potential=0.8,
    sd=0.05,
    n_certain_correct=50,
    n_certain_wrong=10,
    n_uncertain=40,
    default=0.72,
    sampled=tuple(np.linspace(0.6, 0.8, 98)),
)


@pytest.mark.parametrize(
    ("belief", "target", "action", "certified"),
    [
        (BELIEF, 0.72, "PROCEED", False),
        (BELIEF, 0.78, "CLEAN", False),
        (BELIEF, 0.85, "ACQUIRE", False),
        (BELIEF, 0.95, "ACQUIRE", True),
        (replace(BELIEF, potential=0.6, default=0.6), 0.65, "CLEAN", False),
    ],
)
def test_actions_follow_from_the_belief(
    belief: CleaningBelief, target: float, action: str, certified: bool
) -> None:
    advice = advise(belief, target)
    assert (advice.action, advice.certified) == (action, certified)
    assert advice.probability == pytest.approx(belief.probability_at_least(target))


def test_improbable_targets_say_how_improbable() -> None:
    advice = advise(BELIEF, 0.85)
    assert advice.probability == pytest.approx(0.01)
    assert "improbable" in advice.reason
    with pytest.raises(InvalidArgument):
        advise(BELIEF, 1.2)


def test_what_every_world_reaches_is_sure_and_what_none_reaches_impossible() -> None:
    assert BELIEF.probability_at_least(0.5) == 1.0
    assert BELIEF.probability_at_least(0.91) == 0.0
    assert 0 < BELIEF.probability_at_least(0.9) < 0.02


def test_answers_for_certain_rows_are_refused() -> None:
    clean = cleaner()
    row = int(clean.uncertain_rows[0])
    clean.condition(row, 0)
    with pytest.raises(InvalidAnswer):
        clean.condition(row, 0)
    with pytest.raises(InvalidAnswer):
        clean.condition_value(row, clean.candidates[0])
    clean.condition_value(row, [1.0, 2.0], correct=True)
    assert row not in clean.uncertain_rows


def test_rows_of_one_class_are_refused() -> None:
    with pytest.raises(OneClass):
        CPClean([[0.0], [1.0], [2.0]], [0, 2, 3], [1, 1], [[0.0]], [1], k=1)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda c: c.suggest(0), "n_rows"),
        (lambda c: c.suggest(1, draws=0), "draws"),
        (lambda c: c.information_gain(sample=0), "sample"),
    ],
)
def test_bad_wishes_are_named(call: Any, argument: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call(cleaner())
    assert caught.value.argument == argument


def test_a_row_too_far_down_a_list_to_matter_matters_once_those_before_it_are_gone() -> None:
    """Eighty rows, each near or far; then one that counts only if all of them are far."""
    n = 80
    near_or_far = [[[1 + i / 1000], [50.0 + i]] for i in range(n)]
    candidates = [value for row in near_or_far for value in row] + [[3.0], [200.0], [4.0]]
    row_ptr = [*range(0, 2 * n + 1, 2), 2 * n + 2, 2 * n + 3]
    labels = [i % 2 for i in range(n)] + [0, 1]
    clean = CPClean(candidates, row_ptr, labels, [[0.0]], [1], k=1)
    prior = clean.prior
    clean.information()
    for row in range(n):
        clean.condition(row, 1)
        clean.label_probabilities  # noqa: B018  # asked between answers, as a belief does
        prior[2 * row : 2 * row + 2] = 0.0, 1.0
        anew = CPClean(candidates, row_ptr, labels, [[0.0]], [1], k=1, prior=prior)
        np.testing.assert_allclose(clean.label_probabilities, anew.label_probabilities, atol=1e-12)


def test_rows_that_nobody_is_asked_for_are_in_no_batch() -> None:
    rng = np.random.default_rng(4)
    row_ptr = np.arange(0, 91, 3)
    X = np.repeat(rng.standard_normal((30, 2)), 3, axis=0) + 0.7 * rng.standard_normal((90, 2))
    points = rng.standard_normal((25, 2)), rng.integers(0, 2, 25)
    clean = CPClean(X, row_ptr, rng.integers(0, 2, 30), *points)
    free = clean.suggest(6)
    left = clean.suggest(6, excluded=free.rows)
    assert len(left.rows) and not set(left.rows) & set(free.rows)
    assert left.total < free.total


def test_where_no_row_tells_anything_rows_near_uncertain_points_come_first() -> None:
    """What each row tells is below rounding: alternatives of 1e-13 that would change a prediction."""
    rare = 1e-13
    clean = CPClean(
        [[1.0], [9.0], [2.0], [1.5], [8.0]],
        [0, 2, 3, 5],
        [0, 1, 0],
        [[1.0]],
        [0],
        k=1,
        prior=[1 - rare, rare, 1.0, rare, 1 - rare],
    )
    assert clean.certain_fraction == 0.0 and clean.information_gain().max() == 0.0
    batch = clean.suggest(5)
    assert batch.rows.tolist() == [0, 2] and batch.total == 0.0
    assert clean.suggest(5, excluded=[0]).rows.tolist() == [2]
    assert clean.next_row() == 0
    assert clean.condition(0, 0).suggest(5).rows.size == 0  # nothing is left to be told
