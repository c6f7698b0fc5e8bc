"""A running Ease.ML as its surfaces see it, whatever runs it: one process, or actors on Ray.

A runtime says how commands, queries, tables and preparation are carried; what an upload or an
offer consists of is the same everywhere and stands here.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from easeml_ray.component.data import most_probable
from easeml_ray.errors import AlreadyExists, Conflict, HeldOutOverlap, InvalidAnswer, NotFound
from easeml_ray.gate.labelling import seal_label
from easeml_ray.gate.messages import ShowKey
from easeml_ray.market.messages import RefuseOffer
from easeml_ray.messages import SYSTEM, DatasetRef, DataVersion, Pillar, Principal, Role
from easeml_ray.oracle.messages import Answer, AnswerRequests, Kind, ListRequests
from easeml_ray.pool.messages import FindSegments, ShowDeployments, StoreSegment
from easeml_ray.process.messages import ShowProject
from easeml_ray.process.task import TaskSpec, parse_task
from easeml_ray.registry.messages import FindLatest
from easeml_ray.runtime.intake import Offering, TestSet, Upload
from easeml_ray.store.base import BlobStore

__all__ = ["System"]

_AHEAD = 500  # requests that are looked up at once
_PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds between tries to add a test set while other rows come


class System(ABC):
    """Commands, queries and uploads to the nine components.

    Every method raises the EasemlErrors of the component that it reaches, and
    DeadlineExceeded when no answer came in time.
    """

    blobs: BlobStore

    def __init__(self) -> None:
        # By project: up to which request it is known what is asked, and the choices of test rows.
        self._test_requests: dict[str, tuple[int, dict[int, list[str]]]] = {}

    @abstractmethod
    async def handle(
        self, component: str, project: str, principal: Principal, body: Any, *, command_id: str | None = None
    ) -> dict[str, Any]:
        """Send a command; with the same ``command_id`` it is handled once."""

    @abstractmethod
    async def replied(self, component: str, command_id: str) -> dict[str, Any] | None:
        """Return the reply to a command that was handled, None if none of this id was."""

    @abstractmethod
    async def read(self, component: str, project: str, query: Any) -> dict[str, Any]:
        """Send a query."""

    @abstractmethod
    async def table(self, ref: DatasetRef, holder: str) -> pa.Table:
        """Return a pillar of a version, if the matrix lets ``holder`` read it."""

    @abstractmethod
    async def take(self, asked: Upload | TestSet | Offering, data: bytes) -> Any:
        """Return the command that bytes from outside become; see :func:`easeml_ray.runtime.intake.take`."""

    async def watch_deployments(self, seen: dict[str, int], *, seconds: float) -> dict[str, Any]:
        """Return the deployment number by project, as soon as it differs from ``seen``."""
        # After `seconds`, return what there is even if nothing changed.
        until = time.monotonic() + seconds
        while True:
            found = await self.read("pool", SYSTEM, ShowDeployments())
            if {name: d["deployment"] for name, d in found.items()} != seen or time.monotonic() > until:
                return found
            await asyncio.sleep(0.1)

    # -- data from outside --------------------------------------------------------------------

    async def upload(
        self,
        project: str,
        principal: Principal,
        data: bytes,
        *,
        format: str | None,
        command_id: str | None = None,
    ) -> dict[str, Any]:
        """Upload a project's data: parsed, checked, split, sealed, or refused whole."""
        task, tenant = await self._task(project)
        if await self._has_data(project):
            done = await self._done(command_id)
            if done is not None:
                return done
            raise AlreadyExists(
                f"project {project} has its data already",
                hint="Offer further rows through the market, or start another project.",
                what="data",
                name=project,
            )
        asked = Upload(
            project=project, tenant=tenant, task=task, format=format, public_key=await self._public_key()
        )
        body = await self.take(asked, data)
        return await self.handle("registry", project, principal, body, command_id=command_id)

    async def upload_test_set(
        self,
        project: str,
        principal: Principal,
        data: bytes,
        *,
        format: str | None,
        labelled: bool = True,
        command_id: str | None = None,
    ) -> dict[str, Any]:
        """Upload a fresh stable test set; rows that ever were in the project are refused.

        Conflict if other rows came whenever it was checked, or a version with other rows is in the making.
        """
        for pause in _PAUSES:
            try:
                return await self._add_test_set(project, principal, data, format, labelled, command_id)
            except Conflict:
                await asyncio.sleep(pause)
        return await self._add_test_set(project, principal, data, format, labelled, command_id)

    async def _add_test_set(
        self,
        project: str,
        principal: Principal,
        data: bytes,
        format: str | None,
        labelled: bool,
        command_id: str | None,
    ) -> dict[str, Any]:
        """Check a test set against all that came until now and add it, unless more comes meanwhile."""
        task, tenant = await self._task(project)
        version, found = await self._latest(project)
        # Asked after what is known: a set of this command is among that, or is not added yet.
        done = await self._done(command_id)
        if done is not None:
            return done
        asked = TestSet(
            tenant=tenant,
            task=task,
            format=format,
            public_key=await self._public_key(),
            schema=self.blobs.get_json(tenant, version.schema),
            known=tuple(found["known"]),
            waiting=tuple(found["waiting"]),
            checked=found["came"],
            labelled=labelled,
        )
        body = await self.take(asked, data)
        return await self.handle("registry", project, principal, body, command_id=command_id)

    async def offer(
        self,
        project: str,
        principal: Principal,
        data: bytes,
        *,
        offer: str,
        seller: str,
        price_cents: int,
        terms: str,
        owner_column: str | None = None,
        labelled: bool = True,
        format: str | None,
        command_id: str | None = None,
    ) -> dict[str, Any]:
        """Offer a seller's rows; rows that a held-out pillar holds are refused."""
        task, tenant = await self._task(project)
        version, found = await self._latest(project)
        asked = Offering(
            offer=offer,
            seller=seller,
            price_cents=price_cents,
            terms=terms,
            owner_column=owner_column,
            labelled=labelled,
            format=format,
            tenant=tenant,
            task=task,
            schema=self.blobs.get_json(tenant, version.schema),
            held_out=tuple(found["held_out"]),
        )
        try:
            body = await self.take(asked, data)
        except HeldOutOverlap as overlap:
            # Noted, so that the project's owner sees it, and nobody asks as often as it likes.
            refusal = RefuseOffer(offer=offer, seller=seller, held_out=overlap.count)
            of = f"{command_id}-refused" if command_id else None
            await self.handle("market", project, principal, refusal, command_id=of)
            raise
        return await self.handle("market", project, principal, body, command_id=command_id)

    async def answer(
        self, project: str, principal: Principal, body: AnswerRequests, *, command_id: str | None = None
    ) -> dict[str, Any]:
        """Answer requests, all or none; labels of test rows are sealed to the gate's key before all else."""
        choices = await self._test_choices(project, [answer.request for answer in body.answers])
        if choices:
            public = await self._public_key()
            answers = tuple(
                Answer(request=a.request, value=_seal_answer(a, choices[a.request], public))
                if a.request in choices
                else a
                for a in body.answers
            )
            body = AnswerRequests(annotator=body.annotator, answers=answers)
        return await self.handle("oracle", project, principal, body, command_id=command_id)

    async def _test_choices(self, project: str, ids: list[int]) -> dict[int, list[str]]:
        """Return the choices of those requests that ask for labels of test rows."""
        # What a request asks for never changes: the oracle is read for requests that are new here alone.
        known, choices = self._test_requests.get(project, (0, {}))
        fresh = {i for i in ids if i > known}
        if fresh:
            ahead = min(max(fresh), known + _AHEAD)
            wanted = tuple(sorted(fresh | set(range(known + 1, ahead + 1))))
            query = ListRequests(kind=Kind.LABEL_TEST, limit=len(wanted), ids=wanted)
            found = await self.read("oracle", project, query)
            choices = choices | {r["id"]: r["choices"] for r in found["requests"]}
            known = min(ahead, sum(found["counts"].values()))  # what is not asked yet is not known
            self._test_requests[project] = known, choices
        return {i: choices[i] for i in ids if i in choices}

    async def store_segment(self, project: str, segment: str, rows: pa.Table, lost: int) -> dict[str, Any]:
        """Hand over rows that the endpoint answered; ``lost`` rows went missing before them."""
        task, tenant = await self._task(project)
        # In a thread: the endpoint goes on answering while the disk syncs.
        digest = await asyncio.to_thread(self.blobs.put_table, tenant, rows)
        labels = task.budgets.realtime_labels
        body = StoreSegment(
            segment=segment,
            digest=digest,
            rows=rows.num_rows,
            lost=lost,
            window_rows=task.window_rows,
            labels=labels,
        )
        principal = Principal(tenant, Role.SYSTEM, "prediction")
        return await self.handle("pool", project, principal, body, command_id=f"segment-{segment}")

    # -- data for people ----------------------------------------------------------------------

    async def rows(self, project: str, pillar: str, row_ids: list[int]) -> list[dict[str, Any]]:
        """Return rows of train or development in their most probable world."""
        version, _ = await self._latest(project)
        ref = version.train if pillar == Pillar.TRAIN else version.development
        table = most_probable(await self.table(ref, "people"))
        hidden = ("parent_id", "group_id", "probability")
        table = table.drop_columns([name for name in hidden if name in table.column_names])
        table = table.filter(pc.is_in(table["row_id"], value_set=pa.array(row_ids, pa.int64())))
        records = {record["row_id"]: record for record in table.to_pylist()}
        missing = [row_id for row_id in row_ids if row_id not in records]
        if missing:
            raise NotFound(
                f"no rows {missing[:5]} in the {pillar} pillar of {project}",
                hint="The row may stand in another pillar or version.",
                what="row",
                name=str(missing[0]),
            )
        return [records[row_id] for row_id in row_ids]

    async def realtime_rows(self, project: str, request_ids: list[str]) -> list[dict[str, Any]]:
        """Return the features of realtime rows; a request id is ``segment:row``."""
        _, tenant = await self._task(project)
        places = [request_id.rsplit(":", 1) for request_id in request_ids]
        wanted = tuple(sorted({segment for segment, _ in places}))
        found = await self.read("pool", project, FindSegments(segments=wanted))
        tables = {s: self.blobs.get_table(tenant, digest) for s, digest in found["digests"].items()}
        for segment, row in places:
            if not 0 <= int(row) < tables[segment].num_rows:
                raise NotFound(
                    f"no row {row} in segment {segment} of {project}",
                    hint="A request id is segment:row, as the endpoint answered it.",
                    what="row",
                    name=f"{segment}:{row}",
                )
        return [tables[segment].slice(int(row), 1).to_pylist()[0] for segment, row in places]

    async def offered_rows(self, project: str, places: list[tuple[str, int]]) -> list[dict[str, Any]]:
        """Return the features of rows of bought tables, each by the table's digest and its place."""
        _, tenant = await self._task(project)
        tables = {digest: self.blobs.get_table(tenant, digest) for digest, _ in set(places)}
        hidden = ("group_id", "owner")
        rows = [tables[digest].slice(place, 1).to_pylist()[0] for digest, place in places]
        return [{name: value for name, value in row.items() if name not in hidden} for row in rows]

    async def blob_json(self, project: str, digest: str) -> Any:
        """Return a JSON blob of a project: a feasibility report, for example."""
        _, tenant = await self._task(project)
        return self.blobs.get_json(tenant, digest)

    # -- what these need ----------------------------------------------------------------------

    async def _task(self, project: str) -> tuple[TaskSpec, str]:
        shown = await self.read("process", project, ShowProject())
        return parse_task(shown["task"]), str(shown["tenant"])

    async def _latest(self, project: str) -> tuple[DataVersion, dict[str, Any]]:
        """Return the newest version and what else the registry answers to FindLatest."""
        from pydantic import TypeAdapter

        found = await self.read("registry", project, FindLatest())
        return TypeAdapter(DataVersion).validate_python(found["version"]), found

    async def _done(self, command_id: str | None) -> dict[str, Any] | None:
        """Return the reply to an upload that comes again because its answer was lost."""
        return None if command_id is None else await self.replied("registry", command_id)

    async def _has_data(self, project: str) -> bool:
        try:
            await self._latest(project)
        except NotFound:
            return False
        return True

    async def _public_key(self) -> bytes:
        return bytes.fromhex((await self.read("gate", SYSTEM, ShowKey()))["public_key"])


def _seal_answer(answer: Answer, choices: list[str], public: bytes) -> str:
    """Seal the label of a test row; the oracle must never see it."""
    if str(answer.value) not in choices:
        raise InvalidAnswer(
            f"{answer.value!r} is no answer to request {answer.request}",
            hint=f"Choose one of: {', '.join(choices[:20])}.",
            request=str(answer.request),
        )
    return seal_label(choices.index(str(answer.value)), public)
