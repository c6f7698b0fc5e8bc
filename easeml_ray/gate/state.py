"""CIGate's state: eras, what is left of them, and verdicts.

The reliability of a verdict rests on rules that hold here: ``o`` is the model deployed when
the era became ACTIVE, for the whole era; with adaptivity ``none`` the models are fixed before
the first verdict; with any other adaptivity nothing but PASS or FAIL leaves before the era ends.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

from easeml_ray.errors import Conflict, NotReady
from easeml_ray.gate.adaptivity import leaked_bits, passes_allowed
from easeml_ray.gate.contradictions import contradictions
from easeml_ray.gate.label_messages import (
    LearnTestLabels,
    SealedLabel,
    TestLabelsLearnt,
    TestLabelsWanted,
    WantTestLabels,
)
from easeml_ray.gate.language import parse
from easeml_ray.gate.messages import (
    AnnounceKey,
    EraActivated,
    EraExhausted,
    EraReleased,
    EraSealed,
    Evidence,
    GateModels,
    GivesVerdict,
    JudgeModel,
    KeyAnnounced,
    ModelsQueued,
    OpenEra,
    ReleasedEra,
    ReleaseEra,
    ShowGate,
    ShowKey,
    TestSetWanted,
    VerdictGiven,
)
from easeml_ray.gate.subsets import judgeable
from easeml_ray.gate.ways import require
from easeml_ray.messages import SYSTEM, Command, Decision, Event, LedgerLine
from easeml_ray.process.component import ComponentState
from easeml_ray.process.era import ERA, EraEvent, EraState
from easeml_ray.process.messages import WorkRejected

__all__ = ["GateState"]

_AT_ONCE = 500  # models that are queued by one message
_DIGEST = 64  # characters of a blob's name; earlier releases kept longer evidence in the event itself
_SPENT = "the present test set has given its verdicts"


@dataclass
class _Era:
    """One stable test set.

    old : the model that ``o`` stands for, set once; queue : models that wait; judging : the
    model at work; verdicts : in order; known : sealed blob of the labels so far, of a set that
    came without; evidence : of each verdict, let out when the era was released.
    """

    sealed: EraSealed
    state: EraState = ERA.initial
    old: str | None = None
    queue: list[str] = field(default_factory=list)
    judging: str | None = None
    verdicts: list[VerdictGiven] = field(default_factory=list)
    released: str | None = None
    known: str = ""
    evidence: tuple[Evidence | None, ...] = ()

    @property
    def left(self) -> int:
        """Verdicts that may still be given, less those already promised."""
        promised = len(self.queue) + (self.judging is not None)
        return self.sealed.steps - len(self.verdicts) - promised

    @property
    def open(self) -> bool:
        return self.state in (EraState.SEALED, EraState.ACTIVE)

    def ends(self, passed: bool) -> bool:
        """Tell whether the verdict that is given now is the last one."""
        adaptivity = self.sealed.adaptivity
        return (
            len(self.verdicts) + 1 >= self.sealed.steps
            # With models fixed beforehand nothing can use the steps that are left.
            or (adaptivity == "none" and not self.queue)
            or self._passes(passed) == passes_allowed(adaptivity)
        )

    def _passes(self, passed: bool = False) -> int:
        return sum(verdict.passed for verdict in self.verdicts) + passed

    def judge(self, fresh: tuple[SealedLabel, ...]) -> JudgeModel:
        """Return the work that judges the model at work."""
        sealed = self.sealed
        return JudgeModel(
            sealed.era,
            sealed.sealed,
            sealed.schema,
            self.judging or "",
            self.old or "",
            sealed.condition,
            sealed.mode,
            sealed.adaptivity,
            sealed.reliability,
            sealed.steps,
            sealed.labelled,
            self.known,
            fresh,
        )

    def told(self) -> list[tuple[VerdictGiven, Evidence | None]]:
        """Return the verdicts with the evidence that has been let out."""
        late = (*self.evidence, *[None] * len(self.verdicts))
        return [(verdict, verdict.evidence or late[i]) for i, verdict in enumerate(self.verdicts)]

    @property
    def leaked(self) -> float:
        """Bits that the verdicts so far can have given away."""
        return leaked_bits(self.sealed.adaptivity, verdicts=len(self.verdicts), passes=self._passes())


@dataclass
class _Project:
    eras: list[_Era] = field(default_factory=list)
    waiting: list[tuple[str, str]] = field(default_factory=list)  # (model, old) without an era

    @property
    def current(self) -> _Era | None:
        return self.eras[-1] if self.eras and self.eras[-1].open else None


class GateState(ComponentState):
    """Eras of all projects."""

    component: ClassVar[str] = "gate"

    def __init__(self) -> None:
        super().__init__()
        self.public_key: str | None = None
        self.projects: dict[str, _Project] = {}

    def decide(self, command: Command) -> Decision:
        """Judge a command; see :class:`ComponentState`."""
        project = self.projects.get(command.project, _Project())
        match command.body:
            case AnnounceKey(public_key):
                if self.public_key not in (None, public_key):
                    raise Conflict(
                        "the gate's key is not the one that sealed its eras",
                        hint="Restore $EASEML_STATE/gate.key; without it the open eras are lost.",
                    )
                return Decision((KeyAnnounced(public_key),))
            case OpenEra() as body:
                return self._open(project, body)
            case GateModels(models, old):
                return self._gate(project, models, old)
            case GivesVerdict() as body:
                return self._verdict(project, body)
            case WantTestLabels(number, model, known, table, rows, classes):
                return Decision((TestLabelsWanted(number, model, known, table, rows, classes),))
            case LearnTestLabels(number, labels):
                if project.eras[number - 1].judging is None:
                    raise Conflict(f"era {number} waits for no labels", hint="Its verdicts are given.")
                return Decision((TestLabelsLearnt(number, labels),))
            case ReleasedEra(number, digest, rows, evidence):
                era = project.eras[number - 1]
                told = era.sealed.adaptivity == "none"
                ledger = None if told else _ledger(era, era.leaked, len(era.verdicts))
                released = EraReleased(number, digest, rows, era.sealed.sealed, ledger, evidence)
                return Decision((released,))
        raise TypeError(f"{type(command.body).__name__} is no command of the gate")

    def _open(self, project: _Project, body: OpenEra) -> Decision:
        condition = parse(body.condition)
        size = require(
            condition,
            body.rows,
            reliability=body.reliability,
            steps=body.steps,
            adaptivity=body.adaptivity,
            bound=body.bound,
            subsets={subset: body.subset_rows.get(str(subset), 0) for subset in condition.subsets},
        )
        judgeable(condition, body.labelled)
        if project.current is not None:
            raise Conflict(
                "an era is open already",
                hint="A new test set is taken when the present one is exhausted.",
            )
        sealed = EraSealed(
            len(project.eras) + 1,
            body.sealed,
            body.rows,
            size.total,
            body.schema,
            body.condition,
            body.reliability,
            body.steps,
            body.adaptivity,
            body.mode,
            body.bound,
            body.labelled,
        )
        events: list[Any] = [sealed]
        if project.waiting:
            models = tuple(model for model, _ in project.waiting[: min(body.steps, _AT_ONCE)])
            # What is deployed may have changed since the models began to wait.
            old = body.old or project.waiting[-1][1]
            events.append(EraActivated(sealed.era, old))
            events.append(ModelsQueued(models, old, sealed.era))
        return Decision(tuple(events), {"era": sealed.era, "required_rows": size.total})

    def _gate(self, project: _Project, models: tuple[str, ...], old: str) -> Decision:
        era = project.current
        frozen = era is not None and era.sealed.adaptivity == "none" and era.old is not None
        if era is None or frozen or era.left < len(models):
            rows = project.eras[-1].sealed.required if project.eras else 0
            why = "the models of the present era were fixed before its first verdict" if frozen else _SPENT
            return Decision((ModelsQueued(models, old, None), TestSetWanted(rows, why)))
        events: list[Any] = []
        if era.old is None:
            events.append(EraActivated(era.sealed.era, old))
        events.append(ModelsQueued(models, era.old or old, era.sealed.era))
        return Decision(tuple(events), {"era": era.sealed.era, "queued": len(models)})

    def _verdict(self, project: _Project, body: GivesVerdict) -> Decision:
        era = project.eras[body.era - 1]
        step = len(era.verdicts) + 1
        given = VerdictGiven(
            body.era,
            body.model,
            body.passed,
            body.evidence if era.sealed.adaptivity == "none" else None,
            body.sealed_evidence,
            step,
            _ledger(era, 1.0, 1) if era.sealed.adaptivity == "none" else None,
            body.known,
        )
        events: list[Any] = [given]
        if era.ends(body.passed):
            events.append(EraExhausted(body.era))
            if era.queue:
                events.append(ModelsQueued(tuple(era.queue), era.old or "", None))
            if era.queue or project.waiting:
                events.append(TestSetWanted(era.sealed.required, _SPENT))
        return Decision(tuple(events), {"passed": body.passed})

    def rejected(self, project: str, work: Any, rejection: WorkRejected) -> tuple[Any, ...]:
        """Fail a model that could not be judged: an era must not wait for it for ever."""
        if not isinstance(work, JudgeModel):
            return ()
        failed = GivesVerdict(work.era, work.model, False, None, "", work.known)
        return self._verdict(self.projects[project], failed).events

    def apply(self, event: Event) -> None:
        """Take in one event; see :class:`ComponentState`."""
        if event.project == SYSTEM:
            if isinstance(event.body, KeyAnnounced):
                self.public_key = event.body.public_key
            return
        project = self.projects.setdefault(event.project, _Project())
        match event.body:
            case EraSealed() as body:
                project.eras.append(_Era(body))
            case EraActivated(number, old):
                era = project.eras[number - 1]
                era.state = ERA.next(era.state, EraEvent.ACTIVATE, instance=event.stream)
                era.old = old
            case ModelsQueued(models, old, None):
                project.waiting += [(model, old) for model in models]
            case ModelsQueued(models, _, int(number)):
                era = project.eras[number - 1]
                era.queue += models
                project.waiting = [w for w in project.waiting if w[0] not in models]
                self._judge_next(event, era)
            case VerdictGiven() as body:
                era = project.eras[body.era - 1]
                era.state = ERA.next(era.state, EraEvent.SPEND, instance=event.stream)
                last = era.ends(body.passed)
                era.verdicts.append(body)
                era.known = body.known or era.known
                era.judging = None
                if not last:
                    self._judge_next(event, era)
            case TestLabelsWanted(number, _, known):
                project.eras[number - 1].known = known
            case TestLabelsLearnt(number, labels):
                self.owe(event, project.eras[number - 1].judge(labels))
            case EraExhausted(number):
                era = project.eras[number - 1]
                era.state = ERA.next(era.state, EraEvent.EXHAUST, instance=event.stream)
                era.queue.clear()
                sealed = tuple(verdict.sealed_evidence for verdict in era.verdicts[:_AT_ONCE])
                named = tuple(name if len(name) == _DIGEST else "" for name in sealed)
                kept = None if era.sealed.labelled else era.known
                told, schema = named if any(named) else (), era.sealed.schema
                self.owe(event, ReleaseEra(number, era.sealed.sealed, told, kept, schema))
            case EraReleased(era=number, digest=digest, evidence=evidence):
                era = project.eras[number - 1]
                era.evidence = evidence
                era.state = ERA.next(era.state, EraEvent.RELEASE, instance=event.stream)
                era.released = digest

    def _judge_next(self, event: Event, era: _Era) -> None:
        if era.judging is None and era.queue and era.state is EraState.ACTIVE:
            era.judging = era.queue.pop(0)
            self.owe(event, era.judge(()))

    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; see :class:`ComponentState`."""
        match query:
            case ShowKey():
                if self.public_key is None:
                    raise NotReady("the gate has no key yet", hint="Try again in a moment.")
                return {"public_key": self.public_key}
            case ShowGate():
                known = self.projects.get(project, _Project())
                return {
                    "project": project,
                    "waiting": [model for model, _ in known.waiting],
                    "eras": [self._shown(era) for era in known.eras],
                }
        raise TypeError(f"{type(query).__name__} is no query of the gate")

    @staticmethod
    def _shown(era: _Era) -> dict[str, Any]:
        sealed = era.sealed
        return {
            "era": sealed.era,
            "state": era.state.value,
            "condition": sealed.condition,
            "reliability": sealed.reliability,
            "adaptivity": sealed.adaptivity,
            "mode": sealed.mode,
            "bound": sealed.bound,
            "rows": sealed.rows,
            "labelled": sealed.labelled,
            "required_rows": sealed.required,
            "steps": sealed.steps,
            "steps_left": sealed.steps - len(era.verdicts),
            "leaked_bits": era.leaked,
            "warnings": list(_warnings(sealed.condition)),
            "old": era.old,
            "judging": era.judging,
            "queued": list(era.queue),
            "verdicts": [
                {
                    "model": v.model,
                    "verdict": "PASS" if v.passed else "FAIL",
                    "step": v.step,
                    "evidence": asdict(evidence) if evidence else None,
                }
                for v, evidence in era.told()
            ],
        }

    def validate(self) -> None:
        """Check the invariants."""
        super().validate()
        for project in self.projects.values():
            assert sum(era.open for era in project.eras) <= 1
            for era in project.eras:
                assert len(era.verdicts) <= era.sealed.steps
                assert era.open or not (era.queue or era.judging)
                assert era.old is not None or not era.verdicts


@lru_cache(maxsize=256)
def _warnings(condition: str) -> tuple[str, ...]:
    return tuple(contradictions(parse(condition)))


def _ledger(era: _Era, bits: float, verdicts: int) -> LedgerLine:
    """Return the line of verdicts: a two-valued answer removes at most one bit."""
    return LedgerLine(
        variable=f"does a model meet {era.sealed.condition}",
        entropy_before=bits,
        entropy_after=0.0,
        cost_cents=0.0,
        evidence=f"era {era.sealed.era} of {era.sealed.steps} steps",
        count=verdicts,
    )
