from __future__ import annotations

import json

import numpy as np
import pytest

from easeml_ray.errors import InvalidArgument
from easeml_ray.market import Offer, knn_shapley, plan_purchases
from easeml_ray.market.curves import retained_curves, vote_accuracy
from easeml_ray.market.picture import draw


def noisy(seed: int) -> list[np.ndarray]:
    """Train rows with three labels of ten wrong, development rows and test rows."""
    rng = np.random.default_rng(seed)
    parts = []
    for n, wrong in ((300, 0.3), (150, 0.0), (300, 0.0)):
        y = rng.integers(0, 2, n)
        X = rng.standard_normal((n, 2)) + 3.0 * y[:, None]
        parts += [X, np.where(rng.random(n) < wrong, 1 - y, y)]
    return parts


def test_the_best_rows_predict_better_than_any_and_the_worst_worse() -> None:
    X, y, Z, z, X_test, y_test = noisy(0)
    values = knn_shapley(X, y, Z, z, k=5)
    curves = retained_curves(values, vote_accuracy(X, y, X_test, y_test, k=5), points=10)
    assert curves.kept == tuple(np.round(np.arange(1, 11) / 10, 1))
    half = curves.kept.index(0.5)
    assert curves.best[half] > curves.any[half] > curves.worst[half] + 0.2
    assert curves.best[-1] == curves.worst[-1] == pytest.approx(curves.any[-1])
    assert json.loads(json.dumps(curves.to_dict()))["kept"][-1] == 1.0


def test_few_rows_have_few_points() -> None:
    curves = retained_curves([0.1, 0.3, 0.2], lambda rows: float(rows.sum()), points=20)
    assert len(curves.kept) == 3 and curves.best == (1.0, 3.0, 3.0) and curves.worst == (0.0, 2.0, 3.0)


def test_the_curve_of_a_plan_is_drawn_the_same_twice() -> None:
    X, y, Z, z, X_test, y_test = noisy(1)
    offers = [Offer(str(i), "s", X[i::5][10:], y[i::5][10:], 100 + i) for i in range(5)]
    plan = plan_purchases(offers, X[:10], y[:10], Z, z, budget_cents=350)
    curve = plan.to_dict()["curve"]
    assert [point["spent_cents"] for point in curve] == [0, *(step.spent_cents for step in plan.steps)]
    assert all(p["interval"][0] <= p["accuracy"] <= p["interval"][1] for p in curve)
    retained = retained_curves(
        knn_shapley(X, y, Z, z), vote_accuracy(X, y, X_test, y_test), points=5, draws=2
    ).to_dict()
    first = draw(curve, budget_cents=350, target=0.9, retained=retained)
    assert first == draw(curve, budget_cents=350, target=0.9, retained=retained)
    assert b"budget 3.50" in first or first.startswith(b"<?xml")
    assert draw(curve[:1], kind="png").startswith(b"\x89PNG")


def test_bad_curves_are_refused() -> None:
    for words, values, more in (
        ("finite numbers", [], {}),
        ("finite numbers", [np.nan], {}),
        ("points is 0", [1.0], {"points": 0}),
        ("draws is 0", [1.0], {"draws": 0}),
    ):
        with pytest.raises(InvalidArgument, match=words):
            retained_curves(values, lambda rows: 0.0, **more)
    with pytest.raises(InvalidArgument, match="nothing to draw"):
        draw([])


def test_shares_of_rows_are_kept_by_value_and_the_smaller_label_wins_a_tie() -> None:
    curves = retained_curves([0.3, -0.1], lambda rows: float(0 in rows), points=2, draws=1)
    assert curves.kept == (0.5, 1.0) and curves.best == (1.0, 1.0) and curves.worst == (0.0, 1.0)
    score = vote_accuracy([[0.0], [5.0]], [1, 0], [[0.1], [4.0]], [1, 0], k=2)
    assert [score(np.array(rows)) for rows in ([0], [0, 1])] == [0.5, 0.5]
    # Of the two rows together the smaller label wins everywhere.
    assert vote_accuracy([[0.0], [5.0]], [1, 0], [[0.1]], [0], k=2)(np.array([0, 1])) == 1.0
