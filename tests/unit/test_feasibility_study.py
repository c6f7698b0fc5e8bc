from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from easeml_ray.embed import Raw
from easeml_ray.errors import InvalidArgument, OneClass, TooFewRows
from easeml_ray.feasibility import (
    FeasibilityDecision,
    FeasibilityReport,
    NearestNeighbor,
    clopper_pearson,
    cover_hart_lower_bound,
    default_embeddings,
    study,
    to_gain,
)
from easeml_ray.messages import Gain

MIXTURES = json.loads((Path(__file__).parents[1] / "data" / "gmm_known_ber.json").read_text())["cases"]


def two_normals(n: int, delta: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two classes in the plane whose Bayes error is Phi(-delta/2)."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    X = rng.standard_normal((n, 2))
    X[:, 0] += delta * y
    return X, y


def mixture(case: dict, n: int) -> tuple[np.ndarray, np.ndarray]:
    classes, dim, delta = case["classes"], case["dim"], case["delta"]
    means = np.zeros((classes, dim))
    if case["family"].startswith("line"):
        means[:, 0] = delta * (np.arange(classes) - (classes - 1) / 2)
    elif case["family"] == "simplex":
        means[np.arange(classes), np.arange(classes)] = delta / np.sqrt(2)
    else:
        bits = int(np.log2(classes))
        means[:, :bits] = (((np.arange(classes)[:, None] >> np.arange(bits)) & 1) - 0.5) * delta
    rng = np.random.default_rng(case["seed"])
    priors = case.get("priors")
    y = rng.integers(0, classes, n) if priors is None else rng.choice(classes, size=n, p=priors)
    return rng.standard_normal((n, dim)) + means[y], y


def noisy_digits(rate: float, target: float, seed: int = 0) -> FeasibilityReport:
    X, y = datasets.load_digits(return_X_y=True)
    rows = np.random.default_rng(seed).permutation(len(X))
    g = np.random.default_rng(100 + seed)
    y = np.where(g.random(len(y)) < rate, g.integers(0, 10, len(y)), y)
    train, dev = rows[:1080], rows[1080:1440]
    return study(X[train], y[train], X[dev], y[dev], target_accuracy=target, seed=seed)


@pytest.mark.parametrize("seed", range(5))
def test_digits_with_three_labels_in_ten_replaced_cannot_reach_ninety_percent(seed: int) -> None:
    report = noisy_digits(0.3, 0.9, seed)
    assert report.decision is FeasibilityDecision.INFEASIBLE
    assert report.belief == 0.0 and all(report.converged.values())
    low, high = report.ber_interval
    assert low <= 0.27 <= high  # its Bayes error is that of the noise, .3 (1 - 1/10)
    assert any("labels checked" in sentence for sentence in report.advice)


@pytest.mark.parametrize(("rate", "decision"), [(0.05, "FEASIBLE"), (0.0, "FEASIBLE_SURE")])
def test_digits_reach_ninety_percent_once_few_labels_are_wrong(rate: float, decision: str) -> None:
    assert noisy_digits(rate, 0.9).decision == decision


def test_clean_tumour_data_reach_ninety_percent_by_the_nearest_neighbour_alone() -> None:
    X, y = datasets.load_breast_cancer(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(X))
    train, dev = rows[:340], rows[340:455]
    report = study(X[train], y[train], X[dev], y[dev], target_accuracy=0.9)
    assert report.decision is FeasibilityDecision.FEASIBLE_SURE
    assert report.advice[0].startswith("Train now")


def test_decisions_follow_a_known_bayes_error() -> None:
    X, y = two_normals(3000, 2.0)  # Bayes error .159
    split = (X[:2000], y[:2000], X[2000:], y[2000:])
    at = {target: study(*split, target_accuracy=target).decision.value for target in (0.70, 0.82, 0.88, 0.99)}
    assert at == {0.70: "FEASIBLE_SURE", 0.82: "FEASIBLE", 0.88: "UNDECIDED", 0.99: "INFEASIBLE"}


def test_the_interval_covers_the_known_bayes_error_of_nearly_all_mixtures() -> None:
    covered = below = 0
    for case in MIXTURES[::2]:
        X, y = mixture(case, 750)
        report = study(X[:500], y[:500], X[500:], y[500:], target_accuracy=0.9, n_classes=case["classes"])
        low, high = report.ber_interval
        covered += low <= case["ber"] <= high
        below += case["ber"] > high
    assert below == 0
    assert covered >= 0.9 * len(MIXTURES[::2])


def test_the_report_agrees_with_its_parts() -> None:
    X, y = two_normals(300, 2.0, seed=4)
    report = study(X[:200], y[:200], X[200:], y[200:], target_accuracy=0.8, embeddings=["raw"], seed=3)
    errors = NearestNeighbor(X[200:], y[200:], 2).append(X[:200], y[:200]).errors
    assert report.curves["raw"][-1] == (200, errors, cover_hart_lower_bound(errors / 100, 2))
    assert [n for n, _, _ in report.curves["raw"]] == list(range(20, 201, 20))
    assert report.ber_upper == errors / 100 and report.ber_lower == cover_hart_lower_bound(errors / 100, 2)
    low, high = clopper_pearson(errors, 100, confidence=0.9)
    assert report.ber_interval[1] == pytest.approx(float(high))
    assert report.ber_interval[0] <= cover_hart_lower_bound(float(low), 2)
    assert report.target_error == 0.2 and report.best_embedding == "raw"
    assert (report.n_train, report.n_dev, report.n_classes) == (200, 100, 2)
    assert "extrapolated to 10 times" in report.method and report.noise_convention == "uniform"


def test_the_same_seed_gives_the_same_report_and_the_error_at_all_rows_needs_no_seed() -> None:
    X, y = two_normals(200, 1.5)
    split = (np.round(X[:150]), y[:150], np.round(X[150:]), y[150:])  # rounded: many ties
    reports = [study(*split, target_accuracy=0.8, seed=seed) for seed in (1, 1, 2)]
    assert reports[0] == reports[1] != reports[2]
    assert reports[0].ber_upper == reports[2].ber_upper


def test_the_report_survives_json() -> None:
    X, y = two_normals(120, 1.0)
    report = study(X[:80], y[:80], X[80:], y[80:], target_accuracy=0.95)
    text = json.dumps(report.to_dict())
    assert FeasibilityReport.from_dict(json.loads(text)) == report


def test_a_falling_curve_says_how_many_rows_may_be_enough() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (900, 2))
    y = ((X * 6).astype(int).sum(axis=1)) % 2  # a chess board: no noise, slow to learn
    report = study(X[:500], y[:500], X[500:], y[500:], target_accuracy=0.96, embeddings=["raw"])
    needed = report.samples_needed
    assert 500 < needed.n_hat < 5000 and needed.low <= needed.n_hat <= needed.high and not needed.capped
    assert report.decision is FeasibilityDecision.UNDECIDED and not report.converged["raw"]
    assert any("more train rows may be enough" in sentence for sentence in report.advice)


def test_samples_needed_are_capped_at_ten_times_the_rows() -> None:
    X, y = two_normals(600, 0.0)
    needed = study(X[:400], y[:400], X[400:], y[400:], target_accuracy=1.0).samples_needed
    assert needed.capped and needed.n_hat == needed.high == 4000


def test_embeddings_may_be_given_by_name_or_as_objects_and_progress_is_told() -> None:
    X, y = two_normals(60, 3.0)
    seen: list[tuple[int, int]] = []
    report = study(
        X[:40], y[:40], X[40:], y[40:], target_accuracy=0.7,
        embeddings=["standardise", Raw()], progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert list(report.curves) == ["standardise", "raw"]
    assert seen == [(i, 20) for i in range(1, 21)]


def test_projections_that_only_rotate_are_left_out_by_default() -> None:
    assert default_embeddings(64) == ["raw", "standardise", "pca-16", "pca-8"]
    assert default_embeddings(8) == ["raw", "standardise"]


def test_constant_features_two_rows_and_labels_that_train_lacks_are_tolerated() -> None:
    report = study([[1.0, 0.0], [1.0, 5.0]], [0, 1], [[1.0, 0.0], [1.0, 5.0]], [0, 2], target_accuracy=0.5)
    assert report.n_classes == 3 and report.ber_upper == 0.5
    assert report.curves["raw"][-1].errors == 1


def test_bad_input_is_refused() -> None:
    X, y = two_normals(20, 1.0)

    def call(**changes: object) -> None:
        given = {"X_train": X, "y_train": y, "X_dev": X, "y_dev": y, "target_accuracy": 0.9} | changes
        study(**given)  # type: ignore[arg-type]

    with pytest.raises(TooFewRows, match="train has 1 row"):
        call(X_train=X[:1], y_train=y[:1])
    with pytest.raises(TooFewRows, match="development has 0 row"):
        call(X_dev=np.empty((0, 2)), y_dev=[])
    with pytest.raises(OneClass):
        call(y_train=np.zeros(20, dtype=int))
    with pytest.raises(InvalidArgument, match="X_dev has 3 features"):
        call(X_dev=np.ones((20, 3)))
    with pytest.raises(InvalidArgument, match="X_train holds NaN"):
        call(X_train=np.where(X > 1, np.nan, X))
    with pytest.raises(InvalidArgument, match="labels for 20 rows"):
        call(y_train=y[:5])
    with pytest.raises(InvalidArgument, match="n_classes is 2"):
        call(y_dev=y + 1, n_classes=2)
    with pytest.raises(InvalidArgument, match="target_accuracy is 90"):
        call(target_accuracy=90)
    with pytest.raises(InvalidArgument, match="no embedding named"):
        call(embeddings=["nothing"])
    with pytest.raises(InvalidArgument, match="no embedding is named"):
        call(embeddings=[])
    with pytest.raises(InvalidArgument, match="named twice"):
        call(embeddings=["raw", "raw"])


def test_gains_are_zero_when_feasible_and_bounded_by_the_distance_to_the_target() -> None:
    assert to_gain(noisy_digits(0.0, 0.9), current_accuracy=0.1, development_rows=100) == Gain(0.0, 0.0, 0.0)
    open_answer = noisy_digits(0.1, 0.9, seed=1)
    assert open_answer.decision is FeasibilityDecision.UNDECIDED
    few, many = (to_gain(open_answer, current_accuracy=0.6, development_rows=rows) for rows in (10, 1000))
    assert 0.0 <= few.mean < many.mean <= many.upper <= 0.3
    one, five = (to_gain(open_answer, current_accuracy=0.6, embeddings=m) for m in (1, 5))
    assert 0.0 < one.mean < five.mean <= five.upper <= 0.3
    hopeless = to_gain(noisy_digits(0.3, 0.9), current_accuracy=0.6, development_rows=100)
    assert hopeless.mean < 1e-6
    assert to_gain(open_answer, current_accuracy=0.95, development_rows=10) == Gain(0.0, 0.0, 0.0)


def test_a_gain_is_for_one_action() -> None:
    report = noisy_digits(0.1, 0.9)
    for rows, embeddings in ((0, 0), (5, 1), (-1, 0)):
        with pytest.raises(InvalidArgument, match="either"):
            to_gain(report, current_accuracy=0.5, development_rows=rows, embeddings=embeddings)
    with pytest.raises(InvalidArgument, match="current_accuracy"):
        to_gain(report, current_accuracy=50, development_rows=1)
