from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
from sklearn import neighbors

from easeml_ray.errors import InvalidArgument
from easeml_ray.neighbors.neighbors import NearestNeighbors, vote


def test_neighbours_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    X, X_test = rng.standard_normal((500, 10)), rng.standard_normal((80, 10))
    for metric in ("euclidean", "cosine"):
        state = NearestNeighbors(X_test, 7, metric=metric).append(X[:200]).append(X[200:])  # type: ignore[arg-type]
        peer = neighbors.NearestNeighbors(n_neighbors=7, metric=metric, algorithm="brute").fit(X)
        distance, nearest = peer.kneighbors(X_test)
        assert np.array_equal(state.nearest, nearest)
        expected = distance**2 if metric == "euclidean" else 2.0 * distance
        assert np.allclose(state.distance, expected, rtol=1e-9, atol=1e-12)


def test_a_row_of_zeros_is_orthogonal_to_all_others_and_equal_to_its_like() -> None:
    X = np.array([[0.0, 3.0], [0.0, 0.0], [0.0, -1.0], [-0.0, 0.0]])
    state = NearestNeighbors([[0.0, 0.0], [5.0, 0.0], [0.0, 2.0]], 4, metric="cosine").append(X)
    assert state.nearest.tolist() == [[1, 3, 0, 2], [0, 1, 2, 3], [0, 1, 3, 2]]
    assert state.distance.tolist() == [[0, 0, 2, 2], [2, 2, 2, 2], [0, 2, 2, 4]]


def test_fewer_rows_than_neighbours_leave_places_empty() -> None:
    state = NearestNeighbors([[0.0]], 3).append([[2.0], [1.0]])
    assert state.nearest.tolist() == [[1, 0, -1]] and state.distance.tolist() == [[1.0, 4.0, np.inf]]
    assert state.append([[3.0], [0.5]]).nearest.tolist() == [[3, 1, 0]] and state.n_train == 4


def test_what_was_found_travels_light_and_merges_in_any_order() -> None:
    rng = np.random.default_rng(1)
    X, X_test = rng.integers(0, 4, (90, 3)).astype(float), rng.integers(0, 4, (1000, 3)).astype(float)
    whole = NearestNeighbors(X_test, 4).append(X)
    parts = [NearestNeighbors(X_test, 4).append(X[i::3], index=np.arange(i, 90, 3)) for i in range(3)]
    sent = [pickle.dumps(part.found()) for part in parts]
    assert max(map(len, sent)) < 16 * 4 * 1000 + 1000
    for order in ((0, 1, 2), (2, 0, 1), (1, 1, 2, 0, 2)):
        merged = NearestNeighbors(X_test, 4)
        for i in order:
            merged.merge(pickle.loads(sent[i]))
        assert np.array_equal(merged.nearest, whole.nearest)
        assert np.array_equal(merged.distance, whole.distance) and merged.n_train == 90
    assert np.array_equal(parts[0].merge(parts[1]).merge(parts[2]).nearest, whole.nearest)


def test_one_who_kept_more_neighbours_can_be_merged_one_who_kept_fewer_cannot() -> None:
    X = np.arange(6.0)[:, None]
    more, fewer = NearestNeighbors([[0.0]], 4).append(X), NearestNeighbors([[0.0]], 2)
    assert fewer.merge(more).nearest.tolist() == [[0, 1]]
    with pytest.raises(InvalidArgument, match="kept 2 neighbours, not 4"):
        more.merge(fewer)


def test_votes_of_several_sizes_count_as_loops_do() -> None:
    rng = np.random.default_rng(2)
    y, nearest = rng.integers(0, 4, 50), np.array([rng.permutation(50)[:9] for _ in range(30)])
    sizes = [5, 1, 9, 2]
    votes = vote(nearest, y, 4, sizes)
    assert votes.labels.shape == (4, 30) and votes.shares.shape == (4, 30, 4)
    for i, size in enumerate(sizes):
        for t in range(30):
            counts = Counter(int(label) for label in y[nearest[t, :size]])
            most = max(counts.values())
            assert votes.labels[i, t] == min(c for c, n in counts.items() if n == most)
            assert votes.shares[i, t].tolist() == [counts[c] / size for c in range(4)]
    assert np.array_equal(vote(nearest, y, 4, 5).labels, votes.labels[:1])


def test_bad_input_is_refused() -> None:
    state = NearestNeighbors([[0.0, 0.0]], 2).append([[1.0, 1.0]])
    with pytest.raises(InvalidArgument, match="k is 0"):
        NearestNeighbors([[0.0]], 0)
    with pytest.raises(InvalidArgument, match="no metric"):
        NearestNeighbors([[0.0]], 1, metric="dot")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="3 features"):
        state.append([[1.0, 2.0, 3.0]])
    with pytest.raises(InvalidArgument, match="3 features"):
        NearestNeighbors([[0.0, 0.0]], 1, metric="cosine").append([[1.0, 2.0, 3.0]])
    with pytest.raises(InvalidArgument, match="both start and index"):
        state.append([[1.0, 1.0]], start=0, index=[0])
    with pytest.raises(InvalidArgument, match="start is -2"):
        state.append([[1.0, 1.0]], start=-2)
    with pytest.raises(InvalidArgument, match="not over the same test rows and metric"):
        state.merge(NearestNeighbors([[0.0, 1.0]], 2))
    with pytest.raises(InvalidArgument, match="not over the same test rows and metric"):
        state.merge(NearestNeighbors([[0.0, 0.0]], 2, metric="cosine").found())
    with pytest.raises(InvalidArgument, match="fewer neighbours than k"):
        vote(state.nearest, [0], 2, 2)
    with pytest.raises(InvalidArgument, match="k is 3"):
        vote(state.nearest, [0], 2, 3)
    with pytest.raises(InvalidArgument, match="no label of train row 5"):
        vote([[5]], [0, 1], 2, 1)
    with pytest.raises(InvalidArgument, match="code 2"):
        vote([[0]], [2], 2, 1)
