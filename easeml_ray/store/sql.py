"""The log of events in SQLite or PostgreSQL, by SQLAlchemy Core.

Writers are serial. On SQLite every write transaction begins with ``BEGIN IMMEDIATE``: a
deferred one takes its lock at the first write, where waiting cannot help any more, and fails.
On PostgreSQL it begins with one advisory lock that ends with the transaction, after its rows
have become visible, so ``seq`` is the commit order there too.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection

from easeml_ray.errors import EasemlError, InvalidArgument, NotReady, SchemaTooNew, SchemaTooOld, StoreError
from easeml_ray.messages import Event
from easeml_ray.store.rows import (
    COLUMNS,
    Row,
    check_batch,
    duplicate,
    encode,
    event_of,
    stale,
    stored,
    version_conflict,
)

__all__ = ["BUSY_SECONDS", "SCHEMA_VERSION", "SqlEventStore"]

SCHEMA_VERSION = 2
"""The form of the tables and of the events in them; a store of any other form is refused."""

RELEASES = {1: "0.1"}
"""By older schema version, the release of easeml_ray that wrote it."""

BUSY_SECONDS = 30
"""How long a writer waits for the others before NotReady, in seconds."""

_ADVISORY_LOCK = 0x6561_7365_6D6C  # "easeml"; any constant that others do not use

_metadata = sa.MetaData()
# PostgreSQL's default collations compare names like a dictionary; prefix ranges need bytes.
_name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_long = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_schema = sa.Table(
    "easeml_schema", _metadata, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False)
)
_incarnation = sa.Table(
    "incarnation",
    _metadata,
    sa.Column("actor", _name, primary_key=True),
    sa.Column("epoch", _long, nullable=False),
)
_event = sa.Table(
    "event",
    _metadata,
    sa.Column("seq", _long, sa.Identity(), primary_key=True),
    sa.Column("stream", _name, nullable=False),
    sa.Column("version", _long, nullable=False),
    sa.Column("event_id", _name, nullable=False, unique=True),
    sa.Column("command_id", _name, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("kind_version", sa.Integer, nullable=False),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("actor", _name, sa.ForeignKey("incarnation.actor"), nullable=False),
    sa.Column("epoch", _long, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    # Text and not the JSON type: NaN and Infinity must come back as they went in.
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("reply", sa.Text),
    sa.UniqueConstraint("stream", "version"),
    sqlite_autoincrement=True,
)
_columns = [_event.c[name] for name in COLUMNS]


class SqlEventStore:
    """An :class:`~easeml_ray.store.base.EventStore` in a SQL database."""

    def __init__(self, url: str) -> None:
        self._engine = _make_engine(url)
        self._name = self._engine.url.render_as_string(hide_password=True)
        self._closed = False
        try:
            self._prepare_schema()
        except BaseException:
            self.close()
            raise

    def incarnate(self, actor: str) -> int:
        """Raise the epoch of ``actor`` and return it (first epoch: 1)."""
        table = _incarnation
        with self._write() as connection:
            epoch = _epoch_of(connection, actor) + 1
            if epoch == 1:
                connection.execute(table.insert().values(actor=actor, epoch=epoch))
            else:
                connection.execute(table.update().where(table.c.actor == actor).values(epoch=epoch))
        return epoch

    def append(self, stream: str, events: Sequence[Event], *, expected_version: int) -> list[Event]:
        """Append events to a stream; see :class:`~easeml_ray.store.base.EventStore`."""
        check_batch(stream, events, expected_version)
        rows = [encode(event) for event in events]
        if not rows:
            self._check_open()
            return []
        with self._write() as connection:
            _check_state(connection, stream, rows, expected_version)
            for row in rows:
                insert = _event.insert().values(row).returning(_event.c.seq)
                row["seq"] = connection.execute(insert).scalar_one()
            return [stored(row) for row in rows]  # before the commit

    def read(
        self,
        *,
        prefix: str = "",
        after_seq: int = 0,
        limit: int | None = None,
        kinds: Collection[str] | None = None,
    ) -> list[Event]:
        """Return events in the order of seq; see :class:`~easeml_ray.store.base.EventStore`."""
        query = sa.select(*_columns).where(_event.c.seq > after_seq)
        if prefix:
            query = query.where(_event.c.stream >= prefix)
        end = _prefix_end(prefix)
        if end is not None:
            query = query.where(_event.c.stream < end)
        return self._select(query.order_by(_event.c.seq).limit(limit), kinds)

    def find(self, command_id: str) -> list[Event]:
        """Return the events that a command appended, by index; empty if none."""
        found = self._select(sa.select(*_columns).where(_event.c.command_id == command_id))
        return sorted(found, key=lambda event: event.ordinal)

    def close(self) -> None:
        """Release connections; the store can no longer be used."""
        self._closed = True
        self._engine.dispose()

    def _select(self, query: sa.Select[Any], kinds: Collection[str] | None = None) -> list[Event]:
        with self._begin(write=False) as connection:
            # Plain tuples as the driver gives them: no column needs to be converted.
            rows = connection.execute(query).cursor.fetchall()
        return [event_of(kinds, *row) for row in rows]

    def _write(self) -> AbstractContextManager[sa.Connection]:
        return self._begin(write=True)

    @contextmanager
    def _begin(self, *, write: bool) -> Iterator[sa.Connection]:
        """Open one transaction; a writing one holds the store's lock from its start."""
        self._check_open()
        try:
            with self._engine.connect() as plain:
                connection = plain.execution_options(easeml_write=write)
                with connection.begin():
                    if write and connection.dialect.name == "postgresql":
                        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
                    yield connection
        except EasemlError:
            raise
        except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as error:
            raise NotReady(
                f"the store {self._name} does not answer: {_reason(error)}",
                hint="Is the database up, is its disk full, does a long transaction hold its lock?",
            ) from error
        except sa.exc.DatabaseError as error:
            raise StoreError(
                f"the store {self._name} refuses: {_reason(error)}",
                hint="Is this the state of easeml_ray, and undamaged?",
            ) from error

    def _prepare_schema(self) -> None:
        with self._begin(write=False) as connection:
            ready = _found_version(connection) == SCHEMA_VERSION
        if ready:
            return
        with self._write() as connection:
            if _found_version(connection) == 0:
                _metadata.create_all(connection)
                connection.execute(_schema.insert().values(version=SCHEMA_VERSION))

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"the store {self._name} is closed", hint="Open it again.")


def _epoch_of(connection: sa.Connection, actor: str) -> int:
    query = sa.select(_incarnation.c.epoch).where(_incarnation.c.actor == actor)
    return connection.execute(query).scalar() or 0


def _check_state(connection: sa.Connection, stream: str, rows: list[Row], expected: int) -> None:
    actor, epoch = rows[0]["actor"], rows[0]["epoch"]
    current = _epoch_of(connection, actor)
    if current == 0 or epoch != current:
        raise stale(actor, epoch, current)
    last = sa.select(sa.func.max(_event.c.version)).where(_event.c.stream == stream)
    found = connection.execute(last).scalar() or 0
    if found != expected:
        raise version_conflict(stream, expected, found)
    seen: set[str] = set()
    for command_id in {row["command_id"] for row in rows}:
        known = sa.select(_event.c.event_id).where(_event.c.command_id == command_id)
        seen.update(connection.execute(known).scalars())
    for row in rows:
        if row["event_id"] in seen:
            raise duplicate(stream, row["event_id"], expected, found)
        seen.add(row["event_id"])


def _found_version(connection: sa.Connection) -> int:
    """Return the version of the tables that are there, 0 for none; refuse any but ours."""
    if not sa.inspect(connection).has_table(_schema.name):
        return 0
    found = connection.execute(sa.select(sa.func.max(_schema.c.version))).scalar() or 0
    if found > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"the store has schema version {found}; this easeml_ray knows {SCHEMA_VERSION}",
            hint="Update easeml_ray to the version that wrote this store.",
            found=found,
            known=SCHEMA_VERSION,
        )
    if found < SCHEMA_VERSION:
        release = RELEASES.get(found, f"with schema version {found}")
        raise SchemaTooOld(
            f"this state folder was made by easeml_ray {release}; this one reads schema version "
            f"{SCHEMA_VERSION}, the store has {found}",
            hint="Start with a new state folder. To keep what is in the old one, export it with the "
            "release that made it, and import it here.",
            found=found,
            known=SCHEMA_VERSION,
        )
    return found


def _prefix_end(prefix: str) -> str | None:
    """Return the smallest text above all that begin with ``prefix``; None if there is none."""
    for length in range(len(prefix), 0, -1):
        last = ord(prefix[length - 1])
        if last < 0x10FFFF:
            following = 0xE000 if last == 0xD7FF else last + 1  # surrogates are no characters
            return prefix[: length - 1] + chr(following)
    return None


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip()


def _make_engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise _bad_url(f"{url!r} is no database URL") from error
    if parsed.drivername == "postgresql+psycopg":
        # Under REPEATABLE READ the snapshot would be older than the advisory lock.
        return sa.create_engine(parsed, pool_pre_ping=True, isolation_level="READ COMMITTED")
    if parsed.get_backend_name() != "sqlite":
        raise _bad_url(f"no store for {parsed.drivername!r}")
    if not parsed.database or parsed.database == ":memory:":
        raise _bad_url("SQLite without a file would be one store a connection")
    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
    sa.event.listen(engine, "connect", _on_sqlite_connect)
    sa.event.listen(engine, "begin", _on_sqlite_begin)
    return engine


def _bad_url(message: str) -> InvalidArgument:
    return InvalidArgument(
        message, hint="Use sqlite:////absolute/file.db, postgresql+psycopg://… or memory://.", argument="url"
    )


def _on_sqlite_connect(connection: DBAPIConnection, _record: object) -> None:
    # The driver's own transactions are deferred ones; ours begin in _on_sqlite_begin.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        _set_wal(cursor)
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
    finally:
        cursor.close()


def _set_wal(cursor: Any) -> None:
    import sqlite3

    # Two first openers may collide here, and SQLite then fails at once instead of waiting.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            mode = cursor.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise StoreError(
            f"SQLite cannot keep a write-ahead log here (journal mode {mode!r})",
            hint="Put the state folder on a local disk, or use PostgreSQL.",
        )


def _on_sqlite_begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("easeml_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
