"""A study that goes on equals one made of the same rows and labels at once."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from easeml_ray.feasibility import Study
from easeml_ray.feasibility.collect import Work
from easeml_ray.feasibility.memory import Memory, prints_of

seeds = st.integers(0, 2**32 - 1)
EMBEDDINGS = ["raw", "standardise"]


def made(rng: np.random.Generator, n: int, T: int) -> tuple[np.ndarray, ...]:
    """Few grid points, so that most distances tie."""
    X, Z = rng.integers(0, 4, (n, 2)) / 3.0, rng.integers(0, 4, (T, 2)) / 3.0
    y, z = rng.integers(0, 3, n), rng.integers(0, 3, T)
    y[:2] = (0, 1)
    return X, y, Z, z


def raced(X: np.ndarray, y: np.ndarray, Z: np.ndarray, z: np.ndarray) -> Study:
    """A study without probes, which are random forests and no part of what is claimed here."""
    study = Study(X, y, Z, z, embeddings=EMBEDDINGS, n_classes=3)
    study._race("uniform", None, Work(None, None, 1))
    return study


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_relabelling_equals_studying_again(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, y, Z, z = made(rng, int(rng.integers(4, 30)), int(rng.integers(2, 12)))
    study = raced(X, y, Z, z)
    for _ in range(2):
        train = rng.permutation(len(X))[: rng.integers(0, len(X) + 1)]
        dev = rng.permutation(len(Z))[: rng.integers(0, len(Z) + 1)]
        y[train], z[dev] = rng.integers(0, 3, len(train)), rng.integers(0, 3, len(dev))
        y[:2] = (0, 1)  # one class only is refused
        train = np.union1d(train, [0, 1])
        study.relabel_train(train, y[train]).relabel_dev(dev, z[dev])
    again = raced(X, y, Z, z)
    assert np.array_equal(study.evidence.wrong(), again.evidence.wrong())
    assert np.array_equal(study.evidence.errors(), again.evidence.errors())
    changed, whole = study.report(0.8), again.report(0.8)
    assert changed.curves == whole.curves and changed.ber_lower_interval == whole.ber_lower_interval
    assert changed.ber_upper_interval == whole.ber_upper_interval and changed.slopes == whole.slopes


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_appending_equals_one_more_block(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, more = int(rng.integers(4, 30)), int(rng.integers(1, 10))
    X, y, Z, z = made(rng, n + more, int(rng.integers(2, 12)))
    study = raced(X[:n], y[:n], Z, z)
    maps, before = study._maps, study.evidence.sizes.size
    study.append(X[n:], y[n:])
    assert study.evidence.sizes.tolist()[-1] == n + more and study.evidence.sizes.size == before + 1
    for name in EMBEDDINGS:
        A, B = maps[name].transform(X), maps[name].transform(Z)
        pairs = np.square(B[:, None] - A[None]).sum(axis=2)
        assert study.evidence.curves[name].nearest[-1].tolist() == pairs.argmin(axis=1).tolist()


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_a_remembered_study_goes_on_as_the_study_itself(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, y, Z, z = made(rng, 20, 8)
    study = raced(X[:15], y[:15], Z, z)
    ids = np.arange(15)
    memory = Memory(
        study.evidence, "encoder", 0, study.fit_labels, ids, prints_of(X[:15]), np.arange(8), prints_of(Z)
    )
    again = Memory.from_bytes(memory.to_bytes())
    assert again is not None and np.array_equal(again.prints, memory.prints)
    resumed = Study.resumed(again.evidence, X[:15], Z, fit_labels=again.fit_labels, embeddings=EMBEDDINGS)
    for s in (study, resumed):
        s.relabel_train([3, 4], [2, 2]).append(X[15:], y[15:]).relabel_dev([0], [1])
    assert study.report(0.7) == resumed.report(0.7)
