from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from easeml_ray.neighbors import kernel, passes
from easeml_ray.neighbors.distances import directions, first_of_equals, pair_distances, take_nearer
from easeml_ray.neighbors.kernel import Queries, offer
from easeml_ray.neighbors.passes import FloatPass, IntegerPass, Pass, Scaled

PRODUCTS = ["int8", "float32", "float64"]


@pytest.fixture(params=PRODUCTS)
def product(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every search of the test ranks by products of this kind first."""
    if request.param == "int8":
        if not passes._multiplies_integers():
            pytest.skip("this processor has no instructions for products of eight bits")
        monkeypatch.setattr(passes, "INTEGER_WORK", 0.0)
        monkeypatch.setattr(passes, "IMPORT_WORK", 0.0)
    else:
        monkeypatch.setattr(passes, "INTEGER_WORK", np.inf)
    if request.param == "float64":
        monkeypatch.setattr(kernel, "FLOAT32_WIDTH", 0)
    return request.param


def search(X: np.ndarray, X_test: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
    distance, nearest = np.full((len(X_test), k), np.inf), np.full((len(X_test), k), -1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        offer(Queries(X_test, "euclidean"), X, np.arange(len(X)), distance, nearest)
    return distance, nearest


def by_all_pairs(X: np.ndarray, X_test: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    distance = np.square(X_test[:, None, :] - X[None, :, :]).sum(axis=2)
    order = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distance, order, axis=1), order


def normal(rng: np.random.Generator, rows: int, width: int) -> np.ndarray:
    return rng.standard_normal((rows, width))


def spans(rng: np.random.Generator, rows: int, width: int) -> np.ndarray:
    return normal(rng, rows, width) * 10.0 ** rng.integers(-320, 138, (rows, 1))


PROBLEMS: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "normal": normal,
    "far from the origin": lambda rng, n, d: 1e8 + normal(rng, n, d),
    "ties everywhere": lambda rng, n, d: rng.integers(0, 3, (n, d)) / 3.0,
    "one row many times": lambda rng, n, d: np.ones((n, d)),
    "two distant clusters": lambda rng, n, d: normal(rng, n, d) + 1e6 * rng.integers(0, 2, (n, 1)),
    "near ties": lambda rng, n, d: 1.0 + 1e-9 * normal(rng, n, d),
    "huge values": lambda rng, n, d: 1e139 * rng.uniform(-1.0, 1.0, (n, d)),
    "values that underflow when squared": lambda rng, n, d: 1e-170 * normal(rng, n, d),
    "subnormal values": lambda rng, n, d: 1e-310 * normal(rng, n, d),
    "every magnitude": spans,
    "one huge row": lambda rng, n, d: np.vstack((normal(rng, n - 1, d), np.full((1, d), -1e140))),
    "heavy tails": lambda rng, n, d: rng.standard_cauchy((n, d)) ** 3,
}


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_product_finds_the_neighbours_that_all_pairs_show(
    product: str, problem: str, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "TEST_BLOCK", 7)
    monkeypatch.setattr(kernel, "TRAIN_BLOCK", 40)
    for seed, width in enumerate((1, 3, 17)):
        rng = np.random.default_rng(seed)
        X, X_test = PROBLEMS[problem](rng, 150, width), PROBLEMS[problem](rng, 20, width)
        X[77] = X_test[3]
        distance, nearest = search(X, X_test, k)
        expected, order = by_all_pairs(X, X_test, k)
        assert np.array_equal(nearest, order) and np.array_equal(distance, expected)


@pytest.mark.parametrize(
    ("name", "value"), [("PENDING", 1), ("CROWD", 0), ("CLOSE_ROWS", 1), ("FIRST_BLOCKS", 0)]
)
def test_the_sizes_of_the_work_do_not_change_the_answer(
    product: str, name: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    X, X_test = normal(rng, 300, 5).round(1), normal(rng, 40, 5).round(1)
    expected = by_all_pairs(X, X_test, 2)
    monkeypatch.setattr(kernel, "TRAIN_BLOCK", 50)
    monkeypatch.setattr(kernel, name, value)
    distance, nearest = search(X, X_test, 2)
    assert np.array_equal(distance, expected[0]) and np.array_equal(nearest, expected[1])


def exact_scores(scaled: Scaled, X: np.ndarray, X_test: np.ndarray) -> list[list[Fraction]]:
    """Scores s of all pairs in exact arithmetic."""
    unit = Fraction(2) ** scaled.e
    centred = [[[(Fraction(v) - Fraction(c)) / unit for v, c in zip(row, scaled.centre, strict=True)]
                for row in rows] for rows in (X_test, X)]  # fmt: skip
    return [[sum(b * (b - 2 * a) for a, b in zip(q, p, strict=True)) for p in centred[1]] for q in centred[0]]


@pytest.mark.parametrize("problem", ["normal", "far from the origin", "every magnitude", "heavy tails"])
def test_no_score_exceeds_the_true_one_by_more_than_the_margin(product: str, problem: str) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X, X_test = PROBLEMS[problem](rng, 12, 9), PROBLEMS[problem](rng, 6, 9)
        scaled = Queries(X_test, "euclidean").scaled(X)
        view: Pass = IntegerPass(scaled) if product == "int8" else FloatPass(scaled, getattr(np, product))
        columns = view.columns(X)
        scores = columns.multiply(slice(None), np.empty((6, 12), dtype=columns.dtype))
        row = np.repeat(np.arange(6), 12)
        lower = columns.lower(row, scores.ravel()).reshape(6, 12)
        exact = exact_scores(scaled, X, X_test)
        for t in range(6):
            for j in range(12):
                assert lower[t, j] == -np.inf or Fraction(float(lower[t, j])) <= exact[t][j]
        if problem == "normal":
            gap = np.array([[float(v) for v in values] for values in exact]) - lower
            assert gap.max() < {"int8": 1.0, "float32": 1e-4, "float64": 1e-12}[product]
            # A pair exactly at its upper bound is always let through.
            for t in range(6):
                least = np.array([float(min(exact[t]))])
                assert scores[t].min() <= columns.ceiling(np.array([t]), least)[0]


def test_ordinary_rows_are_looked_at_closely_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    original = kernel._Search._look_closely

    def counting(self: object, at: object, row: np.ndarray, *rest: object) -> None:
        looked.append(row.size)
        original(self, at, row, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(kernel._Search, "_look_closely", counting)
    monkeypatch.setattr(kernel, "TRAIN_BLOCK", 100)
    monkeypatch.setattr(passes, "INTEGER_WORK", np.inf)
    rng = np.random.default_rng(0)
    search(normal(rng, 5_000, 16), normal(rng, 400, 16))
    # A new minimum in block b has chance 1/b: the sum over 50 blocks is 4.5 a row.
    assert 4.0 < sum(looked) / 400 < 5.0


@pytest.mark.parametrize("k", [1, 5])
def test_a_row_given_many_times_needs_little_memory(product: str, k: int) -> None:
    rng = np.random.default_rng(0)
    X = np.repeat(normal(rng, 4, 8), 5_000, axis=0)
    X_test = np.repeat(X[::5_000], 300, axis=0)
    search(X[:10], X_test[:10], k)
    tracemalloc.start()
    _, nearest = search(X, X_test, k)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(nearest[:300], np.tile(np.arange(k), (300, 1)))
    assert np.array_equal(nearest[-300:], np.tile(15_000 + np.arange(k), (300, 1)))
    assert peak < 40e6  # 24 million pairs tie


def test_whole_numbers_are_multiplied_only_where_that_is_fast_and_pays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passes, "_multiplies_integers", lambda: True)
    monkeypatch.setattr(passes, "sys", type("sys", (), {"modules": {"torch": None}}))
    assert passes.integers_pay(64, 1e10)
    assert not passes.integers_pay(64, 1e8) and not passes.integers_pay(1 << 16, 1e10)
    monkeypatch.setattr(passes, "sys", type("sys", (), {"modules": {}}))
    assert not passes.integers_pay(64, 1e10) and passes.integers_pay(64, 1e12)
    monkeypatch.setattr(passes, "_multiplies_integers", lambda: False)
    assert not passes.integers_pay(64, 1e12)


def test_a_pair_has_one_value_whatever_stands_beside_it() -> None:
    rng = np.random.default_rng(5)
    for width in (1, 2, 7, 8, 9, 64, 129, 1000):
        X, X_test = normal(rng, 30, width), normal(rng, 20, width)
        row, column = np.repeat(np.arange(20), 30), np.tile(np.arange(30), 20)
        whole = pair_distances(X_test, X, row, column)
        alone = [float(pair_distances(X_test, X, row[i : i + 1], column[i : i + 1])[0]) for i in range(600)]
        assert whole.tolist() == alone
        assert whole.tolist() == [float(np.square(q - a).sum()) for q in X_test for a in X]


def test_a_neighbour_known_to_both_sides_is_taken_once() -> None:
    known = np.array([[1.0, 3.0], [2.0, np.inf]]), np.array([[4, 9], [1, -1]])
    take_nearer(known, (np.array([[3.0, 1.0], [2.0, 2.0]]), np.array([[9, 4], [1, 0]])))
    assert known[1].tolist() == [[4, 9], [0, 1]]
    assert known[0].tolist() == [[1.0, 3.0], [2.0, 2.0]]


def test_of_equal_rows_the_smallest_indices_are_kept() -> None:
    rows = np.array([[0.0, 1.0], [2.0, 2.0], [-0.0, 1.0], [0.0, 1.0]])
    assert first_of_equals(rows, np.array([9, 1, 5, 7]), k=1).tolist() == [1, 2]
    assert first_of_equals(rows, np.array([9, 1, 5, 7]), k=2).tolist() == [1, 2, 3]


def test_directions_have_length_one_at_every_magnitude() -> None:
    rng = np.random.default_rng(6)
    points = directions(spans(rng, 200, 4))
    assert np.allclose(np.square(points).sum(axis=1), 1.0, rtol=1e-12)
    assert directions(np.zeros((1, 2))).tolist() == [[0.0, 0.0, 1.0]]
