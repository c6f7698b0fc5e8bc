"""Served rows on their way to the windows: when segments close, and what is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from easeml_ray.errors import Conflict, NotReady
from serve.prediction import segments as module
from serve.prediction.segments import Segments


class Pool:
    """Stands for a system: keeps the segments that it takes."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, list[dict[str, Any]], int]] = []
        self.errors: list[Exception] = []
        self.tries = 0
        self.slow = 0.0

    async def store_segment(
        self, project: str, segment: str, rows: list[dict[str, Any]], lost: int
    ) -> dict[str, Any]:
        self.tries += 1
        await asyncio.sleep(self.slow)
        if self.errors:
            raise self.errors.pop(0)
        self.taken.append((project, segment, rows, lost))
        return {}


def play(story: Callable[[Pool, Segments], Any], **given: Any) -> None:
    async def run() -> None:
        pool = Pool()
        rng = np.random.default_rng(7)
        settings: dict[str, Any] = {"seconds": 0.02, **given}
        await story(pool, Segments(pool, rng=rng, **settings))  # type: ignore[arg-type]

    asyncio.run(run())


def rows(n: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"x": start + i} for i in range(n)]


def sampled(segments: Segments, project: str, given: list[dict[str, Any]], rate: float) -> list[str | None]:
    drawn = segments.draw(len(given), rate)
    return segments.add(project, [row for row, taken in zip(given, drawn, strict=True) if taken], drawn)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


def test_a_segment_closes_at_its_size_and_request_ids_name_its_rows() -> None:
    async def story(pool: Pool, segments: Segments) -> None:
        ids = sampled(segments, "p", rows(10), 1.0)
        await until(lambda: len(pool.taken) == 2)
        for _, segment, taken, lost in pool.taken:
            assert lost == 0 and len(taken) == 4
            assert [ids[row["x"]] for row in taken] == [f"{segment}:{i}" for i in range(4)]
        await until(lambda: len(pool.taken) == 3)  # the rest closes with its time
        assert [row["x"] for _, _, taken, _ in pool.taken for row in taken] == list(range(10))

    play(story, rows=4, seconds=0.1)


def test_only_the_sample_is_kept() -> None:
    async def story(pool: Pool, segments: Segments) -> None:
        ids = sampled(segments, "p", rows(1000), 0.25)
        kept = [i for i, identity in enumerate(ids) if identity]
        assert 200 < len(kept) < 300
        assert sampled(segments, "q", rows(5), 0.0) == [None] * 5
        await segments.close()
        assert [row["x"] for _, _, taken, _ in pool.taken for row in taken] == kept

    play(story)


def test_adding_does_not_wait_for_a_slow_system() -> None:
    async def story(pool: Pool, segments: Segments) -> None:
        pool.slow = 0.2
        loop = asyncio.get_running_loop()
        before = loop.time()
        for start in range(50):
            sampled(segments, "p", rows(4, start), 1.0)
        assert loop.time() - before < 0.1
        await until(lambda: pool.tries == 1)

    play(story, rows=4)


def test_a_failure_is_tried_again_with_the_same_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.001)

    async def story(pool: Pool, segments: Segments) -> None:
        pool.errors = [NotReady("restarting"), RuntimeError("gone")]
        ids = sampled(segments, "p", rows(2), 1.0)
        await until(lambda: bool(pool.taken))
        assert pool.tries == 3 and pool.taken[0][3] == 0
        assert ids[0] == f"{pool.taken[0][1]}:0"

    play(story)


def test_rows_that_cannot_be_handed_over_are_counted_in_the_next_segment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.001)

    async def story(pool: Pool, segments: Segments) -> None:
        pool.errors = [NotReady("restarting")] * 3
        sampled(segments, "p", rows(5), 1.0)
        await until(lambda: segments.lost("p") == 5)
        assert pool.tries == 3
        pool.errors = [Conflict("no model is deployed")]  # hopeless: no second try
        sampled(segments, "p", rows(2), 1.0)
        await until(lambda: segments.lost("p") == 7)
        assert pool.tries == 4
        sampled(segments, "p", rows(1), 1.0)
        await until(lambda: bool(pool.taken))
        assert pool.taken[0][3] == 7 and segments.lost("p") == 0

    play(story, tries=3)


def test_a_full_buffer_loses_rows_and_counts_them() -> None:
    async def story(pool: Pool, segments: Segments) -> None:
        pool.slow = 0.05
        ids = sampled(segments, "p", rows(12), 1.0)
        assert [identity is None for identity in ids] == [False] * 8 + [True] * 4
        assert segments.lost("p") == 4
        assert sampled(segments, "q", rows(1), 1.0) != [None]  # another project has a buffer of its own
        await until(lambda: sum(len(taken) for p, _, taken, _ in pool.taken if p == "p") == 8)
        sampled(segments, "p", rows(1), 1.0)
        await segments.close()
        assert sum(lost for p, _, _, lost in pool.taken if p == "p") == 4

    play(story, rows=4, capacity=8)


def test_closing_hands_over_what_is_left() -> None:
    async def story(pool: Pool, segments: Segments) -> None:
        sampled(segments, "p", rows(3), 1.0)
        sampled(segments, "q", rows(2), 1.0)
        await segments.close()
        assert {(p, len(taken)) for p, _, taken, _ in pool.taken} == {("p", 3), ("q", 2)}

    play(story, seconds=60.0)
