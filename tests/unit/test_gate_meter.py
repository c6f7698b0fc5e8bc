"""The overfitting meter: what it promises, what it keeps to itself."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta

from easeml_ray.errors import InvalidArgument, TooFewTestRows
from easeml_ray.gate import OverfittingMeter

PLAN: dict[str, Any] = {"reliability": 0.95, "steps": 4, "adaptivity": "none"}


def test_a_gap_is_told_as_its_band() -> None:
    meter = OverfittingMeter((0.0, 0.05, 0.1), **PLAN)
    rows = meter.rows
    for correct, band in ((0.95, 0), (0.9, 1), (0.86, 1), (0.85, 2), (0.81, 2), (0.7, 3)):
        reading = meter.read(Fraction(9, 10), correct=round(correct * rows), rows=rows)
        # Rounding to whole rows may cross an edge that is met exactly.
        assert abs(reading.band - band) <= (correct in (0.9, 0.85))
    first, last = meter.read(0.5, correct=rows, rows=rows), meter.read(1.0, correct=0, rows=rows)
    assert (first.lower, first.upper, last.lower, last.upper) == (None, Decimal("0.0"), Decimal("0.1"), None)
    assert str(last) == "development flatters it by above 10 points"


def test_no_band_says_more_than_is_guaranteed() -> None:
    meter = OverfittingMeter((0.01, 0.05, 0.2), **PLAN)
    assert 2 * meter.tolerance(meter.rows) <= Decimal("0.04")
    assert 2 * meter.tolerance(meter.rows - 1) > Decimal("0.04")
    with pytest.raises(TooFewTestRows) as caught:
        meter.read(0.9, correct=1, rows=meter.rows - 1)
    assert caught.value.required == meter.rows


def test_readings_that_may_steer_cost_rows() -> None:
    rows = [
        OverfittingMeter((0.01, 0.05), **(PLAN | {"adaptivity": a})).rows
        for a in ("none", "firstChange", "full")
    ]
    assert rows == sorted(set(rows))
    assert OverfittingMeter((0.05,), **PLAN).bits == 1


def test_the_gap_is_in_its_band_as_often_as_promised() -> None:
    """With models that are picked for how they look on the hidden rows, one reading after the other."""
    rng = np.random.default_rng(0)
    meter = OverfittingMeter((0.03, 0.09), reliability=0.9, steps=3, adaptivity="full")
    runs, wrong = 2000, 0
    for _ in range(runs):
        kept = rng.random(meter.rows) < 0.8
        mistaken = False
        for _ in range(3):
            fresh = np.where(rng.random(meter.rows) < 0.5, kept, rng.random(meter.rows) < 0.8)
            reading = meter.read(0.86, correct=int(fresh.sum()), rows=meter.rows)
            if reading.band == 0:
                kept = fresh
            gap, slack = 0.06, float(reading.tolerance)
            low = -1.0 if reading.lower is None else float(reading.lower)
            high = 1.0 if reading.upper is None else float(reading.upper)
            mistaken |= not low - slack <= gap <= high + slack
        wrong += mistaken
    assert beta.ppf(1e-4, max(wrong, 1), runs - wrong + 1) <= 0.1


MANY = tuple(i / 100 for i in range(20))


@pytest.mark.parametrize("edges", [(), (0.1, 0.1), (0.2, 0.1), (1.0,), (float("nan"),), ("x",), MANY])
def test_edges_that_make_no_bands_are_refused(edges: Any) -> None:
    with pytest.raises(InvalidArgument, match="edges"):
        OverfittingMeter(edges, **PLAN)


def test_numbers_that_make_no_gap_are_refused() -> None:
    meter = OverfittingMeter((0.05,), **PLAN)
    for development, correct in ((1.5, 10), (0.5, -1), (0.5, 10**9)):
        with pytest.raises(InvalidArgument):
            meter.read(development, correct=correct, rows=meter.rows)
