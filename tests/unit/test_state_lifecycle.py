"""A project through every path of its machine, on all nine states, with scripted work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import harness
import pytest
from harness import HOUR, TASK, Driven, House, digest, option, parts, relabel, seal, version

from easeml_ray.arms.arms import ARMS
from easeml_ray.automl.messages import (
    CompareVersions,
    OpenSearch,
    RunTrial,
    SetSlots,
    ShowSearches,
    TrialDone,
)
from easeml_ray.automl.state import SchedulerState
from easeml_ray.cleaning.messages import ProposeRepairs
from easeml_ray.errors import (
    AlreadyExists,
    IllegalTransition,
    InvalidSpec,
    InvalidTable,
    NotFound,
    OneClass,
    WorkFailed,
)
from easeml_ray.feasibility.messages import Studied, StudyVersion
from easeml_ray.gate.messages import GateModels
from easeml_ray.market.messages import MakeOffer, ShowMarket, ValueOffers
from easeml_ray.market.messages import Proposed as PurchasesProposed
from easeml_ray.messages import Command, Event, Principal, Role
from easeml_ray.oracle.messages import Answer, AnswerRequests, Lease, Opened, Volunteer
from easeml_ray.pool.messages import (
    AddModel,
    CloseIntake,
    FinishRound,
    PickRound,
    RecordVerdict,
    TakeIntoGate,
)
from easeml_ray.process.messages import (
    ControlProject,
    CreateProject,
    CreateTenant,
    EnterPhase,
    GainRealised,
    ListProjects,
    OptionChosen,
    OverrideTarget,
    Rejected,
    RequestImprovement,
    ShowBill,
    ShowNext,
    ShowProject,
    ShowTenants,
)
from easeml_ray.process.state import LifecycleState
from easeml_ray.process.task import parse_task
from easeml_ray.registry.messages import AddVersion, RepairAlternatives, ReviseVersion, ShowVersions
from easeml_ray.runtime.host import Host
from easeml_ray.runtime.issue import command_of, refusal

START_PHASES = ["INGESTING", "SEALED", "AUGMENTING", "FEASIBILITY"]


@pytest.fixture
def life() -> Iterator[Driven]:
    driven = Driven(LifecycleState)
    yield driven
    driven.check_replay()


def after(house: House) -> list[str]:
    """Return the phases since the first study."""
    return house.phases()[len(START_PHASES) :]


# -- tenants and projects ---------------------------------------------------------------------


def test_a_tenant_may_have_several_tokens_of_roles_that_exist(life: Driven) -> None:
    assert life.tell(CreateTenant(name="lab", role="tenant", token_hash="h1")) == {
        "tenant": "lab",
        "role": "tenant",
    }
    life.tell(CreateTenant(name="lab", role="seller", token_hash="h2"))
    assert life.ask(ShowTenants()) == {"tenants": {"lab": {"h1": "tenant", "h2": "seller"}}}
    for name, role in (
        ("lab", "system"),
        ("lab", "king"),
        ("Lab", "tenant"),
        ("", "tenant"),
        ("-a", "tenant"),
    ):
        life.refused(InvalidSpec, CreateTenant(name=name, role=role, token_hash="h3"))


def test_a_project_is_defined_once_with_a_task_that_holds(life: Driven) -> None:
    reply = life.tell(CreateProject(name="p", task=TASK))
    assert reply["task"]["prices"]["label"] == 10.0  # defaults are filled in
    assert life.refused(AlreadyExists, CreateProject(name="p", task=TASK)).name == "p"
    assert life.refused(InvalidSpec, CreateProject(name="q", task={**TASK, "target_accuracy": 2})).field
    life.refused(InvalidSpec, CreateProject(name="_system", task=TASK))
    life.refused(InvalidSpec, CreateProject(name="x" * 41, task=TASK))


def test_who_asks_for_another_project_learns_nothing(life: Driven) -> None:
    life.tell(CreateProject(name="p", task=TASK))
    for body in (
        RequestImprovement(reason="why"),
        ControlProject(event="pause"),
        OverrideTarget(target_accuracy=0.5, train=True, reason=""),
    ):
        assert life.refused(NotFound, body, project="q").what == "project"
    for query in (ShowProject(), ShowNext(), ShowBill()):
        with pytest.raises(NotFound):
            life.ask(query, "q")
    assert [p["project"] for p in life.ask(ListProjects(tenant="lab"))["projects"]] == ["p"]
    assert life.ask(ListProjects(tenant="other")) == {"projects": []}


def test_before_its_data_a_project_takes_no_decisions(life: Driven) -> None:
    life.tell(CreateProject(name="p", task=TASK))
    for body in (
        RequestImprovement(reason="why"),
        OverrideTarget(target_accuracy=0.8, train=False, reason=""),
        OverrideTarget(target_accuracy=None, train=True, reason=""),
        EnterPhase(event="feasible", because="?"),
        ControlProject(event="resume"),
    ):
        life.refused(IllegalTransition, body)
    life.refused(InvalidSpec, OverrideTarget(target_accuracy=1.5, train=True, reason=""))
    with pytest.raises(TypeError, match="no command"):
        life.tell(ShowProject())
    with pytest.raises(TypeError, match="no query"):
        life.ask(RequestImprovement(reason="why"))


# -- feasible ---------------------------------------------------------------------------------


def test_feasible_data_is_searched_and_its_best_model_gated_and_deployed(house: House) -> None:
    house.script.quality = {"dummy": 0.5, "forest": 0.8, "logistic": 0.7}
    house.begin()
    assert house.phases() == [*START_PHASES, "READY"]
    assert house.show()["training"] == 0
    assert house.show()["deployed"] == house.model("forest")
    (era,) = house.gate()["eras"]
    # Fixed before the first verdict, from the lowest bound up, against model 0.
    assert [v["model"] for v in era["verdicts"]][-1] == house.model("forest")
    assert era["old"] == house.model("dummy")
    assert era["state"] == "RELEASED"
    states = {m["arm"]: m["state"] for m in house.pool()["models"]}
    assert states["dummy"] == "TRAINED"
    assert set(states.values()) <= {"TRAINED", "CANDIDATE", "DEPLOYED", "RETIRED"}
    waiting = house.hosts["registry"].state.read("p", ShowVersions())["waiting_rows"]
    assert waiting == 100  # the era's rows are in clear and join the next version


def test_the_search_of_a_version_is_opened_once(house: House) -> None:
    house.script.decisions = ["FEASIBLE"]
    house.begin()
    house.tell("process", RequestImprovement(reason="more"))
    house.answer("train", "OVERRIDE_TARGET")
    assert after(house) == ["READY", "IMPROVING", "STALLED", "READY"]
    assert house.show()["problem"] is None
    assert len([b for b in house.done if isinstance(b, RunTrial)]) == len(ARMS)


# -- undecided --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "phases"),
    [("train", ["UNDECIDED", "READY"]), ("improve", ["UNDECIDED", "IMPROVING", "STALLED"])],
)
def test_the_task_may_say_what_to_do_when_undecided(house: House, choice: str, phases: list[str]) -> None:
    house.script.decisions = ["UNDECIDED"]
    house.begin(when_undecided=choice)
    assert after(house) == phases


@pytest.mark.parametrize(
    ("answer", "phases", "target"),
    [
        ("train", ["READY"], 0.9),
        ("improve", ["IMPROVING", "STALLED"], 0.9),
        ("0.8", ["FEASIBILITY", "READY"], 0.8),
    ],
)
def test_a_person_decides_when_undecided(house: House, answer: str, phases: list[str], target: float) -> None:
    house.script.decisions = ["UNDECIDED"]
    house.begin()
    assert house.show()["waiting_for"][0]["kind"] == "OVERRIDE_TARGET"
    house.answer(answer, "OVERRIDE_TARGET")
    assert after(house) == ["UNDECIDED", *phases]
    assert house.show()["target_accuracy"] == target
    if target == 0.8:
        assert [s.command.target_accuracy for s in house.told(Studied)] == [0.9, 0.8]


def test_a_decision_given_by_command_withdraws_the_question(house: House) -> None:
    house.script.decisions = ["UNDECIDED"]
    house.begin()
    house.tell("process", OverrideTarget(target_accuracy=None, train=True, reason="I know better"))
    assert house.show()["phase"] == "READY"
    assert house.requests("OVERRIDE_TARGET") == []
    assert house.show()["waiting_for"] == []


def test_a_question_that_nobody_answers_leaves_the_project_where_it_is(house: House) -> None:
    house.script.decisions = ["UNDECIDED"]
    house.begin()
    house.pass_time(100 * HOUR)
    assert house.show()["phase"] == "UNDECIDED"
    house.tell("process", RequestImprovement(reason="at last"))
    assert after(house) == ["UNDECIDED", "IMPROVING", "STALLED"]


# -- improving --------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "phase"), [("RELABEL", "RELABELLING"), ("CLEAN_CELL", "CLEANING")])
def test_infeasible_data_is_improved_by_answers_and_studied_again(
    house: House, kind: str, phase: str
) -> None:
    house.script.decisions = ["INFEASIBLE", "FEASIBLE"]
    house.script.repairs = lambda body: (option(kind, body.command.version.number, [1, 2]),)
    house.begin()
    assert after(house) == ["IMPROVING", phase]
    assert house.next()["budget_left_cents"] == 1000
    house.answer("yes" if kind == "RELABEL" else 3.5, kind)
    assert after(house) == ["IMPROVING", phase, "FEASIBILITY", "READY"]
    assert house.show()["version"] == 2
    assert house.show()["spent_cents"] == 20
    assert house.queue()["spent_cents"] == 20
    (gain,) = (event.command for event in house.told(GainRealised))
    before, now = (event.command for event in house.told(Studied))
    assert gain.realised == pytest.approx(0.9 - (1 - before.ber_upper))  # capped at the target
    assert 1 - now.ber_upper > 0.9
    assert gain.model == pytest.approx(min(1 - now.model_error, 0.9) - min(1 - before.model_error, 0.9))
    assert [line["what"] for line in house.bill()["lines"]][1].startswith("cleaning")


def improved_after_a_search(house: House) -> None:
    """Deploy a model, then have the data improved and studied again."""
    house.script.decisions = ["FEASIBLE", "FEASIBLE"]
    house.script.repairs = relabel(1, 2)
    house.begin()
    assert house.show()["deployed"]
    house.tell("process", RequestImprovement(reason="could be better"))
    house.answer("yes", "RELABEL")


def test_a_repair_is_measured_by_the_arm_of_the_deployed_model(house: House) -> None:
    improved_after_a_search(house)
    (work,) = (body for body in house.done if isinstance(body, CompareVersions))
    first = next(arm for arm in house.arms.values() if arm == work.arm)
    assert first in ARMS and first != "dummy"
    assert (work.kind, work.before.number, work.after.number) == ("RELABEL", 1, 2)
    (check,) = house.hosts["automl"].state.read("p", ShowSearches())["checks"]
    assert check["gain"]["mean"] == 0.02


def test_a_check_that_fails_is_shown_and_nothing_waits_for_it(house: House) -> None:
    house.script.fails[CompareVersions] = OneClass("train has one class", hint="Add rows of another.")
    improved_after_a_search(house)
    assert after(house)[-2:] == ["FEASIBILITY", "READY"]
    assert house.hosts["automl"].state.read("p", ShowSearches())["checks"] == []
    assert house.hosts["automl"].state.due() == []


def test_before_any_search_there_is_no_model_to_check_a_repair_with(house: House) -> None:
    house.script.decisions = ["INFEASIBLE", "FEASIBLE"]
    house.script.repairs = relabel(1, 2)
    house.begin()
    house.answer("yes", "RELABEL")
    assert after(house)[-1] == "READY"
    assert not any(isinstance(body, CompareVersions) for body in house.done)


def test_the_best_gain_per_cent_is_chosen_across_components(house: House) -> None:
    house.script.decisions = ["INFEASIBLE"]
    house.script.repairs = lambda body: (
        option("RELABEL", 1, [1], each=100.0, gain=0.02),
        option("CLEAN_CELL", 1, [2], each=100.0, gain=0.03),
    )
    house.begin(when_undecided="ask")
    chosen = house.told(OptionChosen)[0]
    assert (chosen.kind, chosen.of) == ("CLEAN_CELL", 2)


def absorb(house: House) -> None:
    """Have DataRegistry append version 2, with rows of a window, and tell nobody yet."""
    rows = AddVersion(
        version=version(2), train=parts(2), development=parts(2), reason="absorbed", counts={"added": 10.0}
    )
    registry = Principal("lab", Role.SYSTEM, "registry")
    house.hosts["registry"].handle(Command("other", "p", registry, house.now, 1, rows))


@pytest.mark.parametrize("work", [ProposeRepairs, ValueOffers])
def test_rows_that_come_while_options_are_proposed_are_studied(
    house: House, monkeypatch: pytest.MonkeyPatch, work: type
) -> None:
    """Whether they come before the first proposal or between the two, none of the old rows' is waited for."""
    house.script.decisions = ["INFEASIBLE", "FEASIBLE"]
    propose, came = harness._WORK[work], []

    def late(house: House, body: Any) -> Any:
        if not came:
            came.append(body)
            absorb(house)
        return propose(house, body)

    monkeypatch.setitem(harness._WORK, work, late)
    house.begin()
    assert came
    assert after(house) == ["IMPROVING", "AUGMENTING", "FEASIBILITY", "READY"]


def test_a_choice_among_options_that_went_with_their_version_is_not_made(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No person is asked why nothing is worth its cost: the new rows' options are not known yet."""
    house.script.decisions = ["INFEASIBLE", "FEASIBLE"]
    house.script.repairs = lambda body: (option("RELABEL", body.command.version.number, [1, 2]),)
    append, came = house.store.append, []

    def soon(stream: str, events: Sequence[Event], *, expected_version: int) -> list[Event]:
        kept = append(stream, events, expected_version=expected_version)
        if not came and isinstance(events[0].body, PurchasesProposed):
            came.append(stream)
            absorb(house)
        return kept

    monkeypatch.setattr(house.store, "append", soon)
    house.begin()
    assert came
    assert after(house) == ["IMPROVING", "AUGMENTING", "FEASIBILITY", "READY"]


def test_a_version_that_comes_between_a_choice_and_its_event_takes_the_choice_with_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DataRegistry is another process: what it appends may stand before what Lifecycle decided first."""
    house.script.decisions = ["INFEASIBLE", "FEASIBLE"]
    house.script.repairs = lambda body: (option("RELABEL", body.command.version.number, [1, 2]),)
    append, came = house.store.append, []

    def late(stream: str, events: Sequence[Event], *, expected_version: int) -> list[Event]:
        if not came and isinstance(events[0].body, OptionChosen):
            came.append(stream)
            absorb(house)
        return append(stream, events, expected_version=expected_version)

    monkeypatch.setattr(house.store, "append", late)
    house.begin()
    assert came
    assert after(house) == ["IMPROVING", "RELABELLING", "AUGMENTING", "FEASIBILITY", "READY"]
    assert house.show()["version"] == 2


def test_an_offer_is_bought_after_a_person_said_yes(house: House) -> None:
    house.script.decisions = ["INFEASIBLE", "FEASIBLE"]
    house.script.worth = {"o1": 0.05}
    house.tell("process", CreateProject(name="p", task=TASK))
    house.tell(
        "market", MakeOffer(offer="o1", seller="eve", rows=30, digest=digest("o1"), price_cents=300, terms="")
    )
    house.tell("registry", seal())
    assert after(house) == ["IMPROVING", "ACQUIRING"]
    house.answer("yes", "BUY_ROW", actor="boss")
    assert after(house) == ["IMPROVING", "ACQUIRING", "AUGMENTING", "FEASIBILITY", "READY"]
    assert house.show()["spent_cents"] == 300
    market = house.hosts["market"].state.read("p", ShowMarket())
    assert [(p["offer"], p["approved_by"]) for p in market["purchases"]] == [("o1", "boss")]
    assert market["chain_intact"]


def test_rows_bought_without_labels_are_labelled_before_they_join_train(house: House) -> None:
    house.script.decisions = ["INFEASIBLE", "FEASIBLE"]
    house.script.worth = {"o1": 0.05}
    house.tell("process", CreateProject(name="p", task={**TASK, "answers_per_item": 2}))
    house.tell(
        "market",
        MakeOffer(
            offer="o1", seller="eve", rows=3, digest=digest("o1"), price_cents=300, terms="", labelled=False
        ),
    )
    house.tell("registry", seal())
    house.answer("yes", "BUY_ROW", actor="boss")
    assert house.show()["spent_cents"] == 300
    assert [b.command.kind for b in house.told(Opened) if b.command.kind == "LABEL_ROW"] == ["LABEL_ROW"]
    for person in ("ann", "bob"):
        house.answer("yes", "LABEL_ROW", actor=person)
    shown = house.hosts["market"].state.read("p", ShowMarket())
    assert shown["labelling"] == {"o1": {"asked": 2, "labelled": 2, "over": False}}
    assert after(house) == ["IMPROVING", "ACQUIRING"]
    for person in ("ann", "bob"):
        house.answer("yes", "LABEL_ROW", actor=person)
    assert after(house) == ["IMPROVING", "ACQUIRING", "AUGMENTING", "FEASIBILITY", "READY"]
    label = parse_task(TASK).prices.label
    assert house.show()["spent_cents"] == pytest.approx(300 + 2 * 3 * label)
    (revision,) = (b for b in house.done if isinstance(b, ReviseVersion))
    assert revision.command.purchases == (digest("labelled"),)


def test_rows_that_nobody_labels_do_not_join_train(house: House) -> None:
    house.script.decisions = ["INFEASIBLE"]
    house.script.worth = {"o1": 0.05}
    house.tell("process", CreateProject(name="p", task=TASK))
    house.tell(
        "market",
        MakeOffer(
            offer="o1", seller="eve", rows=1, digest=digest("o1"), price_cents=300, terms="", labelled=False
        ),
    )
    house.tell("registry", seal())
    house.answer("yes", "BUY_ROW")
    house.script.none_labelled = True
    house.skip("LABEL_ROW")
    assert after(house) == ["IMPROVING", "ACQUIRING", "IMPROVING", "STALLED"]
    assert not any(isinstance(b, ReviseVersion) for b in house.done)


@pytest.mark.parametrize("how", ["no", "skip", "expire"])
def test_an_offer_that_nobody_wants_is_declined_for_good(house: House, how: str) -> None:
    house.script.decisions = ["INFEASIBLE"]
    house.script.worth = {"o1": 0.05}
    house.tell("process", CreateProject(name="p", task=TASK))
    house.tell(
        "market", MakeOffer(offer="o1", seller="eve", rows=30, digest=digest("o1"), price_cents=300, terms="")
    )
    house.tell("registry", seal())
    if how == "no":
        house.answer("no", "BUY_ROW")
    elif how == "skip":
        house.skip("BUY_ROW")
    else:
        house.pass_time(73 * HOUR)
    assert after(house) == ["IMPROVING", "ACQUIRING", "IMPROVING", "STALLED"]
    assert house.show()["spent_cents"] == 0
    assert [b.offers for b in house.done if isinstance(b, ValueOffers)][-1] == ()


@pytest.mark.parametrize("how", ["skip", "expire"])
def test_items_that_nobody_answers_are_not_asked_again_at_once(house: House, how: str) -> None:
    house.script.decisions = ["INFEASIBLE"]
    house.script.repairs = relabel(1, 2)
    house.begin()
    if how == "skip":
        house.skip("RELABEL")
    else:
        house.pass_time(73 * HOUR)
    assert after(house) == ["IMPROVING", "RELABELLING", "IMPROVING", "STALLED"]
    assert [b.skipped for b in house.done if isinstance(b, ProposeRepairs)] == [
        (),
        ("label:train:1", "label:train:2"),
    ]
    assert house.show()["spent_cents"] == 0
    assert house.queue()["reserved_cents"] == 0


def test_some_answers_of_a_round_are_enough(house: House) -> None:
    house.script.decisions = ["INFEASIBLE", "FEASIBLE"]
    house.script.repairs = relabel(1, 2)
    house.begin()
    first = house.requests("RELABEL")[0]["id"]
    house.tell("oracle", AnswerRequests(annotator="ann", answers=(Answer(request=first, value="no"),)))
    assert house.show()["waiting_for"] == [{"batch": "relabel-1", "kind": "RELABEL", "open": 1}]
    house.pass_time(73 * HOUR)
    assert after(house)[-1] == "READY"
    assert house.show()["spent_cents"] == 10


def test_a_gain_is_booked_only_for_a_step_that_was_taken(house: House) -> None:
    house.script.decisions = ["INFEASIBLE"]
    house.script.repairs = relabel(1)
    house.begin()
    house.skip("RELABEL")
    house.answer("0.6", "OVERRIDE_TARGET")
    assert after(house)[-2:] == ["FEASIBILITY", "READY"]
    assert house.told(GainRealised) == []


def test_a_project_whose_requests_nobody_answers_comes_to_rest(house: House) -> None:
    """Not even if the Cleaner could propose something new for ever."""
    house.script.decisions = ["INFEASIBLE"]
    house.script.repairs = lambda body: (option("RELABEL", 1, [len(body.skipped)]),)
    house.begin()
    for _ in range(3):
        assert house.skip("RELABEL") == 1
    assert house.requests("RELABEL") == []
    assert house.show()["phase"] == "STALLED"
    assert "3 rounds of requests in a row" in house.show()["because"]
    house.answer("improve", "OVERRIDE_TARGET")  # a person may have them asked again
    assert len(house.requests("RELABEL")) == 1


# -- money ------------------------------------------------------------------------------------


def test_several_answers_an_item_are_paid_out_of_the_same_budget(house: House) -> None:
    house.script.decisions = ["INFEASIBLE"] * 20
    house.script.repairs = lambda body: (
        option("RELABEL", body.command.version.number, range(10), each=body.command.price_label),
    )
    house.begin(answers_per_item=3)
    rounds = 0
    while house.show()["phase"] == "RELABELLING" and rounds < 20:
        rounds += 1
        for who in ("ann", "bob", "cid"):
            house.answer("yes", "RELABEL", actor=who)
    assert rounds == 3  # of 10 items at three answers of 10 cents
    assert house.show()["phase"] == "STALLED"
    assert house.show()["spent_cents"] == house.queue()["spent_cents"] == 900
    assert house.bill()["improvement_spent_cents"] <= house.bill()["improvement_budget_cents"]


def test_answers_that_came_before_a_deadline_are_on_the_bill(house: House) -> None:
    house.script.decisions = ["INFEASIBLE", "FEASIBLE"]
    house.script.repairs = lambda body: (
        option("RELABEL", body.command.version.number, range(3), each=body.command.price_label),
    )
    house.begin(answers_per_item=3)
    house.answer("yes", "RELABEL", actor="ann")
    first = house.requests("RELABEL")[0]["id"]
    for who in ("bob", "cid"):
        house.tell("oracle", AnswerRequests(annotator=who, answers=(Answer(request=first, value="yes"),)))
    house.pass_time(73 * HOUR)
    assert after(house)[-1] == "READY"
    assert house.show()["spent_cents"] == house.queue()["spent_cents"] == 50
    assert house.queue()["reserved_cents"] == 0


def test_what_is_not_affordable_is_not_asked_for(house: House) -> None:
    house.script.decisions = ["INFEASIBLE"]
    house.script.repairs = relabel(*range(101))  # 1010 of 1000 cents
    house.begin()
    assert after(house) == ["IMPROVING", "STALLED"]
    (shown,) = house.next()["options"]
    assert not shown["affordable"]


def test_what_is_worth_nothing_is_not_asked_for(house: House) -> None:
    house.script.decisions = ["INFEASIBLE"]
    house.script.repairs = lambda body: (option("RELABEL", 1, [1], gain=0.0),)
    house.begin()
    assert after(house) == ["IMPROVING", "STALLED"]
    assert "none of 1 options" in house.show()["because"]


# -- stalled ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "phases"),
    [
        (OverrideTarget(target_accuracy=None, train=True, reason="train"), ["READY"]),
        (OverrideTarget(target_accuracy=0.7, train=False, reason="lower"), ["FEASIBILITY", "READY"]),
        (RequestImprovement(reason="again"), ["IMPROVING", "STALLED"]),
    ],
)
def test_a_stalled_project_goes_on_by_a_decision(house: House, body: Any, phases: list[str]) -> None:
    house.script.decisions = ["INFEASIBLE"]
    house.begin()
    assert after(house) == ["IMPROVING", "STALLED"]
    house.tell("process", body)
    assert after(house) == ["IMPROVING", "STALLED", *phases]
    assert len(house.requests("OVERRIDE_TARGET")) == (phases[-1] == "STALLED")


# -- what fails -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("work", "phase"),
    [
        (RepairAlternatives, "AUGMENTING"),
        (StudyVersion, "FEASIBILITY"),
        (ProposeRepairs, "IMPROVING"),
        (ValueOffers, "IMPROVING"),
        (ReviseVersion, "RELABELLING"),
    ],
)
def test_a_step_that_fails_is_shown_and_a_person_is_asked(house: House, work: type, phase: str) -> None:
    house.script.decisions = ["INFEASIBLE"] * 5
    house.script.repairs = relabel(1, 2, 3, 4)
    house.script.fails = {work: InvalidTable("a column is gone", hint="Give it back.", column="age")}
    house.begin()
    if work is ReviseVersion:
        house.answer("yes", "RELABEL")
    assert house.phases()[-2:] == [phase, "STALLED"]
    problem = house.show()["problem"]
    assert (problem["kind"], problem["message"]) == ("InvalidTable", "a column is gone")
    assert "a column is gone" in house.show()["because"]
    # Once the cause is gone, the project goes on from where it is.
    house.script.fails = {}
    house.answer("improve", "OVERRIDE_TARGET")
    assert house.show()["phase"] == "RELABELLING"


def test_a_refused_send_is_recorded_shown_and_settled(house: House) -> None:
    house.script.decisions = ["INFEASIBLE"]
    house.script.repairs = relabel(1)
    house.begin()
    # Version 1 is being revised by somebody else when the answers come.
    house.hosts["registry"].state.projects["p"].busy = "something else"
    house.answer("yes", "RELABEL")
    house.hosts["registry"].state.projects["p"].busy = None
    (rejected,) = (event.command for event in house.told(Rejected))
    assert (rejected.to, rejected.kind, rejected.error["kind"]) == ("registry", "registry.Revise", "Conflict")
    assert house.show()["problem"]["component"] == "registry"
    assert house.show()["phase"] == "STALLED"


def test_a_failed_arm_does_not_hold_up_the_others(house: House) -> None:
    failing = {"logistic", "svc"}
    inner = house._perform

    def sometimes(job: Any, bench: Any) -> Any:
        if isinstance(job.body, RunTrial) and job.body.arm in failing:
            raise InvalidTable("this arm cannot", hint="Use another.")
        return inner(job, bench)

    house._perform = sometimes  # type: ignore[method-assign]
    house.script.quality = {"forest": 0.8}
    house.begin()
    assert house.show()["training"] == 0
    assert house.show()["deployed"] == house.model("forest")


def test_a_trial_of_an_older_version_that_fails_is_not_counted_against_the_newer(life: Driven) -> None:
    life.tell(CreateProject(name="p", task=TASK))
    scheduler = Host(SchedulerState(), life.store, actor="automl")
    scheduler.start()
    count = 0

    def tell(body: Any) -> None:
        nonlocal count
        count += 1
        who = Principal("lab", Role.SYSTEM, "test")
        scheduler.handle(Command(f"s{count}", "p", who, 0.0, 0, body))

    def end(arm: str, number: int, *, well: bool = True) -> None:
        for action in scheduler.state.due():
            body = action.body
            if (body.arm, body.version.number) == (arm, number):
                done = TrialDone(
                    version=number,
                    arm=arm,
                    model=digest((number, arm)),
                    floor=False,
                    development_accuracy=0.8,
                    development_lower=0.7,
                    seconds=1.0,
                )
                result = done if well else refusal(action, WorkFailed("it broke"))
                scheduler.handle(command_of(action, "automl", result, now=0.0))
        life.host.follow()

    def closing() -> list[tuple[int, int]]:
        return [(a.body.version, a.body.steps) for a in life.due(CloseIntake)]

    tell(SetSlots(slots=3))
    tell(OpenSearch(version=version(1), arms=("a",), seed=0, gpu_second_cents=0.0))
    tell(OpenSearch(version=version(2), arms=("b", "c"), seed=0, gpu_second_cents=0.0))
    life.host.follow()
    assert closing() == [(1, 0)]  # what version 1 trained is retired: nothing more of it is wanted
    end("a", 1, well=False)
    end("b", 2)
    assert closing() == [(1, 0)]
    end("c", 2)
    assert closing() == [(1, 0), (2, 4)]


# -- control ----------------------------------------------------------------------------------


def test_a_paused_project_sends_nothing_and_goes_on_when_it_is_resumed(house: House) -> None:
    house.tell("process", CreateProject(name="p", task=TASK))
    house.tell("process", ControlProject(event="pause"))
    house.tell("registry", seal())
    assert house.phases() == []
    lifecycle = house.hosts["process"].state
    assert lifecycle.actions and lifecycle.due() == []
    house.begin("q")  # the others go on
    assert house.show("q")["phase"] == "READY"
    assert house.phases() == [*START_PHASES, "READY"]  # q's
    house.tell("process", ControlProject(event="resume"))
    assert house.show()["phase"] == "READY"
    assert house.show()["control"] == "RUNNING"


def test_a_cancelled_project_stays_so(house: House) -> None:
    house.script.decisions = ["UNDECIDED"]
    house.begin()
    house.tell("process", ControlProject(event="cancel"))
    for event in ("resume", "pause", "cancel"):
        with pytest.raises(IllegalTransition):
            house.tell("process", ControlProject(event=event))
    house.answer("train", "OVERRIDE_TARGET")
    assert house.show()["phase"] == "UNDECIDED"
    assert house.hosts["process"].state.due() == []


# -- realtime ---------------------------------------------------------------------------------


def test_windows_ask_people_for_labels_and_choose(house: House) -> None:
    house.script.quality = {"forest": 0.8, "logistic": 0.7}
    house.begin()
    house.segment("s", 8)
    assert house.show()["waiting_for"][0]["kind"] == "LABEL_REALTIME"
    assert house.show()["phase"] == "READY"
    asked = house.requests("LABEL_REALTIME")
    assert [r["choices"] for r in asked] == [["no", "yes"]] * 2
    house.answer("yes", "LABEL_REALTIME")
    house.skip("LABEL_REALTIME")
    (window,) = house.pool()["windows"]
    assert (window["state"], window["labels"], window["seen"]) == ("RELEASED", 2, 8)
    versions = house.hosts["registry"].state.read("p", ShowVersions())
    assert versions["waiting_rows"] == 100 + 2
    assert house.show()["spent_cents"] == 0  # realtime labels have a budget of their own
    assert house.bill()["total_cents"] == pytest.approx(
        20 + sum(line["cost_cents"] for line in house.bill()["lines"] if line["what"].startswith("automl"))
    )


def test_questions_about_many_classes_fit_into_a_message(house: House) -> None:
    names = tuple(f"species number {number}" for number in range(600))
    inner = house._perform

    def pick(job: Any, bench: Any) -> Any:
        result = inner(job, bench)
        return replace(result, classes=names) if isinstance(result, FinishRound) else result

    house._perform = pick  # type: ignore[method-assign]
    house.script.asks = 8
    house.begin(budgets={"realtime_labels": 8})
    house.segment("s", 8, labels=8)
    assert house.answer(names[7], "LABEL_REALTIME") == 8
    assert house.pool()["windows"][0]["labels"] == 8


def test_feedback_that_is_no_class_does_not_stop_the_project(house: House) -> None:
    house.begin()
    for row in range(8):
        house.tell("oracle", Volunteer(annotator="eve", key=f"realtime:1:{row}", value="nonsense"))
    house.segment("s", 8)
    assert len(house.requests("LABEL_REALTIME")) == 2
    house.answer("yes", "LABEL_REALTIME")
    assert house.show()["problem"] is None


def test_a_window_whose_rows_cannot_be_used_does_not_hold_up_the_next(house: House) -> None:
    house.begin()
    house.script.fails = {PickRound: InvalidTable("another type", hint="Send numbers.")}
    house.segment("s", 8)
    house.script.fails = {}
    house.segment("t", 8)
    house.answer("yes", "LABEL_REALTIME")
    assert [w["state"] for w in house.pool()["windows"]] == ["RELEASED", "PICKING"]


# -- the log ----------------------------------------------------------------------------------


def test_a_send_that_is_repeated_has_no_second_effect(house: House) -> None:
    # Work may be done twice; only one of its results is taken.
    house.script.decisions = ["INFEASIBLE"] * 4 + ["FEASIBLE"] * 2
    house.script.repairs = relabel(1, 2, 3)
    inner = house._issue

    def twice(component: str, action: Any) -> None:
        inner(component, action)
        inner(component, action)  # as after a crash between the append and the answer

    house._issue = twice  # type: ignore[method-assign]
    house.begin()
    house.answer("yes", "RELABEL")
    house.answer("yes", "RELABEL")
    assert after(house) == ["IMPROVING", "RELABELLING", "FEASIBILITY"] * 2 + ["READY"]
    assert house.show()["version"] == 3
    assert len(house.told(Opened)) == 2
    events = house.store.read()
    assert len({event.event_id for event in events}) == len(events)


def test_a_restart_at_any_point_of_the_log_owes_the_same(house: House) -> None:
    house.script.decisions = ["INFEASIBLE", "FEASIBLE"]
    house.script.repairs = relabel(1, 2)
    house.begin()
    house.answer("yes", "RELABEL")
    events = house.store.read()
    for cut in range(0, len(events), 7):
        two = (LifecycleState(), LifecycleState())
        for state in two:
            for event in events[:cut]:
                state.fold(event)
            state.validate()
        assert repr(vars(two[0])) == repr(vars(two[1]))
        assert [a.id for a in two[0].due()] == [a.id for a in two[1].due()]
        # What is due was not done yet.
        assert not {a.id for a in two[0].due()} & {event.command_id for event in events[:cut]}


def test_two_projects_do_not_meet(house: House) -> None:
    house.script.decisions = ["INFEASIBLE", "FEASIBLE"]
    house.script.repairs = relabel(1)
    house.begin()
    house.begin("q")
    assert (house.show()["phase"], house.show("q")["phase"]) == ("RELABELLING", "READY")
    assert house.requests(project="q") == []
    assert house.queue("q")["spent_cents"] == 0
    assert {
        p["project"] for p in house.hosts["process"].state.read("", ListProjects(tenant=None))["projects"]
    } == {
        "p",
        "q",
    }


def test_leases_do_not_stand_in_the_way_of_a_project(house: House) -> None:
    house.script.decisions = ["INFEASIBLE", "FEASIBLE"]
    house.script.repairs = relabel(1)
    house.begin()
    house.tell("oracle", Lease(annotator="bob", kinds=(), limit=5, seconds=60.0))
    house.pass_time(61)
    house.answer("yes", "RELABEL")
    assert house.show()["phase"] == "READY"


# -- what is forgotten in time ------------------------------------------------------------------


def asking_anew(body: ProposeRepairs) -> tuple[Any, ...]:
    """Propose a row that nobody was asked for yet."""
    number = body.command.version.number
    return (option("RELABEL", number, [len(body.skipped)]),)


def test_an_answer_makes_up_for_the_rounds_that_nobody_answered_before(house: House) -> None:
    house.script.decisions = ["INFEASIBLE"] * 2
    house.script.repairs = asking_anew
    house.begin()
    for _ in range(2):
        house.skip("RELABEL")
    house.answer("yes", "RELABEL")
    for _ in range(2):
        assert house.skip("RELABEL") == 1
    assert house.show()["phase"] == "RELABELLING"
    house.skip("RELABEL")
    assert house.show()["phase"] == "STALLED"


def test_a_person_who_says_improve_is_asked_again_after_rounds_that_nobody_answered(house: House) -> None:
    house.script.decisions = ["INFEASIBLE"]
    house.script.repairs = asking_anew
    house.begin()
    for _ in range(3):
        house.skip("RELABEL")
    assert house.show()["phase"] == "STALLED"
    house.answer("improve", "OVERRIDE_TARGET")
    assert house.show()["phase"] == "RELABELLING"
    assert len(house.requests("RELABEL")) == 1


def test_a_verdict_that_the_pool_refuses_holds_no_test_set_back(house: House) -> None:
    house.begin()
    floor = next(model for model, arm in house.arms.items() if arm == "dummy")
    house.tell("gate", GateModels(models=("ghost",), old=floor))  # a model that the pool never saw
    house.test_set(2)
    assert house.show()["problem"]["what"] == "pool.RecordVerdict"
    house.test_set(3)
    assert [era["state"] for era in house.gate()["eras"]] == ["RELEASED", "RELEASED", "SEALED"]


def test_what_others_tell_the_pool_and_the_oracle_stops_no_project(house: House) -> None:
    """Lifecycle follows all that happens, also what it did not ask for."""
    house.begin()
    added = AddModel(
        model="ghost", arm="own", version=9, floor=False, development_accuracy=0.9, development_lower=0.99,
        minimum_gain=0.0, gates_a_day=99, immediate=True,
    )  # fmt: skip
    house.tell("pool", added)
    house.tell("pool", TakeIntoGate(models=("ghost",)))
    house.tell("pool", RecordVerdict(model="ghost", passed=True))
    assert house.show()["phase"] == "READY"
    states = {model["model"]: model["state"] for model in house.pool()["models"]}
    assert states["ghost"] in ("CANDIDATE", "DEPLOYED")
