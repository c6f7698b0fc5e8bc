"""What a step brought a model, on rows that both models answered."""

from __future__ import annotations

import numpy as np
import pytest

from easeml_ray.errors import InvalidArgument
from easeml_ray.gains import paired_gain


def test_a_gain_counts_the_rows_on_which_the_models_differ() -> None:
    before = np.array([1] * 70 + [0] * 30, dtype=bool)
    after = before.copy()
    after[70:90], after[:5] = True, False
    gain = paired_gain(before, after, target=1.0)
    assert gain.mean == pytest.approx(0.15)
    # Agresti and Min: 20.5 won, 5.5 lost, of 102.
    centre, spread = 15 / 102, ((26 / 102 - (15 / 102) ** 2) / 102) ** 0.5
    assert (gain.lower, gain.upper) == pytest.approx((centre - 1.645 * spread, centre + 1.645 * spread))


def test_nothing_is_gained_beyond_the_target() -> None:
    before, after = [1] * 8 + [0] * 2, [1] * 10
    assert paired_gain(before, after, target=0.9).mean == pytest.approx(0.1)
    assert paired_gain(after, before, target=0.9).mean == pytest.approx(-0.1)
    reached = paired_gain(before, after, target=0.7)
    assert reached.mean == reached.upper == 0.0


def test_the_interval_holds_the_difference_in_nine_runs_of_ten() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        kind = rng.choice(4, size=150, p=[0.6, 0.1, 0.18, 0.12])  # both, older, newer, none
        gain = paired_gain((kind == 0) | (kind == 1), (kind == 0) | (kind == 2), target=1.0)
        held += gain.lower <= 0.08 <= gain.upper
    assert 0.88 <= held / 2000 <= 0.93


@pytest.mark.parametrize(("before", "after"), [([1, 0], [1]), ([], []), ([[1]], [[0]])])
def test_models_that_did_not_answer_the_same_rows_are_refused(before: object, after: object) -> None:
    with pytest.raises(InvalidArgument, match="shapes"):
        paired_gain(before, after, target=1.0)  # type: ignore[arg-type]
