"""What Lifecycle is told and what happens to projects and tenants."""

from __future__ import annotations

from typing import Any

from easeml_ray.messages import DataVersion, Gain, message

__all__ = [
    "Choose",
    "ControlChanged",
    "ControlProject",
    "CreateProject",
    "CreateTenant",
    "EnterPhase",
    "GainRealised",
    "ListProjects",
    "OptionChosen",
    "OverrideTarget",
    "PhaseEntered",
    "ProjectCreated",
    "RecordGain",
    "RecordRejection",
    "Rejected",
    "RequestImprovement",
    "ShowBill",
    "ShowNext",
    "ShowProject",
    "ShowTenants",
    "TargetOverridden",
    "TenantCreated",
]


@message("process.CreateTenant")
class CreateTenant:
    """Make a tenant, or another token of one; only the token's hash is given."""

    name: str
    role: str
    token_hash: str


@message("process.TenantCreated")
class TenantCreated:
    """A tenant's token is known from now on."""

    command: CreateTenant


@message("process.CreateProject")
class CreateProject:
    """Define an application; ``task`` is a whole TaskSpec as plain values."""

    name: str
    task: dict[str, Any]


@message("process.ProjectCreated")
class ProjectCreated:
    """An application is defined; its ``task`` is complete, defaults and all."""

    command: CreateProject


@message("process.ControlProject")
class ControlProject:
    """Pause, resume or cancel a project."""

    event: str


@message("process.ControlChanged")
class ControlChanged:
    """The control of a project changed."""

    command: ControlProject
    control: str


@message("process.EnterPhase")
class EnterPhase:
    """Move the phase; sent by Lifecycle to itself."""

    event: str
    because: str
    version: DataVersion | None = None


@message("process.PhaseEntered")
class PhaseEntered:
    """The phase moved."""

    command: EnterPhase
    phase: str


@message("process.OverrideTarget")
class OverrideTarget:
    """A person's decision: another target, or to train against the belief."""

    target_accuracy: float | None
    train: bool
    reason: str


@message("process.TargetOverridden")
class TargetOverridden:
    """A person decided; logged for good. ``target_accuracy`` is the one that holds now."""

    command: OverrideTarget
    target_accuracy: float
    by: str


@message("process.RequestImprovement")
class RequestImprovement:
    """A person asks for the data to be improved although nothing forces it."""

    reason: str


@message("process.OptionChosen")
class OptionChosen:
    """Of all options, this one has the highest expected gain per cent that is affordable."""

    option: str
    kind: str
    title: str
    gain: Gain
    cost_cents: float
    of: int


@message("process.Choose")
class Choose:
    """Take the affordable option with the highest expected gain per cent; sent to itself."""


@message("process.RecordGain")
class RecordGain:
    """Compare what a step was predicted to bring with what the study after it saw.

    ``realised`` is the rise of the nearest neighbour's accuracy on development, capped at the target;
    ``model`` that of the models which the studies before and after trained, capped alike; None where
    one had none.
    """

    option: str
    kind: str
    predicted: Gain
    realised: float
    cost_cents: float
    model: float | None = None


@message("process.GainRealised")
class GainRealised:
    """What a step was predicted to bring and what the next study saw of it."""

    command: RecordGain


@message("process.RecordRejection")
class RecordRejection:
    """A component refused a command that Lifecycle sent."""

    to: str
    kind: str
    error: dict[str, Any]


@message("process.Rejected")
class Rejected:
    """A component refused a command that Lifecycle sent; the action is settled by it."""

    command: RecordRejection


@message("process.ShowTenants")
class ShowTenants:
    """Query: tenants and their token hashes (for the authenticator)."""


@message("process.ListProjects")
class ListProjects:
    """Query: the projects that ``tenant`` may see (None: all)."""

    tenant: str | None


@message("process.ShowProject")
class ShowProject:
    """Query: where a project stands."""


@message("process.ShowNext")
class ShowNext:
    """Query: all options of all steps, ranked by expected gain per cent."""


@message("process.ShowBill")
class ShowBill:
    """Query: what was spent and what uncertainty it removed."""
