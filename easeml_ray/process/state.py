"""Lifecycle's state: tenants, projects, and what each project needs next.

Lifecycle owns the project streams and follows all others. It is the only component that
sends commands to others: every send is an action that became due by an event, so a crash
at any point repeats sends and loses none.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from easeml_ray.component.base import ComponentState
from easeml_ray.errors import AlreadyExists, InvalidSpec, NotFound
from easeml_ray.feasibility.messages import CancelStudy
from easeml_ray.messages import (
    SYSTEM,
    Command,
    Decision,
    Event,
    LedgerLine,
    Role,
)
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
from easeml_ray.process.saga import react
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


class LifecycleState(ComponentState):
    """Tenants and projects; folds the events of every component."""

    component: ClassVar[str] = "process"
    follows: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.tenants: dict[str, dict[str, str]] = {}  # name -> {token hash: role}
        self.projects: dict[str, Project] = {}

    # -- commands -------------------------------------------------------------------------

    def decide(self, command: Command) -> Decision:
        """Judge a command; see :class:`ComponentState`."""
        match command.body:
            case CreateTenant(name=name, role=role, token_hash=token_hash):
                return self._create_tenant(name, role, token_hash)
            case CreateProject(name=name, task=task):
                return self._create_project(name, task)
            case RecordRejection(to=to, kind=kind, error=error):
                return Decision((Rejected(to=to, kind=kind, error=error),))
        project = self.project(command.project)
        match command.body:
            case EnterPhase(event=event, because=because, version=version):
                phase = PHASE.next(project.phase, PhaseEvent(event), instance=project.name)
                return Decision(
                    (PhaseEntered(event=event, phase=phase.value, because=because, version=version),)
                )
            case ControlProject(event=event):
                control = CONTROL.next(project.control, ControlEvent(event), instance=project.name)
                return Decision(
                    (ControlChanged(event=event, control=control.value),), {"control": control.value}
                )
            case OverrideTarget() as body:
                return self._override(project, body, command.principal.actor)
            case RequestImprovement(reason=reason):
                return self._enter(project, PhaseEvent.IMPROVEMENT_ASKED, reason)
            case Choose():
                return self._choose(project)
            case RecordGain() as body:
                return Decision(
                    (
                        GainRealised(
                            option=body.option,
                            kind=body.kind,
                            predicted=body.predicted,
                            realised=body.realised,
                            cost_cents=body.cost_cents,
                            model=body.model,
                        ),
                    )
                )
        raise TypeError(f"{type(command.body).__name__} is no command of Lifecycle")

    def _enter(self, project: Project, event: PhaseEvent, because: str) -> Decision:
        phase = PHASE.next(project.phase, event, instance=project.name)
        return Decision(
            (PhaseEntered(event=event.value, phase=phase.value, because=because),), {"phase": phase.value}
        )

    def _create_tenant(self, name: str, role: str, token_hash: str) -> Decision:
        _check_name("tenant", name)
        if role not in set(Role) - {Role.SYSTEM}:
            raise InvalidSpec(
                f"no role {role!r}",
                hint="Roles: admin, tenant, annotator, seller.",
                field="role",
            )
        return Decision(
            (TenantCreated(name=name, role=role, token_hash=token_hash),), {"tenant": name, "role": role}
        )

    def _create_project(self, name: str, task: dict[str, Any]) -> Decision:
        _check_name("project", name)
        if name in self.projects:
            raise AlreadyExists(
                f"project {name} exists",
                hint="Choose another name, or go on with it: easeml status.",
                what="project",
                name=name,
            )
        spec = parse_task(task)
        whole = spec.model_dump(mode="json")
        return Decision((ProjectCreated(name=name, task=whole),), {"project": name, "task": whole})

    def _override(self, project: Project, body: OverrideTarget, by: str) -> Decision:
        target = body.target_accuracy if body.target_accuracy is not None else project.target
        if not 0 < target < 1:
            raise InvalidSpec(
                f"target accuracy {target} is not between 0 and 1",
                hint="Give a share of rows, e.g. 0.9.",
                field="target_accuracy",
            )
        event = PhaseEvent.OVERRIDDEN if body.train else PhaseEvent.RESTARTED
        phase = PHASE.next(project.phase, event, instance=project.name)
        overridden = TargetOverridden(target_accuracy=target, train=body.train, reason=body.reason, by=by)
        entered = PhaseEntered(event=event.value, phase=phase.value, because=f"{by}: {body.reason}")
        return Decision((overridden, entered), {"phase": phase.value, "target_accuracy": target})

    def _choose(self, project: Project) -> Decision:
        if project.unanswered >= _PATIENCE:
            because = f"{project.unanswered} rounds of requests in a row were not answered"
            return self._enter(project, PhaseEvent.NOTHING_WORTH_ITS_COST, because)
        affordable = project.affordable()
        if not affordable:
            known = len(project.options())
            because = f"none of {known} options is worth its cost and affordable"
            return self._enter(project, PhaseEvent.NOTHING_WORTH_ITS_COST, because)
        best = affordable[0]
        phase = PHASE.next(project.phase, _CHOSEN[best.kind], instance=project.name)
        chosen = OptionChosen(
            option=best.id,
            kind=best.kind,
            title=best.title,
            gain=best.gain,
            cost_cents=best.cost_cents,
            of=len(project.options()),
        )
        entered = PhaseEntered(event=_CHOSEN[best.kind].value, phase=phase.value, because=best.title)
        return Decision((chosen, entered), {"option": best.id})

    # -- fold -----------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Take in an event of any component; see :class:`ComponentState`."""
        if isinstance(event.body, TenantCreated):
            body = event.body
            self.tenants.setdefault(body.name, {})[body.token_hash] = body.role
            return
        if isinstance(event.body, ProjectCreated):
            self._created(event, event.body)
            return
        project = self.projects.get(event.project)
        if project is None:
            return
        self._bill(project, event)
        react(self, project, event)

    def _created(self, event: Event, body: ProjectCreated) -> None:
        task = parse_task(body.task)
        self.projects[body.name] = Project(body.name, event.tenant, task, event.at, task.target_accuracy)

    def _bill(self, project: Project, event: Event) -> None:
        line = getattr(event.body, "ledger", None)
        if not isinstance(line, LedgerLine):
            return
        kind = getattr(event.body, "kind", "") or type(event.body).__name__
        total = project.bill.setdefault(f"{event.component}: {kind}", BillLine())
        total.count += line.count
        total.cost_cents += line.cost_cents
        total.removed_bits += line.entropy_before - line.entropy_after
        if event.component in ("cleaning", "market"):
            project.spent_cents += line.cost_cents

    def due(self) -> list[Any]:
        """Return what must happen next; in projects that do not run, only what stops their work."""
        stopped = {n for n, p in self.projects.items() if p.control is not Control.RUNNING}
        return [
            action
            for action in self.actions.values()
            if action.project not in stopped or isinstance(action.body, CancelStudy)
        ]

    # -- queries --------------------------------------------------------------------------

    def project(self, name: str) -> Project:
        """Return a project.

        Raises
        ------
        NotFound
            No such project.
        """
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
                            **{k: v for k, v in asdict(o).items() if k != "items"},
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


def _check_name(what: str, name: str) -> None:
    if not (1 <= len(name) <= 40 and set(name) <= _NAME and name[0] != "-" and name != SYSTEM):
        raise InvalidSpec(
            f"{name!r} is no name for a {what}",
            hint="Use 1 to 40 lower-case letters, digits and hyphens, e.g. star-types.",
            field="name",
        )
