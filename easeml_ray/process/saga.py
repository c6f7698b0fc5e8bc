"""How a project moves: for each event of any component, what becomes due.

One function an event; each changes the project's view and owes actions, nothing else. The
sends of one project to one component are issued in the order in which they became due.
"""

from __future__ import annotations

from typing import Any

from easeml_ray.automl.arms import ARMS
from easeml_ray.automl.messages import OpenSearch, SearchOpened, TrialFailed, TrialFinished
from easeml_ray.cleaning.messages import AnsweredItem, Learn
from easeml_ray.cleaning.messages import Propose as ProposeRepairs
from easeml_ray.cleaning.messages import Proposed as RepairsProposed
from easeml_ray.feasibility.messages import Studied, Study
from easeml_ray.gate import least_accuracy, parse
from easeml_ray.gate.messages import (
    EraExhausted,
    EraReleased,
    GateModels,
    ModelsQueued,
    OpenEra,
    TestSetWanted,
    VerdictGiven,
)
from easeml_ray.market.messages import Buy, Decline, Purchased
from easeml_ray.market.messages import Propose as ProposePurchases
from easeml_ray.market.messages import Proposed as PurchasesProposed
from easeml_ray.messages import Event, Option
from easeml_ray.oracle.messages import (
    Answered,
    Asked,
    Close,
    Expired,
    Kind,
    Opened,
    OpenRequests,
    Skipped,
)
from easeml_ray.pool.messages import (
    AddModel,
    BatchAdmitted,
    CloseIntake,
    Deployed,
    LabelledRow,
    ObserveLabels,
    RecordVerdict,
    RoundFinished,
    TakeIntoGate,
    WindowReleased,
)
from easeml_ray.process.component import ComponentState
from easeml_ray.process.messages import (
    Choose,
    ControlChanged,
    EnterPhase,
    GainRealised,
    OptionChosen,
    OverrideTarget,
    PhaseEntered,
    RecordGain,
    Rejected,
    RequestImprovement,
    TargetOverridden,
    WorkRejected,
)
from easeml_ray.process.project import Control, Phase, PhaseEvent
from easeml_ray.process.view import Batch, Project, gain_of
from easeml_ray.registry.messages import (
    Absorb,
    Augment,
    Augmented,
    Correction,
    PillarsSealed,
    Revise,
    TestSetAdded,
    Uploaded,
    VersionAdded,
)

__all__ = ["react"]

_HOUR = 3600.0
_IMPROVES = ("CLEAN_CELL", "RELABEL")
_NEEDED = {
    Phase.AUGMENTING: ("registry",),
    Phase.FEASIBILITY: ("feasibility",),
    Phase.IMPROVING: ("cleaning", "market"),
    Phase.CLEANING: ("registry", "oracle"),
    Phase.RELABELLING: ("registry", "oracle"),
    Phase.ACQUIRING: ("registry", "market", "oracle"),
}
"""The components without whose answer a project cannot leave a phase."""


def react(state: ComponentState, project: Project, event: Event) -> None:
    """Take one event into a project."""
    match event.body:
        case PhaseEntered() as body:
            project.phase, project.because = Phase(body.phase), body.because
            if body.event != PhaseEvent.FAILED.value:
                project.problem = None
            project.version = body.version or project.version
            _entered(state, project, event)
        case ControlChanged(_, control):
            project.control = Control(control)
        case TargetOverridden(target_accuracy=target):
            project.target = target
        case OptionChosen() as body:
            option = next(o for o in project.options() if o.id == body.option)
            project.chosen = (option, _believed(project))
        case GainRealised() as body:
            project.gains.append(body)
        case Rejected(to, kind, error) if error.get("kind") != "IllegalTransition":
            _failed(state, project, event, to, kind, error)
            if kind == "gate.OpenEra":
                project.era_open = False
                _next_era(state, project, event)
        case WorkRejected(kind, error):
            _failed(state, project, event, event.component, kind, error)
        case _:
            _REACTIONS.get(event.component, _nothing)(state, project, event)


def _nothing(state: ComponentState, project: Project, event: Event) -> None:
    """Events that need no reaction."""


def _failed(
    state: ComponentState, project: Project, event: Event, component: str, kind: str, error: dict[str, Any]
) -> None:
    """Show what was refused; if the phase cannot end without it, ask a person how to go on."""
    project.problem = {"component": component, "what": kind, **error}
    if component in _NEEDED.get(project.phase, ()):
        _move(state, event, PhaseEvent.FAILED, f"{kind} failed: {error.get('message')}")


def _current(project: Project) -> float:
    """Return the accuracy that an action would raise: the deployed model's on development.

    Before any model is deployed, what a nearest neighbour reaches stands for it.
    """
    if project.deployed is not None and project.deployed in project.development:
        return project.development[project.deployed]
    return _believed(project)


def _believed(project: Project) -> float:
    """Return the accuracy that the newest study holds for surely reachable."""
    return 1 - project.report.ber_upper if project.report else 0.0


def _move(state: ComponentState, event: Event, move: PhaseEvent, because: str, version: Any = None) -> None:
    state.owe(event, EnterPhase(move.value, because, version), to="process")


# -- phases -------------------------------------------------------------------------------


def _entered(state: ComponentState, project: Project, event: Event) -> None:
    version = project.version
    # Whoever moved the phase has answered what was asked about it.
    _close(state, project, event, Kind.OVERRIDE_TARGET)
    match project.phase:
        case Phase.SEALED:
            _move(state, event, PhaseEvent.AUGMENTATION_STARTED, "pillars are apart")
        case Phase.AUGMENTING if version:
            state.owe(event, Augment(version.number), to="registry")
        case Phase.FEASIBILITY if version:
            state.owe(event, Study(version, project.target), to="feasibility")
        case Phase.UNDECIDED:
            _undecided(state, project, event)
        case Phase.IMPROVING if version:
            project.repairs = project.purchases = project.chosen = None
            prices, answers = project.task.prices, project.task.answers_per_item
            state.owe(
                event,
                ProposeRepairs(
                    version,
                    _current(project),
                    project.report.ber_upper if project.report else 1.0,
                    project.target,
                    prices.label * answers,
                    prices.cell * answers,
                    project.task.batch_items,
                ),
                to="cleaning",
            )
            state.owe(
                event,
                ProposePurchases(version, _current(project), project.target, project.budget_left),
                to="market",
            )
        case Phase.CLEANING | Phase.RELABELLING | Phase.ACQUIRING if project.chosen:
            _open_option(state, project, event, project.chosen[0])
        case Phase.STALLED:
            project.unanswered = 0
            _ask_decision(state, project, event, project.because)
        case Phase.READY if version and version.number not in project.searched:
            project.searched.add(version.number)
            price = project.task.prices.gpu_second
            search = OpenSearch(version, tuple(ARMS), project.task.seed, price)
            state.owe(event, search, to="automl")


def _undecided(state: ComponentState, project: Project, event: Event) -> None:
    match project.task.when_undecided:
        case "improve":
            _move(state, event, PhaseEvent.IMPROVEMENT_ASKED, "the task says: improve when undecided")
        case "train":
            _move(state, event, PhaseEvent.OVERRIDDEN, "the task says: train when undecided")
        case _:
            _ask_decision(state, project, event, "the belief straddles the target")


def _ask_decision(state: ComponentState, project: Project, event: Event, why: str) -> None:
    reached = f"{_believed(project):.3f}"
    payload = {
        "answer": "decision",
        "target_accuracy": project.target,
        "surely_reachable": reached,
        "why": why,
    }
    title = (
        f"Target {project.target}: {why}. Answer `train` (go on anyway), `improve`, "
        "or another target accuracy."
    )
    key = f"target:{project.version.number if project.version else 0}:{project.rounds}"
    _open(state, project, event, Kind.OVERRIDE_TARGET, key, title, (Asked(key, payload, 0.0),))


def _open_option(state: ComponentState, project: Project, event: Event, option: Option) -> None:
    answers = project.task.answers_per_item if option.kind in _IMPROVES else 1
    each = option.cost_cents / max(len(option.items) * answers, 1)
    items = tuple(
        Asked(item["key"], {k: v for k, v in item.items() if k != "key"}, each) for item in option.items
    )
    _open(
        state,
        project,
        event,
        Kind(option.kind),
        f"{option.kind.lower()}-{project.rounds + 1}",
        option.title,
        items,
        option=option,
    )


def _open(
    state: ComponentState,
    project: Project,
    event: Event,
    kind: Kind,
    batch: str,
    title: str,
    items: tuple[Asked, ...],
    *,
    option: Option | None = None,
    choices: tuple[str, ...] = (),
) -> None:
    project.rounds += 1
    state.owe(
        event,
        OpenRequests(
            kind=kind,
            batch=batch,
            asker=event.component,
            title=title,
            items=items,
            choices=option.choices if option else choices,
            gain=option.gain if option else None,
            deadline=event.at + project.task.request_hours * _HOUR,
            answers_per_item=project.task.answers_per_item if kind in _IMPROVES else 1,
            budget_cents=None,
        ),
        to="oracle",
    )


def _asked_for(project: Project, kind: Kind) -> bool:
    return any(batch.kind == kind.value for batch in project.batches.values())


def _close(state: ComponentState, project: Project, event: Event, kind: Kind) -> None:
    """Withdraw questions that answered themselves."""
    for batch in project.batches.values():
        if batch.kind == kind.value:
            state.owe(event, Close(batch.id), to="oracle")


# -- data ---------------------------------------------------------------------------------


def _registry(state: ComponentState, project: Project, event: Event) -> None:
    match event.body:
        case Uploaded():
            _move(state, event, PhaseEvent.UPLOADED, "a file came")
        case PillarsSealed() as body:
            project.version = body.version
            _move(state, event, PhaseEvent.PILLARS_SEALED, "split and sealed", body.version)
            project.test_sets.append((body.stable, body.stable_rows, body.version.schema))
            _next_era(state, project, event)
        case TestSetAdded() as body if project.version:
            project.test_sets.append((body.stable, body.stable_rows, project.version.schema))
            _next_era(state, project, event)
            _close(state, project, event, Kind.NEW_TEST_SET)
        case Augmented(version):
            _move(state, event, PhaseEvent.AUGMENTED, "machine-readable", version)
        case VersionAdded() as body:
            project.version = body.version
            project.repairs = project.purchases = None  # they were for the version before
            if body.reason == "augmentation":
                return
            if body.counts.get("added"):
                # New rows may have missing cells: they are repaired before anything is studied.
                _move(state, event, PhaseEvent.ROWS_ADDED, "rows came", body.version)
            else:
                _move(state, event, PhaseEvent.ANSWERED, "answers are in", body.version)


def _next_era(state: ComponentState, project: Project, event: Event) -> None:
    """Open an era on the next test set, unless one is open: then the set waits for its end."""
    if project.era_open or not project.test_sets:
        return
    project.era_open = True
    sealed, rows, schema = project.test_sets.pop(0)
    gate = project.task.gate
    era = OpenEra(
        sealed,
        rows,
        schema,
        gate.condition,
        gate.reliability,
        gate.steps,
        gate.adaptivity,
        gate.mode,
        gate.bound,
        project.deployed or project.floor,
    )
    state.owe(event, era, to="gate")


# -- beliefs ------------------------------------------------------------------------------


def _feasibility(state: ComponentState, project: Project, event: Event) -> None:
    if not isinstance(event.body, Studied):
        return
    project.report = event.body
    project.unanswered = 0
    if project.chosen:
        option, before = project.chosen
        realised = gain_of(before, event.body, project.target)
        gain = RecordGain(option.id, option.kind, option.gain, realised, option.cost_cents)
        state.owe(event, gain, to="process")
        project.chosen = None
    low, high = event.body.ber_interval
    because = f"Bayes error in [{low:.3f}, {high:.3f}], target error {1 - project.target:.3f}"
    move = {
        "FEASIBLE": PhaseEvent.FEASIBLE,
        "FEASIBLE_SURE": PhaseEvent.FEASIBLE,
        "UNDECIDED": PhaseEvent.UNDECIDED,
        "INFEASIBLE": PhaseEvent.INFEASIBLE,
    }[event.body.decision]
    _move(state, event, move, because)


def _proposals(state: ComponentState, project: Project, event: Event) -> None:
    match event.body:
        # The first since IMPROVING began: what Choose has seen does not change under it.
        case RepairsProposed() as body if project.repairs is None:
            project.repairs = body
        case PurchasesProposed() as body if project.purchases is None:
            project.purchases = body
        case Purchased() as body if project.version:
            revise = Revise(project.version.number, (), (body.digest,), "purchase")
            state.owe(event, revise, to="registry")
            return
        case _:
            return
    if project.phase is Phase.IMPROVING and project.repairs and project.purchases:
        state.owe(event, Choose(), to="process")


# -- people -------------------------------------------------------------------------------


def _oracle(state: ComponentState, project: Project, event: Event) -> None:
    match event.body:
        case Opened() as body:
            fresh = Batch(body.batch, body.kind.value, body.choices)
            batch = project.batches.setdefault(body.batch, fresh)
            for offset, item in enumerate(body.items):
                batch.prices[item.key], batch.costs[item.key] = item.cost_cents, 0.0
                batch.payloads[item.key] = item.payload
                batch.open[body.first + offset] = item.key
        case Answered(annotator, answers, closed):
            for batch in project.batches.values():
                for key in (batch.open[a.request] for a in answers if a.request in batch.open):
                    batch.costs[key] += batch.prices[key]
            _closed(state, project, event, {a.request: a.value for a in closed}, annotator)
        case Skipped(_, requests) | Expired(requests, _):
            _closed(state, project, event, dict.fromkeys(requests), "nobody")


def _closed(state: ComponentState, project: Project, event: Event, values: dict[int, Any], by: str) -> None:
    """Note answers (None: skipped) and go on with each batch as its kind asks."""
    for batch in list(project.batches.values()):
        fresh = {batch.open.pop(i): v for i, v in values.items() if i in batch.open}
        if not fresh:
            continue
        batch.answers.update(fresh)
        if batch.kind == "LABEL_REALTIME":
            _realtime_labels(state, event, batch, fresh)
        if not batch.open:
            del project.batches[batch.id]
            _batch_done(state, project, event, batch, by)


def _batch_done(state: ComponentState, project: Project, event: Event, batch: Batch, by: str) -> None:
    if batch.kind in _IMPROVES:
        _learn(state, project, event, batch)
    elif batch.kind == "BUY_ROW" and project.version:
        for key, answer in batch.answers.items():
            offer = batch.payloads[key]["offer"]
            if answer == "yes":
                state.owe(event, Buy(offer, by, project.version.number), to="market")
            else:
                state.owe(event, Decline(offer, by), to="market")
                _move(state, event, PhaseEvent.NOTHING_LEARNED, f"offer {offer} was declined")
    elif batch.kind == "OVERRIDE_TARGET":
        _decided(state, event, next(iter(batch.answers.values())), by)


def _decided(state: ComponentState, event: Event, answer: Any, by: str) -> None:
    if answer == "improve":
        state.owe(event, RequestImprovement(f"{by} asked for it"), to="process")
    elif answer == "train":
        state.owe(event, OverrideTarget(None, True, f"{by} said: train anyway"), to="process")
    elif answer is not None:
        lowered = OverrideTarget(float(answer), False, f"{by} set another target")
        state.owe(event, lowered, to="process")


def _learn(state: ComponentState, project: Project, event: Event, batch: Batch) -> None:
    if project.version is None:
        return
    learned = tuple(
        AnsweredItem(key, value, float(batch.payloads[key].get("bits", 0.0)), batch.costs[key])
        for key, value in batch.answers.items()
    )
    state.owe(event, Learn(batch.kind, learned), to="cleaning")
    corrections = tuple(
        Correction(
            pillar=batch.payloads[key]["pillar"],
            row_id=batch.payloads[key]["row_id"],
            column=batch.payloads[key].get("column"),
            value=value,
            evidence=batch.id,
        )
        for key, value in batch.answers.items()
        if value is not None
    )
    if corrections:
        revise = Revise(project.version.number, corrections, (), "answers")
        state.owe(event, revise, to="registry")
    else:
        project.unanswered += 1
        _move(state, event, PhaseEvent.NOTHING_LEARNED, "every request was skipped")


def _realtime_labels(state: ComponentState, event: Event, batch: Batch, fresh: dict[str, Any]) -> None:
    labels = tuple(
        LabelledRow(
            row=batch.payloads[key]["row"],
            label=None if value is None else batch.choices.index(str(value)),
            cost_cents=batch.costs[key],
        )
        for key, value in fresh.items()
    )
    window = next(iter(batch.payloads.values()))["window"]
    state.owe(event, ObserveLabels(window, labels), to="pool")


# -- models -------------------------------------------------------------------------------


def _automl(state: ComponentState, project: Project, event: Event) -> None:
    match event.body:
        case SearchOpened() as body:
            for version, left in project.arms_left.items():
                if left:
                    _close_intake(state, project, event, version, 0)
            project.arms_left = {body.version.number: len(body.arms)}
        case TrialFailed(version=version):
            _trial_over(state, project, event, version)
        case TrialFinished() as body:
            if body.floor:
                project.floor = body.model
                if project.ungated:
                    state.owe(event, GateModels(project.ungated, body.model), to="gate")
                    project.ungated = ()
            task = project.task
            project.development[body.model] = body.development_accuracy
            added = AddModel(
                body.model,
                body.arm,
                body.version,
                body.floor,
                body.development_accuracy,
                body.development_lower,
                task.minimum_gain,
                task.gates_a_day,
                task.gate.adaptivity != "none",
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
    close = CloseIntake(version, task.minimum_gain, task.gates_a_day, steps, least)
    state.owe(event, close, to="pool")


def _pool(state: ComponentState, project: Project, event: Event) -> None:
    match event.body:
        case BatchAdmitted(models, _):
            old = project.deployed or project.floor
            if old is None:
                project.ungated += models
            else:
                state.owe(event, GateModels(models, old), to="gate")
        case Deployed() as body:
            project.deployed = body.model
        case RoundFinished() as body if body.asked:
            _ask_realtime(state, project, event, body)
        case WindowReleased(window, digest, rows) if rows:
            state.owe(event, Absorb(f"window:{window}", digest, rows), to="registry")


def _ask_realtime(state: ComponentState, project: Project, event: Event, body: RoundFinished) -> None:
    items = tuple(
        Asked(
            f"realtime:{row.request}",
            {"window": body.window, "row": row.row, "request_id": row.request},
            project.task.prices.label,
        )
        for row in body.asked
    )
    batch = f"window-{body.window}-{body.start}"
    title = f"Which class are these realtime rows? ({len(items)} of window {body.window})"
    _open(state, project, event, Kind.LABEL_REALTIME, batch, title, items, choices=tuple(body.classes))


def _gate(state: ComponentState, project: Project, event: Event) -> None:
    match event.body:
        case ModelsQueued(models, _, era) if era is not None:
            state.owe(event, TakeIntoGate(models), to="pool")
        case VerdictGiven() as body:
            state.owe(event, RecordVerdict(body.model, body.passed), to="pool")
        case EraExhausted():
            project.era_open = False
            _next_era(state, project, event)
        case EraReleased(era, digest, rows, sealed):
            state.owe(event, Absorb(f"era:{era}", digest, rows, sealed), to="registry")
        # While an era is open the gate will say so again at its end, if models still wait.
        case TestSetWanted(rows, why) if not (project.era_open or _asked_for(project, Kind.NEW_TEST_SET)):
            title = f"Models wait for a test: upload {rows} fresh labelled rows ({why})."
            key = f"test-set:{event.version}"
            payload = {"rows": rows, "why": why, "answer": "upload"}
            _open(state, project, event, Kind.NEW_TEST_SET, key, title, (Asked(key, payload, 0.0),))


_REACTIONS = {
    "registry": _registry,
    "feasibility": _feasibility,
    "cleaning": _proposals,
    "market": _proposals,
    "oracle": _oracle,
    "automl": _automl,
    "pool": _pool,
    "gate": _gate,
}
