"""What the beliefs of the components make due: studies, repairs and purchases proposed, gains seen."""

from __future__ import annotations

from easeml_ray.automl.messages import CompareVersions
from easeml_ray.cleaning.messages import Proposed as RepairsProposed
from easeml_ray.component.base import ComponentState
from easeml_ray.feasibility.messages import Studied, Study, StudyCancelled
from easeml_ray.market.label_messages import Labelled, LabelPurchase, LabelsWanted
from easeml_ray.market.messages import Proposed as PurchasesProposed
from easeml_ray.market.messages import Purchased
from easeml_ray.messages import DataVersion, Event
from easeml_ray.process.messages import Choose, RecordGain
from easeml_ray.process.people import ask_labels, enter
from easeml_ray.process.project import Phase, PhaseEvent
from easeml_ray.process.view import Chosen, Project, gain_of, model_gain_of
from easeml_ray.registry.messages import Revise

__all__ = ["proposed", "studied", "study_of"]

_REPAIRS = frozenset({"CLEAN_CELL", "RELABEL"})


def studied(state: ComponentState, project: Project, event: Event) -> None:
    """Book what the step before a study brought, and move by what the study believes."""
    if isinstance(event.body, StudyCancelled):
        _study_cancelled(state, project, event, event.body)
    if not isinstance(event.body, Studied):
        return
    report = event.body.command
    earlier, project.report = project.report, report
    project.unanswered = 0
    if project.chosen:
        option = project.chosen.option
        realised = gain_of(project.chosen.accuracy, report, project.target)
        model = model_gain_of(earlier, report, project.target)
        gain = RecordGain(
            option=option.id,
            kind=option.kind,
            predicted=option.gain,
            realised=realised,
            cost_cents=option.cost_cents,
            model=model,
        )
        state.owe(event, gain, to="process")
        _check(state, project, event, project.chosen)
        project.chosen = None
    low, high = report.ber_interval
    because = f"Bayes error in [{low:.3f}, {high:.3f}], target error {1 - project.target:.3f}"
    move = {
        "FEASIBLE": PhaseEvent.FEASIBLE,
        "FEASIBLE_SURE": PhaseEvent.FEASIBLE,
        "UNDECIDED": PhaseEvent.UNDECIDED,
        "INFEASIBLE": PhaseEvent.INFEASIBLE,
    }[report.decision]
    enter(state, event, move, because)


def _check(state: ComponentState, project: Project, event: Event, chosen: Chosen) -> None:
    """Have a repair measured by a model of the tenant's own best arm, once there is one."""
    arm, after = project.best_arm, project.version
    if chosen.option.kind not in _REPAIRS or arm is None or after is None:
        return
    option, before = chosen.option, chosen.version
    check = CompareVersions(
        option=option.id,
        kind=option.kind,
        arm=arm,
        before=before,
        after=after,
        target_accuracy=project.target,
    )
    state.owe(event, check, to="automl")


def study_of(version: DataVersion, project: Project) -> Study:
    """Return the study of a version for the project's target."""
    return Study(version=version, target_accuracy=project.target, second_cents=project.task.prices.gpu_second)


def _study_cancelled(state: ComponentState, project: Project, event: Event, body: StudyCancelled) -> None:
    """Ask for the study again once the project runs, or ask a person how to go on."""
    if body.resume and project.version:
        state.owe(event, study_of(project.version, project), to="feasibility")
    elif not body.resume:
        because = f"{body.by} cancelled the study of version {body.number}"
        enter(state, event, PhaseEvent.FAILED, because)


def _joined(version: DataVersion, digest: str) -> Revise:
    """Return the revision by which bought rows join a version."""
    return Revise(number=version.number, corrections=(), purchases=(digest,), reason="purchase")


def proposed(state: ComponentState, project: Project, event: Event) -> None:
    """Take in proposals and purchases; choose once both components have proposed."""
    match event.body:
        # The first since IMPROVING began, or since a new version came.
        case RepairsProposed(command=body) if project.repairs is None:
            project.repairs = body
        case PurchasesProposed(command=body) if project.purchases is None:
            project.purchases = body
        case Purchased(digest=digest, labelled=True) if project.version:
            state.owe(event, _joined(project.version, digest), to="registry")
            return
        case Purchased() as body if project.version:
            label = LabelPurchase(offer=body.offer, version=project.version, items=project.task.batch_items)
            state.owe(event, label, to="market")
            return
        case LabelsWanted() as body:
            ask_labels(state, project, event, body)
            return
        case Labelled(command=labelled) if project.version:
            if labelled.rows:
                state.owe(event, _joined(project.version, labelled.digest), to="registry")
            else:
                because = f"no row of offer {labelled.offer} was labelled"
                enter(state, event, PhaseEvent.NOTHING_LEARNED, because)
            return
        case _:
            return
    if project.phase is Phase.IMPROVING and project.repairs and project.purchases:
        state.owe(event, Choose(), to="process")
