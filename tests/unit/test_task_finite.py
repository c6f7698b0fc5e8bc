"""A task with an infinite number is refused before it can reach the log."""

from __future__ import annotations

import json
from typing import Any

import pytest
from harness import TASK

from easeml_ray.errors import InvalidSpec
from easeml_ray.process.task import parse_task


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN"])
@pytest.mark.parametrize("key", ["request_hours", "budgets.improvement_cents", "prices.label"])
def test_numbers_that_json_cannot_hold_are_refused(key: str, number: str) -> None:
    """The refusal names the field."""
    value: Any = json.loads(number)
    outer, _, inner = key.partition(".")
    with pytest.raises(InvalidSpec, match=outer):
        parse_task({**TASK, outer: {inner: value} if inner else value})
