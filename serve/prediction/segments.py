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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from easeml_ray.errors import BadInput, Conflict, NotFound
from easeml_ray.runtime.system import System

__all__ = ["Segments"]

log = logging.getLogger(__name__)

Row = dict[str, Any]

_FIRST_PAUSE = 0.2  # seconds after the first failure; doubled after each further one
_HOPELESS = (BadInput, Conflict, NotFound)


@dataclass
class _Segment:
    id: str
    rows: list[Row] = field(default_factory=list)


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

    def draw(self, n_rows: int, rate: float) -> NDArray[np.bool_]:
        """Say which of some rows are in the sample, each with probability ``rate``; shape (n_rows,)."""
        return self._rng.random(n_rows) < rate

    def add(self, project: str, rows: list[Row], drawn: NDArray[np.bool_]) -> list[str | None]:
        """Take the rows that are drawn.

        Parameters
        ----------
        project : str
            Whose they are.
        rows : list of dict
            The rows that are drawn, and no others.
        drawn : ndarray of bool, shape (n_rows,)
            From :meth:`draw`.

        Returns
        -------
        list of str or None, length n_rows
            The request id of each row; None for a row that is not in the sample.
        """
        buffer = self._buffers.setdefault(project, _Buffer())
        ids = iter([self._take(project, buffer, row) for row in rows])
        return [next(ids) if taken else None for taken in drawn.tolist()]

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

    def _take(self, project: str, buffer: _Buffer, row: Row) -> str | None:
        if buffer.waiting >= self._capacity:
            buffer.lost += 1
            return None
        segment = buffer.open
        if segment is None:
            segment = buffer.open = _Segment(uuid.uuid4().hex)
            asyncio.get_running_loop().call_later(self._seconds, self._shut, project, buffer, segment)
        segment.rows.append(row)
        buffer.waiting += 1
        request_id = f"{segment.id}:{len(segment.rows) - 1}"
        if len(segment.rows) >= self._rows:
            self._shut(project, buffer, segment)
        return request_id

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
                buffer.lost += lost + len(segment.rows)
            buffer.waiting -= len(segment.rows)

    async def _store(self, project: str, segment: _Segment, lost: int) -> bool:
        pause = _FIRST_PAUSE
        for attempt in range(1, self._tries + 1):
            try:
                # The segment's id makes the command happen once, however often it is sent.
                await self._system.store_segment(project, segment.id, segment.rows, lost)
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
