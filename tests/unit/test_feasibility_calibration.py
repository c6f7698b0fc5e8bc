from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from easeml_ray.feasibility.calibration import TAILS, BayesBelief, Calibration, Summary, shipped_calibration

ROOT = Path(__file__).parents[2]
ROWS = json.loads((ROOT / "tests" / "benchmarks" / "reference_class.json").read_text())


def summary(**changes: float) -> Summary:
    return dataclasses.replace(Summary(1000, 500, 2, 0.2, 0.22, 0.21, 0.1, 0.01, 0.18), **changes)  # type: ignore[arg-type]


def pinball(phi: np.ndarray, residual: np.ndarray, weight: np.ndarray, theta: np.ndarray, q: float) -> float:
    off = residual - phi @ theta
    return float((weight * np.maximum(q * off, (q - 1.0) * off)).sum())


def test_the_shipped_calibration_is_the_fit_to_the_reference_class() -> None:
    """The shipped numbers come from the measured problems, not from a keyboard."""
    shipped = shipped_calibration()
    fitted = Calibration.fit(
        [Summary(**row["summary"]) for row in ROWS],
        [row["ber"] for row in ROWS],
        [row["family"] for row in ROWS],
        shipped.reference,
    )
    for ours, theirs in zip(fitted.coefficients, shipped.coefficients, strict=True):
        assert np.allclose(ours, theirs, atol=2e-3)
    assert np.allclose(fitted.lengthened, shipped.lengthened, atol=2e-2)
    assert shipped.reference["problems"] == len(ROWS)
    assert shipped.reference["families"] == sorted({row["family"] for row in ROWS})


def test_no_other_coefficients_have_a_smaller_pinball_loss() -> None:
    rng = np.random.default_rng(0)
    summaries = [
        summary(disagreement=float(d), regret=float(d) / 10, cover_hart=float(rng.uniform(0.1, 0.25)))
        for d in rng.uniform(0, 0.5, 60)
    ]
    ber = np.array([s.centre - 0.3 * s.disagreement + 0.02 * rng.standard_normal() for s in summaries])
    families = [f"family {i % 4}" for i in range(60)]
    fitted = Calibration.fit(summaries, ber, families, {})
    phi, psi = (np.stack(basis) for basis in zip(*(s.features() for s in summaries), strict=True))
    residual = ber - np.array([s.centre for s in summaries])
    weight = np.full(60, 1 / 60)
    for q, theta in zip(TAILS, fitted.coefficients, strict=True):
        basis, own = psi if q == 0.5 else phi, np.array(theta)
        best = pinball(basis, residual, weight, own, q)
        for _ in range(300):
            moved = rng.standard_normal((2, own.size))
            other = own * (1 + 0.1 * moved[0]) + 0.01 * moved[1]
            assert pinball(basis, residual, weight, other, q) >= best - 1e-7


def test_arms_are_lengthened_until_families_left_out_are_covered() -> None:
    """Three families agree; the fourth has a Bayes error far below what its probes reach."""
    rng = np.random.default_rng(0)
    summaries = [summary(disagreement=float(d)) for d in rng.uniform(0.05, 0.3, 80)]
    odd = np.arange(80) % 4 == 3
    shift = np.where(odd, 0.8, 0.1)
    ber = [
        s.centre - k * s.disagreement + 0.004 * rng.standard_normal()
        for s, k in zip(summaries, shift, strict=True)
    ]
    families = [f"family {i % 4}" for i in range(80)]
    even = Calibration.fit(
        [s for s, o in zip(summaries, odd, strict=True) if not o],
        [b for b, o in zip(ber, odd, strict=True) if not o],
        [f for f, o in zip(families, odd, strict=True) if not o],
        {},
    )
    uneven = Calibration.fit(summaries, ber, families, {})
    assert even.lengthened[0] < 3.0 < uneven.lengthened[0]


def test_more_disagreement_and_fewer_rows_widen_the_interval() -> None:
    calibration = shipped_calibration()

    def width(s: Summary) -> float:
        belief = calibration.belief(s)
        return belief.high - belief.low

    assert width(summary(disagreement=0.05)) < width(summary(disagreement=0.3))
    assert width(summary(n_dev=5000)) < width(summary(n_dev=500)) < width(summary(n_dev=50))


def test_halves_that_only_guess_do_not_move_the_median() -> None:
    """At the error of a guess the halves differ whatever the truth is: the interval stays open below."""
    calibration = shipped_calibration()
    guesses = summary(error=0.5, doubt=0.5, half_error=0.5, cover_hart=0.5, disagreement=0.5)
    belief = calibration.belief(guesses)
    assert belief.median == pytest.approx(0.5, abs=0.01)
    assert belief.low < 0.35
    assert calibration.belief(dataclasses.replace(guesses, disagreement=0.0)).median == belief.median


@pytest.mark.parametrize("C", [2, 3, 10])
def test_beliefs_stay_between_zero_and_the_error_of_a_guess(C: int) -> None:
    rng = np.random.default_rng(C)
    calibration = shipped_calibration()
    for _ in range(200):
        e = float(rng.uniform(0, 1))
        belief = calibration.belief(
            Summary(
                500,
                250,
                C,
                e,
                float(rng.uniform(0, 1 - 1 / C)),
                e,
                float(rng.random()),
                float(rng.random() / 2),
                float(rng.random()),
            )
        )
        assert 0.0 <= belief.low <= belief.median <= belief.high <= 1 - 1 / C


def test_a_belief_is_a_distribution_function() -> None:
    belief = BayesBelief(0.1, 0.2, 0.24)
    at = [belief.at_most(error) for error in np.linspace(-0.1, 0.5, 61)]
    assert at == sorted(at) and at[0] < 0.01 and at[-1] > 0.99
    for share in (0.05, 0.3, 0.5, 0.8, 0.95):
        assert belief.at_most(belief.quantile(share)) == pytest.approx(share)
    sure = BayesBelief(0.2, 0.2, 0.2)
    assert sure.at_most(0.19) == 0.0 and sure.at_most(0.2) == 1.0


def test_data_unlike_the_reference_class_are_named() -> None:
    calibration = shipped_calibration()
    assert calibration.outside(summary()) == ()
    assert calibration.outside(summary(n_train=10**6, n_dev=10**5)) == ()
    assert any("train rows" in reason for reason in calibration.outside(summary(n_train=20)))
    assert any("classes" in reason for reason in calibration.outside(summary(n_classes=200)))
    assert any("a class" in reason for reason in calibration.outside(summary(n_train=600, n_classes=200)))


def test_a_calibration_survives_json() -> None:
    calibration = shipped_calibration()
    assert Calibration.from_json(calibration.to_json()) == calibration


def test_the_shipped_calibration_names_its_reference_class() -> None:
    assert "rings" in shipped_calibration().reference["families"]
