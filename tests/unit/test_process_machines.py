from __future__ import annotations

import pickle

import pytest

from easeml_ray.automl.search import SEARCH
from easeml_ray.component.machine import Machine
from easeml_ray.errors import IllegalTransition
from easeml_ray.gate.era import ERA
from easeml_ray.pool.model import MODEL
from easeml_ray.pool.window import WINDOW
from easeml_ray.process.project import CONTROL, PHASE

MACHINES = [PHASE, CONTROL, SEARCH, MODEL, ERA, WINDOW]
IDS = [machine.name for machine in MACHINES]


def states(machine: Machine) -> set:
    return set(type(machine.initial))


def events(machine: Machine) -> set:
    return {event for _, event in machine.transitions}


@pytest.mark.parametrize("machine", MACHINES, ids=IDS)
def test_every_transition_leads_where_the_table_says(machine: Machine) -> None:
    for (state, event), after in machine.transitions.items():
        assert machine.next(state, event, instance="x") is after


@pytest.mark.parametrize("machine", MACHINES, ids=IDS)
def test_every_other_pair_is_refused_with_a_story(machine: Machine) -> None:
    for state in states(machine):
        for event in events(machine):
            if (state, event) in machine.transitions:
                continue
            with pytest.raises(IllegalTransition) as caught:
                machine.next(state, event, instance="it")
            error = pickle.loads(pickle.dumps(caught.value))
            assert (error.machine, error.instance, error.state) == (machine.name, "it", state.value)
            assert error.event == event.value
            assert error.allowed == machine.allowed(state)


@pytest.mark.parametrize("machine", MACHINES, ids=IDS)
def test_every_state_can_be_reached_and_every_event_is_used(machine: Machine) -> None:
    reached = {machine.initial}
    while True:
        more = {after for (state, _), after in machine.transitions.items() if state in reached}
        if more <= reached:
            break
        reached |= more
    assert reached == states(machine)
    (event_type,) = {type(event) for event in events(machine)}
    assert events(machine) == set(event_type)


def test_only_the_ends_are_final() -> None:
    final = {m.name: sorted(s.value for s in states(m) if m.is_final(s)) for m in MACHINES}
    assert final == {
        "project": [],
        "project control": ["CANCELLED"],
        "search": ["BLOCKED"],
        "model": ["FAILED", "RETIRED"],
        "era": ["RELEASED"],
        "window": ["RELEASED"],
    }
