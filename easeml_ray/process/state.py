"""Lifecycle's state: tenants, projects, and what each project needs next.

Lifecycle owns the project streams and follows all others. It is the only component that
sends commands to others: every send is an action that became due by an event, so a crash
at any point repeats sends and loses none.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, ClassVar

from easeml_ray.cleaning.messages import Learned
from easeml_ray.component.base import ComponentState
from easeml_ray.errors import AlreadyExists, IllegalTransition, InvalidSpec, NotFound
from easeml_ray.feasibility.messages import CancelStudy
from easeml_ray.messages import SYSTEM, Command, Decision, Event, LedgerLine, Role
from easeml_ray.process.messages import (
    Choose,
    ControlChanged,
    ControlProject,
    CreateProject,
    CreateTenant,
    EnterPhase,
    GainRealised,
    ListProjects,
    OptionChosen,
    OverrideTarget,
    PhaseEntered,
    ProjectCreated,
    RecordGain,
    RecordRejection,
    Rejected,
    RequestImprovement,
    ShowBill,
    ShowNext,
    ShowProject,
    ShowTenants,
    TargetOverridden,
    TenantCreated,
)
from easeml_ray.process.project import CONTROL, PHASE, Control, ControlEvent, PhaseEvent
from easeml_ray.process.saga import BILLED, REACTIONS
from easeml_ray.process.task import parse_task
from easeml_ray.process.view import BillLine, Project

__all__ = ["LifecycleState"]

_CHOSEN = {
    "RELABEL": PhaseEvent.RELABELLING_CHOSEN,
    "CLEAN_CELL": PhaseEvent.CLEANING_CHOSEN,
    "BUY_ROW": PhaseEvent.ACQUISITION_CHOSEN,
}
_PATIENCE = 3  # rounds that nobody answers before a person is asked how to go on
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


CREATED = frozenset({TenantCreated, ProjectCreated})
FOLLOWED = CREATED | BILLED | REACTIONS.keys()
"""The events that mean something to a project."""


class LifecycleState(ComponentState):
    """Tenants and projects; folds the events of every component."""

    component: ClassVar[str] = "process"
    follows: ClassVar[frozenset[type] | None] = FOLLOWED

    def __init__(self) -> None:
        super().__init__()
        self.tenants: dict[str, dict[str, str]] = {}  # name -> {token hash: role}
        self.projects: dict[str, Project] = {}

    # -- commands -------------------------------------------------------------------------

    def decide(self, command: Command) -> Decision:
        """Judge a command; see :class:`ComponentState`."""
        match command.body:
            case CreateTenant() as tenant:
                return self._create_tenant(tenant)
            case CreateProject() as created:
                return self._create_project(created)
            case RecordRejection() as refused:
                return Decision((Rejected(command=refused),))
        project = self.project(command.project)
        match command.body:
            case EnterPhase() as move:
                return Decision((_entered(project, move),))
            case ControlProject() as asked:
                control = CONTROL.next(project.control, ControlEvent(asked.event), instance=project.name)
                changed = ControlChanged(command=asked, control=control.value)
                return Decision((changed,), {"control": control.value})
            case OverrideTarget() as override:
                return self._override(project, override, command.principal.actor)
            case RequestImprovement(reason=reason):
                return self._enter(project, PhaseEvent.IMPROVEMENT_ASKED, reason)
            case Choose():
                return self._choose(project)
            case RecordGain() as gain:
                return Decision((GainRealised(command=gain),))
        raise TypeError(f"{type(command.body).__name__} is no command of Lifecycle")

    def _enter(self, project: Project, event: PhaseEvent, because: str) -> Decision:
        entered = _entered(project, EnterPhase(event=event.value, because=because))
        return Decision((entered,), {"phase": entered.phase})

    def _create_tenant(self, body: CreateTenant) -> Decision:
        _check_name("tenant", body.name)
        if body.role not in set(Role) - {Role.SYSTEM}:
            raise InvalidSpec(
                f"no role {body.role!r}", hint="Roles: admin, tenant, annotator, seller.", field="role"
            )
        return Decision((TenantCreated(command=body),), {"tenant": body.name, "role": body.role})

    def _create_project(self, body: CreateProject) -> Decision:
        name = body.name
        _check_name("project", name)
        if name in self.projects:
            raise AlreadyExists(
                f"project {name} exists",
                hint="Choose another name, or go on with it: easeml status.",
                what="project",
                name=name,
            )
        whole = parse_task(body.task).model_dump(mode="json")
        created = ProjectCreated(command=replace(body, task=whole))
        return Decision((created,), {"project": name, "task": whole})

    def _override(self, project: Project, body: OverrideTarget, by: str) -> Decision:
        target = body.target_accuracy if body.target_accuracy is not None else project.target
        if not 0 < target < 1:
            raise InvalidSpec(
                f"target accuracy {target} is not between 0 and 1",
                hint="Give a share of rows, e.g. 0.9.",
                field="target_accuracy",
            )
        event = PhaseEvent.OVERRIDDEN if body.train else PhaseEvent.RESTARTED
        entered = _entered(project, EnterPhase(event=event.value, because=f"{by}: {body.reason}"))
        overridden = TargetOverridden(command=body, target_accuracy=target, by=by)
        return Decision((overridden, entered), {"phase": entered.phase, "target_accuracy": target})

    def _choose(self, project: Project) -> Decision:
        if project.repairs is None or project.purchases is None:
            # A version came after both proposals, and took them with it.
            raise IllegalTransition(
                f"project {project.name} has no proposals for its newest version",
                hint="They are made anew when the project is IMPROVING again.",
                machine=PHASE.name,
                instance=project.name,
                state=project.phase.value,
                event="choose",
                allowed=[],
            )
        if project.unanswered >= _PATIENCE:
            because = f"{project.unanswered} rounds of requests in a row were not answered"
            return self._enter(project, PhaseEvent.NOTHING_WORTH_ITS_COST, because)
        affordable = project.affordable()
        if not affordable:
            known = len(project.options())
            because = f"none of {known} options is worth its cost and affordable"
            return self._enter(project, PhaseEvent.NOTHING_WORTH_ITS_COST, because)
        best = affordable[0]
        entered = _entered(project, EnterPhase(event=_CHOSEN[best.kind].value, because=best.title))
        chosen = OptionChosen(
            option=best.id,
            kind=best.kind,
            title=best.title,
            gain=best.gain,
            cost_cents=best.cost_cents,
            of=len(project.options()),
        )
        return Decision((chosen, entered), {"option": best.id})

    # -- fold -----------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Take in an event of any component; see :class:`ComponentState`."""
        kind = type(event.body)
        if kind not in FOLLOWED:
            return
        if kind in CREATED:
            self._created(event)
            return
        project = self.projects.get(event.project)
        if project is None:
            return
        if kind in BILLED:
            self._bill(project, event)
        if kind in REACTIONS:
            REACTIONS[kind](self, project, event)

    def _created(self, event: Event) -> None:
        match event.body:
            case TenantCreated(command=body):
                self.tenants.setdefault(body.name, {})[body.token_hash] = body.role
            case ProjectCreated(command=body):
                task = parse_task(body.task)
                made = Project(body.name, event.tenant, task, event.at, task.target_accuracy)
                self.projects[body.name] = made

    def _bill(self, project: Project, event: Event) -> None:
        line: LedgerLine | None = event.body.ledger
        if line is None:
            return
        kind = event.body.command.kind if isinstance(event.body, Learned) else type(event.body).__name__
        total = project.bill.setdefault(f"{event.component}: {kind}", BillLine())
        total.count += line.count
        total.cost_cents += line.cost_cents
        total.removed_bits += line.entropy_before - line.entropy_after
        if event.component in ("cleaning", "market"):
            project.spent_cents += line.cost_cents

    def due(self) -> list[Any]:
        """Return what must happen next; in projects that do not run, only what stops their work."""
        return [
            action
            for action in self.actions.values()
            if isinstance(action.body, CancelStudy) or self._runs(action.project)
        ]

    def _runs(self, name: str) -> bool:
        project = self.projects.get(name)
        return project is None or project.control is Control.RUNNING

    # -- queries --------------------------------------------------------------------------

    def project(self, name: str) -> Project:
        """Return a project, or raise NotFound."""
        if name not in self.projects:
            raise NotFound(
                f"no project {name}",
                hint=f"Projects: {', '.join(sorted(self.projects)) or 'none yet'}.",
                what="project",
                name=name,
            )
        return self.projects[name]

    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; see :class:`ComponentState`."""
        match query:
            case ShowTenants():
                return {"tenants": self.tenants}
            case ListProjects(tenant=tenant):
                return {
                    "projects": [
                        self._shown(p) for p in self.projects.values() if tenant is None or p.tenant == tenant
                    ]
                }
            case ShowProject():
                found = self.project(project)
                return {**self._shown(found), "task": found.task.model_dump(mode="json")}
            case ShowNext():
                found = self.project(project)
                return {
                    "project": project,
                    "phase": found.phase.value,
                    "budget_left_cents": found.budget_left,
                    "options": [
                        {
                            **o.shown(),
                            "items": len(o.items),
                            "gain_per_cent": o.gain_per_cent,
                            "affordable": o in found.affordable(),
                        }
                        for o in found.options()
                    ],
                }
            case ShowBill():
                return self._shown_bill(self.project(project))
        raise TypeError(f"{type(query).__name__} is no query of Lifecycle")

    @staticmethod
    def _shown(project: Project) -> dict[str, Any]:
        return {
            "project": project.name,
            "tenant": project.tenant,
            "phase": project.phase.value,
            "control": project.control.value,
            "because": project.because,
            "target_accuracy": project.target,
            "version": project.version.number if project.version else None,
            "decision": project.report.decision if project.report else None,
            "ber_interval": list(project.report.ber_interval) if project.report else None,
            "deployed": project.deployed,
            "training": sum(project.arms_left.values()),
            "waiting_for": [
                {"batch": b.id, "kind": b.kind, "open": len(b.open)} for b in project.batches.values()
            ],
            "spent_cents": project.spent_cents,
            "budget_left_cents": project.budget_left,
            "problem": project.problem,
        }

    @staticmethod
    def _shown_bill(project: Project) -> dict[str, Any]:
        return {
            "project": project.name,
            "lines": [{"what": what, **asdict(line)} for what, line in sorted(project.bill.items())],
            "total_cents": sum(line.cost_cents for line in project.bill.values()),
            "removed_bits": sum(line.removed_bits for line in project.bill.values()),
            "improvement_spent_cents": project.spent_cents,
            "improvement_budget_cents": project.task.budgets.improvement_cents,
            "reserved": [
                {"what": f"verdicts of test set {era}, at most", **asdict(line)}
                for era, line in sorted(project.reserved.items())
            ],
            "gains": [asdict(gain) for gain in project.gains],
        }

    def validate(self) -> None:
        """Check the invariants."""
        super().validate()
        for project in self.projects.values():
            assert project.spent_cents <= project.task.budgets.improvement_cents + 1e-6
            for batch in project.batches.values():
                assert set(batch.open.values()).isdisjoint(batch.answers)


def _entered(project: Project, move: EnterPhase) -> PhaseEntered:
    phase = PHASE.next(project.phase, PhaseEvent(move.event), instance=project.name)
    return PhaseEntered(command=move, phase=phase.value)


def _check_name(what: str, name: str) -> None:
    if not (1 <= len(name) <= 40 and set(name) <= _NAME and name[0] != "-" and name != SYSTEM):
        raise InvalidSpec(
            f"{name!r} is no name for a {what}",
            hint="Use 1 to 40 lower-case letters, digits and hyphens, e.g. star-types.",
            field="name",
        )
