"""The event stores: one conformance suite for all, and what only a durable one can show."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from easeml_ray.errors import InvalidArgument, SchemaTooNew, SchemaTooOld, StoreError
from easeml_ray.messages import Event
from easeml_ray.store import EventStore, open_event_store
from easeml_ray.store.memory import MemoryEventStore
from easeml_ray.store.sql import SCHEMA_VERSION
from tests.unit.store_conformance import (
    ACTOR,
    EventStoreConformance,
    check_contended,
    contend,
    events,
)

ROOT = Path(__file__).parents[2]
WORKERS = 9
POSTGRES = os.environ.get("EASEML_TEST_POSTGRES", "")


def _contend_at(url: str, worker: int, own: int, contested: int) -> list[str]:
    store = open_event_store(url)
    try:
        return contend(store, worker, own=own, contested=contested)
    finally:
        store.close()


def _check_nine_processes(url: str) -> None:
    # A fork server imports once for all; its children share nothing else with one another.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    store = open_event_store(url)
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        running = [pool.submit(_contend_at, url, worker, 10, 5) for worker in range(WORKERS)]
        seen: list[Event] = []
        while not all(future.done() for future in running):
            seen += store.read(after_seq=seen[-1].seq if seen else 0)
            time.sleep(0.01)
        acked = [future.result(timeout=30) for future in running]
    seen += store.read(after_seq=seen[-1].seq if seen else 0)
    log = store.read()
    store.close()
    assert seen == log, "a follower with a cursor has missed an event"
    check_contended(log, acked, workers=WORKERS, own=10, contested=5)


class TestMemory(EventStoreConformance):
    @pytest.fixture
    def store(self) -> EventStore:
        return MemoryEventStore()

    @pytest.fixture
    def sibling(self, store: EventStore) -> Callable[[], EventStore]:
        return lambda: store

    def test_nine_threads_lose_nothing(self, store: EventStore) -> None:
        with ThreadPoolExecutor(WORKERS) as pool:
            acked = list(pool.map(lambda w: contend(store, w, own=10, contested=5), range(WORKERS)))
        check_contended(store.read(), acked, workers=WORKERS, own=10, contested=5)


class DurableConformance(EventStoreConformance):
    @pytest.fixture
    def store(self, url: str) -> Iterator[EventStore]:
        store = open_event_store(url)
        yield store
        store.close()

    @pytest.fixture
    def sibling(self, url: str) -> Iterator[Callable[[], EventStore]]:
        opened: list[EventStore] = []

        def open_again() -> EventStore:
            opened.append(open_event_store(url))
            return opened[-1]

        yield open_again
        for store in opened:
            store.close()

    def test_nine_processes_lose_nothing_and_a_follower_misses_nothing(self, url: str) -> None:
        _check_nine_processes(url)

    def test_threads_share_one_store(self, store: EventStore) -> None:
        with ThreadPoolExecutor(3) as pool:
            acked = list(pool.map(lambda w: contend(store, w, own=5, contested=3), range(3)))
        check_contended(store.read(), acked, workers=3, own=5, contested=3)

    def test_events_and_epochs_survive_a_reopening(
        self, store: EventStore, sibling: Callable[[], EventStore]
    ) -> None:
        store.incarnate(ACTOR)
        written = store.append("a/p", events("a/p", "c1", count=2), expected_version=0)
        store.close()
        again = sibling()
        assert again.read() == written
        assert again.incarnate(ACTOR) == 2

    def test_acked_events_survive_sigkill_in_the_middle_of_writing(self, url: str) -> None:
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITE_FOREVER, url], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert writer.stdout is not None
        acked = [int(writer.stdout.readline()) for _ in range(20)]
        writer.send_signal(signal.SIGKILL)
        acked += [int(line) for line in writer.stdout.read().split("\n") if line]
        assert writer.wait(timeout=10) == -signal.SIGKILL
        writer.stdout.close()
        store = open_event_store(url)
        log = store.read()
        assert [e.version for e in log] == list(range(1, len(log) + 1))
        assert len(log) % 2 == 0, "half of an append is there"
        assert {e.seq for e in log} >= set(acked)
        epoch = store.incarnate(ACTOR)
        batch = events("a/p", "after", after=len(log), epoch=epoch)
        store.append("a/p", batch, expected_version=len(log))
        store.close()


WRITE_FOREVER = """
import sys
from easeml_ray.store import open_event_store
from tests.unit.store_conformance import ACTOR, events
store = open_event_store(sys.argv[1])
epoch = store.incarnate(ACTOR)
for n in range(10**6):
    batch = events("a/p", f"c{n}", after=2 * n, count=2, epoch=epoch)
    for event in store.append("a/p", batch, expected_version=2 * n):
        print(event.seq, flush=True)
"""


class TestSqlite(DurableConformance):
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "state" / "easeml.db"

    @pytest.fixture
    def url(self, path: Path) -> str:
        return f"sqlite:///{path}"

    def test_a_store_of_a_newer_schema_is_refused_untouched(self, url: str, path: Path) -> None:
        open_event_store(url).close()
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE easeml_schema SET version = 7")
        with pytest.raises(SchemaTooNew) as caught:
            open_event_store(url)
        assert (caught.value.found, caught.value.known) == (7, SCHEMA_VERSION)
        assert sqlite3.connect(path).execute("SELECT version FROM easeml_schema").fetchall() == [(7,)]

    def test_a_store_of_the_first_release_is_refused_by_name(self, url: str, path: Path) -> None:
        store = open_event_store(url)
        store.incarnate(ACTOR)
        store.append("a/p", events("a/p", "c1"), expected_version=0)
        store.close()
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE easeml_schema SET version = 1")
        with pytest.raises(SchemaTooOld, match=r"made by easeml_ray 0\.1;") as caught:
            open_event_store(url)
        assert (caught.value.found, caught.value.known) == (1, SCHEMA_VERSION)
        assert "new state folder" in caught.value.hint and "export" in caught.value.hint
        rows = sqlite3.connect(path)
        assert rows.execute("SELECT version FROM easeml_schema").fetchall() == [(1,)]
        assert rows.execute("SELECT count(*) FROM event").fetchall() == [(1,)]

    def test_a_store_without_its_schema_version_is_refused(self, url: str, path: Path) -> None:
        open_event_store(url).close()
        with sqlite3.connect(path) as connection:
            connection.execute("DELETE FROM easeml_schema")
        with pytest.raises(SchemaTooOld, match="schema version 0") as caught:
            open_event_store(url)
        assert caught.value.found == 0

    def test_a_store_of_this_schema_opens_again(self, url: str, path: Path) -> None:
        open_event_store(url).close()
        open_event_store(url).close()
        rows = sqlite3.connect(path).execute("SELECT version FROM easeml_schema").fetchall()
        assert rows == [(SCHEMA_VERSION,)]

    def test_an_event_of_a_newer_form_is_refused(self, store: EventStore, path: Path) -> None:
        store.incarnate(ACTOR)
        store.append("a/p", events("a/p", "c1"), expected_version=0)
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE event SET kind_version = 2")
        with pytest.raises(SchemaTooNew, match=r"form 2 of test\.Noted"):
            store.read()

    def test_an_event_that_does_not_fit_its_class_is_named(self, store: EventStore, path: Path) -> None:
        store.incarnate(ACTOR)
        store.append("a/p", events("a/p", "c1"), expected_version=0)
        with sqlite3.connect(path) as connection:
            connection.execute("""UPDATE event SET body = '{"text": 1}'""")
        with pytest.raises(StoreError, match="'c1:0'"):
            store.find("c1")

    def test_a_file_that_is_no_database_is_refused(self, url: str, path: Path) -> None:
        path.parent.mkdir()
        path.write_bytes(b"no database at all " * 100)
        with pytest.raises(StoreError, match="not a database"):
            open_event_store(url)

    def test_the_pragmas_hold_on_every_connection(self, store: EventStore) -> None:
        with store._engine.connect() as one, store._engine.connect() as two:  # type: ignore[attr-defined]
            for connection in (one, two):
                values = [
                    connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                    for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
                ]
                assert values == ["wal", 2, 1, 30_000]

    def test_reading_a_stream_uses_an_index(self, store: EventStore, path: Path) -> None:
        plan = sqlite3.connect(path).execute(
            "EXPLAIN QUERY PLAN SELECT max(version) FROM event WHERE stream = 'a/p'"
        )
        assert "INDEX" in plan.fetchall()[0][3]


@pytest.mark.skipif(not POSTGRES, reason="EASEML_TEST_POSTGRES names no empty PostgreSQL database")
class TestPostgres(DurableConformance):
    @pytest.fixture
    def url(self) -> str:
        import sqlalchemy as sa

        engine = sa.create_engine(POSTGRES)
        with engine.begin() as connection:
            for table in ("event", "incarnation", "easeml_schema"):
                connection.execute(sa.text(f"DROP TABLE IF EXISTS {table}"))
        engine.dispose()
        return POSTGRES


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://h/d", "postgresql://h/d", "what"]
)
def test_a_url_without_a_backend_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument, match="Hint"):
        open_event_store(url)


def test_a_password_in_the_url_is_never_shown(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(Exception) as caught:
        open_event_store("postgresql+psycopg://ann:hunter2@127.0.0.1:9/none")
    assert "hunter2" not in str(caught.value)
