from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from easeml_ray.errors import InvalidArgument
from easeml_ray.feasibility import cover_hart_lower_bound
from easeml_ray.feasibility.bounds import noise_rate
from easeml_ray.statistics import clopper_pearson


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
def test_cover_hart_equals_its_formula(classes: int) -> None:
    most = (classes - 1) / classes
    for error in (0.0, 0.01, 0.2, 0.4, 0.499):
        expected = most * (1.0 - math.sqrt(max(0.0, 1.0 - error / most)))
        assert cover_hart_lower_bound(error, classes) == pytest.approx(expected, abs=1e-12)


def test_cover_hart_is_cut_at_chance_and_keeps_shapes() -> None:
    assert cover_hart_lower_bound(1.0, 4) == 0.75
    errors = np.array([[0.0, 0.1], [0.9, 1.0]])
    assert cover_hart_lower_bound(errors, 4).shape == (2, 2)
    assert isinstance(cover_hart_lower_bound(0.1, 2), float)
    assert cover_hart_lower_bound(1e-12, 2) == pytest.approx(5e-13, rel=1e-9)


def test_the_upper_bound_of_cover_and_hart_undoes_the_lower() -> None:
    for error in (0.0, 0.05, 0.3, 0.6):
        b = cover_hart_lower_bound(error, 5)
        assert b * (2.0 - 5 / 4 * b) == pytest.approx(error)


def test_clopper_pearson_limits_solve_the_binomial_tails() -> None:
    low, high = clopper_pearson([0, 3, 20], 20, confidence=0.9)
    assert low[0] == 0.0 and high[2] == 1.0
    assert binom.sf(2, 20, low[1]) == pytest.approx(0.05)
    assert binom.cdf(3, 20, high[1]) == pytest.approx(0.05)
    assert binom.cdf(0, 20, high[0]) == pytest.approx(0.05)


def test_the_noise_rate_is_the_one_that_lifts_the_error() -> None:
    assert noise_rate(0.05, 0.05 + 0.2 * (2 / 3 - 0.05), 3) == pytest.approx(0.2)
    assert noise_rate(0.0, 0.1, 10) == pytest.approx(1 / 9)
    assert noise_rate(0.1, 0.1, 2) == 0.0 and noise_rate(0.1, 0.5, 2) == 1.0


def test_uniform_noise_raises_the_bayes_error_as_a_simulation_does() -> None:
    rng = np.random.default_rng(0)
    n, rate, classes = 200_000, 0.3, 4
    best = rng.integers(0, classes, n)
    label = np.where(rng.random(n) < 0.1, (best + 1) % classes, best)
    noisy = np.where(rng.random(n) < rate, rng.integers(0, classes, n), label)
    assert noise_rate(0.1, float((noisy != best).mean()), classes) == pytest.approx(rate, abs=0.01)


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="between 0 and 1"):
        cover_hart_lower_bound(1.5, 2)
    with pytest.raises(InvalidArgument, match="between 0 and 1"):
        cover_hart_lower_bound(np.array([0.1, np.nan]), 2)
    with pytest.raises(InvalidArgument, match="n_classes is 1"):
        cover_hart_lower_bound(0.1, 1)
    with pytest.raises(InvalidArgument, match=r"exceeds 0\.5"):
        noise_rate(0.6, 0.6, 2)
    with pytest.raises(InvalidArgument, match="no noise leads"):
        noise_rate(0.3, 0.1, 2)
    with pytest.raises(InvalidArgument, match="error counts"):
        clopper_pearson([11], 10)
    with pytest.raises(InvalidArgument, match="confidence"):
        clopper_pearson([1], 10, confidence=1.0)
