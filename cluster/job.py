"""Runs a project that a file describes, on the cluster that it finds itself in.

``python -m cluster.job spec.yaml``, the entry point for ``ray job submit --working-dir .``::

    name: stars                   # of the project
    tenant: lab                   # whose it is; jobs if left out
    data: stars.csv               # relative to this file
    task: {label: type, target_accuracy: 0.9}
    annotator: truth              # a program that answers from the table of true values
    truth: stars_true.csv
    # or   answers: answers.csv   # a list: request,value
    # or neither: the job ends with exit code 6 when people are asked for something

One line a stage goes to standard output, and at the end the result as JSON. Run again, a job goes
on where its project is.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cluster import wording
from cluster.follow import Standing, standing
from easeml_ray.annotators import Annotator, AnswerList, TruthTable
from easeml_ray.annotators.listed import parse_answers
from easeml_ray.automl.messages import ShowSearches
from easeml_ray.errors import (
    AlreadyExists,
    DeadlineExceeded,
    EasemlError,
    InvalidSpec,
    NoModel,
    NotFound,
    NotReady,
    UnreadableFile,
)
from easeml_ray.feasibility.messages import ShowReport
from easeml_ray.gate.messages import ShowGate
from easeml_ray.ingest import read
from easeml_ray.messages import Principal, Role
from easeml_ray.oracle.messages import Answer, AnswerRequests, ListRequests, Skip
from easeml_ray.pool.messages import ShowPool
from easeml_ray.process.messages import CreateProject, ShowBill, ShowProject
from easeml_ray.process.task import parse_task
from easeml_ray.runtime.rows import rows_of
from easeml_ray.runtime.system import System

__all__ = ["JobSpec", "load_spec", "main", "run_job"]

_AT_ONCE = 150
UNEXPECTED = 70

Say = Callable[[str], None]


class JobSpec(BaseModel):
    """What a project file holds; paths are relative to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    tenant: str = "jobs"
    system: str = "local"
    data: Path
    format: str | None = None
    task: dict[str, Any]
    annotator: Literal["truth"] | None = None
    truth: Path | None = None
    answers: Path | None = None
    patience_seconds: float = Field(1800.0, gt=0)

    @model_validator(mode="after")
    def _one_annotator(self) -> Self:
        if (self.annotator == "truth") != (self.truth is not None):
            raise ValueError("annotator: truth and truth: FILE belong together")
        if self.annotator is not None and self.answers is not None:
            raise ValueError("give either an annotator or answers")
        return self


def load_spec(path: Path) -> JobSpec:
    """Read a project file and make its paths absolute.

    Raises
    ------
    UnreadableFile
        There is none, or it is no YAML.
    InvalidSpec
        A field is wrong, the task's included.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        first = str(error).splitlines()[0]
        raise UnreadableFile(f"{path} cannot be read: {first}", hint="Give a YAML file.") from error
    try:
        spec = JobSpec.model_validate(value)
    except ValidationError as error:
        found = error.errors()[0]
        field = ".".join(str(part) for part in found["loc"]) or "file"
        raise InvalidSpec(
            f"{path}: {field}: {found['msg']}",
            hint="A project file has name, data and task; python -m cluster.job --help shows one.",
            field=field,
        ) from error
    parse_task(spec.task)
    files = {n: path.parent / p for n in ("data", "truth", "answers") if (p := getattr(spec, n)) is not None}
    return spec.model_copy(update=files)


async def run_job(system: System, spec: JobSpec, *, say: Say = print, pause: float = 0.5) -> dict[str, Any]:
    """Take a project to a deployed model.

    Parameters
    ----------
    system : System
        In this process or on Ray.
    spec : JobSpec
        As :func:`load_spec` gives it.
    say : callable
        Takes one line a stage.
    pause : float
        Seconds between two looks.

    Returns
    -------
    dict
        Where the project ended, with its verdicts and its bill.

    Raises
    ------
    NotReady
        People are asked for something that no annotator answers.
    NoModel
        No model passed.
    DeadlineExceeded
        Nothing changed for too long.
    """
    job = _Job(system, spec, say)
    await job.define()
    moved_at = time.monotonic()
    while True:
        changed = await job.look()
        where = standing(job.shown, await job.models())
        if where is Standing.SERVING:
            return await job.result()
        if where is Standing.NO_MODEL:
            raise NoModel(
                f"no model of {spec.name} passed its gate", hint=await job.verdicts(), project=spec.name
            )
        if where is Standing.HALTED:
            raise NotReady(
                f"{spec.name} is {job.shown['control']}", hint="Resume it, then run the job again."
            )
        answered = where is Standing.PEOPLE and await job.answer()
        if changed or answered:
            moved_at = time.monotonic()
        elif time.monotonic() - moved_at > spec.patience_seconds:
            problem = (job.shown["problem"] or {}).get("message", "no problem was reported")
            raise DeadlineExceeded(
                f"{spec.name} stands still in {job.shown['phase']}: {problem}", seconds=spec.patience_seconds
            )
        if not answered:
            await asyncio.sleep(pause)


class _Job:
    """One project on its way."""

    def __init__(self, system: System, spec: JobSpec, say: Say) -> None:
        self.shown: dict[str, Any] = {}
        self._system = system
        self._spec = spec
        self._say = say
        self._who = Principal(spec.tenant, Role.TENANT, "job")
        self._annotator = _annotator(spec)
        self._studies = 0

    async def define(self) -> None:
        """Create the project and upload its data, unless that was done before."""
        spec = self._spec
        data = _bytes(spec.data)
        try:
            await self._system.handle(
                "process", spec.name, self._who, CreateProject(name=spec.name, task=spec.task)
            )
            self._say(f"{spec.name}: created")
        except AlreadyExists:
            self._say(f"{spec.name}: goes on")
        self.shown = await self._system.read("process", spec.name, ShowProject())
        if self.shown["version"] is None:
            made = await self._system.upload(spec.name, self._who, data, format=spec.format)
            self._say(f"{spec.name}: {spec.data.name} is in ({len(data):,} bytes){_rows(made)}")

    async def look(self) -> bool:
        """Look where the project is, say what is new, and tell whether anything is."""
        before = self.shown
        self.shown = await self._system.read("process", self._spec.name, ShowProject())
        if self.shown["decision"] is not None:
            report = await self._system.read("feasibility", self._spec.name, ShowReport())
            for found in report["beliefs"][self._studies :]:
                self._say(f"{self._spec.name}: version {found['number']}: {wording.belief(found)}")
            self._studies = len(report["beliefs"])
        if before.get("phase") != self.shown["phase"]:
            self._say(f"{self._spec.name}: {self.shown['phase']} ({self.shown['because']})")
        return before != self.shown

    async def models(self) -> dict[str, Any]:
        """Return searches and models as the control API shows them."""
        pool = await self._system.read("pool", self._spec.name, ShowPool())
        try:
            found = await self._system.read("automl", self._spec.name, ShowSearches())
        except NotFound:
            found = {"searches": []}
        return {"searches": found["searches"], "models": pool["models"]}

    async def answer(self) -> bool:
        """Have the annotator answer what is open; tell whether it answered anything."""
        kinds = self._annotator.kinds if self._annotator else ()
        query = ListRequests(state="OPEN", limit=_AT_ONCE)
        found = (await self._system.read("oracle", self._spec.name, query))["requests"]
        mine = [request for request in found if request["kind"] in kinds]
        # Rows that came later are known by nothing else.
        for request, row in zip(mine, await rows_of(self._system, self._spec.name, mine), strict=True):
            request["row"] = row
        values = {r["id"]: self._annotator.answer(r) for r in mine} if self._annotator else {}
        known = tuple(
            Answer(request=number, value=value) for number, value in values.items() if value is not None
        )
        if known:
            given = AnswerRequests(annotator=self._annotator_name, answers=known)
            await self._system.answer(self._spec.name, self._who, given)
        unknown = tuple(number for number, value in values.items() if value is None)
        if unknown and isinstance(self._annotator, TruthTable):
            await self._send(Skip(annotator=self._annotator_name, requests=unknown))
        elif not known:
            raise self._waits()
        self._say(
            f"{self._spec.name}: {len(known)} of {len(mine)} requests answered by {self._annotator_name}"
        )
        return True

    @property
    def _annotator_name(self) -> str:
        return self._annotator.name if self._annotator else "nobody"

    def _waits(self) -> NotReady:
        open_now = ", ".join(f"{b['open']} x {b['kind']}" for b in self.shown["waiting_for"])
        return NotReady(
            f"{self._spec.name} waits for people: {open_now}",
            hint=f"Answer them: easeml label {self._spec.name}. Or give the job answers or an annotator. "
            "Then run it again: it goes on.",
        )

    async def _send(self, body: Any) -> None:
        await self._system.handle("oracle", self._spec.name, self._who, body)

    async def verdicts(self) -> str:
        """Return the verdicts in a sentence."""
        eras = (await self._system.read("gate", self._spec.name, ShowGate()))["eras"]
        return "; ".join(
            f"{v['model'][:12]} {v['verdict']} on {era['condition']}" for era in eras for v in era["verdicts"]
        )

    async def result(self) -> dict[str, Any]:
        """Return where the project ended."""
        name = self._spec.name
        pool = await self._system.read("pool", name, ShowPool())
        eras = (await self._system.read("gate", name, ShowGate()))["eras"]
        return {
            "project": name,
            "phase": self.shown["phase"],
            "decision": self.shown["decision"],
            "ber_interval": self.shown["ber_interval"],
            "version": self.shown["version"],
            "deployed": pool["deployed"],
            "verdicts": [v["verdict"] for era in eras for v in era["verdicts"]],
            "bill": await self._system.read("process", name, ShowBill()),
        }


def _rows(made: dict[str, Any]) -> str:
    return f", {made['rows']:,} rows" if "rows" in made else ""


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFile(
            f"{path} cannot be read: {error.strerror}", hint="Give the path of a file."
        ) from error


def _annotator(spec: JobSpec) -> Annotator | None:
    if spec.answers is not None:
        return AnswerList(parse_answers(_bytes(spec.answers)), name="answer-list")
    if spec.truth is None:
        return None
    task = parse_task(spec.task)
    return TruthTable(
        read(_bytes(spec.truth), None),
        label=task.label,
        id_column=task.id_column,
        group_column=task.group_column,
        name="truth-program",
    )


# -- on Ray -----------------------------------------------------------------------------------------


def _connected(name: str) -> System:
    """Return the cluster's system of this name; its actors are made if there are none."""
    import ray

    from actors.config import NAMESPACE, SystemConfig, actor_name
    from actors.system import connect, ensure
    from cluster.settings import load

    # The cluster that a job runs in is named by RAY_ADDRESS; auto finds no other than a running one.
    ray.init(address=os.environ.get("RAY_ADDRESS", "auto"), namespace=NAMESPACE, log_to_driver=False)
    try:
        ray.get_actor(actor_name(name, "Lifecycle"), namespace=NAMESPACE)
    except ValueError:
        settings = load()
        settings.state.mkdir(parents=True, exist_ok=True)
        return ensure(SystemConfig(name, str(settings.state), settings.store, settings.blobs))
    return connect(name)


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    """Run the project file in the first argument; return the exit code."""
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        _say(str(__doc__))
        return 0 if len(sys.argv) == 2 else 2
    try:
        spec = load_spec(Path(sys.argv[1]))
        result = asyncio.run(run_job(_connected(spec.system), spec, say=_say))
        _say(json.dumps(result, indent=2, default=str))
        return 0
    except EasemlError as error:
        print(f"Error: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    except Exception as error:
        if os.environ.get("EASEML_DEBUG") == "1":
            raise
        print(f"Unexpected: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return UNEXPECTED


if __name__ == "__main__":
    sys.exit(main())
