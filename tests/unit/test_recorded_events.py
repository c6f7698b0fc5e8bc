"""What was recorded once folds for ever, whatever was moved, renamed or added since."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from easeml_ray.market.messages import ShowMarket
from easeml_ray.messages import Event
from easeml_ray.pool.messages import ShowPool
from easeml_ray.process.messages import ShowBill, ShowProject
from easeml_ray.runtime.states import STATES
from easeml_ray.store.rows import decode

RECORDED = Path(__file__).parents[1] / "data" / "events.jsonl"  # by tests/record_events.py, of release 0.2.0


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDED.read_text().splitlines()]


@pytest.fixture(scope="module")
def folded(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Fold the log into fresh states, each checked after every command."""
    events: list[Event] = [decode(row) for row in rows]
    states = {name: state() for name, state in STATES.items()}
    for event in events:
        for name, state in states.items():
            if name == event.component or state.follows is not None:
                state.fold(event)
                if event.reply_json is not None:  # the last of its command
                    state.validate()
    return states


def test_the_log_holds_whole_lives(rows: list[dict[str, Any]]) -> None:
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert len({row["kind"] for row in rows}) == 73
    projects = Counter(row["project"] for row in rows)
    assert projects == {"_system": 3, "steered": 134, "bought": 131, "cleaned": 168, "stalled": 62}


@pytest.mark.parametrize(
    ("project", "phase", "control", "spent"),
    [
        ("steered", "READY", "RUNNING", 50.0),
        ("bought", "READY", "CANCELLED", 310.0),
        ("cleaned", "READY", "RUNNING", 40.0),
        ("stalled", "READY", "RUNNING", 0.0),
    ],
)
def test_every_project_ends_where_it_did(
    folded: dict[str, Any], project: str, phase: str, control: str, spent: float
) -> None:
    shown = folded["process"].read(project, ShowProject())
    assert (shown["phase"], shown["control"], shown["spent_cents"]) == (phase, control, pytest.approx(spent))


def test_what_was_decided_stands(folded: dict[str, Any]) -> None:
    bill = folded["process"].read("cleaned", ShowBill())
    assert {line["what"] for line in bill["lines"]} >= {"cleaning: CLEAN_CELL", "gate: TestLabelsLearnt"}
    market = folded["market"].read("bought", ShowMarket())
    assert [p["offer"] for p in market["purchases"]] == ["one", "many", "bare"]
    assert market["chain_intact"]
    states = Counter(model["state"] for model in folded["pool"].read("steered", ShowPool())["models"])
    assert states["DEPLOYED"] == 1 and states["FAILED"] + states["RETIRED"] > 0


def test_an_event_that_has_lost_a_field_that_it_needs_is_noticed(rows: list[dict[str, Any]]) -> None:
    """The test above could not fail if bodies were not read strictly."""
    row = next(row for row in rows if row["kind"] == "pool.ModelAdded")
    body = json.loads(row["body"])
    del body["command"]["development_lower"]
    with pytest.raises(Exception, match="does not fit"):
        decode({**row, "body": json.dumps(body)})
