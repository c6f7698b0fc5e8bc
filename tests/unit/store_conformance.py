"""What every EventStore must do, whatever it is made of.

A test class mixes :class:`EventStoreConformance` in and gives the fixtures ``store`` (fresh and
empty) and ``sibling`` (a function that opens the same log once more, as another process would).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from easeml_ray.errors import (
    InvalidArgument,
    StaleIncarnation,
    StoreError,
    TooLarge,
    VersionConflict,
)
from easeml_ray.messages import Event, encode, message
from easeml_ray.store import EventStore

ACTOR = "easeml-test/Writer"


@message("test.Noted")
class Noted:
    """A message body with everything that JSON can spoil."""

    text: str
    value: float = 0.0
    pair: tuple[int, int] = (0, 0)
    free: dict[str, Any] | None = None


@message("test.Told")
class Told:
    """A number that may as well be text, as an answer may: JSON writes what is not finite as null."""

    value: str | float


def events(
    stream: str,
    command_id: str,
    *,
    after: int = 0,
    count: int = 1,
    epoch: int = 1,
    actor: str = ACTOR,
    text: str = "",
) -> list[Event]:
    """Return the events of one command; the last one carries a reply."""
    made = [
        Event(
            stream=stream,
            version=after + 1 + index,
            command_id=command_id,
            ordinal=index,
            tenant="ann",
            project=stream.partition("/")[2],
            actor=actor,
            epoch=epoch,
            at=1.5,
            body=Noted(text=text or f"{command_id} {index}"),
        )
        for index in range(count)
    ]
    made[-1] = made[-1]._replace(reply_json=json.dumps({"handled": command_id}))
    return made


def contend(store: EventStore, worker: int, *, own: int, contested: int) -> list[str]:
    """Append to a stream of one's own and to one that all want; return the event ids acked."""
    actor = f"easeml-test/Writer{worker}"
    epoch = store.incarnate(actor)
    acked: list[str] = []
    for number in range(own):
        batch = events(f"own/{worker}", f"own-{worker}-{number}", after=number, epoch=epoch, actor=actor)
        acked += [e.event_id for e in store.append(f"own/{worker}", batch, expected_version=number)]
    version = 0
    for number in range(contested):
        while True:
            batch = events(
                "all/one", f"all-{worker}-{number}", after=version, count=2, epoch=epoch, actor=actor
            )
            try:
                acked += [e.event_id for e in store.append("all/one", batch, expected_version=version)]
            except VersionConflict as conflict:
                version = conflict.found
            else:
                version += 2
                break
    return acked


def check_contended(
    log: list[Event], acked: list[list[str]], *, workers: int, own: int, contested: int
) -> None:
    """Check the log that ``workers`` runs of :func:`contend` left."""
    seqs = [event.seq for event in log]
    assert seqs == sorted(set(seqs))
    assert len(log) == workers * (own + 2 * contested)
    assert {event.event_id for event in log} == {event_id for ids in acked for event_id in ids}
    streams: dict[str, list[int]] = {}
    for event in log:
        streams.setdefault(event.stream, []).append(event.version)
    assert len(streams) == workers + 1
    for versions in streams.values():
        assert versions == list(range(1, len(versions) + 1))
    pairs = [event for event in log if event.stream == "all/one"]
    for first, second in zip(pairs[::2], pairs[1::2], strict=True):
        assert first.command_id == second.command_id
        assert second.seq == first.seq + 1


class EventStoreConformance:
    """The tests themselves."""

    @pytest.mark.parametrize("number", [float("nan"), float("inf")])
    def test_what_could_not_be_read_again_is_not_kept(self, store: EventStore, number: float) -> None:
        """One row that is kept and cannot be read would stop all that follow its kind."""
        store.incarnate(ACTOR)
        good, bad = events("a/p", "c1", count=2)
        with pytest.raises(InvalidArgument, match="finite"):
            store.append("a/p", [good, bad._replace(body=Told(value=number))], expected_version=0)
        assert store.read() == []
        assert [e.seq for e in store.append("a/p", [good, bad], expected_version=0)]

    def test_an_append_returns_the_events_with_rising_seq(self, store: EventStore) -> None:
        store.incarnate(ACTOR)
        first = store.append("a/p", events("a/p", "c1", count=2), expected_version=0)
        second = store.append("a/p", events("a/p", "c2", after=2), expected_version=2)
        assert [e.version for e in first + second] == [1, 2, 3]
        assert 0 < first[0].seq < first[1].seq < second[0].seq

    def test_what_append_returns_is_what_every_reader_gets(
        self, store: EventStore, sibling: Callable[[], EventStore]
    ) -> None:
        store.incarnate(ACTOR)
        free = {"list": [1, None, 0.1 + 0.2]}
        body = Noted(text="né \u0000 \U0001f600", value=float("-inf"), pair=(3, 4), free=free)
        event = events("a/p", "c1")[0]._replace(body=body)
        returned = store.append("a/p", [event], expected_version=0)
        assert returned == [event._replace(seq=returned[0].seq)]
        other = sibling()
        assert store.read() == other.read() == other.find("c1") == returned

    def test_objects_given_are_not_kept(self, store: EventStore) -> None:
        store.incarnate(ACTOR)
        free: dict[str, Any] = {"n": 1}
        event = events("a/p", "c1")[0]._replace(body=Noted(text="x", free=free))
        returned = store.append("a/p", [event], expected_version=0)
        returned[0].body.free["n"] = 3
        free["n"] = 2
        assert store.read()[0].body.free == {"n": 1}

    def test_an_append_to_another_version_conflicts_and_leaves_nothing(self, store: EventStore) -> None:
        store.incarnate(ACTOR)
        store.append("a/p", events("a/p", "c1", count=2), expected_version=0)
        for expected in (0, 1, 3):
            with pytest.raises(VersionConflict) as caught:
                store.append("a/p", events("a/p", "c2", after=expected), expected_version=expected)
            assert (caught.value.stream, caught.value.expected, caught.value.found) == ("a/p", expected, 2)
        assert [e.command_id for e in store.read()] == ["c1", "c1"]

    def test_an_event_id_is_taken_once_over_all_streams(self, store: EventStore) -> None:
        store.incarnate(ACTOR)
        store.append("a/p", events("a/p", "c1"), expected_version=0)
        for stream, version in (("a/p", 1), ("b/p", 0)):
            batch = [*events(stream, "c2", after=version), *events(stream, "c1", after=version + 1)]
            with pytest.raises(VersionConflict, match="already in the store"):
                store.append(stream, batch, expected_version=version)
        twice = [*events("b/p", "c3"), *events("b/p", "c3", after=1)]
        with pytest.raises(VersionConflict, match="already in the store"):
            store.append("b/p", twice, expected_version=0)
        assert [e.event_id for e in store.read()] == ["c1:0"]

    def test_find_returns_what_a_command_did_with_its_reply(self, store: EventStore) -> None:
        store.incarnate(ACTOR)
        store.append("a/p", events("a/p", "c1", count=12), expected_version=0)
        store.append("a/p", events("a/p", "c10", after=12), expected_version=12)
        found = store.find("c1")
        assert [e.ordinal for e in found] == list(range(12))
        assert found[-1].reply == {"handled": "c1"}
        assert found[0].reply is None
        assert store.find("c") == []

    def test_only_the_latest_incarnation_writes(
        self, store: EventStore, sibling: Callable[[], EventStore]
    ) -> None:
        assert store.incarnate(ACTOR) == 1
        store.append("a/p", events("a/p", "c1"), expected_version=0)
        assert sibling().incarnate(ACTOR) == 2
        with pytest.raises(StaleIncarnation) as caught:
            store.append("a/p", events("a/p", "c2", after=1, epoch=1), expected_version=1)
        assert (caught.value.actor, caught.value.epoch, caught.value.current) == (ACTOR, 1, 2)
        store.append("a/p", events("a/p", "c2", after=1, epoch=2), expected_version=1)
        assert store.incarnate("easeml-test/Other") == 1

    @pytest.mark.parametrize("epoch", [0, 1, 2])
    def test_an_actor_that_never_incarnated_cannot_write(self, store: EventStore, epoch: int) -> None:
        with pytest.raises(StaleIncarnation, match=r"incarnate\(actor\)"):
            store.append("a/p", events("a/p", "c1", epoch=epoch), expected_version=0)

    def test_read_goes_by_seq_from_a_cursor_with_a_limit(self, store: EventStore) -> None:
        store.incarnate(ACTOR)
        for number in range(6):
            stream = f"{'ab'[number % 2]}/p"
            store.append(
                stream, events(stream, f"c{number}", after=number // 2), expected_version=number // 2
            )
        log = store.read()
        assert [e.command_id for e in log] == [f"c{n}" for n in range(6)]
        assert store.read(after_seq=log[2].seq) == log[3:]
        assert store.read(after_seq=log[0].seq, limit=2) == log[1:3]
        assert store.read(prefix="b/", after_seq=log[1].seq, limit=1) == [log[3]]
        assert store.read(after_seq=log[-1].seq) == []
        assert store.read(limit=0) == []

    def test_a_prefix_is_taken_letter_by_letter(self, store: EventStore) -> None:
        store.incarnate(ACTOR)
        names = [
            "pool/a",
            "pool/A",
            "pool/ab",
            "pool_/a",
            "poolxa",
            "pop/a",
            "pool/%",
            "pool/ä",
            "pool/\U0010ffff",
        ]
        for number, name in enumerate(names):
            store.append(name, events(name, f"c{number}"), expected_version=0)
        for prefix in ["", "p", "pool/", "pool/a", "pool/A", "pool_", "pool/%", "pool/\U0010ffff", "Pool/"]:
            expected = [name for name in names if name.startswith(prefix)]
            assert [e.stream for e in store.read(prefix=prefix)] == expected

    def test_a_body_or_a_reply_over_the_limit_is_refused(self, store: EventStore) -> None:
        store.incarnate(ACTOR)
        room = 64 * 1024 - len(encode(Noted(text="")))
        store.append("a/p", events("a/p", "c1", text="x" * room), expected_version=0)
        with pytest.raises(TooLarge):
            store.append("a/p", events("a/p", "c2", after=1, text="x" * (room + 1)), expected_version=1)
        small = events("a/p", "c3", after=1, count=2)
        with pytest.raises(TooLarge):
            small[-1] = small[-1]._replace(reply_json=json.dumps({"text": "x" * 64 * 1024}))
            store.append("a/p", small, expected_version=1)
        assert [e.command_id for e in store.read()] == ["c1"]

    @pytest.mark.parametrize(
        "change",
        [{"stream": "b/p"}, {"version": 3}, {"actor": "x"}, {"epoch": 2}],
        ids=lambda change: next(iter(change)),
    )
    def test_a_batch_that_breaks_the_contract_is_refused(
        self, store: EventStore, change: dict[str, Any]
    ) -> None:
        store.incarnate(ACTOR)
        batch = events("a/p", "c1", count=2)
        batch[1] = batch[1]._replace(**change)
        with pytest.raises(InvalidArgument):
            store.append("a/p", batch, expected_version=0)
        assert store.read() == []

    def test_an_empty_append_changes_nothing(self, store: EventStore) -> None:
        assert store.append("a/p", [], expected_version=0) == []
        assert store.read() == []

    def test_a_closed_store_refuses(self, store: EventStore) -> None:
        store.close()
        for use in (
            lambda: store.read(),
            lambda: store.find("c"),
            lambda: store.incarnate(ACTOR),
            lambda: store.append("a/p", [], expected_version=0),
        ):
            with pytest.raises(StoreError, match="closed"):
                use()
