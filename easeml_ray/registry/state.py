"""DataRegistry's state: versions, pillars, lineage, and the one check of capabilities."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from easeml_ray.component.base import ComponentState
from easeml_ray.errors import AlreadyExists, Conflict, NotFound
from easeml_ray.messages import Command, DatasetRef, DataVersion, Decision, Event, Pillar
from easeml_ray.registry.capability import Capability, check
from easeml_ray.registry.messages import (
    Absorb,
    Absorbed,
    AddTestSet,
    AddVersion,
    Augment,
    AugmentationStarted,
    Augmented,
    FindLatest,
    FindParts,
    KeepVersion,
    Part,
    PillarsSealed,
    RepairAlternatives,
    Revise,
    ReviseVersion,
    RevisionStarted,
    Seal,
    ShowVersions,
    TestSetAdded,
    Uploaded,
    VersionAdded,
)

__all__ = ["RegistryState"]

_AUGMENTATION = "augmentation"
_MOST_ABSORBED = 200  # released eras and windows that join one version; the others wait for the next


@dataclass
class _Version:
    version: DataVersion
    parts: dict[Pillar, tuple[Part, ...]]
    reason: str
    at: float


@dataclass
class _Data:
    """One project's data.

    versions : by number, without gaps from 1; stable : blob and rows of every test set, in order;
    held_out : blobs of keyed digests of held-out rows, of "development" and of each stable set that
    is sealed still; known : blobs of keyed digests of all rows that ever came, only added to;
    came : how often rows came; absorbed : blobs of labelled rows that wait; next_row_id : larger
    than every row_id ever given; busy : what work is under way, or None; taken : the absorbed
    blobs that this work includes.
    """

    tenant: str
    uploads: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[int, _Version] = field(default_factory=dict)
    stable: list[tuple[str, int]] = field(default_factory=list)
    held_out: dict[str, str] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)
    came: int = 0
    absorbed: list[Absorb] = field(default_factory=list)
    next_row_id: int = 0
    busy: str | None = None
    taken: tuple[str, ...] = ()

    @property
    def latest(self) -> _Version:
        return self.versions[max(self.versions)]

    @property
    def revising(self) -> bool:
        """Whether rows may join just now; augmentation adds none."""
        return self.busy not in (None, _AUGMENTATION)

    def digests(self) -> tuple[str, ...]:
        return tuple(blob for blob in self.held_out.values() if blob)

    def know(self, *blobs: str) -> None:
        """Remember for good that rows of these digests came."""
        fresh = [blob for blob in blobs if blob]
        self.known += fresh
        self.came += len(fresh)

    def waiting(self) -> list[str]:
        """Return the blobs of rows that came and whose digests are not known yet: those of windows."""
        return [a.digest for a in self.absorbed if not a.sealed]

    def test_sets(self) -> list[dict[str, Any]]:
        return [{"rows": rows, "sealed": blob in self.held_out} for blob, rows in self.stable]


class RegistryState(ComponentState):
    """All data of all projects, as manifests."""

    component: ClassVar[str] = "registry"

    def __init__(self) -> None:
        super().__init__()
        self.projects: dict[str, _Data] = {}

    def decide(self, command: Command) -> Decision:
        """Judge a command; see :class:`ComponentState`."""
        body = command.body
        if isinstance(body, Seal):
            return self._seal(command.project, body)
        data = self._data(command.project)
        match body:
            case AddTestSet():
                return self._test_set(command.project, data, body)
            case Augment():
                self._free(command.project, data, body.number)
                return Decision((AugmentationStarted(command=body),))
            case Revise():
                self._free(command.project, data, body.number)
                return Decision((RevisionStarted(command=body),))
            case AddVersion():
                events: tuple[Any, ...] = (VersionAdded(command=body),)
                if body.reason == _AUGMENTATION:
                    events = (*events, Augmented(version=body.version))
                return Decision(events, {"version": body.version.number})
            case KeepVersion():
                version = self._version(command.project, body.number).version
                return Decision((Augmented(version=version),), {"version": body.number})
            case Absorb():
                return Decision((Absorbed(command=body),))
        raise TypeError(f"{type(body).__name__} is no command of the registry")

    def _test_set(self, project: str, data: _Data, body: AddTestSet) -> Decision:
        """Take a test set only if its rows were looked up in all that came, and none is about to join."""
        again = "Try again: the file is then checked against all that is there."
        if data.revising:
            raise Conflict(f"rows may be joining {project} just now ({data.busy})", hint=again)
        if body.checked != data.came:
            raise Conflict(f"rows came into {project} while the test set was checked", hint=again)
        return Decision((TestSetAdded(command=body),), {"stable_rows": body.stable_rows})

    def _seal(self, project: str, body: Seal) -> Decision:
        if project in self.projects:
            raise AlreadyExists(
                f"project {project} has its data already",
                hint="Add rows through the market or a new test set; or start another project.",
                what="data",
                name=project,
            )
        reply = {
            "rows": body.rows,
            "train": body.version.train.rows,
            "development": body.version.development.rows,
            "stable": body.stable_rows,
            "classes": body.version.n_classes,
        }
        return Decision((Uploaded(upload=body.upload), PillarsSealed(command=body)), reply)

    def apply(self, event: Event) -> None:
        """Take in one event; see :class:`ComponentState`."""
        data = self.projects.get(event.project)
        if data is None:
            data = self.projects[event.project] = _Data(event.tenant)
        match event.body:
            case Uploaded():
                pass
            case PillarsSealed(command=body):
                data.uploads.append({"digest": body.upload, "format": body.format, "rows": body.rows})
                data.next_row_id = body.rows
                self._add(event, data, body, "upload")
                data.stable.append((body.stable, body.stable_rows))
                data.held_out = {"development": body.held_out, body.stable: body.stable_held_out}
                data.know(body.held_out, body.stable_held_out, body.known)
            case TestSetAdded(command=body):
                data.stable.append((body.stable, body.stable_rows))
                data.held_out[body.stable] = body.held_out
                data.know(body.held_out)
            case AugmentationStarted(command=body):
                data.busy = _AUGMENTATION
                self.owe(event, RepairAlternatives(version=data.versions[body.number].version))
            case RevisionStarted(command=body):
                data.busy = body.reason
                taken = data.absorbed[:_MOST_ABSORBED]
                data.taken = tuple(a.digest for a in taken)
                self.owe(
                    event,
                    ReviseVersion(
                        command=body,
                        version=data.versions[body.number].version,
                        absorbed=data.taken,
                        held_out=data.digests(),
                        next_row_id=data.next_row_id,
                        train_only=tuple(a.digest for a in taken if a.train_only),
                    ),
                )
            case VersionAdded(command=body):
                data.busy = None
                data.absorbed = [a for a in data.absorbed if a.digest not in data.taken]
                data.taken = ()
                data.next_row_id += int(body.counts.get("added", 0))
                data.held_out["development"] = body.held_out or data.held_out["development"]
                data.know(body.known)
                self._add(event, data, body, body.reason)
            case Augmented():
                data.busy = None
            case Absorbed(command=body):
                data.held_out.pop(body.sealed, None)  # a released set is held out no more
                if body.rows:
                    data.absorbed.append(body)
                    data.came += not body.sealed  # those of a sealed set came with it
            case _:  # the work was rejected
                data.busy = None
                data.taken = ()

    def _add(self, event: Event, data: _Data, body: Seal | AddVersion, reason: str) -> None:
        parts = {Pillar.TRAIN: body.train, Pillar.DEVELOPMENT: body.development}
        data.versions[body.version.number] = _Version(body.version, parts, reason, event.at)

    def read(self, project: str, query: Any) -> dict[str, Any]:
        """Answer a query; see :class:`ComponentState`."""
        data = self._data(project)
        match query:
            case ShowVersions():
                return {
                    "project": project,
                    "uploads": data.uploads,
                    "stable_rows": [made["rows"] for made in data.test_sets() if made["sealed"]],
                    "test_sets": data.test_sets(),
                    "waiting_rows": sum(a.rows for a in data.absorbed),
                    "busy": data.busy,
                    "versions": [
                        {
                            "number": v.version.number,
                            "parent": v.version.parent,
                            "reason": v.reason,
                            "at": v.at,
                            "train_rows": v.version.train.rows,
                            "development_rows": v.version.development.rows,
                            "uncertain_rows": v.version.uncertain_rows,
                            "train_digest": v.version.train.digest,
                            "development_digest": v.version.development.digest,
                        }
                        for _, v in sorted(data.versions.items())
                    ],
                }
            case FindLatest():
                return {
                    "version": asdict(data.latest.version),
                    "held_out": list(data.digests()),
                    "known": list(data.known),
                    "waiting": data.waiting(),
                    "came": data.came,
                }
            case FindParts():
                check(Capability.from_dict(query.capability), query.ref, query.verb)
                return {"tenant": data.tenant, "parts": [p.digest for p in self._parts(query.ref)]}
        raise TypeError(f"{type(query).__name__} is no query of the registry")

    def _parts(self, ref: DatasetRef) -> tuple[Part, ...]:
        found = self._version(ref.project, ref.version)
        return found.parts[ref.pillar]

    def _data(self, project: str) -> _Data:
        if project not in self.projects:
            raise NotFound(
                f"project {project} has no data yet",
                hint=f"Upload it: easeml data upload {project} FILE.",
                what="data",
                name=project,
            )
        return self.projects[project]

    def _version(self, project: str, number: int) -> _Version:
        data = self._data(project)
        if number not in data.versions:
            raise NotFound(
                f"project {project} has no version {number}",
                hint=f"It has versions {sorted(data.versions)}.",
                what="version",
                name=str(number),
            )
        return data.versions[number]

    def _free(self, project: str, data: _Data, number: int) -> None:
        """Refuse to make a version out of any but the latest, or two at once."""
        latest = data.latest.version.number
        if self._version(project, number).version.number != latest:
            raise Conflict(f"version {number} of {project} is not the latest", hint=f"Name version {latest}.")
        if data.busy:
            raise Conflict(
                f"a new version of {project} is already in the making ({data.busy})",
                hint="Wait for it: easeml status shows it.",
            )

    def validate(self) -> None:
        """Check the invariants."""
        super().validate()
        for data in self.projects.values():
            sealed = {data.held_out.get(blob) for blob, _ in data.stable} - {None, ""}
            assert sealed <= set(data.known)
            assert sorted(data.versions) == list(range(1, len(data.versions) + 1))
            for number, version in data.versions.items():
                assert version.version.number == number
                assert version.version.parent < number
