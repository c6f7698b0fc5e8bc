"""Served rows on their way to the windows: sampled, buffered, handed over in segments.

A row's request id is ``segment:row``, so that feedback needs no look-up. A segment is closed at
256 rows or 200 ms after its first row, whichever comes first, and handed over by a task of its
project's own; predictions never wait for that. Rows that cannot be handed over, or that find the
buffer full, are counted, and the count goes with the next segment.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from easeml_ray.errors import BadInput, Conflict, NotFound
from easeml_ray.runtime.system import System

__all__ = ["Segments"]

log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.2  # seconds after the first failure; doubled after each further one
_HOPELESS = (BadInput, Conflict, NotFound)


@dataclass
class _Segment:
    id: str
    schema: pa.Schema
    tables: list[pa.Table] = field(default_factory=list)
    rows: int = 0


@dataclass
class _Buffer:
    """One project's rows. waiting : rows that are not handed over yet; lost : since the last."""

    open: _Segment | None = None
    closed: deque[_Segment] = field(default_factory=deque)
    waiting: int = 0
    lost: int = 0
    task: asyncio.Task[None] | None = None


class Segments:
    """Buffers of all projects.

    Parameters
    ----------
    system : System
        Takes the segments.
    rng : numpy.random.Generator
        Draws the sample.
    rows, seconds : int, float
        A segment is closed at so many rows, or so long after its first.
    capacity : int
        Rows of one project that may wait.
    tries : int
        Attempts to hand one segment over.
    """

    def __init__(
        self,
        system: System,
        *,
        rng: np.random.Generator,
        rows: int = 256,
        seconds: float = 0.2,
        capacity: int = 16_384,
        tries: int = 4,
    ) -> None:
        self._system = system
        self._rng = rng
        self._rows = rows
        self._seconds = seconds
        self._capacity = capacity
        self._tries = tries
        self._buffers: dict[str, _Buffer] = {}

    def add(self, project: str, rows: pa.Table, rate: float) -> list[str | None]:
        """Take rows, as the model saw them, into the sample with probability ``rate`` each.

        Returns
        -------
        list of str or None
            The request id of each row; None for a row that is not in the sample.
        """
        buffer = self._buffers.setdefault(project, _Buffer())
        drawn = np.flatnonzero(self._rng.random(rows.num_rows) < rate)
        room = max(self._capacity - buffer.waiting, 0)
        buffer.lost += max(len(drawn) - room, 0)
        taken = drawn[:room]
        sampled = rows if len(taken) == rows.num_rows else rows.take(taken)
        requests: list[str | None] = [None] * rows.num_rows
        start = 0
        while start < len(taken):
            segment = self._open(project, buffer, rows.schema)
            part = sampled.slice(start, self._rows - segment.rows)
            for offset, place in enumerate(taken[start : start + part.num_rows].tolist()):
                requests[place] = f"{segment.id}:{segment.rows + offset}"
            segment.tables.append(part)
            segment.rows += part.num_rows
            buffer.waiting += part.num_rows
            start += part.num_rows
            if segment.rows >= self._rows:
                self._shut(project, buffer, segment)
        return requests

    def lost(self, project: str) -> int:
        """Return how many sampled rows went missing since the last segment that was taken."""
        return self._buffers[project].lost if project in self._buffers else 0

    async def close(self) -> None:
        """Hand over what is still here."""
        for project, buffer in self._buffers.items():
            if buffer.open:
                self._shut(project, buffer, buffer.open)
        tasks = [buffer.task for buffer in self._buffers.values() if buffer.task]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _open(self, project: str, buffer: _Buffer, schema: pa.Schema) -> _Segment:
        """Return the segment that takes the next row; rows of another form get a segment of their own."""
        segment = buffer.open
        if segment is not None and segment.schema != schema:
            self._shut(project, buffer, segment)
            segment = None
        if segment is None:
            segment = buffer.open = _Segment(uuid.uuid4().hex, schema)
            asyncio.get_running_loop().call_later(self._seconds, self._shut, project, buffer, segment)
        return segment

    def _shut(self, project: str, buffer: _Buffer, segment: _Segment) -> None:
        if buffer.open is not segment:
            return  # it was full before its time came
        buffer.open = None
        buffer.closed.append(segment)
        if buffer.task is None or buffer.task.done():
            buffer.task = asyncio.create_task(self._hand_over(project, buffer))

    async def _hand_over(self, project: str, buffer: _Buffer) -> None:
        """Hand over closed segments in their order until there are none."""
        while buffer.closed:
            segment = buffer.closed.popleft()
            lost, buffer.lost = buffer.lost, 0
            if not await self._store(project, segment, lost):
                buffer.lost += lost + segment.rows
            buffer.waiting -= segment.rows

    async def _store(self, project: str, segment: _Segment, lost: int) -> bool:
        pause = _FIRST_PAUSE
        for attempt in range(1, self._tries + 1):
            try:
                # The segment's id makes the command happen once, however often it is sent.
                await self._system.store_segment(project, segment.id, pa.concat_tables(segment.tables), lost)
                return True
            except Exception as error:
                hopeless = isinstance(error, _HOPELESS) or attempt == self._tries
                log.warning(
                    "segment %s of %s, attempt %d: %s", segment.id, project, attempt, error, exc_info=True
                )
                if hopeless:
                    return False
                await asyncio.sleep(pause)
                pause *= 2
        return False
