"""Invariants of the picker under any stream and any order of answers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from easeml_ray.pool import ModelPicker


@given(st.integers(1, 5), st.integers(2, 4), st.integers(0, 2**32 - 1), st.sampled_from([0.1, 1.0, 10.0]))
@settings(max_examples=20, deadline=None)
def test_probabilities_are_probabilities_and_replay_is_exact(
    n_models: int, n_classes: int, seed: int, beta: float
) -> None:
    rng = np.random.default_rng(seed)
    live = ModelPicker(n_models, n_classes, beta=beta, rng=rng)
    replayed = ModelPicker(n_models, n_classes, beta=beta, rng=np.random.default_rng(0))
    for _ in range(40):
        predictions = rng.integers(n_classes, size=n_models)
        query = live.propose(predictions)
        replayed.record(query.id, query.ask, query.probability, predictions)
        assert 0 <= query.probability <= 1
        disagree = len(set(predictions.tolist())) > 1
        assert not query.ask or disagree
        if disagree:
            assert query.probability > 0
        # Answers come late, in any order, and some never.
        for id in rng.permutation(live.pending)[: rng.integers(3)].tolist():
            label = int(rng.integers(n_classes))
            for picker in (live, replayed):
                picker.observe(id, label)
        assert abs(live.posterior.sum() - 1) < 1e-12
        assert (live.losses == replayed.losses).all()
        assert live.losses[live.best] == live.losses.min()


@given(st.integers(0, 2**32 - 1), st.permutations(range(4)))
@settings(max_examples=15, deadline=None)
def test_the_order_of_the_models_does_not_matter(seed: int, order: list[int]) -> None:
    rng = np.random.default_rng(seed)
    predictions = rng.integers(3, size=(30, 4))
    labels = rng.integers(3, size=30)
    plain = ModelPicker(4, 3, rng=np.random.default_rng(1))
    moved = ModelPicker(4, 3, rng=np.random.default_rng(1))
    for row, label in zip(predictions, labels, strict=True):
        first, second = plain.propose(row), moved.propose(row[order])
        assert abs(first.probability - second.probability) < 1e-12
        if first.ask and second.ask:
            plain.observe(first.id, int(label))
            moved.observe(second.id, int(label))
    assert np.allclose(plain.losses[order], moved.losses)
