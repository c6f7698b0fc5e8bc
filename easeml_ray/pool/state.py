"""ModelPool's state: the endless stream of models, the windows, and what is deployed."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from easeml_ray.component.base import ComponentState
from easeml_ray.component.messages import WorkRejected
from easeml_ray.errors import Conflict, NotFound
from easeml_ray.messages import Command, Decision, Event, LedgerLine
from easeml_ray.pool.messages import (
    AddModel,
    AskedRow,
    BatchAdmitted,
    CloseIntake,
    CollectWindow,
    Deployed,
    FindSegments,
    FinishRound,
    IntakeClosed,
    LabelsObserved,
    ModelAdded,
    ModelMoved,
    ObserveLabels,
    PickRound,
    RecordVerdict,
    ReleaseWindow,
    RoundFinished,
    SegmentStored,
    ShowDeployments,
    ShowPool,
    StoreSegment,
    TakeIntoGate,
    VerdictRecorded,
    WindowClosed,
    WindowDecided,
    WindowReleased,
)
from easeml_ray.pool.model import MODEL, ModelEvent, ModelState
from easeml_ray.pool.picker import posterior
from easeml_ray.pool.window import WINDOW, WindowEvent, WindowState

__all__ = ["PoolState"]

_DAY = 24 * 3600.0
_BETA = 1.0  # of ModelPicker; tuned per budget in a later form
# Segments and candidates of a window travel in one message.
_MOST_SEGMENTS = 300
_MOST_CANDIDATES = 64


def _entropy(probabilities: list[float]) -> float:
    return -sum(p * math.log2(p) for p in probabilities if p > 0)


def _weights(losses: list[float], proposals: int) -> list[float]:
    return [float(weight) for weight in posterior(losses, proposals)]


@dataclass
class _Model:
    added: ModelAdded
    state: ModelState = MODEL.initial


@dataclass
class _Window:
    """One stretch of realtime rows.

    segments : (id, digest, rows); wanted : rows at which it is full; asked : row -> what was
    asked; pending : rows without an answer yet; seen : rows that passed;
    proposals : of them, those whose coin was thrown; labelled :
    row -> label code.
    """

    number: int
    state: WindowState = WINDOW.initial
    segments: list[tuple[str, str, int]] = field(default_factory=list)
    candidates: tuple[str, ...] = ()
    rows: int = 0
    wanted: int = 0
    labels_left: int = 0
    seen: int = 0
    proposals: int = 0
    losses: list[float] = field(default_factory=list)
    asked: dict[int, AskedRow] = field(default_factory=dict)
    pending: set[int] = field(default_factory=set)
    labelled: dict[int, int] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        return self.rows >= self.wanted or len(self.segments) >= _MOST_SEGMENTS

    def posterior(self) -> list[float]:
        return _weights(self.losses, self.proposals)


@dataclass
class _Pool:
    """One project.

    admitted : (time, development lower bound) of admissions, in order; closed : versions whose
    intake is closed.
    """

    models: dict[str, _Model] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    admitted: list[tuple[float, float]] = field(default_factory=list)
    deployed: Deployed | None = None
    windows: list[_Window] = field(default_factory=list)
    segments: dict[str, str] = field(default_factory=dict)  # id -> digest
    lost: int = 0

    def candidates(self) -> tuple[str, ...]:
        """Return the deployed model and the best others that passed, in order of training."""
        passed = [m.added for m in self.models.values() if m.state is ModelState.CANDIDATE]
        passed.sort(key=lambda added: -added.development_lower)
        chosen = {added.model for added in passed[: _MOST_CANDIDATES - 1]}
        return tuple(
            name
            for name, model in self.models.items()
            if name in chosen or model.state is ModelState.DEPLOYED
        )

    @property
    def picking(self) -> bool:
        return any(window.state is WindowState.PICKING for window in self.windows)


class PoolState(ComponentState):
    """Models and windows of all projects."""

    component: ClassVar[str] = "pool"

    def __init__(self) -> None:
        super().__init__()
        self.projects: dict[str, _Pool] = {}

    def decide(self, command: Command) -> Decision:
        """Judge a command; see :class:`ComponentState`."""
        pool = self.projects.get(command.project, _Pool())
        match command.body:
            case AddModel() as body:
                return self._add(command, pool, body)
            case CloseIntake() as body:
                return self._close_intake(command, pool, body)
            case TakeIntoGate(models=models):
                # Those whose era ended before their turn come to the next one's gate again.
                fresh = [m for m in models if self._state(pool, m) is not ModelState.GATING]
                return Decision(tuple(self._move(pool, m, ModelEvent.GATE) for m in fresh or models))
            case RecordVerdict(model=model, passed=passed):
                return self._verdict(pool, model, passed)
            case StoreSegment() as body:
                return self._segment(command.project, pool, body)
            case FinishRound(
                window=window, start=start, stop=stop, asked=asked, classes=classes, proposals=proposals
            ):
                finished = RoundFinished(
                    window=window, start=start, stop=stop, asked=asked, classes=classes, proposals=proposals
                )
                return self._finish_round(pool, finished)
            case ObserveLabels() as body:
                return self._observe(pool, body)
            case ReleaseWindow(window=window, digest=digest, rows=rows):
                return Decision((WindowReleased(window=window, digest=digest, rows=rows),))
        raise TypeError(f"{type(command.body).__name__} is no command of the pool")

    def rejected(self, project: str, work: Any, rejection: WorkRejected) -> tuple[Any, ...]:
        """Decide a window by what is known of it, if its rows cannot be used any further."""
        pool = self.projects[project]
        match work:
            case PickRound():
                window = self._window(pool, work.window)
                return self._decide_window(pool, window, window.losses, window.proposals, 0)
            case CollectWindow():
                return (WindowReleased(window=work.window, digest="", rows=0),)
        return ()

    # -- models ---------------------------------------------------------------------------

    @staticmethod
    def _state(pool: _Pool, model: str) -> ModelState | None:
        known = pool.models.get(model)
        return known.state if known else None

    def _move(self, pool: _Pool, model: str, event: ModelEvent) -> ModelMoved:
        known = pool.models.get(model)
        if known is None:
            raise NotFound(
                f"no model {model[:12]} in the pool",
                hint="easeml models lists them.",
                what="model",
                name=model,
            )
        after = MODEL.next(known.state, event, instance=model[:12])
        return ModelMoved(model=model, event=event.value, state=after.value)

    def _add(self, command: Command, pool: _Pool, body: AddModel) -> Decision:
        if body.model in pool.models:
            raise Conflict(
                f"model {body.model[:12]} is in the pool already",
                hint="A model is added once; the same bytes are the same model.",
            )
        added = ModelAdded(
            model=body.model,
            arm=body.arm,
            version=body.version,
            floor=body.floor,
            development_accuracy=body.development_accuracy,
            development_lower=body.development_lower,
        )
        if body.floor:
            return Decision((added,))
        if body.version in pool.closed:
            return Decision((added, self._first(body.model, ModelEvent.RETIRE)))
        if not body.immediate:
            return Decision((added,))
        bar = pool.admitted[-1][1] + body.minimum_gain if pool.admitted else 0.0
        if body.development_lower > bar and self._room(pool, command.now, body.gates_a_day) > 0:
            admitted = self._first(body.model, ModelEvent.ADMIT)
            return Decision((added, admitted, BatchAdmitted(models=(body.model,), version=body.version)))
        # Nothing comes back to it: the bar only rises.
        return Decision((added, self._first(body.model, ModelEvent.RETIRE)))

    @staticmethod
    def _first(model: str, event: ModelEvent) -> ModelMoved:
        """Return the first move of a model that is added by the same decision."""
        after = MODEL.next(MODEL.initial, event, instance=model[:12])
        return ModelMoved(model=model, event=event.value, state=after.value)

    @staticmethod
    def _room(pool: _Pool, now: float, gates_a_day: int) -> int:
        return gates_a_day - sum(1 for at, _ in pool.admitted if at > now - _DAY)

    def _close_intake(self, command: Command, pool: _Pool, body: CloseIntake) -> Decision:
        """Admit the best chain of models in which each beats the one before by the minimum gain.

        Arms finish in any order, so the rule is applied to the version's models from the
        lowest bound up: the admitted ones are the best ``steps`` of that chain, and the
        outcome does not depend on which worker was faster.
        """
        fresh = [
            model.added
            for model in pool.models.values()
            if model.state is ModelState.TRAINED
            and not model.added.floor
            and model.added.version == body.version
        ]
        fresh.sort(key=lambda m: (m.development_lower, m.arm))
        bar = pool.admitted[-1][1] if pool.admitted else -1.0
        chain: list[ModelAdded] = []
        for model in reversed(fresh):  # the best first, so that the best is always in
            above = chain[-1].development_lower if chain else math.inf
            if (
                model.development_accuracy >= body.least
                and model.development_lower > bar + body.minimum_gain
                and model.development_lower <= above - body.minimum_gain
            ):
                chain.append(model)
        room = min(body.steps, self._room(pool, command.now, body.gates_a_day))
        chosen = [model.model for model in reversed(chain[: max(room, 0)])]
        events: list[Any] = [self._move(pool, model, ModelEvent.ADMIT) for model in chosen]
        taken = set(chosen)
        events += [self._move(pool, m.model, ModelEvent.RETIRE) for m in fresh if m.model not in taken]
        events.append(IntakeClosed(version=body.version))
        if chosen:
            events.append(BatchAdmitted(models=tuple(chosen), version=body.version))
        return Decision(tuple(events), {"admitted": chosen})

    def _verdict(self, pool: _Pool, model: str, passed: bool) -> Decision:
        moved = self._move(pool, model, ModelEvent.PASS if passed else ModelEvent.FAIL)
        if not passed:
            return Decision((moved, VerdictRecorded(model=model)))
        enrolled = MODEL.next(ModelState.PASSED, ModelEvent.ENROL, instance=model[:12])
        events: list[Any] = [
            moved,
            ModelMoved(model=model, event=ModelEvent.ENROL.value, state=enrolled.value),
        ]
        better = self._development(pool, model) > self._deployed_development(pool)
        if pool.deployed is None or (better and not pool.picking and not self._decided(pool)):
            events += self._deploy(pool, model, "first to pass" if not pool.deployed else "passed")
        return Decision((*events, VerdictRecorded(model=model)))

    @staticmethod
    def _decided(pool: _Pool) -> bool:
        """Tell whether a window has ever chosen: from then on only windows choose."""
        return any(w.state in (WindowState.DECIDED, WindowState.RELEASED) for w in pool.windows)

    @staticmethod
    def _development(pool: _Pool, model: str) -> float:
        return pool.models[model].added.development_lower

    def _deployed_development(self, pool: _Pool) -> float:
        return self._development(pool, pool.deployed.model) if pool.deployed else -math.inf

    def _deploy(self, pool: _Pool, model: str, because: str) -> list[Any]:
        events: list[Any] = []
        if pool.deployed:
            events.append(self._move(pool, pool.deployed.model, ModelEvent.REPLACE))
        deployed = MODEL.next(ModelState.CANDIDATE, ModelEvent.DEPLOY, instance=model[:12])
        added = pool.models[model].added
        number = (pool.deployed.deployment if pool.deployed else 0) + 1
        events.append(ModelMoved(model=model, event=ModelEvent.DEPLOY.value, state=deployed.value))
        events.append(
            Deployed(model=model, arm=added.arm, version=added.version, deployment=number, because=because)
        )
        return events

    # -- windows --------------------------------------------------------------------------

    def _segment(self, project: str, pool: _Pool, body: StoreSegment) -> Decision:
        if pool.deployed is None:
            raise Conflict(
                f"project {project} serves no model, so it has no realtime rows",
                hint="Rows are collected once a model is deployed.",
            )
        if body.segment in pool.segments:
            raise Conflict(f"segment {body.segment} is stored already", hint="Send it once.")
        filling = pool.windows[-1] if pool.windows else None
        if filling is None or filling.state is not WindowState.FILLING:
            filling = _Window(len(pool.windows) + 1)
        if len(filling.segments) >= _MOST_SEGMENTS:
            raise Conflict(
                f"window {filling.number} of {project} is full, and the one before is not decided",
                hint="Rows are taken again once the labels that the picker asked for are given.",
            )
        stored = SegmentStored(
            segment=body.segment,
            digest=body.digest,
            rows=body.rows,
            lost=body.lost,
            window=filling.number,
            window_rows=body.window_rows,
            labels=body.labels,
        )
        rows = filling.rows + body.rows
        events: list[Any] = [stored]
        full = rows >= body.window_rows or len(filling.segments) + 1 >= _MOST_SEGMENTS
        if full and not pool.picking:
            events.append(self._closed(pool, filling.number, rows, body.labels))
        return Decision(tuple(events), {"window": filling.number, "rows": rows})

    @staticmethod
    def _closed(pool: _Pool, number: int, rows: int, labels: int) -> WindowClosed:
        return WindowClosed(window=number, candidates=pool.candidates(), rows=rows, labels=labels, beta=_BETA)

    def _window(self, pool: _Pool, number: int) -> _Window:
        return pool.windows[number - 1]

    def _finish_round(self, pool: _Pool, finished: RoundFinished) -> Decision:
        window = self._window(pool, finished.window)
        if finished.start != window.seen:
            raise Conflict("a round that was finished already", hint="Nothing to do.")
        events: tuple[Any, ...] = (finished,)
        if finished.stop >= window.rows and not finished.asked:
            events += self._decide_window(pool, window, window.losses, finished.proposals, 0)
        return Decision(events)

    def _observe(self, pool: _Pool, body: ObserveLabels) -> Decision:
        window = self._window(pool, body.window)
        late = [label.row for label in body.labels if label.row not in window.pending]
        if late:
            raise Conflict(
                f"rows {late[:5]} of window {body.window} are not waiting for a label",
                hint="Each asked row is labelled once.",
            )
        losses = _with_labels(window, body)
        before = window.posterior()
        after = _weights(losses, window.proposals)
        observed = LabelsObserved(
            window=body.window,
            labels=body.labels,
            ledger=LedgerLine(
                variable=f"best of {len(window.candidates)} candidates on window {window.number}",
                entropy_before=_entropy(before),
                entropy_after=_entropy(after),
                cost_cents=sum(label.cost_cents for label in body.labels),
                evidence=f"{len(body.labels)} realtime labels",
            ),
        )
        events: tuple[Any, ...] = (observed,)
        done = window.pending == {label.row for label in body.labels}
        if done and (window.seen >= window.rows):
            given = sum(label.label is not None for label in body.labels)
            events += self._decide_window(pool, window, losses, window.proposals, given)
        return Decision(events)

    @staticmethod
    def _best(pool: _Pool, window: _Window, weights: list[float]) -> str:
        """Return the most probable candidate; a tie is no reason to replace the deployed one."""
        incumbent = pool.deployed.model if pool.deployed else ""
        return max(
            zip(weights, window.candidates, strict=True),
            key=lambda pair: (round(pair[0], 9), pair[1] == incumbent),
        )[1]

    def _decide_window(
        self, pool: _Pool, window: _Window, losses: list[float], proposals: int, given: int
    ) -> tuple[Any, ...]:
        weights = _weights(losses, proposals)
        best = self._best(pool, window, weights)
        labels = len(window.labelled) + given
        decided = WindowDecided(
            window=window.number,
            best=best,
            posterior=tuple(weights),
            candidates=window.candidates,
            labels=labels,
            rows=window.rows,
        )
        events: list[Any] = [decided]
        # Without one label the window has no evidence: the incumbent stays.
        if labels and pool.deployed and best != pool.deployed.model:
            events += self._deploy(pool, best, f"picked on window {window.number}")
        following = pool.windows[-1]
        if following.state is WindowState.FILLING and following.full:
            # It filled while this one was picking.
            closed = self._closed(pool, following.number, following.rows, following.labels_left)
            events.append(closed)
        return tuple(events)

    # -- fold -----------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Take in one event; see :class:`ComponentState`."""
        pool = self.projects.setdefault(event.project, _Pool())
        match event.body:
            case ModelAdded() as body:
                pool.models[body.model] = _Model(body)
            case ModelMoved(model=model, event=name, state=_):
                known = pool.models[model]
                known.state = MODEL.next(known.state, ModelEvent(name), instance=model[:12])
                if name == ModelEvent.ADMIT:
                    pool.admitted.append((event.at, known.added.development_lower))
            case IntakeClosed(version=version):
                pool.closed.add(version)
            case Deployed() as body:
                pool.deployed = body
            case SegmentStored() as body:
                if body.window > len(pool.windows):
                    pool.windows.append(_Window(body.window))
                window = self._window(pool, body.window)
                window.state = WINDOW.next(window.state, WindowEvent.ROWS, instance=event.stream)
                window.segments.append((body.segment, body.digest, body.rows))
                window.rows += body.rows
                window.wanted, window.labels_left = body.window_rows, body.labels
                pool.segments[body.segment] = body.digest
                pool.lost += body.lost
            case WindowClosed(window=number, candidates=candidates, rows=rows, labels=labels, beta=_):
                window = self._window(pool, number)
                window.state = WINDOW.next(window.state, WindowEvent.CLOSE, instance=event.stream)
                window.candidates, window.rows, window.labels_left = candidates, rows, labels
                window.losses = [0.0] * len(candidates)
                self._owe_round(event, window)
            case RoundFinished(
                window=number, start=_, stop=stop, asked=asked, classes=_, proposals=proposals
            ):
                window = self._window(pool, number)
                window.seen, window.proposals = stop, proposals
                for row in asked:
                    window.asked[row.row] = row
                    window.pending.add(row.row)
                window.labels_left -= len(asked)
                if not asked and stop < window.rows:
                    self._owe_round(event, window)
            case LabelsObserved() as body:
                window = self._window(pool, body.window)
                window.losses = _with_labels(window, ObserveLabels(window=body.window, labels=body.labels))
                for label in body.labels:
                    window.pending.discard(label.row)
                    if label.label is not None:
                        window.labelled[label.row] = label.label
                if not window.pending and window.seen < window.rows:
                    self._owe_round(event, window)
            case WindowDecided(window=number):
                window = self._window(pool, number)
                window.state = WINDOW.next(window.state, WindowEvent.DECIDE, instance=event.stream)
                labelled = tuple(sorted(window.labelled.items()))
                self.owe(
                    event, CollectWindow(window=number, segments=tuple(window.segments), labelled=labelled)
                )
            case WindowReleased(window=number, digest=_, rows=_):
                window = self._window(pool, number)
                window.state = WINDOW.next(window.state, WindowEvent.RELEASE, instance=event.stream)

    def _owe_round(self, event: Event, window: _Window) -> None:
        self.owe(
            event,
            PickRound(
                window=window.number,
                segments=tuple(window.segments),
                candidates=window.candidates,
                start=window.seen,
                proposals=window.proposals,
                losses=tuple(window.losses),
                labels_left=window.labels_left,
                beta=_BETA,
            ),
        )

    # -- queries --------------------------------------------------------------------------

    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; see :class:`ComponentState`."""
        match query:
            case ShowDeployments():
                return {
                    name: asdict(pool.deployed)
                    for name, pool in self.projects.items()
                    if pool.deployed is not None
                }
            case FindSegments(segments=segments):
                pool = self.projects.get(project, _Pool())
                unknown = [segment for segment in segments if segment not in pool.segments]
                if unknown:
                    raise NotFound(
                        f"no realtime segment {unknown[0]} in {project}",
                        hint="A request id is segment:row, as the endpoint answered it.",
                        what="segment",
                        name=unknown[0],
                    )
                return {"digests": {segment: pool.segments[segment] for segment in segments}}
            case ShowPool():
                pool = self.projects.get(project, _Pool())
                return {
                    "project": project,
                    "deployed": asdict(pool.deployed) if pool.deployed else None,
                    "lost_rows": pool.lost,
                    "models": [{**asdict(m.added), "state": m.state.value} for m in pool.models.values()],
                    "windows": [self._shown(window) for window in pool.windows[-20:]],
                }
        raise TypeError(f"{type(query).__name__} is no query of the pool")

    @staticmethod
    def _shown(window: _Window) -> dict[str, Any]:
        return {
            "window": window.number,
            "state": window.state.value,
            "rows": window.rows,
            "seen": window.seen,
            "labels": len(window.labelled),
            "pending": len(window.pending),
            "candidates": list(window.candidates),
            "posterior": window.posterior() if window.candidates else [],
        }

    def validate(self) -> None:
        """Check the invariants."""
        super().validate()
        for pool in self.projects.values():
            live = [n for n, m in pool.models.items() if m.state is ModelState.DEPLOYED]
            assert live == ([pool.deployed.model] if pool.deployed else [])
            assert sum(w.state is WindowState.PICKING for w in pool.windows) <= 1
            assert all(w.seen <= w.rows for w in pool.windows)


def _with_labels(window: _Window, body: ObserveLabels) -> list[float]:
    """Return the losses after labels: L_j += 1[prediction_j != label] / probability."""
    losses = list(window.losses)
    for label in body.labels:
        if label.label is None:
            continue
        asked = window.asked[label.row]
        for j, prediction in enumerate(asked.predictions):
            losses[j] += (prediction != label.label) / asked.probability
    return losses
