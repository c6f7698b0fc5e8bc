"""How a project moves: for each event of any component, what becomes due.

One function an event; each changes the project's view and owes actions, nothing else. The
sends of one project to one component are issued in the order in which they became due.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from easeml_ray.automl.messages import OpenSearch, SearchOpened, TrialFailed, TrialFinished
from easeml_ray.cleaning.messages import Learned
from easeml_ray.cleaning.messages import Propose as ProposeRepairs
from easeml_ray.cleaning.messages import Proposed as RepairsProposed
from easeml_ray.component.base import ComponentState
from easeml_ray.component.messages import WorkRejected
from easeml_ray.feasibility.messages import CancelStudy, Studied, StudyCancelled
from easeml_ray.gate import least_accuracy, parse
from easeml_ray.gate.label_messages import TestLabelsLearnt, TestLabelsWanted
from easeml_ray.gate.messages import (
    EraExhausted,
    EraReleased,
    EraSealed,
    ModelsQueued,
    TestSetWanted,
    VerdictGiven,
)
from easeml_ray.market.label_messages import Labelled, LabelsLearnt, LabelsWanted
from easeml_ray.market.messages import Propose as ProposePurchases
from easeml_ray.market.messages import Proposed as PurchasesProposed
from easeml_ray.market.messages import Purchased
from easeml_ray.messages import Event
from easeml_ray.oracle.messages import Answered, Expired, Kind, Opened, Skipped
from easeml_ray.pool.messages import (
    AddModel,
    BatchAdmitted,
    CloseIntake,
    Deployed,
    LabelsObserved,
    ModelAdded,
    RoundFinished,
    VerdictRecorded,
    WindowReleased,
)
from easeml_ray.process.beliefs import proposed, studied, study_of
from easeml_ray.process.gating import gated, next_era, to_gate
from easeml_ray.process.messages import (
    ControlChanged,
    GainRealised,
    OptionChosen,
    PhaseEntered,
    RecordRejection,
    Rejected,
    TargetOverridden,
)
from easeml_ray.process.people import (
    ask_decision,
    ask_option,
    ask_realtime,
    ask_test_set,
    believed,
    enter,
    hear,
    withdraw,
)
from easeml_ray.process.project import Control, Phase, PhaseEvent
from easeml_ray.process.view import Chosen, Project, TestSet
from easeml_ray.registry.messages import (
    Absorb,
    Augment,
    Augmented,
    PillarsSealed,
    TestSetAdded,
    Uploaded,
    VersionAdded,
)

__all__ = ["BILLED", "REACTIONS", "Reaction"]

Reaction: TypeAlias = Callable[[ComponentState, Project, Event], None]
"""Takes one event into a project and makes due what follows from it."""

_NEEDED = {
    Phase.AUGMENTING: ("registry",),
    Phase.FEASIBILITY: ("feasibility",),
    Phase.IMPROVING: ("cleaning", "market"),
    Phase.CLEANING: ("registry", "oracle"),
    Phase.RELABELLING: ("registry", "oracle"),
    Phase.ACQUIRING: ("registry", "market", "oracle"),
}
"""The components without whose answer a project cannot leave a phase."""
_BESIDE = frozenset({"automl.CompareVersions", "market.RecomputePayments", "market.ValueRows"})


def _own(state: ComponentState, project: Project, event: Event) -> None:
    match event.body:
        case PhaseEntered() as body:
            move = body.command
            project.phase, project.because = Phase(body.phase), move.because
            if move.event != PhaseEvent.FAILED.value:
                project.problem = None
            project.version = move.version or project.version
            _entered(state, project, event)
        case ControlChanged(control=control):
            project.control = Control(control)
            if project.control is not Control.RUNNING and project.phase is Phase.FEASIBILITY:
                # A study holds processors that others could use; it is asked for anew on resume.
                resume = project.control is Control.PAUSED
                number = project.version.number if project.version else None
                state.owe(event, CancelStudy(resume=resume, number=number), to="feasibility")
        case TargetOverridden(target_accuracy=target):
            project.target = target
        case OptionChosen() as body:
            # A version that came between the choice and this event took the options with it: the choice
            # lapses like them, and what the version owes moves the project on.
            option = next((o for o in project.options() if o.id == body.option), None)
            if option and project.version:
                project.chosen = Chosen(option, believed(project), project.version)
        case GainRealised(command=gain):
            project.gains.append(gain)
        case Rejected(command=refused):
            _refused(state, project, event, refused)


def _work_rejected(state: ComponentState, project: Project, event: Event) -> None:
    rejection: WorkRejected = event.body
    if rejection.kind in _BESIDE:
        # No phase waits for a check or an audit: it is shown, and the project goes on.
        project.problem = {"component": event.component, "what": rejection.kind, **rejection.error}
    else:
        _failed(state, project, event, event.component, rejection.kind, rejection.error)


def _refused(state: ComponentState, project: Project, event: Event, refused: RecordRejection) -> None:
    """Go on after a component refused what it was sent."""
    match refused.kind:
        case "feasibility.CancelStudy":
            return  # it had not begun, or had just ended
        case "oracle.OpenRequests":
            del project.asking[:1]  # they go to it in order
        case "pool.RecordVerdict":
            del project.verdicts[:1]  # they go to it in order
            project.problem = {"component": refused.to, "what": refused.kind, **refused.error}
            next_era(state, project, event)
            return
    if refused.error.get("kind") == "IllegalTransition":
        return
    _failed(state, project, event, refused.to, refused.kind, refused.error)
    if refused.kind == "gate.OpenEra":
        project.era_open = False
        project.eras -= 1
        next_era(state, project, event)


def _failed(
    state: ComponentState, project: Project, event: Event, component: str, kind: str, error: dict[str, Any]
) -> None:
    """Show what was refused; if the phase cannot end without it, ask a person how to go on."""
    project.problem = {"component": component, "what": kind, **error}
    if component in _NEEDED.get(project.phase, ()):
        enter(state, event, PhaseEvent.FAILED, f"{kind} failed: {error.get('message')}")


def _current(project: Project) -> float:
    """Return the accuracy that an action would raise: the deployed model's on development.

    Before any model is deployed, what a nearest neighbour reaches stands for it.
    """
    if project.deployed is not None and project.deployed in project.development:
        return project.development[project.deployed]
    return believed(project)


# -- phases -------------------------------------------------------------------------------


def _entered(state: ComponentState, project: Project, event: Event) -> None:
    version = project.version
    # Whoever moved the phase has answered what was asked about it.
    withdraw(state, project, event, Kind.OVERRIDE_TARGET)
    match project.phase:
        case Phase.SEALED:
            enter(state, event, PhaseEvent.AUGMENTATION_STARTED, "pillars are apart")
        case Phase.AUGMENTING if version:
            state.owe(event, Augment(number=version.number), to="registry")
        case Phase.FEASIBILITY if version:
            state.owe(event, study_of(version, project), to="feasibility")
        case Phase.UNDECIDED:
            _undecided(state, project, event)
        case Phase.IMPROVING if version:
            project.repairs = project.purchases = project.chosen = None
            prices, answers = project.task.prices, project.task.answers_per_item
            state.owe(
                event,
                ProposeRepairs(
                    version=version,
                    accuracy=_current(project),
                    error=project.report.ber_upper if project.report else 1.0,
                    target_accuracy=project.target,
                    price_label=prices.label * answers,
                    price_cell=prices.cell * answers,
                    items=project.task.batch_items,
                ),
                to="cleaning",
            )
            state.owe(
                event,
                ProposePurchases(
                    version=version,
                    accuracy=_current(project),
                    target_accuracy=project.target,
                    budget_cents=project.budget_left,
                    label_cents=prices.label * answers,
                ),
                to="market",
            )
        case Phase.CLEANING | Phase.RELABELLING | Phase.ACQUIRING if project.chosen:
            ask_option(state, project, event, project.chosen.option)
        case Phase.STALLED:
            project.unanswered = 0
            ask_decision(state, project, event, project.because)
        case Phase.READY if version and version.number not in project.searched:
            project.searched.add(version.number)
            price = project.task.prices.gpu_second
            search = OpenSearch(version=version, seed=project.task.seed, gpu_second_cents=price)
            state.owe(event, search, to="automl")


def _undecided(state: ComponentState, project: Project, event: Event) -> None:
    match project.task.when_undecided:
        case "improve":
            enter(state, event, PhaseEvent.IMPROVEMENT_ASKED, "the task says: improve when undecided")
        case "train":
            enter(state, event, PhaseEvent.OVERRIDDEN, "the task says: train when undecided")
        case _:
            ask_decision(state, project, event, "the belief straddles the target")


# -- data ---------------------------------------------------------------------------------


def _registry(state: ComponentState, project: Project, event: Event) -> None:
    match event.body:
        case Uploaded():
            enter(state, event, PhaseEvent.UPLOADED, "a file came")
        case PillarsSealed(command=body):
            project.version = body.version
            enter(state, event, PhaseEvent.PILLARS_SEALED, "split and sealed", body.version)
            project.test_sets.append(TestSet(body.stable, body.stable_rows, body.subset_rows))
            next_era(state, project, event)
        case TestSetAdded(command=body):
            added = TestSet(body.stable, body.stable_rows, body.subset_rows, body.labelled)
            project.test_sets.append(added)
            next_era(state, project, event)
            project.wanted_rows = 0
            withdraw(state, project, event, Kind.NEW_TEST_SET)
        case Augmented(version=version):
            enter(state, event, PhaseEvent.AUGMENTED, "machine-readable", version)
        case VersionAdded(command=body):
            project.version = body.version
            project.repairs = project.purchases = None  # they were for the version before
            if body.reason == "augmentation":
                return
            if body.counts.get("added"):
                # New rows may have missing cells: they are repaired before anything is studied.
                enter(state, event, PhaseEvent.ROWS_ADDED, "rows came", body.version)
            else:
                enter(state, event, PhaseEvent.ANSWERED, "answers are in", body.version)


# -- models -------------------------------------------------------------------------------


def _automl(state: ComponentState, project: Project, event: Event) -> None:
    match event.body:
        case SearchOpened() as body:
            for version, left in project.arms_left.items():
                if left:
                    _close_intake(state, project, event, version, 0)
            project.arms_left = {body.command.version.number: len(body.arms)}
            if not project.era_open:
                # While models are trained there is time to label.
                why = "models are being trained, and no test set is left for them"
                ask_test_set(state, project, event, project.test_rows, why)
        case TrialFailed(version=version):
            _trial_over(state, project, event, version)
        case TrialFinished(command=body):
            if body.floor:
                project.floor = body.model
                if project.ungated:
                    to_gate(state, project, event, project.ungated, body.model)
                    project.ungated = ()
            task = project.task
            added = AddModel(
                model=body.model,
                arm=body.arm,
                version=body.version,
                floor=body.floor,
                development_accuracy=body.development_accuracy,
                development_lower=body.development_lower,
                minimum_gain=task.minimum_gain,
                gates_a_day=task.gates_a_day,
                immediate=task.gate.adaptivity != "none",
            )
            state.owe(event, added, to="pool")
            _trial_over(state, project, event, body.version)


def _trial_over(state: ComponentState, project: Project, event: Event, version: int) -> None:
    """Count a trial off; after the last one, the pool may admit a batch."""
    if version not in project.arms_left:
        return
    project.arms_left[version] -= 1
    gate = project.task.gate
    if project.arms_left[version] == 0 and gate.adaptivity == "none":
        _close_intake(state, project, event, version, gate.steps)


def _close_intake(state: ComponentState, project: Project, event: Event, version: int, steps: int) -> None:
    """Have the pool admit at most ``steps`` of a version's models and retire the others."""
    task = project.task
    least = float(least_accuracy(parse(task.gate.condition)))
    close = CloseIntake(
        version=version,
        minimum_gain=task.minimum_gain,
        gates_a_day=task.gates_a_day,
        steps=steps,
        least=least,
    )
    state.owe(event, close, to="pool")


def _pool(state: ComponentState, project: Project, event: Event) -> None:
    match event.body:
        case BatchAdmitted(models=models, version=_):
            old = project.deployed or project.floor
            if old is None:
                project.ungated += models
            else:
                to_gate(state, project, event, models, old)
        case Deployed() as body:
            project.deployed = body.model
        case ModelAdded(command=added):
            project.development[added.model] = added.development_accuracy
            project.arms[added.model] = added.arm
        case VerdictRecorded(command=recorded):
            project.verdicts = [verdict for verdict in project.verdicts if verdict != recorded]
            next_era(state, project, event)
        case RoundFinished(command=body) if body.asked:
            ask_realtime(state, project, event, body)
        case WindowReleased(command=body) if body.rows:
            absorb = Absorb(source=f"window:{body.window}", digest=body.digest, rows=body.rows)
            state.owe(event, absorb, to="registry")


def _by(reaction: Reaction, *events: type) -> dict[type, Reaction]:
    return dict.fromkeys(events, reaction)


REACTIONS: dict[type, Reaction] = {
    **_by(_own, PhaseEntered, ControlChanged, TargetOverridden, OptionChosen, GainRealised, Rejected),
    **_by(_work_rejected, WorkRejected),
    **_by(_registry, Uploaded, PillarsSealed, TestSetAdded, Augmented, VersionAdded),
    **_by(studied, Studied, StudyCancelled),
    **_by(proposed, RepairsProposed, PurchasesProposed, Purchased, LabelsWanted, Labelled),
    **_by(hear, Opened, Answered, Skipped, Expired),
    **_by(_automl, SearchOpened, TrialFinished, TrialFailed),
    **_by(gated, EraSealed, ModelsQueued, VerdictGiven, EraExhausted, EraReleased),
    **_by(gated, TestSetWanted, TestLabelsWanted),
    **_by(_pool, ModelAdded, BatchAdmitted, Deployed, VerdictRecorded, RoundFinished, WindowReleased),
}
"""What follows from an event; nothing from those that are not here."""

BILLED = frozenset({TrialFinished, Learned, Studied, VerdictGiven, EraReleased, TestLabelsLearnt, Purchased})
BILLED |= {LabelsLearnt, LabelsObserved}
"""The events that carry a ledger line."""
