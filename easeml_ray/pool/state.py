"""ModelPool's state: the endless stream of models, the windows, and what is deployed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from easeml_ray.component.base import ComponentState
from easeml_ray.component.messages import WorkRejected
from easeml_ray.errors import Conflict, NotFound
from easeml_ray.messages import Command, Decision, Event
from easeml_ray.pool.messages import (
    AddModel,
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
from easeml_ray.pool.models import Models
from easeml_ray.pool.window import WINDOW, WindowEvent, WindowState
from easeml_ray.pool.windows import BETA, MOST_SEGMENTS, Window, weights

__all__ = ["PoolState"]


@dataclass
class _Pool:
    """One project.

    segments : id -> digest, None for one that is in no window: its window was full; lost : rows that
    never came; passed : rows that came and are in no window.
    """

    models: Models = field(default_factory=Models)
    windows: list[Window] = field(default_factory=list)
    segments: dict[str, str | None] = field(default_factory=dict)
    lost: int = 0
    passed: int = 0

    @property
    def picking(self) -> bool:
        return any(window.state is WindowState.PICKING for window in self.windows)

    @property
    def decided(self) -> bool:
        """Whether a window has ever chosen: from then on only windows choose."""
        return any(w.state in (WindowState.DECIDED, WindowState.RELEASED) for w in self.windows)

    def window(self, number: int) -> Window:
        return self.windows[number - 1]

    def closed(self, number: int, rows: int, labels: int) -> WindowClosed:
        candidates = self.models.candidates()
        return WindowClosed(window=number, candidates=candidates, rows=rows, labels=labels, beta=BETA)


class PoolState(ComponentState):
    """Models and windows of all projects.

    ``deployments`` is what :class:`ShowDeployments` answers: every replica asks after every event, so
    it is made anew only when a model is deployed, and never changed.
    """

    component: ClassVar[str] = "pool"

    def __init__(self) -> None:
        super().__init__()
        self.projects: dict[str, _Pool] = {}
        self.deployments: dict[str, dict[str, Any]] = {}

    def decide(self, command: Command) -> Decision:
        """Judge a command; see :class:`ComponentState`."""
        pool = self.projects.get(command.project, _Pool())
        match command.body:
            case AddModel() as body:
                return Decision((ModelAdded(command=body), *pool.models.add(body, command.now)))
            case CloseIntake() as body:
                events, admitted = pool.models.close_intake(body, command.now)
                return Decision(events, {"admitted": admitted})
            case TakeIntoGate(models=models):
                return Decision(pool.models.take_into_gate(models))
            case RecordVerdict() as body:
                return self._verdict(pool, body)
            case StoreSegment() as body:
                return self._segment(command, pool, body)
            case FinishRound() as body:
                return self._finish_round(pool, body)
            case ObserveLabels() as body:
                return self._observe(pool, body)
            case ReleaseWindow() as body:
                return Decision((WindowReleased(command=body),))
        raise TypeError(f"{type(command.body).__name__} is no command of the pool")

    def rejected(self, project: str, work: Any, rejection: WorkRejected) -> tuple[Any, ...]:
        """Decide a window by what is known of it, if its rows cannot be used any further."""
        pool = self.projects[project]
        match work:
            case PickRound():
                window = pool.window(work.window)
                return self._decide_window(pool, window, window.losses, window.proposals, 0)
            case CollectWindow():
                return (WindowReleased(command=ReleaseWindow(window=work.window, digest="", rows=0)),)
        return ()

    @staticmethod
    def _verdict(pool: _Pool, body: RecordVerdict) -> Decision:
        models, model, recorded = pool.models, body.model, VerdictRecorded(command=body)
        moved = models.move(model, ModelEvent.PASS if body.passed else ModelEvent.FAIL)
        if not body.passed:
            return Decision((moved, recorded))
        state = MODEL.next(ModelState.PASSED, ModelEvent.ENROL, instance=model[:12])
        enrolled = ModelMoved(model=model, event=ModelEvent.ENROL.value, state=state.value)
        deployed: tuple[Any, ...] = ()
        if models.deployed is None:
            deployed = models.deploy(model, "first to pass")
        elif models.better(model) and not pool.picking and not pool.decided:
            deployed = models.deploy(model, "passed")
        return Decision((moved, enrolled, *deployed, recorded))

    @staticmethod
    def _segment(command: Command, pool: _Pool, body: StoreSegment) -> Decision:
        if pool.models.deployed is None:
            raise Conflict(
                f"project {command.project} serves no model, so it has no realtime rows",
                hint="Rows are collected once a model is deployed.",
            )
        if body.segment in pool.segments:
            raise Conflict(f"segment {body.segment} is stored already", hint="Send it once.")
        filling = pool.windows[-1] if pool.windows else None
        if filling is None or filling.state is not WindowState.FILLING:
            filling = Window(len(pool.windows) + 1)
        passing = filling.to_let_pass(body.segment, command.seed)
        stored = SegmentStored(command=body, window=filling.number, let_pass=passing)
        kept = {name: rows for name, _, rows in filling.segments} | {body.segment: body.rows}
        rows = filling.rows + body.rows - (kept[passing] if passing else 0)
        full = rows >= body.window_rows or len(filling.segments) + 1 >= MOST_SEGMENTS
        events: tuple[Any, ...] = (stored,)
        if full and not pool.picking:
            events = stored, pool.closed(filling.number, rows, body.labels)
        return Decision(events, {"window": filling.number, "rows": rows})

    def _finish_round(self, pool: _Pool, body: FinishRound) -> Decision:
        window = pool.window(body.window)
        if body.start != window.seen:
            raise Conflict("a round that was finished already", hint="Nothing to do.")
        events: tuple[Any, ...] = (RoundFinished(command=body),)
        if body.stop >= window.rows and not body.asked:
            events += self._decide_window(pool, window, window.losses, body.proposals, 0)
        return Decision(events)

    def _observe(self, pool: _Pool, body: ObserveLabels) -> Decision:
        window = pool.window(body.window)
        rows = {label.row for label in body.labels}
        late = [label.row for label in body.labels if label.row not in window.pending]
        if late:
            raise Conflict(
                f"rows {late[:5]} of window {body.window} are not waiting for a label",
                hint="Each asked row is labelled once.",
            )
        events: tuple[Any, ...] = (LabelsObserved(command=body, ledger=window.ledger(body.labels)),)
        if window.pending == rows and window.seen >= window.rows:
            given = sum(label.label is not None for label in body.labels)
            losses = window.losses_after(body.labels)
            events += self._decide_window(pool, window, losses, window.proposals, given)
        return Decision(events)

    @staticmethod
    def _decide_window(
        pool: _Pool, window: Window, losses: list[float], proposals: int, given: int
    ) -> tuple[Any, ...]:
        probable = weights(losses, proposals)
        incumbent = pool.models.deployed.model if pool.models.deployed else ""
        # A tie is no reason to replace the deployed model.
        _, best = max(
            zip(probable, window.candidates, strict=True),
            key=lambda pair: (round(pair[0], 9), pair[1] == incumbent),
        )
        labels = len(window.labelled) + given
        decided = WindowDecided(
            window=window.number,
            best=best,
            posterior=tuple(probable),
            candidates=window.candidates,
            labels=labels,
            rows=window.rows,
        )
        events: list[Any] = [decided]
        # Without one label the window has no evidence: the incumbent stays.
        if labels and incumbent and best != incumbent:
            events += pool.models.deploy(best, f"picked on window {window.number}")
        following = pool.windows[-1]
        if following.state is WindowState.FILLING and following.full:
            # It filled while this one was picking.
            events.append(pool.closed(following.number, following.rows, following.labels_left))
        return tuple(events)

    # -- fold -----------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Take in one event; see :class:`ComponentState`."""
        pool = self.projects.setdefault(event.project, _Pool())
        match event.body:
            case ModelAdded(command=added):
                pool.models.added(added)
            case ModelMoved(model=model, event=name):
                pool.models.moved(model, ModelEvent(name), event.at)
            case IntakeClosed(command=intake):
                pool.models.closed.add(intake.version)
            case Deployed() as body:
                pool.models.deployed = body
                self.deployments = {**self.deployments, event.project: asdict(body)}
            case SegmentStored(command=segment, window=number, let_pass=passing) as body:
                if number > len(pool.windows):
                    pool.windows.append(Window(number))
                window = self._moved(event, pool, number, WindowEvent.ROWS)
                before = window.passed
                window.store(body)
                pool.segments[segment.segment] = segment.digest
                if passing is not None:
                    pool.segments[passing] = None  # its blob stays: another segment may hold the same rows
                pool.lost += segment.lost
                pool.passed += window.passed - before
            case WindowClosed() as body:
                window = self._moved(event, pool, body.window, WindowEvent.CLOSE)
                window.close(body.candidates, body.rows, body.labels)
                self.owe(event, window.next_round())
            case RoundFinished(command=finished):
                window = pool.window(finished.window)
                window.ask(finished)
                if not finished.asked and finished.stop < window.rows:
                    self.owe(event, window.next_round())
            case LabelsObserved(command=observed):
                window = pool.window(observed.window)
                window.learn(observed.labels)
                if not window.pending and window.seen < window.rows:
                    self.owe(event, window.next_round())
            case WindowDecided(window=number):
                window = self._moved(event, pool, number, WindowEvent.DECIDE)
                self.owe(event, window.collect())
            case WindowReleased(command=released):
                self._moved(event, pool, released.window, WindowEvent.RELEASE)

    @staticmethod
    def _moved(event: Event, pool: _Pool, number: int, by: WindowEvent) -> Window:
        window = pool.window(number)
        window.state = WINDOW.next(window.state, by, instance=event.stream)
        return window

    # -- queries --------------------------------------------------------------------------

    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; see :class:`ComponentState`."""
        if isinstance(query, ShowDeployments):
            return self.deployments
        pool = self.projects.get(project, _Pool())
        match query:
            case FindSegments(segments=segments):
                return {"digests": {segment: _digest(project, pool, segment) for segment in segments}}
            case ShowPool():
                return {
                    "project": project,
                    "deployed": self.deployments.get(project),
                    "lost_rows": pool.lost,
                    "passed": pool.passed,
                    "models": pool.models.shown(),
                    "windows": [window.shown() for window in pool.windows[-20:]],
                }
        raise TypeError(f"{type(query).__name__} is no query of the pool")

    def validate(self) -> None:
        """Check the invariants."""
        super().validate()
        for pool in self.projects.values():
            pool.models.validate()
            assert sum(w.state is WindowState.PICKING for w in pool.windows) <= 1
            for window in pool.windows:
                assert window.seen <= window.rows == sum(rows for _, _, rows in window.segments)
                assert len(window.segments) <= MOST_SEGMENTS
            assert pool.passed == sum(window.passed for window in pool.windows)


def _digest(project: str, pool: _Pool, segment: str) -> str:
    if segment not in pool.segments:
        raise NotFound(
            f"no realtime segment {segment} in {project}",
            hint="A request id is segment:row, as the endpoint answered it.",
            what="segment",
            name=segment,
        )
    digest = pool.segments[segment]
    if digest is None:
        raise NotFound(
            f"the rows of realtime segment {segment} in {project} were let pass: they came while a full "
            "window waited for the labels of the one before",
            hint="Answer the requests for labels of realtime rows; rows that come after that are kept again.",
            what="segment",
            name=segment,
        )
    return digest
