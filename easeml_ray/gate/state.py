"""CIGate's state: eras, what is left of them, and verdicts.

The reliability of a verdict rests on rules that hold here: ``o`` is the model deployed when
the era became ACTIVE, for the whole era; with adaptivity ``none`` the models are fixed before
the first verdict; with any other adaptivity nothing but PASS or FAIL leaves before the era ends, and the
band of a meter if the task has one, which the guarantee then counts as an answer too.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

from easeml_ray.component.base import ComponentState
from easeml_ray.component.messages import WorkRejected
from easeml_ray.errors import Conflict, NotReady
from easeml_ray.gate.era import ERA, EraEvent, EraState
from easeml_ray.gate.eras import Era, GatedProject
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
    GateModels,
    GivesVerdict,
    JudgeModel,
    KeyAnnounced,
    ModelsQueued,
    OpenEra,
    ReleasedEra,
    ShowGate,
    ShowKey,
    TestSetWanted,
    VerdictGiven,
)
from easeml_ray.gate.subsets import judgeable
from easeml_ray.gate.ways import require
from easeml_ray.messages import SYSTEM, Command, Decision, Event, LedgerLine

__all__ = ["GateState"]

_AT_ONCE = 500  # models that are queued by one message
_SPENT = "the present test set has given its verdicts"
_FIXED = "the models of the present test set were fixed before its first verdict"


class GateState(ComponentState):
    """Eras of all projects."""

    component: ClassVar[str] = "gate"

    def __init__(self) -> None:
        super().__init__()
        self.public_key: str | None = None
        self.projects: dict[str, GatedProject] = {}

    def decide(self, command: Command) -> Decision:
        """Judge a command; see :class:`ComponentState`."""
        project = self.projects.get(command.project, GatedProject())
        match command.body:
            case AnnounceKey() as body:
                if self.public_key not in (None, body.public_key):
                    raise Conflict(
                        "the gate's key is not the one that sealed its eras",
                        hint="Restore $EASEML_STATE/gate.key; without it the open eras are lost.",
                    )
                return Decision((KeyAnnounced(command=body),))
            case OpenEra() as body:
                return self._open(project, body)
            case GateModels() as body:
                return self._gate(project, body)
            case GivesVerdict() as body:
                return self._verdict(project, body)
            case WantTestLabels() as body:
                return Decision((TestLabelsWanted(command=body),))
            case LearnTestLabels() as body:
                era = project.eras[body.era - 1]
                if era.judging is None:
                    raise Conflict(f"era {body.era} waits for no labels", hint="Its verdicts are given.")
                return Decision((TestLabelsLearnt(command=body, ledger=_label_costs(era, body.labels)),))
            case ReleasedEra() as body:
                era = project.eras[body.era - 1]
                told = era.terms.adaptivity == "none"
                ledger = None if told else _ledger(era, era.leaked, len(era.verdicts))
                return Decision((EraReleased(command=body, sealed=era.terms.sealed, ledger=ledger),))
        raise TypeError(f"{type(command.body).__name__} is no command of the gate")

    def _open(self, project: GatedProject, body: OpenEra) -> Decision:
        condition = parse(body.condition)
        size = require(
            condition,
            body.rows,
            reliability=body.reliability,
            steps=body.steps,
            adaptivity=body.adaptivity,
            bound=body.bound,
            meter=body.meter,
            subsets={subset: body.subset_rows.get(str(subset), 0) for subset in condition.subsets},
        )
        judgeable(condition, body.labelled, meter=bool(body.meter))
        if project.current is not None:
            raise Conflict(
                "an era is open already", hint="A new test set is taken when the present one is exhausted."
            )
        sealed = EraSealed(command=body, era=len(project.eras) + 1, required=size.total)
        events: list[Any] = [sealed]
        if project.waiting:
            models = tuple(model for model, _ in project.waiting[: min(body.steps, _AT_ONCE)])
            # What is deployed may have changed since the models began to wait.
            old = body.old or project.waiting[-1][1]
            events.append(EraActivated(era=sealed.era, old=old))
            events.append(ModelsQueued(command=GateModels(models=models, old=old), era=sealed.era))
            events += _succession(Era(sealed))
        return Decision(tuple(events), {"era": sealed.era, "required_rows": size.total})

    def _gate(self, project: GatedProject, body: GateModels) -> Decision:
        era, models, development = project.current, body.models, body.development
        room = era.room(len(models)) if era else 0
        events: list[Any] = []
        if era and room:
            if era.old is None:
                events.append(EraActivated(era=era.number, old=body.old))
            taken = GateModels(models=models[:room], old=era.old or body.old, development=development[:room])
            events.append(ModelsQueued(command=taken, era=era.number))
            events += _succession(era)
        if models[room:]:
            last = project.eras[-1] if project.eras else None
            why = _FIXED if era and era.frozen else _SPENT
            left = replace(body, models=models[room:], development=development[room:])
            events.append(ModelsQueued(command=left, era=None))
            events.append(
                TestSetWanted(
                    rows=last.sealed.required if last else 0, why=why, era=last.number if last else 0
                )
            )
        return Decision(tuple(events), {"era": era.number, "queued": room} if era and room else {})

    def _verdict(self, project: GatedProject, body: GivesVerdict) -> Decision:
        era = project.eras[body.era - 1]
        step = len(era.verdicts) + 1
        told = era.terms.adaptivity == "none"
        given = VerdictGiven(
            command=body if told else replace(body, evidence=None),
            step=step,
            ledger=_ledger(era, 1.0 + math.log2(era.bands), 1) if told else None,
        )
        events: list[Any] = [given]
        if not era.ends(body.passed):
            return Decision((given, *_succession(era, body.passed)), {"passed": body.passed})
        if era.queue or project.waiting:
            events.append(TestSetWanted(rows=era.sealed.required, why=_SPENT, era=body.era))
        events.append(EraExhausted(era=body.era))
        for first in range(0, len(era.queue), _AT_ONCE):
            models = tuple(era.queue[first : first + _AT_ONCE])
            events.append(ModelsQueued(command=GateModels(models=models, old=era.old or ""), era=None))
        return Decision(tuple(events), {"passed": body.passed})

    def rejected(self, project: str, work: Any, rejection: WorkRejected) -> tuple[Any, ...]:
        """Fail a model that could not be judged: an era must not wait for it for ever."""
        if not isinstance(work, JudgeModel):
            return ()
        failed = GivesVerdict(
            era=work.era.era,
            model=work.model,
            passed=False,
            evidence=None,
            sealed_evidence="",
            known=work.known,
        )
        return self._verdict(self.projects[project], failed).events

    def apply(self, event: Event) -> None:
        """Take in one event; see :class:`ComponentState`."""
        if event.project == SYSTEM:
            if isinstance(event.body, KeyAnnounced):
                self.public_key = event.body.command.public_key
            return
        project = self.projects.setdefault(event.project, GatedProject())
        match event.body:
            case EraSealed() as body:
                project.eras.append(Era(body))
            case EraActivated(era=number, old=old):
                era = project.eras[number - 1]
                era.state = ERA.next(era.state, EraEvent.ACTIVATE, instance=event.stream)
                era.old = old
            case ModelsQueued(command=queued, era=number):
                models, development = queued.models, queued.development
                project.development.update(zip(models, development, strict=False))
                if number is None:
                    project.waiting += [(model, queued.old) for model in models]
                    return
                era = project.eras[number - 1]
                era.queue += models
                project.waiting = [w for w in project.waiting if w[0] not in models]
                self._judge_next(event, project, era)
            case VerdictGiven(command=verdict) as body:
                era = project.eras[verdict.era - 1]
                era.state = ERA.next(era.state, EraEvent.SPEND, instance=event.stream)
                last = era.ends(verdict.passed)
                era.verdicts.append(body)
                era.keep(verdict.known)
                era.judging = era.asked = None
                if not last:
                    self._judge_next(event, project, era)
            case TestLabelsWanted(command=wanted):
                era = project.eras[wanted.era - 1]
                era.keep(wanted.known)
                era.asked = wanted
            case TestLabelsLearnt(command=learnt):
                era = project.eras[learnt.era - 1]
                era.fresh += learnt.labels
                self.owe(event, era.judge(project.development.get(era.judging or "")))
            case TestSetWanted(era=number) if number:
                project.eras[number - 1].succeeded = True
            case EraExhausted(era=number):
                era = project.eras[number - 1]
                era.state = ERA.next(era.state, EraEvent.EXHAUST, instance=event.stream)
                era.queue.clear()
                self.owe(event, era.release())
            case EraReleased(command=released):
                era = project.eras[released.era - 1]
                era.evidence = released.evidence
                era.state = ERA.next(era.state, EraEvent.RELEASE, instance=event.stream)
                era.released = released.digest

    def _judge_next(self, event: Event, project: GatedProject, era: Era) -> None:
        if era.judging is None and era.queue and era.state is EraState.ACTIVE:
            era.judging = era.queue.pop(0)
            self.owe(event, era.judge(project.development.get(era.judging)))

    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; see :class:`ComponentState`."""
        match query:
            case ShowKey():
                if self.public_key is None:
                    raise NotReady("the gate has no key yet", hint="Try again in a moment.")
                return {"public_key": self.public_key}
            case ShowGate():
                known = self.projects.get(project, GatedProject())
                return {
                    "project": project,
                    "waiting": [model for model, _ in known.waiting],
                    "eras": [era.shown() for era in known.eras],
                }
        raise TypeError(f"{type(query).__name__} is no query of the gate")

    def validate(self) -> None:
        """Check the invariants."""
        super().validate()
        for project in self.projects.values():
            assert sum(era.open for era in project.eras) <= 1
            for era in project.eras:
                assert len(era.verdicts) <= era.terms.steps
                assert era.open or not (era.queue or era.judging)
                assert era.old is not None or not era.verdicts


def _succession(era: Era, *passed: bool) -> list[TestSetWanted]:
    """Ask for another test set, once and in time."""
    why = era.running_out(*passed)
    return [TestSetWanted(rows=era.sealed.required, why=why, era=era.number)] if why else []


def _ledger(era: Era, bits: float, verdicts: int) -> LedgerLine:
    """Return the line of verdicts: an answer removes at most the logarithm of how many there could be."""
    return LedgerLine(
        variable=f"does a model meet {era.terms.condition}",
        entropy_before=bits,
        entropy_after=0.0,
        cost_cents=bits * era.terms.bit_cents,
        evidence=f"era {era.number} of {era.terms.steps} steps",
        count=verdicts,
    )


def _label_costs(era: Era, labels: tuple[SealedLabel, ...]) -> LedgerLine:
    """Return the line of what people were paid; what the labels told is with the verdicts."""
    return LedgerLine(
        variable=f"labels of rows of test set {era.number}",
        entropy_before=0.0,
        entropy_after=0.0,
        cost_cents=sum(label.cost_cents for label in labels),
        evidence=f"{len(labels)} rows, sealed to the gate",
        count=len(labels),
    )
