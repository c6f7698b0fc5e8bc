"""CPClean: gains, answers, beliefs."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from easeml_ray.cleaning import CPClean, label_probabilities
from easeml_ray.cleaning import worlds as worlds_module
from easeml_ray.cleaning.pointwise import world_hits
from easeml_ray.errors import InvalidAnswer, InvalidArgument


def instance(seed: int, n_rows: int = 6, n_points: int = 5, n_classes: int = 2) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, size=n_rows)
    candidates = rng.integers(0, 6, size=(sizes.sum(), 2)).astype(float)
    row_ptr = np.concatenate([[0], np.cumsum(sizes)])
    points = rng.integers(0, 6, size=(n_points, 2)).astype(float)
    labels, y_dev = rng.integers(n_classes, size=n_rows), rng.integers(n_classes, size=n_points)
    labels[0] = (labels[1] + 1) % n_classes
    return candidates, row_ptr, labels, points, y_dev


def learnable(n_rows: int = 60, n_points: int = 40, seed: int = 0) -> tuple[Any, ...]:
    """Two Gaussian classes; a third of the rows lost a feature and have four repairs of it."""
    rng = np.random.default_rng(seed)
    y, y_dev = rng.integers(2, size=n_rows), rng.integers(2, size=n_points)
    X = rng.normal(size=(n_rows, 3)) + 2 * y[:, None]
    X_dev = rng.normal(size=(n_points, 3)) + 2 * y_dev[:, None]
    rows: list[list[list[float]]] = []
    for i, row in enumerate(X):
        if i % 3:
            rows.append([row.tolist()])
        else:
            rows.append([[value, row[1], row[2]] for value in (-1.0, 1.0, 3.0, 5.0)])
    candidates = np.array([c for row in rows for c in row])
    return candidates, np.cumsum([0] + [len(row) for row in rows]), y, X_dev, y_dev


def entropy(p: np.ndarray) -> float:
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


@pytest.mark.parametrize("seed", range(8))
def test_information_gain_equals_conditioning_by_hand(seed: int) -> None:
    candidates, row_ptr, labels, points, y_dev = instance(seed, n_classes=2 + seed % 2)
    found = CPClean(candidates, row_ptr, labels, points, y_dev, k=3, n_classes=3).information_gain()
    before = label_probabilities(candidates, row_ptr, labels, points, k=3, n_classes=3)
    sizes = np.diff(row_ptr)
    for row, size in enumerate(sizes):
        gain = np.array([entropy(p) for p in before])
        for alternative in range(size):
            prior = np.repeat(1 / sizes, sizes)
            prior[row_ptr[row] : row_ptr[row + 1]] = np.arange(size) == alternative
            after = label_probabilities(candidates, row_ptr, labels, points, k=3, n_classes=3, prior=prior)
            gain -= np.array([entropy(p) for p in after]) / size
        assert found[row] == pytest.approx(gain.mean(), abs=1e-9)


def test_conditioning_equals_starting_with_that_alternative_only() -> None:
    candidates, row_ptr, labels, points, y_dev = instance(3, n_rows=8)
    row = int(np.argmax(np.diff(row_ptr)))
    start, end = row_ptr[row], row_ptr[row + 1]
    learned = CPClean(candidates, row_ptr, labels, points, y_dev).condition(row, 1)
    keep = np.ones(len(candidates), dtype=bool)
    keep[start:end] = np.arange(end - start) == 1
    shrunk = row_ptr.copy()
    shrunk[row + 1 :] -= end - start - 1
    fresh = CPClean(candidates[keep], shrunk, labels, points, y_dev)
    np.testing.assert_allclose(learned.label_probabilities, fresh.label_probabilities, atol=1e-12)
    np.testing.assert_array_equal(learned.possible_labels, fresh.possible_labels)
    np.testing.assert_allclose(learned.information_gain(), fresh.information_gain(), atol=1e-9)
    assert learned.belief().expected == pytest.approx(fresh.belief().expected, abs=1e-12)


def test_an_answer_among_the_alternatives_conditions_on_it() -> None:
    candidates, row_ptr, *rest = learnable()
    by_value = CPClean(candidates, row_ptr, *rest).condition_value(
        3, candidates[row_ptr[3] + 2] * (1 + 1e-12)
    )
    by_index = CPClean(candidates, row_ptr, *rest).condition(3, 2)
    np.testing.assert_array_equal(by_value.prior, by_index.prior)
    np.testing.assert_array_equal(by_value.row_ptr, row_ptr)


def test_an_answer_that_is_no_alternative_becomes_the_only_one() -> None:
    candidates, row_ptr, labels, points, y_dev = learnable()
    far = np.array([50.0, 50.0, 50.0])
    learned = CPClean(candidates, row_ptr, labels, points, y_dev).condition_value(0, far)
    assert learned.row_ptr[1] == 1
    np.testing.assert_array_equal(learned.candidates[0], far)
    fresh = CPClean(
        np.concatenate([[far], candidates[row_ptr[1] :]]),
        np.concatenate([[0], row_ptr[1:] - row_ptr[1] + 1]),
        labels,
        points,
        y_dev,
    )
    np.testing.assert_allclose(learned.label_probabilities, fresh.label_probabilities, atol=1e-12)
    np.testing.assert_allclose(learned.information_gain(), fresh.information_gain(), atol=1e-9)


def test_a_later_answer_replaces_an_earlier_one() -> None:
    candidates, row_ptr, *rest = learnable()
    changed = CPClean(candidates, row_ptr, *rest).condition(0, 0)
    with pytest.raises(InvalidAnswer):
        changed.condition_value(0, candidates[3])
    changed.condition_value(0, candidates[3], correct=True)
    direct = CPClean(candidates, row_ptr, *rest).condition(0, 3)
    np.testing.assert_allclose(changed.label_probabilities, direct.label_probabilities, atol=1e-12)


def test_features_leave_an_uncertain_label_uncertain() -> None:
    clean = CPClean(
        [[0.0], [0.0], [1.0], [4.0]], [0, 3, 4], [0, 1, 1, 1], [[0.0]], [0], k=1, prior=[0.5, 0.3, 0.2, 1.0]
    )
    clean.condition_value(0, [2.0])
    assert clean.labels.tolist() == [0, 1, 1]
    np.testing.assert_allclose(clean.prior, [0.5, 0.5, 1.0])
    np.testing.assert_allclose(clean.label_probabilities, [[0.5, 0.5]])
    clean.condition_value(0, [2.0], label=1)
    assert clean.label_probabilities.tolist() == [[0.0, 1.0]]


def test_agreeing_alternatives_are_kept_and_renormalised() -> None:
    clean = CPClean(
        [[0.0], [0.0], [1.0], [4.0]], [0, 3, 4], [0, 1, 1, 1], [[0.0]], [0], k=1, prior=[0.5, 0.3, 0.2, 1.0]
    )
    np.testing.assert_allclose(clean.condition_value(0, [0.0]).prior, [0.625, 0.375, 0.0, 1.0])


def test_the_greedy_loop_ends_with_every_point_certain() -> None:
    clean = CPClean(*learnable())
    truth = np.random.default_rng(1).integers(4, size=60)
    fractions, cleaned = [clean.certain_fraction], []
    while (row := clean.next_row()) is not None:
        cleaned.append(row)
        fractions.append(clean.condition(row, int(truth[row])).certain_fraction)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(set(cleaned)) == len(cleaned) <= 20
    assert not clean.information_gain().any()


def test_certain_rows_gain_nothing_and_ties_go_to_the_lowest_row() -> None:
    clean = CPClean([[0.0], [9.0], [0.0], [9.0], [4.0]], [0, 2, 4, 5], [1, 1, 0], [[0.0]], [1], k=1)
    gain = clean.information_gain()
    assert gain[0] == gain[1] > 0
    assert gain[2] == 0
    assert clean.next_row() == 0


def test_a_gain_of_no_single_row_proposes_the_first_uncertain_row_nearby(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clean = CPClean(*learnable())
    monkeypatch.setattr(CPClean, "information_gain", lambda self, **_: np.zeros(self.n_rows))
    assert clean.next_row() in clean.uncertain_rows


def world_accuracies(candidates: Any, row_ptr: Any, labels: Any, points: Any, y: Any, k: int) -> np.ndarray:
    distances = ((points[:, None, :] - candidates[None, :, :]) ** 2).sum(axis=2)
    result = []
    for world in product(*(range(row_ptr[i], row_ptr[i + 1]) for i in range(len(row_ptr) - 1))):
        order = np.argsort(distances[:, list(world)], axis=1, kind="stable")[:, :k]
        hits = [np.bincount(labels[o]).argmax() == t for o, t in zip(order, y, strict=True)]
        result.append(np.mean(hits))
    return np.array(result)


@pytest.mark.parametrize("seed", range(5))
def test_belief_brackets_and_averages_every_world(seed: int) -> None:
    arguments = instance(seed)
    accuracies = world_accuracies(*arguments, k=3)
    belief = CPClean(*arguments, k=3).belief(seed=seed)
    assert belief.lower <= accuracies.min() + 1e-12
    assert belief.upper >= accuracies.max() - 1e-12
    assert belief.expected == pytest.approx(accuracies.mean(), abs=1e-12)
    assert belief.sd == pytest.approx(accuracies.std(), abs=0.08)
    assert belief.lower - 1e-12 <= belief.potential <= belief.upper + 1e-12
    assert belief.default == pytest.approx(accuracies[0], abs=1e-12)  # uniform prior: first of each
    assert belief.n_points == 5
    assert belief.lower == belief.n_certain_correct / 5


@pytest.mark.parametrize("seed", range(5))
def test_outcomes_average_to_the_expectation(seed: int) -> None:
    candidates, row_ptr, *rest = instance(seed, n_classes=3)
    clean = CPClean(candidates, row_ptr, *rest, k=3, n_classes=3)
    averaged = np.add.reduceat(clean.prior * clean.outcomes(), row_ptr[:-1])
    np.testing.assert_allclose(averaged, clean.belief().expected, atol=1e-12)


def test_beliefs_of_a_seed_repeat() -> None:
    assert CPClean(*learnable()).belief(seed=4) == CPClean(*learnable()).belief(seed=4)


def test_the_best_world_is_no_worse_where_it_was_chosen() -> None:
    candidates, row_ptr, *rest = learnable(seed=2)
    clean = CPClean(candidates, row_ptr, *rest)
    points, prior = np.arange(40), clean.prior
    chosen = worlds_module.best_world(clean.knowledge.ranked, prior, points)
    assert np.all((chosen >= row_ptr[:-1]) & (chosen < row_ptr[1:]))
    sampled = worlds_module.sample_worlds(clean.knowledge.ranked.rows, prior, 200, np.random.default_rng(0))
    best = world_hits(clean.knowledge.ranked, chosen[None], points).sum()
    assert best >= world_hits(clean.knowledge.ranked, sampled, points).sum(axis=1).max()


def test_certain_data_have_a_belief_without_spread() -> None:
    belief = CPClean([[0.0], [4.0]], [0, 1, 2], [0, 1], [[0.0], [5.0]], [0, 0], k=1).belief()
    assert (belief.lower, belief.upper, belief.expected, belief.potential) == (0.5, 0.5, 0.5, 0.5)
    assert (belief.sd, belief.n_certain_correct, belief.n_certain_wrong, belief.n_uncertain) == (0, 1, 1, 0)


def test_one_uncertain_point_is_scored_in_the_most_probable_world() -> None:
    clean = CPClean(
        [[0.0], [9.0], [4.0]], [0, 2, 3], [1, 0], [[0.0]], [1], k=1, prior=[0.4, 0.6, 1.0]
    ).belief()
    assert clean.potential == clean.default == 0.0


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda c: c.condition(60, 0), "row"),
        (lambda c: c.condition(-1, 0), "row"),
        (lambda c: c.condition(0, 4), "alternative"),
        (lambda c: c.condition(0, 0).condition(0, 1), "alternative"),
        (lambda c: c.condition_value(0, [1.0]), "features"),
        (lambda c: c.condition_value(0, [1.0, 2.0, np.nan]), "features"),
        (lambda c: c.condition_value(0, [1.0, 2.0, 3.0], label=2), "label"),
    ],
)
def test_bad_answers_are_named(call: Any, argument: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call(CPClean(*learnable()))
    assert caught.value.argument == argument


def test_development_points_and_labels_must_match() -> None:
    rows = [[0.0], [1.0]], [0, 1, 2], [0, 1]
    with pytest.raises(InvalidArgument):
        CPClean(*rows, [[0.0]], [0, 1], k=1)
    with pytest.raises(InvalidArgument):
        CPClean(*rows, np.zeros((0, 1)), [], k=1)
