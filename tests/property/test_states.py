"""Whatever people do, in whatever order: the queue keeps its books, and its log says it all."""

from __future__ import annotations

from typing import Any

from harness import Driven, asked, key, replayed
from hypothesis import given, settings
from hypothesis import strategies as st

from easeml_ray.automl.messages import OpenSearch, RunTrial, SetSlots, TrialDone
from easeml_ray.automl.state import SchedulerState
from easeml_ray.errors import EasemlError
from easeml_ray.gate.messages import GateModels, GivesVerdict, JudgeModel, OpenEra, ShowGate
from easeml_ray.gate.state import GateState
from easeml_ray.oracle.messages import (
    Answer,
    AnswerRequests,
    Close,
    Kind,
    Lease,
    ListRequests,
    OpenRequests,
    Skip,
    Volunteer,
)
from easeml_ray.oracle.state import OracleState

few = settings(max_examples=60, deadline=None)

people = st.sampled_from(["ann", "bob", "cid"])
values = st.sampled_from(["no", "yes", "perhaps", 1])
ids = st.integers(1, 12)
names = st.sampled_from([f"k{i}" for i in range(8)])


@st.composite
def rounds(draw: st.DrawFn) -> OpenRequests:
    items = tuple(
        asked(name, cents=draw(st.sampled_from([0.0, 0.1, 2.5])))
        for name in draw(st.lists(names, unique=True, min_size=1, max_size=4))
    )
    return OpenRequests(
        kind=Kind.RELABEL,
        batch=draw(st.sampled_from("xyz")),
        asker="process",
        title="?",
        items=items,
        choices=("no", "yes"),
        gain=None,
        deadline=1_000_000.0 + draw(st.integers(0, 200)),
        answers_per_item=draw(st.integers(1, 3)),
    )


commands: st.SearchStrategy[Any] = st.one_of(
    rounds(),
    st.builds(Lease, annotator=people, kinds=st.just(()), limit=st.integers(0, 5), seconds=st.floats(1, 100)),
    st.builds(
        AnswerRequests,
        annotator=people,
        answers=st.lists(st.builds(Answer, request=ids, value=values), max_size=3).map(tuple),
    ),
    st.builds(Skip, annotator=people, requests=st.lists(ids, max_size=3).map(tuple)),
    st.builds(Close, batch=st.sampled_from("xyz")),
    st.builds(Volunteer, annotator=people, key=names.map(key), value=values),
    st.integers(1, 100),  # seconds that pass
)


@few
@given(st.lists(commands, max_size=25))
def test_the_queue_keeps_its_books_and_its_log_says_it_all(sequence: list[Any]) -> None:
    oracle = Driven(OracleState)
    for number, command in enumerate(sequence):
        before, length = repr(vars(oracle.state)), len(oracle.store.read())
        try:
            if isinstance(command, int):
                oracle.pass_time(command)
            else:
                reply = oracle.tell(command, command_id=f"c{number}")
                length = len(oracle.store.read())
                # The same command again has the same answer, and no effect.
                assert oracle.tell(command, command_id=f"c{number}") == reply
                assert len(oracle.store.read()) == length
        except EasemlError:
            assert (repr(vars(oracle.state)), len(oracle.store.read())) == (before, length)
        oracle.state.validate()
    assert repr(vars(replayed(OracleState, oracle.store))) == repr(vars(oracle.state))
    for request in oracle.ask(ListRequests(limit=1000))["requests"]:
        known = oracle.state.projects["p"].requests[request["id"]]
        assert len(known.answers) <= known.opened.answers_per_item
        assert (request["state"] == "ANSWERED") == (len(known.answers) == known.opened.answers_per_item)
        assert set(known.answers.values()) <= {"no", "yes"}
    oracle.pass_time(1e6)
    assert oracle.state.due() == []  # every lease and every deadline comes to its end
    assert oracle.ask(ListRequests(limit=1))["reserved_cents"] < 1e-6


@few
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("search"), st.integers(0, 3), st.integers(1, 4)),
            st.tuples(st.just("slots"), st.integers(0, 4), st.just(0)),
            st.tuples(st.just("end"), st.integers(0, 9), st.integers(0, 1)),
        ),
        max_size=25,
    )
)
def test_trials_never_outnumber_the_slots_and_every_search_comes_to_rest(steps: list[Any]) -> None:
    from harness import version

    scheduler = Driven(SchedulerState)
    numbers: dict[str, int] = {}
    most = 0

    def end(place: int, well: bool) -> None:
        due = scheduler.due(RunTrial)
        if due:
            action = due[place % len(due)]
            body = action.body
            done = TrialDone(
                version=body.version.number,
                arm=body.arm,
                model=action.id,
                floor=False,
                development_accuracy=0.5,
                development_lower=0.4,
                seconds=1.0,
            )
            scheduler.report(action, done) if well else scheduler.fail(action)

    for what, first, second in steps:
        if what == "slots":
            scheduler.tell(SetSlots(slots=first))
            most = max(most, first)
        elif what == "search":
            project = f"p{first}"
            numbers[project] = numbers.get(project, 0) + 1
            made = version(numbers[project], project=project)
            arms = tuple(f"arm-{i}" for i in range(second))
            scheduler.tell(
                OpenSearch(version=made, arms=arms, seed=1, gpu_second_cents=0.0),
                project=project,
                tenant=f"t{first % 2}",
            )
        else:
            end(first, bool(second))
        assert len(scheduler.due(RunTrial)) <= most
    scheduler.tell(SetSlots(slots=3))
    while scheduler.due(RunTrial):
        end(0, True)
    states = {
        search.state.value
        for project in scheduler.state.projects.values()
        for search in project.searches.values()
    }
    assert states <= {"IDLE", "BLOCKED"}
    scheduler.check_replay()


@few
@given(
    st.sampled_from(["none", "full", "firstChange"]),
    st.lists(
        st.one_of(
            st.tuples(st.just("open"), st.integers(1, 4)),
            st.tuples(st.just("gate"), st.integers(1, 3)),
            st.tuples(st.sampled_from(["pass", "fail", "break"]), st.just(0)),
        ),
        max_size=30,
    ),
)
def test_every_model_is_judged_at_most_once_and_no_era_gives_more_than_its_steps(
    adaptivity: str, steps: list[tuple[str, int]]
) -> None:
    gate = Driven(GateState)
    models = 0

    def judge(how: str) -> None:
        for action in gate.due(JudgeModel):
            body = action.body
            if how == "break":
                gate.fail(action)
            else:
                gate.report(
                    action,
                    GivesVerdict(
                        era=body.era.era,
                        model=body.model,
                        passed=how == "pass",
                        evidence=None,
                        sealed_evidence="",
                    ),
                )

    def era(count: int) -> None:
        gate.tell(
            OpenEra(
                sealed="s",
                rows=4000,
                schema="c",
                condition="n > 0.6 +/- 0.1",
                reliability=0.9,
                steps=count,
                adaptivity=adaptivity,
                mode="fp-free",
                bound="hoeffding",
            )
        )

    for what, count in steps:
        try:
            if what == "open":
                era(count)
            elif what == "gate":
                gate.tell(GateModels(models=tuple(f"m{models + i}" for i in range(count)), old="floor"))
                models += count
            else:
                judge(what)
        except EasemlError:
            pass
        assert len(gate.due(JudgeModel)) <= 1
    for _ in range(100):  # fresh test sets, as long as anybody waits
        while gate.due(JudgeModel):
            judge("fail")
        if not gate.ask(ShowGate())["waiting"]:
            break
        if gate.ask(ShowGate())["eras"] and gate.ask(ShowGate())["eras"][-1]["state"] in ("SEALED", "ACTIVE"):
            # An era without room for the batch that waits: other models use it up.
            models += 1
            gate.tell(GateModels(models=(f"m{models - 1}",), old="floor"))
            continue
        era(4)
    shown = gate.ask(ShowGate())
    judged = [verdict["model"] for found in shown["eras"] for verdict in found["verdicts"]]
    assert len(judged) == len(set(judged))
    assert set(judged) <= {f"m{i}" for i in range(models)}
    assert all(len(found["verdicts"]) <= found["steps"] for found in shown["eras"])
    gate.check_replay()
