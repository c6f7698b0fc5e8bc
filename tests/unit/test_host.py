"""The one way from a state to the store: once, all or nothing, and never stuck on a lost answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from harness import START, Driven, asked, cell, key, replayed, seal, version

from easeml_ray.automl.messages import OpenSearch, RunTrial, SetSlots, TrialDone, TrialFailed
from easeml_ray.automl.state import SchedulerState
from easeml_ray.component.messages import WorkRejected
from easeml_ray.errors import (
    AlreadyExists,
    BlobMissing,
    Conflict,
    DeadlineExceeded,
    InvalidTable,
    NotFound,
    NotReady,
    StaleIncarnation,
    TooLarge,
    VersionConflict,
)
from easeml_ray.market.messages import MakeOffer
from easeml_ray.messages import (
    MAX_MESSAGE_BYTES,
    Action,
    Command,
    Decision,
    Event,
    Principal,
    Role,
    encode,
)
from easeml_ray.oracle.messages import Answer, AnswerRequests, Asked, Kind, OpenRequests, Volunteer
from easeml_ray.oracle.state import OracleState
from easeml_ray.pool.messages import (
    AddModel,
    FinishRound,
    PickRound,
    RecordVerdict,
    StoreSegment,
    TakeIntoGate,
    WindowDecided,
)
from easeml_ray.pool.state import PoolState
from easeml_ray.process.messages import CreateProject, CreateTenant, ProjectCreated, RecordRejection
from easeml_ray.process.state import LifecycleState
from easeml_ray.registry.messages import Absorb, Augment, Uploaded
from easeml_ray.registry.state import RegistryState
from easeml_ray.runtime.components import ACTORS, work_of
from easeml_ray.runtime.host import Host
from easeml_ray.runtime.issue import command_of, is_final, refusal
from easeml_ray.runtime.states import STATES
from easeml_ray.store.memory import MemoryEventStore

WHO = Principal("lab", Role.TENANT, "ann")


def command(body: Any, identity: str = "c", project: str = "p") -> Command:
    return Command(identity, project, WHO, START, 0, body)


def host(state: type, store: MemoryEventStore | None = None) -> Host:
    made = Host(state(), store or MemoryEventStore(), actor="driven")
    made.start()
    return made


# -- once -------------------------------------------------------------------------------------


def test_a_repeated_command_gets_the_stored_reply_and_appends_nothing() -> None:
    registry = Driven(RegistryState)
    first = registry.tell(seal(), command_id="upload")
    length = len(registry.store.read())
    assert registry.tell(seal(rows=7), command_id="upload") == first
    assert len(registry.store.read()) == length
    # … nor after a restart, which knows it from the store alone.
    again = host(RegistryState, registry.store)
    assert again.handle(command(seal(), "upload")) == first
    assert len(registry.store.read()) == length


def test_a_rejected_command_leaves_no_trace_and_is_judged_again() -> None:
    registry = Driven(RegistryState)
    registry.refused(NotFound, Augment(number=1), command_id="early")
    registry.tell(seal())
    assert registry.tell(Augment(number=1), command_id="early") == {}
    assert registry.store.find("early")


def test_the_last_event_of_a_command_carries_the_reply_and_all_carry_who_and_when() -> None:
    registry = Driven(RegistryState, actor="DataRegistry")
    reply = registry.tell(seal(), command_id="upload")
    events = registry.store.find("upload")
    assert [event.reply for event in events] == [None, reply]
    assert [event.version for event in events] == [1, 2]
    assert [event.event_id for event in events] == ["upload:0", "upload:1"]
    assert {(e.stream, e.tenant, e.actor, e.epoch, e.at) for e in events} == {
        ("registry/p", "lab", "DataRegistry", 1, START)
    }


def test_streams_of_projects_are_numbered_each_by_itself() -> None:
    registry = Driven(RegistryState)
    for project in ("p", "q"):
        registry.tell(seal(project), project=project)
        registry.tell(Absorb(source="era:1", digest="d", rows=1), project=project)
    versions = [(event.stream, event.version) for event in registry.store.read()]
    assert sorted(versions) == [(f"registry/{name}", n) for name in "pq" for n in (1, 2, 3)]


def test_what_is_too_large_is_refused_before_anything_is_written() -> None:
    oracle = Driven(OracleState)
    items = tuple(asked(f"k{i}" + "x" * 1000, cents=1.0) for i in range(100))
    body = OpenRequests(
        kind=Kind.RELABEL,
        batch="b",
        asker="process",
        title="?",
        items=items,
        choices=(),
        gain=None,
        deadline=START,
        answers_per_item=1,
    )
    oracle.refused(TooLarge, body)
    assert oracle.tell(Volunteer(annotator="eve", key=key("k1"), value="yes")) == {"kept": True}


# -- incarnations and lost answers ------------------------------------------------------------


def test_an_older_incarnation_cannot_write() -> None:
    store = MemoryEventStore()
    old, new = host(RegistryState, store), host(RegistryState, store)
    assert (old.epoch, new.epoch) == (1, 2)
    with pytest.raises(StaleIncarnation):
        old.handle(command(seal()))
    new.handle(command(seal()))


class Forgetful(MemoryEventStore):
    """Commits an append and loses its answer, as a connection that breaks at the commit does."""

    def __init__(self) -> None:
        super().__init__()
        self.lose = 0

    def append(self, stream: str, events: Sequence[Event], *, expected_version: int) -> list[Event]:
        stored = super().append(stream, events, expected_version=expected_version)
        if self.lose:
            self.lose -= 1
            raise NotReady("the store does not answer", hint="Try again.")
        return stored


def test_a_command_whose_append_lost_its_answer_is_folded_when_it_comes_again() -> None:
    store = Forgetful()
    registry = host(RegistryState, store)
    store.lose = 1
    with pytest.raises(NotReady):
        registry.handle(command(seal(), "upload"))
    reply = registry.handle(command(seal(), "upload"))
    assert reply["rows"] == 500
    assert repr(vars(registry.state)) == repr(vars(replayed(RegistryState, store)))
    registry.handle(command(Augment(number=1), "augment"))


def test_another_command_after_a_lost_answer_takes_in_what_was_committed() -> None:
    store = Forgetful()
    registry = host(RegistryState, store)
    registry.handle(command(seal(), "upload"))
    store.lose = 1
    with pytest.raises(NotReady):
        registry.handle(command(Absorb(source="era:1", digest="d", rows=5), "absorb"))
    registry.handle(command(Augment(number=1), "augment"))
    assert [event.version for event in store.read()] == [1, 2, 3, 4]
    assert repr(vars(registry.state)) == repr(vars(replayed(RegistryState, store)))


def test_after_a_lost_answer_the_next_command_is_judged_by_what_was_committed() -> None:
    store = Forgetful()
    registry = host(RegistryState, store)
    registry.handle(command(seal(), "upload"))
    store.lose = 1
    with pytest.raises(NotReady):
        registry.handle(command(Augment(number=1), "augment"))
    with pytest.raises(Conflict, match="in the making"):
        registry.handle(command(Augment(number=1), "again"))


def test_work_whose_report_lost_its_answer_is_not_done_for_ever() -> None:
    store = Forgetful()
    scheduler = host(SchedulerState, store)
    scheduler.handle(command(SetSlots(slots=1), "slots"))
    scheduler.handle(
        command(OpenSearch(version=version(), arms=("dummy",), seed=1, gpu_second_cents=0.0), "open")
    )
    (trial,) = scheduler.state.due()
    done = command_of(
        trial,
        "automl",
        TrialDone(
            version=1,
            arm="dummy",
            model="m",
            floor=True,
            development_accuracy=0.5,
            development_lower=0.4,
            seconds=1.0,
        ),
        now=START,
    )
    store.lose = 1
    with pytest.raises(NotReady):
        scheduler.handle(done)
    scheduler.handle(done)
    assert scheduler.state.due() == []


def test_a_stream_that_somebody_else_writes_is_said_and_not_repaired() -> None:
    store = MemoryEventStore()
    registry = host(RegistryState, store)
    registry.versions["registry/p"] = 5
    with pytest.raises(VersionConflict):
        registry.handle(command(seal()))


# -- work -------------------------------------------------------------------------------------


def test_work_that_ends_with_a_typed_error_is_settled_by_its_record() -> None:
    scheduler = Driven(SchedulerState)
    scheduler.tell(SetSlots(slots=1))
    scheduler.tell(OpenSearch(version=version(), arms=("dummy",), seed=1, gpu_second_cents=0.0))
    (trial,) = scheduler.due(RunTrial)
    scheduler.fail(trial, InvalidTable("no such column", hint="Give it.", column="x"))
    events = scheduler.store.find(trial.id)
    assert [type(event.body) for event in events] == [WorkRejected, TrialFailed]
    assert events[0].body.kind == "automl.RunTrial"
    assert events[0].body.error["fields"] == {"column": "x"}
    assert scheduler.state.due() == []


def test_a_result_that_the_state_refuses_settles_the_work_too() -> None:
    """Left due, the same work would bring the same result for ever."""
    pool = Driven(PoolState)
    pool.tell(
        AddModel(
            model="m",
            arm="arm",
            version=1,
            floor=False,
            development_accuracy=0.8,
            development_lower=0.7,
            minimum_gain=0.0,
            gates_a_day=9,
            immediate=True,
        )
    )
    pool.tell(TakeIntoGate(models=("m",)))
    pool.tell(RecordVerdict(model="m", passed=True))
    pool.tell(StoreSegment(segment="s", digest="digest", rows=8, lost=0, window_rows=8, labels=4))
    (work,) = pool.due(PickRound)
    pool.report(
        work, FinishRound(window=1, start=3, stop=8, asked=(), classes=("no", "yes"))
    )  # it begins where nobody was
    assert pool.due(PickRound) == []
    assert pool.store.find(work.id)[0].body.error["kind"] == "Conflict"
    assert pool.told(WindowDecided)


def test_a_send_that_is_refused_is_left_to_its_sender() -> None:
    life = Driven(LifecycleState)
    life.tell(CreateProject(name="p", task={"label": "y", "target_accuracy": 0.9}))
    life.refused(AlreadyExists, CreateProject(name="p", task={"label": "y", "target_accuracy": 0.9}))


def test_a_rejection_settles_the_send_that_was_refused() -> None:
    life = Driven(LifecycleState)
    life.tell(CreateProject(name="p", task={"label": "y", "target_accuracy": 0.9}))
    registry = Host(RegistryState(), life.store, actor="registry")
    registry.start()
    registry.handle(command(seal(), "upload"))
    life.host.follow()
    action = life.state.due()[0]
    body = refusal(action, Conflict("not now", hint="Later."))
    assert body == RecordRejection(to=str(action.to), kind="process.EnterPhase", error=body.error)
    life.report(action, body)
    assert action.id not in life.state.actions


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (Conflict("c"), True),
        (NotFound("n"), True),
        (TooLarge("t"), True),
        (NotReady("the database is away"), False),
        (BlobMissing("b"), False),
        (DeadlineExceeded("d"), False),
        (StaleIncarnation("s"), False),
        (VersionConflict("v"), False),
        (ValueError("none of ours"), False),
    ],
)
def test_only_what_would_be_refused_again_is_final(error: Exception, final: bool) -> None:
    """A store that is away for a moment must not lose a send."""
    assert is_final(error) is final


# -- folding ----------------------------------------------------------------------------------


def test_large_answers_and_options_do_not_stop_lifecycle() -> None:
    life = Driven(LifecycleState)
    life.tell(CreateProject(name="p", task={"label": "y", "target_accuracy": 0.9}))
    oracle = Host(OracleState(), life.store, actor="oracle")
    oracle.start()
    registry = Host(RegistryState(), life.store, actor="registry")
    registry.start()
    registry.handle(command(seal(), "upload"))
    items = tuple(Asked(item=cell(row, "text"), cost_cents=1.0) for row in range(150))
    body = OpenRequests(
        kind=Kind.CLEAN_CELL,
        batch="b",
        asker="process",
        title="?",
        items=items,
        choices=(),
        gain=None,
        deadline=START + 1,
        answers_per_item=1,
    )
    oracle.handle(command(body, "open"))
    for start in range(1, 151, 50):
        answers = tuple(Answer(request=number, value="x" * 150) for number in range(start, start + 50))
        oracle.handle(command(AnswerRequests(annotator="ann", answers=answers), f"answers-{start}"))
    life.host.follow()
    for action in life.state.due():
        encode(action.body)  # and what follows from them can be sent


def test_the_state_takes_in_what_the_store_gives_back() -> None:
    """Live and replayed states must be of the same values: tuples, enums, floats."""
    oracle = Driven(OracleState)
    candidates = ((1, 0.5), (None, 0.5))
    items = (Asked(item=replace(cell(1), candidates=candidates), cost_cents=1),)
    oracle.tell(
        OpenRequests(
            kind=Kind.RELABEL,
            batch="b",
            asker="process",
            title="?",
            items=items,
            choices=(),
            gain=None,
            deadline=START,
            answers_per_item=1,
        )
    )
    oracle.tell(AnswerRequests(annotator="ann", answers=(Answer(request=1, value=3),)))
    oracle.check_replay()


def test_a_follower_folds_the_events_of_all_in_the_order_of_their_commit() -> None:
    life = Driven(LifecycleState)
    registry = Host(RegistryState(), life.store, actor="registry")
    registry.start()
    life.tell(CreateProject(name="p", task={"label": "y", "target_accuracy": 0.9}))
    registry.handle(command(seal(), "upload"))
    life.tell(CreateTenant(name="lab", role="tenant", token_hash="hash"))  # takes in the upload first
    assert life.state.project("p").version is not None
    kinds = [type(event.body) for event in life.store.read()]
    assert kinds[:2] == [ProjectCreated, Uploaded]
    assert life.host.cursor == len(kinds)
    life.check_replay()


def test_every_component_has_an_actor_and_its_work() -> None:
    assert set(STATES) == set(ACTORS)
    assert len({actor.name for actor in ACTORS.values()}) == 9
    assert work_of("oracle") == work_of("process") == {}


def test_an_action_repeats_its_seed() -> None:
    action = Action("00000000000000ff" + "0" * 48, "p", "lab", Augment(number=1))
    assert action.seed == 255
    assert command_of(action, "process", action.body, now=5.0) == Command(
        action.id, "p", Principal("lab", Role.SYSTEM, "process"), 5.0, 255, Augment(number=1)
    )
    assert MAX_MESSAGE_BYTES == 65536


def test_a_command_that_changes_nothing_is_a_fault() -> None:
    class Silent(RegistryState):
        def decide(self, command: Command) -> Any:
            return Decision(())

    with pytest.raises(AssertionError, match="without an event"):
        host(Silent).handle(
            command(MakeOffer(offer="o", seller="eve", rows=1, digest="d", price_cents=1, terms=""))
        )
