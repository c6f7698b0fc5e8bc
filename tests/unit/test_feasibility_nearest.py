from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets
from sklearn.decomposition import PCA

from easeml_ray.errors import InvalidArgument
from easeml_ray.feasibility import NearestNeighbor, cover_hart_lower_bound
from easeml_ray.neighbors.neighbors import NearestNeighbors

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "one_nn_errors.json").read_text())
EXACT = [case for case in GOLDEN["cases"] if not case["embedding"].startswith("nca")]
LOADERS = {
    "digits": datasets.load_digits,
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
}


def golden_arrays(case: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return embedded train and test rows, and the positions of both in the data set."""
    X, _ = LOADERS[case["dataset"]](return_X_y=True)
    order = np.random.default_rng(case["seed"]).permutation(len(X))
    test, train = order[: len(X) // 4], order[len(X) // 4 :]
    method, _, size = case["embedding"].partition("-")
    if method == "identity":
        return X[train], X[test], train, test
    scale = X[train].std(axis=0)
    scale[scale == 0] = 1.0
    Z = (X - X[train].mean(axis=0)) / scale
    if method == "pca":
        Z = PCA(int(size), svd_solver="full").fit(Z[train]).transform(Z)
    if method == "rp":
        g = np.random.default_rng(case["seed"] + 1000)
        Z = Z @ (g.standard_normal((X.shape[1], int(size))) / np.sqrt(int(size)))
    return Z[train], Z[test], train, test


@pytest.mark.parametrize("case", EXACT, ids=lambda c: f"{c['dataset']}-{c['embedding']}-{c['seed']}")
def test_error_counts_equal_the_golden_ones_along_the_prefixes_and_under_noise(case: dict) -> None:
    X_train, X_test, train, test = golden_arrays(case)
    _, y = LOADERS[case["dataset"]](return_X_y=True)
    state = NearestNeighbor(X_test, y[test], case["classes"])
    counts, done = [], 0
    for size in case["prefix"]:
        counts.append(state.append(X_train[done:size], y[train[done:size]]).errors)
        done = size
    assert counts == case["exact64_errors"] == case["ref_errors"]
    assert cover_hart_lower_bound(counts[-1] / len(test), case["classes"]) == pytest.approx(
        case["cover_hart_lower"]
    )
    # Relabelling reaches the noisy counts without another look at the features.
    g = np.random.default_rng(10000 + case["seed"])
    u, drawn = g.random(len(y)), g.integers(0, case["classes"], len(y))
    for rate, expected in case.get("noisy_uniform_full_train_errors", {}).items():
        noisy = np.where(u < float(rate), drawn, y)
        state.relabel_train(np.arange(len(train)), noisy[train]).relabel_test(
            np.arange(len(test)), noisy[test]
        )
        assert state.errors == expected


def test_ties_go_to_the_smaller_train_index_in_whatever_order_rows_come() -> None:
    state = NearestNeighbor([[0.0]], [0], 2)
    state.append([[1.0]], [1], start=5)
    assert state.nearest.tolist() == [5] and state.errors == 1
    state.append([[-1.0]], [0], start=2)
    assert state.nearest.tolist() == [2] and state.errors == 0
    state.append([[1.0]], [1], start=9)
    assert state.nearest.tolist() == [2]


def test_near_ties_far_from_the_origin_are_decided_exactly() -> None:
    rng = np.random.default_rng(0)
    X_test = 1e8 + rng.standard_normal((20, 3))
    X = np.repeat(X_test, 50, axis=0) + 1e-6 * rng.standard_normal((1000, 3))
    state = NearestNeighbor(X_test, np.zeros(20, dtype=int), 2).append(X, np.zeros(1000, dtype=int))
    d2 = np.square(X_test[:, None, :] - X[None, :, :]).sum(axis=2)
    assert np.array_equal(state.nearest, d2.argmin(axis=1))
    assert np.array_equal(state.distance, d2.min(axis=1))


def test_before_any_train_row_everything_is_wrong() -> None:
    state = NearestNeighbor([[0.0], [1.0]], [0, 1], 2)
    assert state.errors == 2 and state.n_train == 0
    assert state.append(np.empty((0, 1)), []).errors == 2


def test_a_test_label_that_train_lacks_counts_as_an_error() -> None:
    assert NearestNeighbor([[0.0]], [2], 3).append([[0.0]], [0]).errors == 1


def test_merging_does_not_change_the_other_state() -> None:
    left = NearestNeighbor([[0.0]], [0], 2).append([[2.0]], [1], start=0)
    right = NearestNeighbor([[0.0]], [0], 2).append([[1.0]], [0], start=1)
    assert left.merge(right).errors == 0 and left.n_train == 2
    left.relabel_train([1], [1])
    assert left.errors == 1 and right.errors == 0


def test_what_another_process_found_counts_by_the_labels_of_now() -> None:
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((60, 3)), rng.integers(0, 3, 60)
    X_test, y_test = rng.standard_normal((20, 3)), rng.integers(0, 3, 20)
    whole = NearestNeighbor(X_test, y_test, 3).append(X, y)
    state = NearestNeighbor(X_test, y_test, 3)
    for start in (40, 0, 20):
        rows = slice(start, start + 20)
        part = NearestNeighbors(X_test, 1).append(X[rows], start=start)
        found = pickle.loads(pickle.dumps(part.found()))
        state.merge_found(found, y)
    assert np.array_equal(state.distance, whole.distance) and np.array_equal(state.nearest, whole.nearest)
    assert np.array_equal(state.label, whole.label) and state.errors == whole.errors
    assert state.n_train == 60
    again = NearestNeighbor(X_test, y_test, 3).merge_found(whole.found(), (y + 1) % 3)
    assert np.array_equal(again.label, (whole.label + 1) % 3)


def test_a_state_goes_on_after_a_pickle_round_trip() -> None:
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((30, 2)), rng.integers(0, 2, 30)
    state = NearestNeighbor(X[:9], y[:9], 2).append(X[:20], y[:20])
    copy = pickle.loads(pickle.dumps(state))
    assert copy.append(X[20:], y[20:]).errors == state.append(X[20:], y[20:]).errors
    assert np.array_equal(copy.merge(state).nearest, state.nearest)


def test_labels_change_after_rows_moved_as_before() -> None:
    state = NearestNeighbor([[0.0], [10.0], [0.5]], [0, 0, 0], 2).append([[1.0], [9.0]], [1, 1])
    assert state.relabel_train([0], [0]).errors == 1
    state.append([[0.1]], [1])
    assert state.errors == 3 and state.relabel_train([2, 1], [0, 0]).errors == 0
    assert state.relabel_test([1, 0], [1, 0]).errors == 1
    assert state.relabel_train([], []).errors == 1


def test_cosine_looks_at_directions_only() -> None:
    X = np.array([[1.0, 0.0], [0.0, 5.0], [3.0, 3.0]])
    state = NearestNeighbor([[1e-9, 1e-10], [7.0, 6.0]], [0, 1], 2, metric="cosine").append(X, [0, 0, 1])
    assert state.nearest.tolist() == [0, 2] and state.errors == 0
    cosine = (7.0 + 6.0) / np.sqrt(2.0 * (49.0 + 36.0))
    assert state.distance[1] == pytest.approx(2.0 - 2.0 * cosine, rel=1e-9)


def test_bad_input_is_refused() -> None:
    state = NearestNeighbor([[0.0, 0.0]], [0], 2).append([[1.0, 1.0]], [1])
    with pytest.raises(InvalidArgument, match="3 features"):
        state.append([[1.0, 2.0, 3.0]], [0])
    with pytest.raises(InvalidArgument, match="NaN"):
        state.append([[1.0, np.nan]], [0])
    with pytest.raises(InvalidArgument, match="code 2"):
        state.append([[1.0, 1.0]], [2])
    with pytest.raises(InvalidArgument, match="both start and index"):
        state.append([[1.0, 1.0]], [0], start=0, index=[0])
    with pytest.raises(InvalidArgument, match="start is -1"):
        state.append([[1.0, 1.0]], [0], start=-1)
    with pytest.raises(InvalidArgument, match="train row 1 is beyond the 1 rows"):
        state.relabel_train([1], [0])
    with pytest.raises(InvalidArgument, match="test row 4"):
        state.relabel_test([4], [0])
    with pytest.raises(InvalidArgument, match="twice"):
        state.relabel_train([0, 0], [0, 1])
    with pytest.raises(InvalidArgument, match="not over the same test rows"):
        state.merge(NearestNeighbor([[0.0, 0.0]], [1], 2))
    with pytest.raises(InvalidArgument, match="not over the same test rows"):
        state.merge(NearestNeighbor([[0.0, 0.0]], [0], 2, metric="cosine"))
    with pytest.raises(InvalidArgument, match="not over the same test rows and metric"):
        state.merge_found(NearestNeighbors([[0.0, 1.0]], 1).found(), [0])
    with pytest.raises(InvalidArgument, match="y_train has 1 labels, the search saw row 4"):
        state.merge_found(NearestNeighbors([[0.0, 0.0]], 1).append([[1.0, 1.0]], start=4).found(), [0])
    with pytest.raises(InvalidArgument, match="code 7"):
        state.merge_found(NearestNeighbors([[0.0, 0.0]], 1).append([[1.0, 1.0]]).found(), [7])
    with pytest.raises(InvalidArgument, match="no metric 'manhattan'"):
        NearestNeighbor([[0.0]], [0], 2, metric="manhattan")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="n_classes is 1"):
        NearestNeighbor([[0.0]], [1], 1)
