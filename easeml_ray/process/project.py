"""The project machine: where an application stands between raw data and a served model.

``phase`` and ``control`` are orthogonal: a paused project keeps its phase.
"""

from __future__ import annotations

from enum import StrEnum

from easeml_ray.component.machine import Machine

__all__ = ["CONTROL", "PHASE", "Control", "ControlEvent", "Phase", "PhaseEvent"]


class Phase(StrEnum):
    """Where the project stands."""

    DEFINED = "DEFINED"
    INGESTING = "INGESTING"
    SEALED = "SEALED"
    AUGMENTING = "AUGMENTING"
    FEASIBILITY = "FEASIBILITY"
    READY = "READY"
    UNDECIDED = "UNDECIDED"
    IMPROVING = "IMPROVING"
    CLEANING = "CLEANING"
    RELABELLING = "RELABELLING"
    ACQUIRING = "ACQUIRING"
    STALLED = "STALLED"


class PhaseEvent(StrEnum):
    """What moves the phase."""

    UPLOADED = "uploaded"
    PILLARS_SEALED = "pillars sealed"
    AUGMENTATION_STARTED = "augmentation started"
    AUGMENTED = "augmented"
    FEASIBLE = "feasible"
    UNDECIDED = "undecided"
    INFEASIBLE = "infeasible"
    OVERRIDDEN = "target overridden"
    IMPROVEMENT_ASKED = "improvement asked"
    QUALITY_LOST = "drift or quality below target"
    CLEANING_CHOSEN = "cleaning chosen"
    RELABELLING_CHOSEN = "relabelling chosen"
    ACQUISITION_CHOSEN = "acquisition chosen"
    NOTHING_WORTH_ITS_COST = "nothing is worth its cost"
    ANSWERED = "answered"
    NOTHING_LEARNED = "nothing learned"
    ROWS_ADDED = "rows added"
    RESTARTED = "target, budget or data given"
    FAILED = "a step failed"


class Control(StrEnum):
    """Whether the project moves at all."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELLED = "CANCELLED"


class ControlEvent(StrEnum):
    """What moves the control."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


_P, _E = Phase, PhaseEvent

PHASE: Machine[Phase, PhaseEvent] = Machine(
    "project",
    Phase.DEFINED,
    {
        (_P.DEFINED, _E.UPLOADED): _P.INGESTING,
        (_P.INGESTING, _E.PILLARS_SEALED): _P.SEALED,
        (_P.SEALED, _E.AUGMENTATION_STARTED): _P.AUGMENTING,
        (_P.AUGMENTING, _E.AUGMENTED): _P.FEASIBILITY,
        (_P.FEASIBILITY, _E.FEASIBLE): _P.READY,
        (_P.FEASIBILITY, _E.UNDECIDED): _P.UNDECIDED,
        (_P.FEASIBILITY, _E.INFEASIBLE): _P.IMPROVING,
        (_P.UNDECIDED, _E.OVERRIDDEN): _P.READY,
        (_P.UNDECIDED, _E.IMPROVEMENT_ASKED): _P.IMPROVING,
        (_P.UNDECIDED, _E.RESTARTED): _P.FEASIBILITY,
        (_P.READY, _E.QUALITY_LOST): _P.IMPROVING,
        (_P.READY, _E.IMPROVEMENT_ASKED): _P.IMPROVING,
        (_P.IMPROVING, _E.CLEANING_CHOSEN): _P.CLEANING,
        (_P.IMPROVING, _E.RELABELLING_CHOSEN): _P.RELABELLING,
        (_P.IMPROVING, _E.ACQUISITION_CHOSEN): _P.ACQUIRING,
        (_P.IMPROVING, _E.NOTHING_WORTH_ITS_COST): _P.STALLED,
        # What was proposed was for the rows before.
        (_P.IMPROVING, _E.ROWS_ADDED): _P.AUGMENTING,
        (_P.CLEANING, _E.ANSWERED): _P.FEASIBILITY,
        (_P.CLEANING, _E.NOTHING_LEARNED): _P.IMPROVING,
        (_P.RELABELLING, _E.ANSWERED): _P.FEASIBILITY,
        (_P.RELABELLING, _E.NOTHING_LEARNED): _P.IMPROVING,
        (_P.CLEANING, _E.ROWS_ADDED): _P.AUGMENTING,
        (_P.RELABELLING, _E.ROWS_ADDED): _P.AUGMENTING,
        (_P.ACQUIRING, _E.ROWS_ADDED): _P.AUGMENTING,
        # Everything that was bought may have come to be held out meanwhile.
        (_P.ACQUIRING, _E.ANSWERED): _P.FEASIBILITY,
        (_P.ACQUIRING, _E.NOTHING_LEARNED): _P.IMPROVING,
        (_P.AUGMENTING, _E.FAILED): _P.STALLED,
        (_P.FEASIBILITY, _E.FAILED): _P.STALLED,
        (_P.IMPROVING, _E.FAILED): _P.STALLED,
        (_P.CLEANING, _E.FAILED): _P.STALLED,
        (_P.RELABELLING, _E.FAILED): _P.STALLED,
        (_P.ACQUIRING, _E.FAILED): _P.STALLED,
        (_P.STALLED, _E.OVERRIDDEN): _P.READY,
        (_P.STALLED, _E.RESTARTED): _P.FEASIBILITY,
        (_P.STALLED, _E.IMPROVEMENT_ASKED): _P.IMPROVING,
    },
)

CONTROL: Machine[Control, ControlEvent] = Machine(
    "project control",
    Control.RUNNING,
    {
        (Control.RUNNING, ControlEvent.PAUSE): Control.PAUSED,
        (Control.PAUSED, ControlEvent.RESUME): Control.RUNNING,
        (Control.RUNNING, ControlEvent.CANCEL): Control.CANCELLED,
        (Control.PAUSED, ControlEvent.CANCEL): Control.CANCELLED,
    },
)
