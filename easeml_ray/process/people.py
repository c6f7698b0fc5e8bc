"""How a project asks people, and what it makes of their answers.

Beside the saga, which says when: here stands what a request holds and what an answer makes due.
"""

from __future__ import annotations

from typing import Any

from easeml_ray.cleaning.messages import AnsweredItem, Learn
from easeml_ray.component.base import ComponentState
from easeml_ray.gate.label_messages import LearnTestLabels, SealedLabel, WantTestLabels
from easeml_ray.items import BoughtRow, Cell, Goal, Item, Label, OfferedRows, ServedRow, TestRow, TestSetRows
from easeml_ray.market.label_messages import LabelsWanted, LearnLabels, PlacedLabel
from easeml_ray.market.messages import Buy, Decline
from easeml_ray.messages import Event, Gain, Option
from easeml_ray.oracle.messages import (
    Answered,
    Asked,
    Close,
    Expired,
    Kind,
    Opened,
    OpenRequests,
    Skip,
    Skipped,
)
from easeml_ray.pool.messages import FinishRound, LabelledRow, ObserveLabels
from easeml_ray.process.messages import EnterPhase, OverrideTarget, RequestImprovement
from easeml_ray.process.project import PhaseEvent
from easeml_ray.process.view import Batch, Project
from easeml_ray.registry.messages import Correction, Revise

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
_REPEATED = (Kind.CLEAN_CELL, Kind.RELABEL, Kind.LABEL_ROW)
"""Kinds of which an item is answered by as many people as the task says."""


def enter(state: ComponentState, event: Event, move: PhaseEvent, because: str, version: Any = None) -> None:
    """Make a move of the phase due."""
    state.owe(event, EnterPhase(event=move.value, because=because, version=version), to="process")


def believed(project: Project) -> float:
    """Return the accuracy that the newest study holds for surely reachable."""
    return 1 - project.report.ber_upper if project.report else 0.0


def ask_decision(state: ComponentState, project: Project, event: Event, why: str) -> None:
    """Ask whether to train anyway, to improve the data, or for another target."""
    goal = Goal(
        target_accuracy=project.target,
        surely_reachable=f"{believed(project):.3f}",
        why=why,
        version=project.version.number if project.version else 0,
        round=project.rounds,
    )
    title = (
        f"Target {project.target}: {why}. Answer `train` (go on anyway), `improve`, "
        "or another target accuracy."
    )
    ask(state, project, event, Kind.OVERRIDE_TARGET, goal.key, title, (goal,))


def ask_option(state: ComponentState, project: Project, event: Event, option: Option) -> None:
    """Ask for the items of an option that was chosen."""
    kind = Kind(option.kind)
    answers = project.task.answers_per_item if kind in _REPEATED else 1
    ask(
        state,
        project,
        event,
        kind,
        f"{option.kind.lower()}-{project.rounds + 1}",
        option.title,
        option.items,
        cents=option.cost_cents / max(len(option.items) * answers, 1),
        choices=option.choices,
        gain=option.gain,
    )


def ask_labels(state: ComponentState, project: Project, event: Event, wanted: LabelsWanted) -> None:
    """Ask for the labels of some rows that were bought without."""
    body = wanted.command
    places = range(body.first, body.first + body.count)
    items = tuple(BoughtRow(offer=body.offer, table=wanted.digest, place=place) for place in places)
    batch = f"label-{body.offer}-{body.first}"
    title = f"Which class are these rows of offer {body.offer}? ({len(items)} rows)"
    cents = project.task.prices.label
    ask(state, project, event, Kind.LABEL_ROW, batch, title, items, cents=cents, choices=body.classes)


def ask_test_labels(state: ComponentState, project: Project, event: Event, body: WantTestLabels) -> None:
    """Ask for labels of rows of a test set; the answers are sealed to the gate on arrival."""
    items = tuple(
        TestRow(era=body.era, row=row, table=body.table, place=place) for place, row in enumerate(body.rows)
    )
    batch = f"test-{body.era}-{event.version}"
    title = f"Which class are these rows of test set {body.era}? ({len(items)} rows)"
    cents = project.task.prices.label
    ask(state, project, event, Kind.LABEL_TEST, batch, title, items, cents=cents, choices=body.classes)


def ask_test_set(state: ComponentState, project: Project, event: Event, rows: int, why: str) -> None:
    """Ask for a fresh stable test set, unless one is there or is asked for already."""
    if project.test_sets or asked_for(project, Kind.NEW_TEST_SET):
        return
    project.wanted_rows = rows
    title = f"A new test set is needed: upload {rows:,} fresh labelled rows ({why})."
    wanted = TestSetRows(rows=rows, why=why, asked_by=f"{event.component}:{event.version}")
    ask(state, project, event, Kind.NEW_TEST_SET, wanted.key, title, (wanted,))


def ask_realtime(state: ComponentState, project: Project, event: Event, body: FinishRound) -> None:
    """Ask for the labels that the picker wants."""
    items = tuple(ServedRow(window=body.window, row=row.row, request_id=row.request) for row in body.asked)
    batch = f"window-{body.window}-{body.start}"
    title = f"Which class are these realtime rows? ({len(items)} of window {body.window})"
    cents = project.task.prices.label
    ask(state, project, event, Kind.LABEL_REALTIME, batch, title, items, cents=cents, choices=body.classes)


def ask(
    state: ComponentState,
    project: Project,
    event: Event,
    kind: Kind,
    batch: str,
    title: str,
    items: tuple[Item, ...],
    *,
    cents: float = 0.0,
    choices: tuple[str, ...] = (),
    gain: Gain | None = None,
) -> None:
    """Make a batch of requests due; an answer costs ``cents``."""
    project.rounds += 1
    project.asking.append(kind)
    state.owe(
        event,
        OpenRequests(
            kind=kind,
            batch=batch,
            asker=event.component,
            title=title,
            items=tuple(Asked(item=item, cost_cents=cents) for item in items),
            choices=choices,
            gain=gain,
            deadline=event.at + project.task.request_hours * _HOUR,
            answers_per_item=project.task.answers_per_item if kind in _REPEATED else 1,
        ),
        to="oracle",
    )


def asked_for(project: Project, kind: Kind) -> bool:
    """Tell whether a question of this kind is open, or about to be."""
    return kind in project.asking or any(batch.kind == kind.value for batch in project.batches.values())


def withdraw(state: ComponentState, project: Project, event: Event, kind: Kind) -> None:
    """Withdraw questions that answered themselves."""
    for batch in project.batches.values():
        if batch.kind == kind.value:
            state.owe(event, Close(batch=batch.id), to="oracle")


# -- answers -------------------------------------------------------------------------------------


def hear(state: ComponentState, project: Project, event: Event) -> None:
    """Take in what the oracle tells: requests that opened, and how they closed."""
    match event.body:
        case Opened(command=body, first=first):
            if body.kind in project.asking:  # others than Lifecycle may ask too
                project.asking.remove(body.kind)
            fresh = Batch(body.batch, body.kind.value, body.choices)
            batch = project.batches.setdefault(body.batch, fresh)
            for number, asked in enumerate(body.items, first):
                key = asked.item.key
                batch.items[key], batch.prices[key], batch.costs[key] = asked.item, asked.cost_cents, 0.0
                batch.open[number] = key
        case Answered(command=given, closed=closed):
            for batch in project.batches.values():
                for key in (batch.open[a.request] for a in given.answers if a.request in batch.open):
                    batch.costs[key] += batch.prices[key]
            _closed(state, project, event, {a.request: a.value for a in closed}, given.annotator)
        case Skipped(command=Skip(requests=requests)):
            _closed(state, project, event, dict.fromkeys(requests), "nobody")
        case Expired(requests=requests):
            late = asked_for(project, Kind.NEW_TEST_SET)
            _closed(state, project, event, dict.fromkeys(requests), "nobody")
            if late and project.wanted_rows and not asked_for(project, Kind.NEW_TEST_SET):
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
    match next(iter(batch.items.values())):
        case Label() | Cell():
            _learn(state, project, event, batch)
        case BoughtRow(offer=offer):
            labels = tuple(
                PlacedLabel(place=row.place, label=_text(value), cost_cents=batch.costs[row.key])
                for row, value in batch.answered(BoughtRow)
            )
            state.owe(event, LearnLabels(offer=offer, labels=labels), to="market")
        case TestRow(era=era):
            sealed = tuple(
                SealedLabel(row=row.row, sealed=_text(value), cost_cents=batch.costs[row.key])
                for row, value in batch.answered(TestRow)
            )
            state.owe(event, LearnTestLabels(era=era, labels=sealed), to="gate")
        case OfferedRows() if project.version:
            for offered, answer in batch.answered(OfferedRows):
                if answer == "yes":
                    buy = Buy(offer=offered.offer, approved_by=by, version=project.version)
                    state.owe(event, buy, to="market")
                else:
                    state.owe(event, Decline(offer=offered.offer, by=by), to="market")
                    because = f"offer {offered.offer} was declined"
                    enter(state, event, PhaseEvent.NOTHING_LEARNED, because)
        case Goal():
            _decided(state, event, next(iter(batch.answers.values())), by)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


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
    learned: list[AnsweredItem] = []
    corrections: list[Correction] = []
    answered: list[tuple[Label | Cell, Any]] = [*batch.answered(Label), *batch.answered(Cell)]
    for item, value in answered:
        cost = batch.costs[item.key]
        learned.append(AnsweredItem(key=item.key, value=value, entropy_before=item.bits, cost_cents=cost))
        if value is not None:
            column = item.column if isinstance(item, Cell) else None
            corrections.append(
                Correction(
                    pillar=item.pillar, row_id=item.row_id, column=column, value=value, evidence=batch.id
                )
            )
    state.owe(event, Learn(kind=batch.kind, items=tuple(learned)), to="cleaning")
    if corrections:
        number, made = project.version.number, tuple(corrections)
        revise = Revise(number=number, corrections=made, purchases=(), reason="answers")
        state.owe(event, revise, to="registry")
    else:
        project.unanswered += 1
        enter(state, event, PhaseEvent.NOTHING_LEARNED, "every request was skipped")


def _realtime_labels(state: ComponentState, event: Event, batch: Batch, fresh: dict[str, Any]) -> None:
    rows = [(row, fresh[row.key]) for row, _ in batch.answered(ServedRow) if row.key in fresh]
    labels = tuple(
        LabelledRow(
            row=row.row,
            label=None if value is None else batch.choices.index(str(value)),
            cost_cents=batch.costs[row.key],
        )
        for row, value in rows
    )
    state.owe(event, ObserveLabels(window=rows[0][0].window, labels=labels), to="pool")
