"""How a project asks people, and what it makes of their answers.

Beside the saga, which says when: here stands what a request holds and what an answer makes due.
"""

from __future__ import annotations

from typing import Any

from easeml_ray.cleaning.messages import AnsweredItem, Learn
from easeml_ray.component.base import ComponentState
from easeml_ray.gate.label_messages import LearnTestLabels, SealedLabel, TestLabelsWanted
from easeml_ray.market.label_messages import LabelsWanted, LearnLabels, PlacedLabel
from easeml_ray.market.messages import Buy, Decline
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
    LabelledRow,
    ObserveLabels,
    RoundFinished,
)
from easeml_ray.process.messages import (
    EnterPhase,
    OverrideTarget,
    RequestImprovement,
)
from easeml_ray.process.project import PhaseEvent
from easeml_ray.process.view import Batch, Project
from easeml_ray.registry.messages import (
    Correction,
    Revise,
)

__all__ = [
    "ask",
    "ask_decision",
    "ask_labels",
    "ask_option",
    "ask_realtime",
    "ask_test_labels",
    "ask_test_set",
    "asked_for",
    "believed",
    "enter",
    "hear",
    "withdraw",
]

_HOUR = 3600.0
_IMPROVES = ("CLEAN_CELL", "RELABEL")
_REPEATED = (*_IMPROVES, "LABEL_ROW")
"""Kinds of which an item is answered by as many people as the task says."""


def enter(state: ComponentState, event: Event, move: PhaseEvent, because: str, version: Any = None) -> None:
    """Make a move of the phase due."""
    state.owe(event, EnterPhase(event=move.value, because=because, version=version), to="process")


def believed(project: Project) -> float:
    """Return the accuracy that the newest study holds for surely reachable."""
    return 1 - project.report.ber_upper if project.report else 0.0


def ask_decision(state: ComponentState, project: Project, event: Event, why: str) -> None:
    """Ask whether to train anyway, to improve the data, or for another target."""
    reached = f"{believed(project):.3f}"
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
    ask(
        state,
        project,
        event,
        Kind.OVERRIDE_TARGET,
        key,
        title,
        (Asked(key=key, payload=payload, cost_cents=0.0),),
    )


def ask_option(state: ComponentState, project: Project, event: Event, option: Option) -> None:
    """Ask for the items of an option that was chosen."""
    answers = project.task.answers_per_item if option.kind in _IMPROVES else 1
    each = option.cost_cents / max(len(option.items) * answers, 1)
    items = tuple(
        Asked(key=item["key"], payload={k: v for k, v in item.items() if k != "key"}, cost_cents=each)
        for item in option.items
    )
    ask(
        state,
        project,
        event,
        Kind(option.kind),
        f"{option.kind.lower()}-{project.rounds + 1}",
        option.title,
        items,
        option=option,
    )


def ask_labels(state: ComponentState, project: Project, event: Event, body: LabelsWanted) -> None:
    """Ask for the labels of some rows that were bought without."""
    items = tuple(
        Asked(
            key=f"offer:{body.offer}:{place}",
            payload={"offer": body.offer, "table": body.digest, "place": place},
            cost_cents=project.task.prices.label,
        )
        for place in range(body.first, body.first + body.count)
    )
    batch = f"label-{body.offer}-{body.first}"
    title = f"Which class are these rows of offer {body.offer}? ({len(items)} rows)"
    ask(state, project, event, Kind.LABEL_ROW, batch, title, items, choices=body.classes)


def ask_test_labels(state: ComponentState, project: Project, event: Event, body: TestLabelsWanted) -> None:
    """Ask for labels of rows of a test set; the answers are sealed to the gate on arrival."""
    items = tuple(
        Asked(
            key=f"test:{body.era}:{row}",
            payload={"era": body.era, "row": row, "table": body.table, "place": place},
            cost_cents=project.task.prices.label,
        )
        for place, row in enumerate(body.rows)
    )
    batch = f"test-{body.era}-{event.version}"
    title = f"Which class are these rows of test set {body.era}? ({len(items)} rows)"
    ask(state, project, event, Kind.LABEL_TEST, batch, title, items, choices=body.classes)


def ask_test_set(state: ComponentState, project: Project, event: Event, rows: int, why: str) -> None:
    """Ask for a fresh stable test set, unless one is there or is asked for already."""
    if project.test_sets or asked_for(state, project, Kind.NEW_TEST_SET):
        return
    project.wanted_rows = rows
    title = f"A new test set is needed: upload {rows:,} fresh labelled rows ({why})."
    key = f"test-set:{event.component}:{event.version}"
    payload = {"rows": rows, "why": why, "answer": "upload"}
    ask(
        state,
        project,
        event,
        Kind.NEW_TEST_SET,
        key,
        title,
        (Asked(key=key, payload=payload, cost_cents=0.0),),
    )


def ask_realtime(state: ComponentState, project: Project, event: Event, body: RoundFinished) -> None:
    """Ask for the labels that the picker wants."""
    items = tuple(
        Asked(
            key=f"realtime:{row.request}",
            payload={"window": body.window, "row": row.row, "request_id": row.request},
            cost_cents=project.task.prices.label,
        )
        for row in body.asked
    )
    batch = f"window-{body.window}-{body.start}"
    title = f"Which class are these realtime rows? ({len(items)} of window {body.window})"
    ask(state, project, event, Kind.LABEL_REALTIME, batch, title, items, choices=tuple(body.classes))


def ask(
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
    """Make a batch of requests due."""
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
            answers_per_item=project.task.answers_per_item if kind in _REPEATED else 1,
            budget_cents=None,
        ),
        to="oracle",
    )


def asked_for(state: ComponentState, project: Project, kind: Kind) -> bool:
    """Tell whether a question of this kind is open, or about to be."""
    owed = [a.body for a in state.actions.values() if a.project == project.name]
    return any(batch.kind == kind.value for batch in project.batches.values()) or any(
        isinstance(body, OpenRequests) and body.kind is kind for body in owed
    )


def withdraw(state: ComponentState, project: Project, event: Event, kind: Kind) -> None:
    """Withdraw questions that answered themselves."""
    for batch in project.batches.values():
        if batch.kind == kind.value:
            state.owe(event, Close(batch=batch.id), to="oracle")


# -- answers -------------------------------------------------------------------------------------


def hear(state: ComponentState, project: Project, event: Event) -> None:
    """Take in what the oracle tells: requests that opened, and how they closed."""
    match event.body:
        case Opened() as body:
            fresh = Batch(body.batch, body.kind.value, body.choices)
            batch = project.batches.setdefault(body.batch, fresh)
            for offset, item in enumerate(body.items):
                batch.prices[item.key], batch.costs[item.key] = item.cost_cents, 0.0
                batch.payloads[item.key] = item.payload
                batch.open[body.first + offset] = item.key
        case Answered(annotator=annotator, answers=answers, closed=closed):
            for batch in project.batches.values():
                for key in (batch.open[a.request] for a in answers if a.request in batch.open):
                    batch.costs[key] += batch.prices[key]
            _closed(state, project, event, {a.request: a.value for a in closed}, annotator)
        case Skipped(annotator=_, requests=requests) | Expired(requests=requests, batch=_):
            late = isinstance(event.body, Expired) and asked_for(state, project, Kind.NEW_TEST_SET)
            _closed(state, project, event, dict.fromkeys(requests), "nobody")
            if late and project.wanted_rows and not asked_for(state, project, Kind.NEW_TEST_SET):
                ask_test_set(state, project, event, project.wanted_rows, "models still wait for it")


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
    elif batch.kind == "LABEL_ROW" and all("place" in payload for payload in batch.payloads.values()):
        labels = tuple(
            PlacedLabel(
                place=batch.payloads[key]["place"],
                label=None if value is None else str(value),
                cost_cents=batch.costs[key],
            )
            for key, value in batch.answers.items()
        )
        offer = next(iter(batch.payloads.values()))["offer"]
        state.owe(event, LearnLabels(offer=offer, labels=labels), to="market")
    elif batch.kind == "LABEL_TEST":
        sealed = tuple(
            SealedLabel(
                row=batch.payloads[key]["row"],
                sealed=None if value is None else str(value),
                cost_cents=batch.costs[key],
            )
            for key, value in batch.answers.items()
        )
        era = next(iter(batch.payloads.values()))["era"]
        state.owe(event, LearnTestLabels(era=era, labels=sealed), to="gate")
    elif batch.kind == "BUY_ROW" and project.version:
        for key, answer in batch.answers.items():
            offer = batch.payloads[key]["offer"]
            if answer == "yes":
                state.owe(event, Buy(offer=offer, approved_by=by, version=project.version), to="market")
            else:
                state.owe(event, Decline(offer=offer, by=by), to="market")
                enter(state, event, PhaseEvent.NOTHING_LEARNED, f"offer {offer} was declined")
    elif batch.kind == "OVERRIDE_TARGET":
        _decided(state, event, next(iter(batch.answers.values())), by)


def _decided(state: ComponentState, event: Event, answer: Any, by: str) -> None:
    if answer == "improve":
        state.owe(event, RequestImprovement(reason=f"{by} asked for it"), to="process")
    elif answer == "train":
        state.owe(
            event,
            OverrideTarget(target_accuracy=None, train=True, reason=f"{by} said: train anyway"),
            to="process",
        )
    elif answer is not None:
        lowered = OverrideTarget(
            target_accuracy=float(answer), train=False, reason=f"{by} set another target"
        )
        state.owe(event, lowered, to="process")


def _learn(state: ComponentState, project: Project, event: Event, batch: Batch) -> None:
    if project.version is None:
        return
    learned = tuple(
        AnsweredItem(
            key=key,
            value=value,
            entropy_before=float(batch.payloads[key].get("bits", 0.0)),
            cost_cents=batch.costs[key],
        )
        for key, value in batch.answers.items()
    )
    state.owe(event, Learn(kind=batch.kind, items=learned), to="cleaning")
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
        revise = Revise(
            number=project.version.number, corrections=corrections, purchases=(), reason="answers"
        )
        state.owe(event, revise, to="registry")
    else:
        project.unanswered += 1
        enter(state, event, PhaseEvent.NOTHING_LEARNED, "every request was skipped")


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
    state.owe(event, ObserveLabels(window=window, labels=labels), to="pool")
