"""How a project moves with its test sets: when an era opens, what follows from verdicts, what is released.

Beside the saga, which says when models come: here stands what the gate is given and what it tells.
"""

from __future__ import annotations

from easeml_ray.component.base import ComponentState
from easeml_ray.gate import leaked_bits
from easeml_ray.gate.label_messages import TestLabelsWanted
from easeml_ray.gate.messages import (
    EraExhausted,
    EraReleased,
    EraSealed,
    GateModels,
    ModelsQueued,
    OpenEra,
    TestSetWanted,
    VerdictGiven,
)
from easeml_ray.messages import Event
from easeml_ray.pool.messages import RecordVerdict, TakeIntoGate
from easeml_ray.process.people import ask_test_labels, ask_test_set
from easeml_ray.process.view import BillLine, Project
from easeml_ray.registry.messages import Absorb

__all__ = ["gated", "next_era", "to_gate"]


def next_era(state: ComponentState, project: Project, event: Event) -> None:
    """Open an era on the next test set, unless one is open: then the set waits for its end."""
    # It waits for the pool too, which says what is deployed after the last verdict: the new era's `o`.
    if project.era_open or project.verdicts or not project.test_sets or project.version is None:
        return
    project.era_open = True
    project.eras += 1
    test_set, version = project.test_sets.pop(0), project.version
    gate = project.task.gate
    era = OpenEra(
        sealed=test_set.sealed,
        rows=test_set.rows,
        schema=version.schema,
        condition=gate.condition,
        reliability=gate.reliability,
        steps=gate.steps,
        adaptivity=gate.adaptivity,
        mode=gate.mode,
        bound=gate.bound,
        old=project.deployed or project.floor,
        subset_rows=test_set.subset_rows,
        labelled=test_set.labelled,
        meter=gate.meter,
        bit_cents=project.task.prices.test_bit,
    )
    state.owe(event, era, to="gate")


def to_gate(state: ComponentState, project: Project, event: Event, models: tuple[str, ...], old: str) -> None:
    """Send models to the gate, with what they reach on development."""
    development = tuple(project.development[model] for model in models)
    state.owe(event, GateModels(models=models, old=old, development=development), to="gate")


def gated(state: ComponentState, project: Project, event: Event) -> None:
    """Take one event of the gate into a project."""
    match event.body:
        case EraSealed(command=terms, era=era, required=required):
            project.test_rows = required
            if not terms.labelled:
                project.unlabelled.add(era)
            if terms.adaptivity != "none":
                bands = len(terms.meter) + 1
                bits = leaked_bits(terms.adaptivity, verdicts=terms.steps, passes=0, bands=bands)
                project.reserved[era] = BillLine(terms.steps, bits * terms.bit_cents, bits)
        case ModelsQueued(command=asked, era=era) if era is not None:
            state.owe(event, TakeIntoGate(models=asked.models), to="pool")
        case VerdictGiven(command=given):
            verdict = RecordVerdict(model=given.model, passed=given.passed)
            project.verdicts.append(verdict)
            if project.task.gate.adaptivity != "none":
                state.owe(event, verdict, to="pool")
        case EraExhausted():
            if project.task.gate.adaptivity == "none":
                # Nothing may follow from a verdict while its test set still judges.
                for verdict in project.verdicts:
                    state.owe(event, verdict, to="pool")
            project.era_open = False
            next_era(state, project, event)
        case TestLabelsWanted(command=wanted):
            ask_test_labels(state, project, event, wanted)
        case EraReleased(command=released, sealed=sealed):
            project.reserved.pop(released.era, None)
            # Without any labelled row too: the registry has to know that the set is sealed no longer.
            # Rows that people labelled because models differ on them are no sample: they do for training.
            absorb = Absorb(
                source=f"era:{released.era}",
                digest=released.digest,
                rows=released.rows,
                sealed=sealed,
                train_only=released.era in project.unlabelled,
            )
            state.owe(event, absorb, to="registry")
        # An era that was given to the gate since may do.
        case TestSetWanted(rows=rows, why=why, era=era) if era >= project.eras:
            ask_test_set(state, project, event, rows, why)
