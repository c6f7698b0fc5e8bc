"""ModelPicker against a plain loop, its unbiasedness, its economy and its replay."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from easeml_ray.errors import InvalidArgument
from easeml_ray.pool import ModelPicker, Query

Array = NDArray[Any]


def stream(
    rng: np.random.Generator, accuracies: list[float], n_rows: int, n_classes: int
) -> tuple[Array, Array]:
    """Return predictions (n_rows, k) of independent models and labels (n_rows,)."""
    labels = rng.integers(n_classes, size=n_rows)
    right = rng.random((n_rows, len(accuracies))) < np.array(accuracies)
    wrong = (labels[:, None] + rng.integers(1, n_classes, size=right.shape)) % n_classes
    return np.where(right, labels[:, None], wrong), labels


def run(picker: ModelPicker, predictions: Array, labels: Array) -> list[Query]:
    queries = []
    for row, label in zip(predictions, labels, strict=True):
        query = picker.propose(row)
        queries.append(query)
        if query.ask:
            picker.observe(query.id, int(label))
    return queries


def asking_probability(
    losses: list[float], predictions: list[int], t: int, n_classes: int, beta: float
) -> float:
    """The formula of Algorithm 1, one model and one class at a time."""
    k = len(losses)
    if len(set(predictions)) == 1:
        return 0.0
    eta = math.sqrt(math.log(k) / 2) / math.sqrt(t)
    weights = [math.exp(-eta * (loss - min(losses))) for loss in losses]
    total = sum(weights)
    u = 0.0
    for c in range(n_classes):
        wrong = sum(w / total for w, f in zip(weights, predictions, strict=True) if f != c)
        u = max(u, beta * wrong * (1 - wrong))
    return min(1.0, max(u, eta)) if u > 0 else 0.0


def test_every_step_agrees_with_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    predictions, labels = stream(rng, [0.5, 0.7, 0.6], 200, 4)
    predictions[::5] = predictions[::5, :1]
    picker = ModelPicker(3, 4, beta=2.0, rng=rng)
    losses = [0.0] * 3
    for t, (row, label) in enumerate(zip(predictions.tolist(), labels.tolist(), strict=True), start=1):
        expected = asking_probability(losses, row, t, 4, 2.0)
        query = picker.propose(row)
        assert query.id == t - 1
        assert query.probability == pytest.approx(expected, rel=1e-12)
        if query.ask:
            picker.observe(query.id, label)
            losses = [loss + (f != label) / query.probability for loss, f in zip(losses, row, strict=True)]
    assert picker.losses == pytest.approx(losses)
    assert picker.best == int(np.argmin(losses))


def test_the_learning_rate_falls_with_the_root_of_time_and_not_with_its_factorial() -> None:
    picker = ModelPicker(2, 2, rng=np.random.default_rng(0))
    for _ in range(399):
        picker.propose([1, 1])
    # Row 400: η = √(ln 2 / 2) / 20, and an even posterior gives the larger u = 1/4.
    assert picker.propose([0, 1]).probability == 0.25
    query = picker.record(400, True, 0.01, [0, 1])
    picker.observe(query.id, 1)
    eta = math.sqrt(math.log(2) / 2) / math.sqrt(402)
    assert picker.posterior[1] == pytest.approx(1 / (1 + math.exp(-100 * eta)))


def test_the_best_model_is_found_with_a_fraction_of_the_labels() -> None:
    accuracies = [0.6, 0.65, 0.9, 0.7, 0.75]
    found, asked = 0, 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        predictions, labels = stream(rng, accuracies, 1000, 3)
        picker = ModelPicker(5, 3, beta=0.5, rng=rng)
        asked += sum(query.ask for query in run(picker, predictions, labels))
        found += picker.best == 2
        assert picker.posterior.argmax() == picker.best
    assert found == 20
    assert asked / (20 * 1000) < 0.15


def test_importance_weights_make_loss_differences_unbiased() -> None:
    predictions, labels = stream(np.random.default_rng(3), [0.6, 0.8], 60, 3)
    errors = (predictions != labels[:, None]).sum(axis=0)
    differences = []
    for seed in range(600):
        picker = ModelPicker(2, 3, rng=np.random.default_rng(seed))
        run(picker, predictions, labels)
        differences.append(picker.losses[0] - picker.losses[1])
    standard_error = np.std(differences) / math.sqrt(len(differences))
    assert abs(np.mean(differences) - (errors[0] - errors[1])) < 3.5 * standard_error
    assert standard_error < 1


def test_a_replay_from_the_log_gives_the_live_state() -> None:
    rng = np.random.default_rng(5)
    predictions, labels = stream(rng, [0.5, 0.6, 0.7, 0.8], 300, 5)
    live = ModelPicker(4, 5, rng=rng)
    queries = run(live, predictions[:200], labels[:200])
    replayed = ModelPicker(4, 5, rng=np.random.default_rng(99))
    for query, row, label in zip(queries, predictions[:200], labels[:200], strict=True):
        again = replayed.record(query.id, query.ask, query.probability, row if query.ask else None)
        assert again == query
        if query.ask:
            replayed.observe(query.id, int(label))
    assert (replayed.losses == live.losses).all()
    assert (replayed.posterior == live.posterior).all()
    assert (replayed.proposals, replayed.pending, replayed.best) == (live.proposals, live.pending, live.best)
    row = predictions[200]
    assert replayed.propose(row).probability == live.propose(row).probability


def test_a_resumed_picker_goes_on_where_the_stream_was_left() -> None:
    predictions, labels = stream(np.random.default_rng(6), [0.5, 0.6, 0.7], 120, 3)
    live = ModelPicker(3, 3, rng=np.random.default_rng(1))
    run(live, predictions[:100], labels[:100])
    resumed = ModelPicker.resumed(live.losses, 100, n_classes=3, rng=np.random.default_rng(2))
    assert (resumed.posterior == live.posterior).all()
    for row in predictions[100:]:
        first, second = live.propose(row), resumed.propose(row)
        assert (first.id, first.probability) == (second.id, second.probability)


@pytest.mark.parametrize(
    ("argument", "losses", "proposals"),
    [("losses", [-1.0, 0.0], 1), ("losses", [[0.0]], 1), ("losses", [np.nan], 1), ("proposals", [0.0], -1)],
)
def test_losses_out_of_range_are_refused(argument: str, losses: list[Any], proposals: int) -> None:
    with pytest.raises(InvalidArgument) as caught:
        ModelPicker.resumed(losses, proposals, n_classes=2, rng=np.random.default_rng(0))
    assert caught.value.argument == argument


def test_late_answers_count_with_the_probability_at_which_they_were_asked() -> None:
    picker = ModelPicker(2, 2, rng=np.random.default_rng(0))
    picker.record(0, True, 0.5, [0, 1])
    picker.record(1, False, 0.25)
    picker.record(2, True, 0.2, [1, 0])
    assert picker.pending == (0, 2)
    picker.observe(2, 1)
    picker.observe(0, 1)
    assert picker.losses.tolist() == [2.0, 5.0]
    assert not picker.pending


def test_each_question_takes_one_answer() -> None:
    picker = ModelPicker(2, 2, rng=np.random.default_rng(0))
    picker.record(0, True, 0.5, [0, 1])
    picker.record(1, True, 0.5, [0, 1])
    picker.record(2, False, 0.5)
    picker.observe(0, 0)
    picker.drop(1)
    for id in (0, 1, 2, 3):
        with pytest.raises(InvalidArgument) as caught:
            picker.observe(id, 0)
        assert caught.value.argument == "id"
    assert picker.losses.tolist() == [0.0, 2.0]


def test_nothing_is_asked_where_nothing_can_be_learnt() -> None:
    single = ModelPicker(1, 3, rng=np.random.default_rng(0))
    assert not any(single.propose([c % 3]).ask for c in range(50))
    agreeing = ModelPicker(4, 3, rng=np.random.default_rng(0))
    assert {agreeing.propose([c % 3] * 4).probability for c in range(50)} == {0.0}
    assert (single.best, agreeing.best) == (0, 0)
    assert agreeing.posterior.tolist() == [0.25] * 4


def test_ties_go_to_the_smaller_index() -> None:
    picker = ModelPicker(3, 2, rng=np.random.default_rng(0))
    picker.record(0, True, 1.0, [0, 1, 1])
    picker.observe(0, 1)
    assert picker.best == 1


def test_what_the_picker_shows_cannot_change_it() -> None:
    picker = ModelPicker(2, 2, rng=np.random.default_rng(0))
    predictions = np.array([0, 1])
    picker.record(0, True, 1.0, predictions)
    predictions[:] = 0
    picker.losses[:] = 9
    picker.posterior[:] = 9
    picker.observe(0, 1)
    assert picker.losses.tolist() == [1.0, 0.0]


def test_read_only_predictions_are_accepted() -> None:
    predictions = np.array([0, 1], dtype=np.int8)
    predictions.setflags(write=False)
    assert ModelPicker(2, 2, rng=np.random.default_rng(0)).propose(predictions).probability > 0


@pytest.mark.parametrize("wrong", [[0], [0, 2], [-1, 0], [0.0, 1.0], [[0, 1]], ["a", "b"]])
def test_predictions_out_of_form_are_refused(wrong: list[Any]) -> None:
    picker = ModelPicker(2, 2, rng=np.random.default_rng(0))
    with pytest.raises(InvalidArgument) as caught:
        picker.propose(wrong)
    assert caught.value.argument == "predictions"
    assert picker.proposals == 0


def test_records_out_of_form_are_refused() -> None:
    picker = ModelPicker(2, 2, rng=np.random.default_rng(0))
    for argument, call in {
        "id": (1, False, 0.0),
        "probability": (0, True, 0.0, [0, 1]),
        "predictions": (0, True, 0.5),
    }.items():
        with pytest.raises(InvalidArgument) as caught:
            picker.record(*call)  # type: ignore[arg-type]
        assert caught.value.argument == argument
    picker.record(0, True, 0.5, [0, 1])
    for label in (2, -1, 0.5, True):
        with pytest.raises(InvalidArgument) as caught:
            picker.observe(0, label)  # type: ignore[arg-type]
        assert caught.value.argument == "label"


@pytest.mark.parametrize(
    ("argument", "parameters"),
    [
        ("n_models", {"n_models": 0, "n_classes": 2}),
        ("n_classes", {"n_models": 2, "n_classes": 1}),
        ("beta", {"n_models": 2, "n_classes": 2, "beta": 0.0}),
        ("beta", {"n_models": 2, "n_classes": 2, "beta": float("nan")}),
    ],
)
def test_parameters_out_of_range_are_refused(argument: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        ModelPicker(**parameters, rng=np.random.default_rng(0))
    assert caught.value.argument == argument
