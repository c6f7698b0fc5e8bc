"""The table of easeml_ray/process/README.md says what becomes owed, as the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import easeml_ray.process as process
from easeml_ray.messages import kind_named
from easeml_ray.process.saga import REACTIONS
from easeml_ray.process.state import LifecycleState
from easeml_ray.store.rows import decode

FOLDER = Path(next(iter(process.__path__)))
RECORDED = Path(__file__).parents[1] / "data" / "events.jsonl"


def _table() -> dict[str, set[str]]:
    """Return what becomes owed by kind of event; a star marks what no recorded life shows."""
    rows = re.findall(r"^\| (\w+\.\w+) \| ([^|]+) \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert len({kind for kind, _ in rows}) == len(rows)
    return {kind: set() if owed == "nothing" else set(owed.split(", ")) for kind, owed in rows}


def _observed() -> set[tuple[str, str]]:
    state = LifecycleState()
    pairs = set()
    for line in RECORDED.read_text().splitlines():
        event = decode(json.loads(line))
        before = set(state.actions)
        state.fold(event)
        for identity in state.actions.keys() - before:
            action = state.actions[identity]
            assert kind_named(type(action.body)).startswith(f"{action.to}.")
            pairs.add((kind_named(type(event.body)), kind_named(type(action.body))))
    return pairs


def test_every_event_with_a_reaction_has_a_row_and_no_other() -> None:
    assert _table().keys() == {kind_named(body) for body in REACTIONS}


def test_what_recorded_lives_show_stands_in_the_table_without_a_star_and_nothing_else() -> None:
    plain = {(kind, owed) for kind, all_ in _table().items() for owed in all_ if not owed.endswith("*")}
    assert plain == _observed()


def test_what_is_starred_is_made_somewhere_in_the_process_and_not_shown() -> None:
    source = "".join(path.read_text() for path in FOLDER.glob("*.py"))
    starred = {(kind, owed[:-1]) for kind, all_ in _table().items() for owed in all_ if owed.endswith("*")}
    assert not starred & _observed()
    for _, owed in starred:
        assert f"{owed.split('.')[1]}(" in source, owed
