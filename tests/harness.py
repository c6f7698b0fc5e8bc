"""States without I/O: one on a store in memory, or all nine with scripted work.

Imported by path (see tests/conftest.py); not collected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import pytest

from easeml_ray.automl.messages import CompareVersions, ReportComparison, RunTrial, TrialDone
from easeml_ray.cleaning.messages import Belief, ProposeRepairs
from easeml_ray.cleaning.messages import Suggest as SuggestRepairs
from easeml_ray.component.base import ComponentState, Job
from easeml_ray.errors import EasemlError, WorkFailed
from easeml_ray.feasibility.messages import Report, StudyVersion
from easeml_ray.gate.messages import (
    Evidence,
    GivesVerdict,
    JudgeModel,
    ReleasedEra,
    ReleaseEra,
    ShowGate,
)
from easeml_ray.items import Cell, Goal, Item, Label, OfferedRows, ServedRow, TestSetRows, item_key
from easeml_ray.market.label_messages import CompleteLabels, LabelRows, WantLabels
from easeml_ray.market.messages import ReportValues, ValueOffers, ValueRows
from easeml_ray.market.messages import Suggest as SuggestPurchases
from easeml_ray.messages import (
    Action,
    Command,
    DatasetRef,
    DataVersion,
    Gain,
    Option,
    Pillar,
    Principal,
    Role,
)
from easeml_ray.oracle.messages import Answer, AnswerRequests, Asked, ListRequests, Skip
from easeml_ray.pool.messages import (
    AskedRow,
    CollectWindow,
    FinishRound,
    PickRound,
    ReleaseWindow,
    ShowPool,
    StoreSegment,
)
from easeml_ray.process.messages import CreateProject, ShowBill, ShowNext, ShowProject
from easeml_ray.registry.messages import (
    AddTestSet,
    AddVersion,
    FindLatest,
    KeepVersion,
    Part,
    RepairAlternatives,
    ReviseVersion,
    Seal,
)
from easeml_ray.runtime.host import Host
from easeml_ray.runtime.issue import command_of, refusal
from easeml_ray.runtime.local import LocalSystem
from easeml_ray.runtime.states import STATES
from easeml_ray.store.memory import MemoryEventStore

START = 1_000_000.0
HOUR = 3600.0


def digest(text: object) -> str:
    return hashlib.sha256(repr(text).encode()).hexdigest()


def version(number: int = 1, *, project: str = "p", uncertain: int = 0) -> DataVersion:
    def ref(pillar: Pillar) -> DatasetRef:
        return DatasetRef(project, pillar, number, digest((pillar, number)), "schema", 100)

    return DataVersion(
        project,
        number,
        number - 1,
        ref(Pillar.TRAIN),
        ref(Pillar.DEVELOPMENT),
        "schema",
        "encoder",
        2,
        uncertain,
    )


def asked(name: str, answer: str = "", *, cents: float = 0.0) -> Asked:
    """Return something to ask for, by the form of its answer; its key is ``key(name)``."""
    item: Item = ServedRow(window=1, row=0, request_id=name)
    match answer:
        case "number" | "text":
            item = Cell(pillar="train", row_id=0, column=name, answer=answer)
        case "decision":
            item = Goal(target_accuracy=0.9, surely_reachable="0.8", why="?", version=1, round=1)
        case "upload":
            item = TestSetRows(rows=10, why="?", asked_by=name)
    return Asked(item=item, cost_cents=cents)


def key(name: str) -> str:
    return asked(name).item.key


def cell(row: int, answer: Literal["number", "text"] = "number") -> Cell:
    return Cell(pillar="train", row_id=row, column="age", answer=answer, bits=1.0)


def parts(number: int) -> tuple[Part, ...]:
    return (Part(digest=digest(("part", number)), records=100, bytes=1000),)


def seal(project: str = "p", *, rows: int = 1000) -> Seal:
    made = version(1, project=project)
    return Seal(
        upload="upload",
        format="csv",
        rows=500,
        version=made,
        train=parts(1),
        development=parts(1),
        stable="stable-1",
        stable_rows=rows,
        held_out="held-out-1",
    )


def replayed(state_type: type[ComponentState], store: MemoryEventStore) -> ComponentState:
    """Return a fresh state that has folded the log, checked as it went."""
    fresh = state_type()
    for event in store.read(prefix="" if fresh.follows else f"{fresh.component}/"):
        fresh.fold(event)
    fresh.validate()
    return fresh


class Driven:
    """One component's state, told commands; ``now`` is the clock that its commands carry."""

    def __init__(self, state_type: type[ComponentState], *, actor: str = "driven") -> None:
        self.store = MemoryEventStore()
        self.type = state_type
        self.now = START
        self.count = 0
        self.host = Host(state_type(), self.store, actor=actor)
        self.host.start()

    @property
    def state(self) -> Any:
        return self.host.state

    def tell(
        self,
        body: Any,
        *,
        project: str = "p",
        tenant: str = "lab",
        actor: str = "ann",
        command_id: str | None = None,
    ) -> dict[str, Any]:
        self.count += 1
        principal = Principal(tenant, Role.TENANT, actor)
        identity = command_id or f"command-{self.count}"
        reply = self.host.handle(Command(identity, project, principal, self.now, self.count, body))
        self.state.validate()
        return reply

    def refused(self, error: type[EasemlError], body: Any, **how: Any) -> Any:
        """Check that a command is refused with just this class and leaves no trace."""
        before, length = repr(vars(self.state)), len(self.store.read())
        with pytest.raises(error) as caught:
            self.tell(body, **how)
        assert type(caught.value) is error
        assert caught.value.hint
        assert (repr(vars(self.state)), len(self.store.read())) == (before, length)
        return caught.value

    def ask(self, query: Any, project: str = "p") -> dict[str, Any]:
        return self.state.read(project, query)

    def due(self, kind: type) -> list[Action]:
        return [action for action in self.state.due() if isinstance(action.body, kind)]

    def report(self, action: Action, result: Any) -> None:
        """Hand in the result of a piece of work."""
        self.host.handle(command_of(action, self.type.component, result, now=self.now))
        self.state.validate()

    def fail(self, action: Action, error: EasemlError | None = None) -> None:
        self.report(action, refusal(action, error or WorkFailed("it broke", hint="Mend it.")))

    def pass_time(self, seconds: float) -> None:
        """Move the clock and issue what the component sends to itself by it."""
        self.now += seconds
        for action in self.state.due():
            if action.to == self.type.component and action.at <= self.now:
                self.report(action, action.body)

    def told(self, kind: type) -> list[Any]:
        return [event.body for event in self.store.read() if isinstance(event.body, kind)]

    def check_replay(self) -> None:
        """Check that folding the log again gives the same state, what is due included."""
        assert repr(vars(replayed(self.type, self.store))) == repr(vars(self.state))


# -- all nine ---------------------------------------------------------------------------------

TASK: dict[str, Any] = {
    "label": "y",
    "target_accuracy": 0.9,
    "gate": {"condition": "n > 0.3 +/- 0.2", "steps": 4},
    "window_rows": 8,
    "minimum_gain": 0.01,
    "budgets": {"improvement_cents": 1000.0, "realtime_labels": 4},
}


def option(kind: str, number: int, keys: Iterable[int], *, each: float = 10.0, gain: float = 0.05) -> Option:
    """Return an option of the Cleaner over the given rows."""
    # Other rows in each version: what was answered is never asked again.
    rows = [key + 1000 * (number - 1) for key in keys]
    items: tuple[Item, ...] = tuple(Label(pillar="train", row_id=row, bits=1.0) for row in rows)
    if kind == "CLEAN_CELL":
        items = tuple(cell(row) for row in rows)
    choices = () if kind == "CLEAN_CELL" else ("no", "yes")
    cost = each * len(items)
    return Option(f"{kind}:v{number}", kind, "?", Gain(gain, 0.0, 0.1), cost, items, choices, "test")


def relabel(*rows: int, each: float = 10.0) -> Any:
    """Propose these rows for relabelling, less what was skipped or is answered in a version."""

    def repairs(body: ProposeRepairs) -> tuple[Option, ...]:
        left = [row for row in rows if item_key("train", row) not in body.skipped]
        left = left[body.command.version.number - 1 :]  # each version has had one of them answered
        price = each if each else body.command.price_label
        return (option("RELABEL", body.command.version.number, left, each=price),) if left else ()

    return repairs


@dataclass
class Script:
    """What the work of a :class:`House` brings; tests change it as they go.

    decisions : of the next studies, FEASIBLE when they are used up; repairs : what the Cleaner
    proposes; worth : gain of an offer by its id; quality : development lower bound of an arm;
    passes : whether a model (by arm) passes its gate; asks : rows a picking round asks for;
    none_labelled : no row of a purchase got a label;
    fails : work that ends with an error.
    """

    decisions: list[str] = field(default_factory=list)
    repairs: Callable[[ProposeRepairs], tuple[Option, ...]] = lambda body: ()
    worth: dict[str, float] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)
    passes: Callable[[str], bool] = lambda arm: True
    asks: int = 2
    none_labelled: bool = False
    fails: dict[type, EasemlError] = field(default_factory=dict)


class House(LocalSystem):
    """All nine components in one process, their work scripted; the clock stands still by itself."""

    def __init__(self) -> None:
        self.now = START
        self.script = Script()
        self.arms: dict[str, str] = {}  # model -> arm
        self.done: list[Any] = []  # the bodies of all work that was performed
        super().__init__(MemoryEventStore(), cast(Any, None), clock=lambda: self.now, slots=2)

    def work_of(self, component: str) -> dict[type, Callable[[Job, Any], Any]]:
        return dict.fromkeys(_WORK, self._perform)

    def _perform(self, job: Job, bench: Any) -> Any:
        self.done.append(job.body)
        if type(job.body) in self.script.fails:
            raise self.script.fails[type(job.body)]
        return _WORK[type(job.body)](self, job.body)

    # What a test does.

    def tell(self, component: str, body: Any, *, project: str = "p", actor: str = "ann") -> dict[str, Any]:
        principal = Principal("lab", Role.TENANT, actor)
        reply = self._handle(component, project, principal, body)
        self.go_on()
        return reply

    def go_on(self) -> None:
        self.settle(limit=2000)
        for host in self.hosts.values():
            host.state.validate()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.go_on()

    def begin(self, project: str = "p", **changes: Any) -> None:
        """Create a project and upload its data."""
        self.tell("process", CreateProject(name=project, task={**TASK, **changes}), project=project)
        self.tell("registry", seal(project), project=project)

    def show(self, project: str = "p") -> dict[str, Any]:
        return self.hosts["process"].state.read(project, ShowProject())

    def next(self, project: str = "p") -> dict[str, Any]:
        return self.hosts["process"].state.read(project, ShowNext())

    def bill(self, project: str = "p") -> dict[str, Any]:
        return self.hosts["process"].state.read(project, ShowBill())

    def gate(self, project: str = "p") -> dict[str, Any]:
        return self.hosts["gate"].state.read(project, ShowGate())

    def pool(self, project: str = "p") -> dict[str, Any]:
        return self.hosts["pool"].state.read(project, ShowPool())

    def requests(self, kind: str | None = None, project: str = "p") -> list[dict[str, Any]]:
        """Return the open requests, oldest first."""
        query = ListRequests(state="OPEN", limit=1000)
        found = self.hosts["oracle"].state.read(project, query)["requests"]
        return [r for r in reversed(found) if kind in (None, r["kind"])]

    def queue(self, project: str = "p") -> dict[str, Any]:
        return self.hosts["oracle"].state.read(project, ListRequests())

    def answer(self, value: Any, kind: str | None = None, *, actor: str = "ann") -> int:
        """Answer all open requests of a kind with one value; return how many."""
        asked = self.requests(kind)
        answers = tuple(Answer(request=r["id"], value=value) for r in asked)
        self.tell("oracle", AnswerRequests(annotator=actor, answers=answers))
        return len(asked)

    def skip(self, kind: str | None = None) -> int:
        asked = tuple(r["id"] for r in self.requests(kind))
        self.tell("oracle", Skip(annotator="ann", requests=asked))
        return len(asked)

    def segment(self, name: str, rows: int = 4, *, window_rows: int = 8, labels: int = 4) -> None:
        self.tell(
            "pool",
            StoreSegment(
                segment=name, digest=digest(name), rows=rows, lost=0, window_rows=window_rows, labels=labels
            ),
        )

    def test_set(self, number: int) -> None:
        checked = self.hosts["registry"].state.read("p", FindLatest())["came"]
        held_out = f"held-{number}"
        self.tell(
            "registry",
            AddTestSet(
                upload=f"upload-{number}",
                stable=f"stable-{number}",
                stable_rows=1000,
                held_out=held_out,
                checked=checked,
            ),
        )

    def phases(self) -> list[str]:
        """Return the phases in which the project was, in order."""
        bodies = [event.body for event in self.store.read(prefix="process/")]
        return [body.phase for body in bodies if type(body).__name__ == "PhaseEntered"]

    def told(self, kind: type) -> list[Any]:
        return [event.body for event in self.store.read() if isinstance(event.body, kind)]

    def model(self, arm: str, number: int = 1) -> str:
        return digest((number, arm))

    def check_replay(self) -> None:
        assert isinstance(self.store, MemoryEventStore)
        for name, host in self.hosts.items():
            assert repr(vars(replayed(STATES[name], self.store))) == repr(vars(host.state)), name


def _study(house: House, body: StudyVersion) -> Report:
    decisions = house.script.decisions
    decision = decisions.pop(0) if decisions else "FEASIBLE"
    error = {"FEASIBLE": 0.05, "UNDECIDED": 0.1}.get(decision, 0.3) - 0.001 * body.command.version.number
    bounds = (error - 0.02, error + 0.02)
    return Report(
        number=body.command.version.number,
        target_accuracy=body.command.target_accuracy,
        decision=decision,
        belief=0.5,
        ber_lower=bounds[0],
        ber_upper=bounds[1],
        ber_interval=bounds,
        best_embedding="raw",
        advice=(),
        method="test",
        report="report",
        ber_estimate=error,
        model_error=error / 2,
    )


def _repairs(house: House, body: ProposeRepairs) -> SuggestRepairs:
    belief = Belief(
        uncertain_rows=0,
        source_noise=0.1,
        noise=0.1,
        lower=None,
        upper=None,
        expected=None,
        potential=None,
        certain_fraction=None,
        entropy=0.0,
    )
    number = body.command.version.number
    return SuggestRepairs(number=number, options=house.script.repairs(body), belief=belief)


def _compare(house: House, body: CompareVersions) -> ReportComparison:
    gain = Gain(0.02, -0.01, 0.05)
    return ReportComparison(
        command=body,
        rows=100,
        before=0.8,
        after=0.82,
        gain=gain,
    )


def _row_values(house: House, body: ValueRows) -> ReportValues:
    return ReportValues(
        number=body.version.number,
        rows=2,
        kept=(0.5, 1.0),
        best=(0.9, 0.8),
        worst=(0.6, 0.8),
        any=(0.7, 0.8),
        highest=(),
        lowest=(),
        method="test",
    )


def _labels(house: House, body: LabelRows) -> WantLabels | CompleteLabels:
    """Ask for two rows at a time; the blob of the labels is told by the row that comes next."""
    before = int(body.known or 0) + len(body.fresh)
    if before < body.offer.rows:
        count = min(2, body.offer.rows - before)
        return WantLabels(
            offer=body.offer.offer, known=str(before), first=before, count=count, classes=("no", "yes")
        )
    rows = 0 if house.script.none_labelled else body.offer.rows
    return CompleteLabels(offer=body.offer.offer, digest=digest("labelled"), rows=rows)


def _purchases(house: House, body: ValueOffers) -> SuggestPurchases:
    options = tuple(
        Option(
            f"buy:{made.offer}",
            "BUY_ROW",
            "?",
            Gain(house.script.worth.get(made.offer, 0.0), 0.0, 1.0),
            float(made.price_cents),
            (OfferedRows(offer=made.offer),),
            ("yes", "no"),
        )
        for made in body.offers
    )
    return SuggestPurchases(number=body.command.version.number, options=options)


def _revise(house: House, body: ReviseVersion) -> AddVersion:
    number = body.version.number + 1
    made = version(number, project=body.version.project)
    added = 10.0 * (len(body.command.purchases) + len(body.absorbed))
    return AddVersion(
        version=made,
        train=parts(number),
        development=parts(number),
        reason=body.command.reason,
        counts={"added": added},
    )


def _trial(house: House, body: RunTrial) -> TrialDone:
    model = digest((body.version.number, body.arm))
    house.arms[model] = body.arm
    lower = house.script.quality.get(body.arm, 0.5)
    floor = body.arm == "dummy"
    return TrialDone(
        version=body.version.number,
        arm=body.arm,
        model=model,
        floor=floor,
        development_accuracy=lower + 0.05,
        development_lower=lower,
        seconds=2.0,
    )


def _judge(house: House, body: JudgeModel) -> GivesVerdict:
    passed = house.script.passes(house.arms.get(body.model, body.model))
    return GivesVerdict(
        era=body.era.era,
        model=body.model,
        passed=passed,
        evidence=Evidence(rows=1000, new_correct=800, old_correct=700, different=90, truth="TRUE"),
        sealed_evidence="",
    )


def _pick(house: House, body: PickRound) -> FinishRound:
    rows = sum(count for _, _, count in body.segments)
    said = tuple(j % 2 for j in range(len(body.candidates)))
    wanted = min(house.script.asks, body.labels_left, rows - body.start)
    if wanted == 0:
        return FinishRound(window=body.window, start=body.start, stop=rows, asked=(), classes=("no", "yes"))
    asked = tuple(
        AskedRow(
            row=body.start + i, request=f"{body.window}:{body.start + i}", probability=0.5, predictions=said
        )
        for i in range(wanted)
    )
    return FinishRound(
        window=body.window, start=body.start, stop=body.start + wanted, asked=asked, classes=("no", "yes")
    )


def _collect(house: House, body: CollectWindow) -> ReleaseWindow:
    rows = len(body.labelled)
    return ReleaseWindow(
        window=body.window, digest=digest(("window", body.window)) if rows else "", rows=rows
    )


_WORK: dict[type, Callable[[House, Any], Any]] = {
    StudyVersion: _study,
    ProposeRepairs: _repairs,
    CompareVersions: _compare,
    LabelRows: _labels,
    ValueOffers: _purchases,
    ValueRows: _row_values,
    RepairAlternatives: lambda house, body: KeepVersion(number=body.version.number),
    ReviseVersion: _revise,
    RunTrial: _trial,
    JudgeModel: _judge,
    ReleaseEra: lambda house, body: ReleasedEra(
        era=body.era.era, digest=digest(("era", body.era.era)), rows=100
    ),
    PickRound: _pick,
    CollectWindow: _collect,
}
