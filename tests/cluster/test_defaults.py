from __future__ import annotations

from decimal import Decimal

import pytest

from cluster.defaults import default_condition, project_name
from cluster.follow import Standing, standing
from easeml_ray.errors import TooFewTestRows
from easeml_ray.gate import parse, require, sample_size
from easeml_ray.process.task import parse_task


@pytest.mark.parametrize("rows", [12, 20, 60, 113, 351, 2_000, 100_000])
@pytest.mark.parametrize("target", [0.6, 0.9, 0.955, 0.99])
def test_the_chosen_condition_is_carried_by_the_rows_and_passes_at_the_target(
    rows: int, target: float
) -> None:
    try:
        found = default_condition(rows, target)
    except TooFewTestRows:
        # One judged model at half the bar is the least that could be asked.
        least = sample_size(parse("n > 0.3 +/- 0.3"), reliability=0.95, steps=1, adaptivity="none")
        assert rows < 2 * least.rows
        return
    condition = parse(found.condition)
    require(condition, rows, reliability=0.95, steps=found.steps, adaptivity="none", bound="best")
    (clause,) = condition.clauses
    assert float(clause.threshold + clause.epsilon) <= target
    assert clause.threshold + clause.epsilon > Decimal(str(target)) - Decimal("0.01")
    assert clause.threshold > 0
    parse_task(
        {
            "label": "y",
            "target_accuracy": target,
            "gate": {"condition": found.condition, "steps": found.steps},
        }
    )


def test_a_smaller_tolerance_would_not_fit() -> None:
    found = default_condition(351, 0.9)
    tolerance = found.tolerance - Decimal("0.01")
    sharper = parse(f"n > {Decimal('0.9') - tolerance} +/- {tolerance}")
    needed = sample_size(sharper, reliability=0.95, steps=4, adaptivity="none", bound="best")
    assert needed.total > 351


def test_fewer_models_are_judged_when_the_rows_carry_no_more() -> None:
    assert [default_condition(rows, 0.6).steps for rows in (100, 12, 9)] == [4, 2, 1]


def test_too_few_rows_are_refused_with_what_is_needed() -> None:
    with pytest.raises(TooFewTestRows) as refused:
        default_condition(3, 0.9)
    assert refused.value.required > 3
    assert default_condition(refused.value.required, 0.9).steps == 1


def test_names_are_made_of_file_names() -> None:
    assert project_name("My Data (final).v2") == "my-data-final-v2"
    assert project_name("é" * 5) == "project"
    assert len(project_name("a" * 90)) == 40


SHOWN = {"control": "RUNNING", "phase": "READY", "waiting_for": [], "deployed": "m"}
MODELS = {"searches": [{"state": "IDLE"}], "models": [{"state": "DEPLOYED", "floor": False}]}


@pytest.mark.parametrize(
    ("shown", "models", "expected"),
    [
        ({}, {}, Standing.SERVING),
        ({"deployed": None}, {}, Standing.NO_MODEL),
        ({"phase": "FEASIBILITY"}, {}, Standing.MOVING),
        ({}, {"searches": []}, Standing.MOVING),
        ({}, {"searches": [{"state": "OPEN"}]}, Standing.MOVING),
        ({}, {"models": [{"state": "GATING", "floor": False}]}, Standing.MOVING),
        ({}, {"models": [{"state": "TRAINED", "floor": True}]}, Standing.SERVING),
        ({"waiting_for": [{"kind": "RELABEL"}], "phase": "RELABELLING"}, {}, Standing.PEOPLE),
        ({"waiting_for": [{"kind": "LABEL_REALTIME"}]}, {}, Standing.SERVING),
        ({"waiting_for": [{"kind": "NEW_TEST_SET"}]}, {}, Standing.SERVING),
        (
            {"waiting_for": [{"kind": "NEW_TEST_SET"}]},
            {"models": [{"state": "ADMITTED", "floor": False}]},
            Standing.PEOPLE,
        ),
        (
            {"waiting_for": [{"kind": "NEW_TEST_SET"}]},
            {"searches": [{"state": "OPEN"}], "models": [{"state": "ADMITTED", "floor": False}]},
            Standing.MOVING,
        ),
        ({"control": "PAUSED"}, {}, Standing.HALTED),
    ],
)
def test_a_follower_knows_whether_to_wait(shown: dict, models: dict, expected: Standing) -> None:
    assert standing(SHOWN | shown, MODELS | models) is expected
