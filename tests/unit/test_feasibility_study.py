from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from easeml_ray.component.executor import LocalExecutor
from easeml_ray.embed import FunctionEmbedding, Raw
from easeml_ray.errors import InvalidArgument, OneClass, TooFewRows
from easeml_ray.feasibility import (
    FeasibilityDecision,
    FeasibilityReport,
    NearestNeighbor,
    Study,
    cover_hart_lower_bound,
    study,
)
from easeml_ray.feasibility.advice import advise
from easeml_ray.feasibility.calibration import BayesBelief, shipped_calibration
from easeml_ray.feasibility.curves import prefixes
from easeml_ray.feasibility.gain import to_gain
from easeml_ray.feasibility.judge import decide
from easeml_ray.feasibility.memory import prints_of
from easeml_ray.feasibility.report import SamplesNeeded, Step
from easeml_ray.messages import Gain
from easeml_ray.statistics import clopper_pearson

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
    X = X[:, X.std(axis=0) > 3.0]  # the pixels that differ at all: the probes are quicker
    train, dev = rows[:700], rows[700:1100]
    return study(X[train], y[train], X[dev], y[dev], target_accuracy=target, embeddings=["raw"], seed=seed)


def test_a_development_row_however_far_does_not_end_a_study(quick_probes: None) -> None:
    X, y = two_normals(300, 2.0)
    dev = X[200:].copy()
    dev[3, 1] = 1e100
    far = study(X[:200], y[:200], dev, y[200:], target_accuracy=0.8, embeddings=["standardise"])
    dev[3, 1] = 1e6
    near = study(X[:200], y[:200], dev, y[200:], target_accuracy=0.8, embeddings=["standardise"])
    assert far.ber_interval == pytest.approx(near.ber_interval, abs=0.01)  # it counts as any other row


@pytest.fixture(scope="module")
def noisy() -> FeasibilityReport:
    return noisy_digits(0.3, 0.9)


def test_digits_with_three_labels_in_ten_replaced_cannot_reach_ninety_percent(
    noisy: FeasibilityReport,
) -> None:
    assert noisy.decision is FeasibilityDecision.INFEASIBLE and noisy.settled
    assert noisy.belief < 0.01
    low, high = noisy.ber_interval
    assert low <= 0.27 <= high < 0.36  # its Bayes error is that of the noise, .3 (1 - 1/10)
    assert noisy.options[0].step is Step.CLEAN_LABELS
    assert noisy.options[0].amount == pytest.approx((0.0, 1 / 9, 1 / 9))  # .1 = rho (1 - 1/10)


def test_digits_reach_ninety_percent_once_their_labels_are_right() -> None:
    report = noisy_digits(0.0, 0.9)
    assert report.decision is FeasibilityDecision.FEASIBLE_SURE and report.options[0].step is Step.TRAIN


def test_decisions_follow_a_known_bayes_error() -> None:
    X, y = two_normals(3000, 2.0)  # Bayes error .159
    made = Study(X[:2000], y[:2000], X[2000:], y[2000:], embeddings=["raw"]).run()
    at = {target: made.report(target).decision.value for target in (0.70, 0.80, 0.84, 0.90, 0.99)}
    assert at[0.70] == "FEASIBLE_SURE" and at[0.80] in ("FEASIBLE", "FEASIBLE_SURE")
    assert at[0.84] == "UNDECIDED" and at[0.90] == at[0.99] == "INFEASIBLE"


def test_the_belief_grows_as_the_target_falls_and_agrees_with_the_interval() -> None:
    X, y = two_normals(600, 1.5)
    made = Study(X[:400], y[:400], X[400:], y[400:], embeddings=["raw"]).run()
    reports = [made.report(target) for target in (0.95, 0.8, 0.75, 0.6)]
    beliefs = [report.belief for report in reports]
    assert beliefs == sorted(beliefs)
    low, high = reports[0].ber_interval
    assert low < reports[0].ber_estimate < high
    assert made.report(1.0 - low).belief == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("number", [3, 20, 40])
def test_the_interval_covers_the_known_bayes_error_of_mixtures(number: int) -> None:
    """See tests/benchmarks/calibration.py for all of them, and for families left out of the fit."""
    case = MIXTURES[number]
    X, y = mixture(case, 450)
    made = Study(X[:300], y[:300], X[300:], y[300:], embeddings=["raw"], n_classes=case["classes"]).run()
    low, high = made.report(0.9).ber_interval
    assert low <= case["ber"] <= high


def test_cleaned_development_labels_never_give_a_confident_no() -> None:
    """The probes still expect the noise that they were trained on; a classifier already does better."""
    rng = np.random.default_rng(1)
    X, y = two_normals(900, 5.0)
    noisy = np.where(rng.random(900) < 0.3, 1 - y, y)
    made = Study(X[:600], noisy[:600], X[600:], noisy[600:], embeddings=["raw"]).run()
    before = made.report(0.95)
    assert before.decision is FeasibilityDecision.INFEASIBLE
    after = made.relabel_dev(np.arange(300), y[600:]).report(0.95)
    assert after.stale_dev_rows > 60 and made.stale
    assert after.decision is not FeasibilityDecision.INFEASIBLE
    low, high = after.ber_interval
    assert low < after.best_error <= high <= after.best_limit
    again = made.relabel_train(np.arange(600), y[:600]).retrain().report(0.95)
    assert again.stale_rows == again.stale_dev_rows == 0
    assert again.decision is FeasibilityDecision.FEASIBLE_SURE


def test_an_append_that_fails_changes_nothing() -> None:
    class Broken(LocalExecutor):
        def submit(self, function: object, /, *args: object) -> Future[object]:  # type: ignore[override]
            raise ConnectionError("no worker")

    X, y = two_normals(60, 2.0)
    made = Study(X[:40], y[:40], X[50:], y[50:], embeddings=["raw"]).run()
    before = made.report(0.8)
    with pytest.raises(ConnectionError):
        made.append(X[40:45], y[40:45], executor=Broken())
    assert made.report(0.8) == before
    assert made.append(X[40:45], y[40:45]).report(0.8).curves["raw"][-1].n_train == 45


def test_a_study_runs_once() -> None:
    X, y = two_normals(60, 2.0)
    made = Study(X[:40], y[:40], X[40:], y[40:], embeddings=["raw"]).run()
    with pytest.raises(InvalidArgument, match="has run"):
        made.run()


def test_labels_of_one_class_are_refused_also_later() -> None:
    X, y = two_normals(60, 2.0)
    made = Study(X[:40], y[:40], X[40:], y[40:], embeddings=["raw"]).run()
    with pytest.raises(OneClass):
        made.relabel_train(np.arange(40), np.zeros(40, dtype=int))
    assert made.evidence.stale_rows == 0


def test_the_report_agrees_with_its_parts() -> None:
    X, y = two_normals(300, 2.0, seed=4)
    made = Study(X[:200], y[:200], X[200:], y[200:], embeddings=["raw"], seed=3).run()
    report = made.report(0.8)
    errors = NearestNeighbor(X[200:], y[200:], 2).append(X[:200], y[:200]).errors
    assert report.curves["raw"][-1] == (200, errors, cover_hart_lower_bound(errors / 100, 2))
    assert [n for n, _, _ in report.curves["raw"]] == list(range(20, 201, 20))
    assert report.ber_upper == errors / 100 and report.ber_lower == cover_hart_lower_bound(errors / 100, 2)
    assert report.ber_upper_interval == pytest.approx([float(x) for x in clopper_pearson(errors, 100)])
    fewest = min(made.evidence.member_errors().values())
    assert report.best_error == min(fewest, errors) / 100 < report.best_limit
    summary = made.evidence.summary()
    assert summary is not None and report.model_error == summary.error
    belief = shipped_calibration().belief(summary)
    assert report.ber_estimate == belief.median and report.ber_interval[1] == min(
        belief.high, report.best_limit
    )
    assert report.target_error == 0.2 and report.best_embedding == "raw"
    assert (report.n_train, report.n_dev, report.n_classes) == (200, 100, 2)
    assert report.reference_class["problems"] > 300 and "calibrated on" in report.method


def test_the_same_seed_gives_the_same_report_and_the_error_at_all_rows_needs_no_seed() -> None:
    X, y = two_normals(200, 1.5)
    split = (np.round(X[:150]), y[:150], np.round(X[150:]), y[150:])  # rounded: many ties
    reports = [study(*split, target_accuracy=0.8, embeddings=["raw"], seed=seed) for seed in (1, 1, 2)]
    assert reports[0] == reports[1] != reports[2]
    assert reports[0].ber_upper == reports[2].ber_upper


def test_the_report_survives_json() -> None:
    X, y = two_normals(120, 1.0)
    report = study(X[:80], y[:80], X[80:], y[80:], target_accuracy=0.95, embeddings=["raw", "standardise"])
    text = json.dumps(report.to_dict())
    assert FeasibilityReport.from_dict(json.loads(text)) == report
    assert json.loads(text)["advice"] == list(report.advice)


def chess_board(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """No noise, and slow to learn."""
    X = np.random.default_rng(seed).uniform(0, 1, (n, 2))
    return X, ((X * 6).astype(int).sum(axis=1)) % 2


def test_a_falling_curve_says_how_many_rows_may_be_enough_and_is_never_called_infeasible() -> None:
    X, y = chess_board(700)
    report = study(X[:400], y[:400], X[400:], y[400:], target_accuracy=0.97, embeddings=["raw"])
    needed = report.samples_needed
    assert 400 < needed.n_hat <= 4000 and needed.low <= needed.n_hat <= needed.high
    assert report.decision is FeasibilityDecision.UNDECIDED and not report.converged["raw"]
    assert report.slopes["raw"][0] > 0.2
    assert report.options[0].step is Step.ACQUIRE and report.options[0].gain is not None
    assert 0.0 <= report.options[0].gain.mean <= report.model_error


def test_infeasible_waits_until_the_curve_is_settled() -> None:
    """The interval alone would say no; ten times the rows could reach the target."""
    belief = BayesBelief(0.11, 0.13, 0.16)
    assert decide(0.10, belief, 0.2, settled=True) is FeasibilityDecision.INFEASIBLE
    assert decide(0.10, belief, 0.2, settled=False) is FeasibilityDecision.UNDECIDED
    assert decide(0.16, belief, 0.2, settled=True) is FeasibilityDecision.FEASIBLE
    assert decide(0.20, belief, 0.2, settled=True) is FeasibilityDecision.FEASIBLE_SURE
    assert decide(0.12, belief, 0.2, settled=True) is FeasibilityDecision.UNDECIDED


def test_samples_needed_are_capped_at_ten_times_the_rows() -> None:
    X, y = two_normals(600, 0.0)
    needed = study(X[:400], y[:400], X[400:], y[400:], target_accuracy=0.9, embeddings=["raw"]).samples_needed
    assert needed.capped and needed.n_hat == needed.high == 4000


def test_embeddings_may_be_given_by_name_or_as_objects_and_progress_is_told() -> None:
    X, y = two_normals(60, 3.0)
    seen: list[tuple[int, int, str]] = []
    report = study(
        X[:40], y[:40], X[40:], y[40:], target_accuracy=0.7,
        embeddings=["standardise", Raw()], progress=lambda *told: seen.append(told),
    )  # fmt: skip
    assert list(report.curves) == ["standardise", "raw"]
    assert [done for done, _, _ in seen] == list(range(1, seen[0][1] + 1))
    assert seen[0][2] == "embedding: standardise" and seen[-1][2] == "probes"


def test_a_report_does_not_depend_on_where_its_parts_were_computed() -> None:
    class Threads(ThreadPoolExecutor):
        width = 3

        def share(self, value: object) -> object:
            return value

    X, y = two_normals(200, 1.5)
    split = (X[:150], y[:150], X[150:], y[150:])
    names = ["raw", "standardise", "quantile"]
    here = study(*split, target_accuracy=0.8, embeddings=names, strategy="successive_halving")
    with Threads(3) as pool:
        there = study(*split, target_accuracy=0.8, embeddings=names, executor=pool)  # type: ignore[arg-type]
    assert here == there


def test_a_race_that_is_stopped_leaves_shorter_curves_and_an_honest_report() -> None:
    X, y = two_normals(300, 2.0)
    noise = np.random.default_rng(0).standard_normal((300, 2))
    hidden = FunctionEmbedding("noise", lambda rows: np.asarray(rows)[:, :1] * 0.0 + noise[: len(rows), :1])
    made = Study(X[:200], y[:200], X[200:], y[200:], embeddings=["raw", hidden])
    made.run(stop=lambda curves: len(curves["raw"]) == 4)
    done = made.evidence.finished()
    assert done["raw"] == 4 and done["noise"] in (3, 4)
    report = made.report(0.8)
    assert len(report.curves["raw"]) == 4 and report.curves["raw"][-1].n_train == 80
    assert report.best_embedding == "raw"


def test_a_stale_study_lowers_its_interval_and_training_again_ends_that() -> None:
    X, y = two_normals(300, 2.0)
    made = Study(X[:200], y[:200], X[200:], y[200:], embeddings=["raw"]).run()
    before = made.report(0.8)
    made.relabel_train(np.arange(20), 1 - y[:20])
    after = made.report(0.8)
    assert after.stale_rows == 20 and made.stale
    assert after.ber_interval[0] == pytest.approx(max(0.0, before.ber_interval[0] - 0.1))
    made.relabel_train(np.arange(20), y[:20])  # as they were: nothing is news any more
    assert made.evidence.stale_rows == 0 and not made.stale
    made.relabel_train(np.arange(20), 1 - y[:20])
    assert not made.retrain().stale and made.report(0.8).stale_rows == 0


def test_few_rows_of_many_classes_give_a_wide_interval_and_no_confident_no() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(100), 3)
    X = rng.standard_normal((100, 5))[y] + 0.3 * rng.standard_normal((300, 5))
    z = np.repeat(np.arange(100), 2)
    Z = rng.standard_normal((100, 5))[z]
    report = study(X, y, Z, z, target_accuracy=0.9, embeddings=["raw"])
    low, high = report.ber_interval
    assert report.outside and high - low > 0.15
    assert report.decision is FeasibilityDecision.UNDECIDED


def test_constant_features_two_rows_and_labels_that_train_lacks_are_tolerated() -> None:
    report = study([[1.0, 0.0], [1.0, 5.0]], [0, 1], [[1.0, 0.0], [1.0, 5.0]], [0, 2], target_accuracy=0.5)
    assert report.n_classes == 3 and report.ber_upper == 0.5
    assert report.curves["raw"][-1].errors == 1
    assert report.decision is FeasibilityDecision.UNDECIDED
    assert report.ber_interval[1] - report.ber_interval[0] > 0.4


def test_more_development_rows_than_train_rows_are_fine() -> None:
    X, y = two_normals(400, 2.0)
    report = study(X[:60], y[:60], X[60:], y[60:], target_accuracy=0.8, embeddings=["raw"])
    low, high = report.ber_interval
    assert low <= 0.159 <= high and report.outside


def test_texts_and_images_are_studied_through_embeddings_of_their_kind() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 120)
    words = (["good", "fine", "great", "the", "film"], ["bad", "dull", "poor", "the", "film"])
    texts = [" ".join(rng.choice(words[label], 6)) for label in y]
    report = study(
        texts[:80], y[:80], texts[80:], y[80:], target_accuracy=0.8, embeddings=["tfidf", "hashed-64"]
    )
    assert report.decision in ("FEASIBLE", "FEASIBLE_SURE")
    images = rng.random((120, 6, 6)) * 0.3
    images[y == 1, 2:4] += 0.7
    report = study(images[:80], y[:80], images[80:], y[80:], target_accuracy=0.8, embeddings=["pixels"])
    assert report.decision in ("FEASIBLE", "FEASIBLE_SURE")
    with pytest.raises(InvalidArgument, match="embeds table, the rows are text"):
        study(texts[:80], y[:80], texts[80:], y[80:], target_accuracy=0.8, embeddings=["raw"])


def test_an_embedding_that_fails_is_named() -> None:
    X, y = two_normals(40, 2.0)
    short = FunctionEmbedding("short", lambda rows: np.asarray(rows)[:-1])
    with pytest.raises(InvalidArgument, match="short"):
        study(X[:20], y[:20], X[20:], y[20:], target_accuracy=0.8, embeddings=[short])


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
    with pytest.raises(InvalidArgument, match=r"X_dev has shape \(3,\)"):
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


@pytest.fixture(scope="module")
def open_answer() -> FeasibilityReport:
    X, y = two_normals(300, 2.0)
    report = study(
        X[:200], y[:200], X[200:], y[200:], target_accuracy=0.85, embeddings=["raw", "standardise"]
    )
    assert report.decision is FeasibilityDecision.UNDECIDED
    return report


def test_gains_are_bounded_by_the_distance_to_the_target(open_answer: FeasibilityReport) -> None:
    few, many = (to_gain(open_answer, current_accuracy=0.6, development_rows=rows) for rows in (10, 1000))
    assert 0.0 <= few.mean < many.mean <= many.upper <= 0.25
    one, five = (to_gain(open_answer, current_accuracy=0.6, embeddings=m) for m in (1, 5))
    assert 0.0 < one.mean < five.mean <= five.upper <= 0.25
    assert to_gain(open_answer, current_accuracy=0.95, development_rows=10) == Gain(0.0, 0.0, 0.0)


def test_gains_are_zero_when_the_answer_is_yes_and_next_to_nothing_when_it_is_no(
    noisy: FeasibilityReport, open_answer: FeasibilityReport
) -> None:
    yes = replace(open_answer, decision=FeasibilityDecision.FEASIBLE)
    assert to_gain(yes, current_accuracy=0.1, development_rows=100) == Gain(0.0, 0.0, 0.0)
    assert to_gain(noisy, current_accuracy=0.6, development_rows=100).mean < 1e-4


def test_a_gain_is_for_one_action(open_answer: FeasibilityReport) -> None:
    for rows, embeddings in ((0, 0), (5, 1), (-1, 0)):
        with pytest.raises(InvalidArgument, match="either"):
            to_gain(open_answer, current_accuracy=0.5, development_rows=rows, embeddings=embeddings)
    with pytest.raises(InvalidArgument, match="current_accuracy"):
        to_gain(open_answer, current_accuracy=50, development_rows=1)


def test_curves_are_measured_at_equal_steps_of_the_train_rows_and_fewer_where_rows_are_few() -> None:
    assert prefixes(25, 5).tolist() == [5, 10, 15, 20, 25]
    assert prefixes(3, 10).tolist() == [1, 2, 3]


def test_prints_tell_rows_apart_by_value_and_zeros_of_either_sign_are_one() -> None:
    a, b, c = prints_of(np.array([[1.0, 0.0], [1.0, -0.0], [2.0, 0.0]])).tolist()
    assert a == b and a != c


def test_a_sure_answer_says_to_train_now() -> None:
    advice = advise(
        FeasibilityDecision.FEASIBLE_SURE, 0.1, belief=BayesBelief(0.01, 0.02, 0.03),
        best_limit=0.04, model_error=0.03, needed=SamplesNeeded(100, 100, 100, False),
        settled=True, n_train=100, n_dev=50, n_classes=2, embeddings=1,
    )  # fmt: skip
    assert [(option.step.value, option.sentence) for option in advice] == [
        ("train", "Train now: a classifier that was trained for this study reaches an accuracy of 90.0 %.")
    ]
