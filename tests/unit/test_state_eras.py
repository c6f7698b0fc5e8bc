"""Eras in the life of a project: when a test set is asked for, what o is, what a verdict leads to."""

from __future__ import annotations

from typing import Any

import pytest
from harness import TASK, House, relabel

from easeml_ray.automl.messages import RunTrial
from easeml_ray.errors import InvalidAnswer, InvalidTable
from easeml_ray.gate.messages import EraActivated, JudgeModel, TestSetWanted
from easeml_ray.process.messages import RequestImprovement

GATE = TASK["gate"]


def test_models_that_no_era_can_judge_wait_for_a_test_set_and_ask_for_one_once(house: House) -> None:
    house.script.decisions = ["FEASIBLE", "FEASIBLE", "FEASIBLE"]
    house.script.repairs = relabel(1, 2, 3)
    house.script.quality = {"forest": 0.7}
    house.begin()
    first = house.show()["deployed"]
    for quality in (0.8, 0.9):
        house.script.quality = {"forest": quality}
        house.tell("process", RequestImprovement(reason="better"))
        house.answer("yes", "RELABEL")
    assert house.show()["version"] == 3
    assert house.gate()["waiting"] == [house.model("forest", 2), house.model("forest", 3)]
    assert len(house.told(TestSetWanted)) == 2
    assert len(house.requests("NEW_TEST_SET")) == 1
    house.test_set(2)
    assert house.requests("NEW_TEST_SET") == []
    assert house.gate()["waiting"] == []
    era = house.gate()["eras"][1]
    assert era["old"] == first
    assert len(era["verdicts"]) == 2
    assert house.show()["deployed"] == house.model("forest", 3)
    assert house.show()["waiting_for"] == []


def test_a_test_set_is_asked_for_while_the_models_that_will_need_it_are_trained(house: House) -> None:
    house.script.decisions = ["FEASIBLE", "FEASIBLE"]
    house.script.repairs = relabel(1, 2, 3)
    house.begin()
    assert house.show()["waiting_for"] == []
    seen: list[tuple[str, int]] = []
    inner = house._issue

    def watched(component: str, action: Any) -> None:
        seen.append((type(action.body).__name__, len(house.requests("NEW_TEST_SET"))))
        inner(component, action)

    house._issue = watched  # type: ignore[method-assign]
    house.tell("process", RequestImprovement(reason="better"))
    house.answer("yes", "RELABEL")
    trials = [count for name, count in seen if name == "RunTrial"]
    assert trials[-1] == 1  # before the last model was trained
    (request,) = house.requests("NEW_TEST_SET")
    assert request["payload"]["rows"] == house.gate()["eras"][0]["required_rows"]
    assert "being trained" in request["title"]
    house.test_set(2)
    assert house.requests("NEW_TEST_SET") == []


def test_a_test_set_is_asked_for_before_an_era_that_may_end_any_time_has_ended(house: House) -> None:
    house.script.passes = lambda arm: False
    house.begin(gate={**GATE, "adaptivity": "firstChange"})
    (era,) = house.gate()["eras"]
    assert era["state"] == "ACTIVE"
    assert len(house.requests("NEW_TEST_SET")) == 1
    house.test_set(2)
    assert house.requests("NEW_TEST_SET") == []
    house.script.passes = lambda arm: True
    house.script.quality = {"forest": 0.9}
    house.script.repairs = relabel(1, 2)
    house.tell("process", RequestImprovement(reason="better"))
    house.answer("yes", "RELABEL")
    # The era ended, the set that lay ready followed, and the one after it is asked for with its first model.
    assert [era["state"] for era in house.gate()["eras"]] == ["RELEASED", "SEALED"]
    assert house.requests("NEW_TEST_SET") == []


def test_a_test_set_that_comes_while_an_era_is_open_waits_for_its_end(house: House) -> None:
    house.begin(gate={**GATE, "adaptivity": "full", "steps": 2})
    assert house.gate()["eras"][0]["state"] == "ACTIVE"
    house.test_set(2)
    assert len(house.gate()["eras"]) == 1
    assert house.show()["problem"] is None
    house.script.quality = {"forest": 0.8}
    house.script.repairs = relabel(1, 2)
    house.tell("process", RequestImprovement(reason="better"))
    house.answer("yes", "RELABEL")
    assert [era["state"] for era in house.gate()["eras"]] == ["RELEASED", "SEALED"]
    assert house.requests("NEW_TEST_SET") == []


def test_o_is_the_model_that_is_deployed_when_the_era_opens(house: House) -> None:
    """Between the waiting and the opening a window may have chosen another model."""
    house.script.quality = {"forest": 0.8, "logistic": 0.7, "naive_bayes": 0.6}
    house.begin()
    assert house.show()["deployed"] == house.model("forest")
    house.script.quality = {"forest": 0.9}
    house.script.repairs = relabel(1)
    house.tell("process", RequestImprovement(reason="better"))
    house.answer("yes", "RELABEL")
    assert house.gate()["waiting"] == [house.model("forest", 2)]
    house.segment("s", 8)
    while house.requests("LABEL_REALTIME"):
        house.answer("yes", "LABEL_REALTIME")  # as every other candidate said
    chosen = house.show()["deployed"]
    assert chosen != house.model("forest")
    house.test_set(2)
    assert house.told(EraActivated)[-1].old == chosen


def test_o_of_an_era_that_follows_at_once_is_what_the_last_verdict_deployed(house: House) -> None:
    house.script.passes = lambda arm: False
    house.begin(gate={**GATE, "adaptivity": "firstChange"})
    house.test_set(2)
    house.script.passes = lambda arm: True
    for quality in (0.85, 0.95):
        house.script.quality = {"forest": quality}
        house.script.repairs = relabel(1, 2, 3)
        house.tell("process", RequestImprovement(reason="better"))
        house.answer("yes", "RELABEL")
    activated = house.told(EraActivated)
    assert [a.era for a in activated] == [1, 2]
    assert activated[1].old == house.model("forest", 2)


def test_a_set_and_models_that_wait_meet_after_the_pool_has_heard_the_last_verdict(house: House) -> None:
    house.script.passes = lambda arm: True
    house.script.quality = {"naive_bayes": 0.5, "logistic": 0.6, "neighbours": 0.7, "forest": 0.8}
    # Nothing is judged until all models are queued behind the first, and the next set lies ready.
    inner, held = house._due, [True]
    house._due = lambda: (  # type: ignore[method-assign]
        pair for pair in inner() if not (held[0] and isinstance(pair[1].body, JudgeModel))
    )
    house.begin(gate={**GATE, "adaptivity": "firstChange"})
    house.test_set(2)
    held[0] = False
    house.go_on()
    first, second = house.told(EraActivated)[:2]
    assert first.old == house.model("dummy")
    assert second.old == house.gate()["eras"][0]["verdicts"][0]["model"]  # deployed by the last verdict


def test_with_models_fixed_beforehand_nothing_follows_before_the_last_verdict(house: House) -> None:
    house.script.quality = {"logistic": 0.6, "neighbours": 0.7, "forest": 0.8}
    seen: list[tuple[int, Any]] = []
    judge = house.script.passes

    def watched(arm: str) -> bool:
        seen.append((len(house.gate()["eras"][0]["verdicts"]), house.show()["deployed"]))
        return judge(arm)

    house.script.passes = watched
    house.begin()
    assert [given for given, _ in seen] == [0, 1, 2, 3]
    assert {deployed for _, deployed in seen} == {None}
    assert house.show()["deployed"] == house.model("forest")


def test_a_test_set_that_models_wait_for_is_asked_for_again_when_the_request_expires(house: House) -> None:
    house.script.repairs = relabel(1, 2, 3)
    house.begin()
    house.script.quality = {"forest": 0.8}
    house.tell("process", RequestImprovement(reason="better"))
    house.answer("yes", "RELABEL")
    (request,) = house.requests("NEW_TEST_SET")
    with pytest.raises(InvalidAnswer, match="by a file"):
        house.answer("here it is", "NEW_TEST_SET")
    house.pass_time(73 * 3600)
    (again,) = house.requests("NEW_TEST_SET")
    assert again["id"] != request["id"]
    assert again["payload"]["rows"] == request["payload"]["rows"]
    house.skip("NEW_TEST_SET")  # a person said no
    assert house.requests("NEW_TEST_SET") == []


def test_what_sealed_verdicts_can_cost_is_reserved_until_they_are_told(house: House) -> None:
    prices = {"test_bit": 50.0}
    house.begin(gate={**GATE, "adaptivity": "full", "steps": 2}, prices=prices)
    assert house.bill()["reserved"] == [
        {"what": "verdicts of test set 1, at most", "count": 2, "cost_cents": 100.0, "removed_bits": 2.0}
    ]
    house.script.quality = {"forest": 0.9}
    house.script.repairs = relabel(1)
    house.tell("process", RequestImprovement(reason="better"))
    house.answer("yes", "RELABEL")
    assert house.bill()["reserved"] == []
    (line,) = [line for line in house.bill()["lines"] if line["what"].startswith("gate: EraReleased")]
    assert line["cost_cents"] == 50.0 * line["removed_bits"] > 0


def test_models_that_finish_before_model_0_are_gated_once_it_is_there(house: House) -> None:
    """With two slots the floor need not be the first to finish."""
    house.script.quality = {"forest": 0.8}
    inner = house._issue
    held: list[Any] = []

    def floor_last(component: str, action: Any) -> None:
        if (
            isinstance(action.body, RunTrial)
            and action.body.arm == "dummy"
            and not house.arms.get(house.model("forest"))
        ):
            held.append(action)
            due = [a for a in house.hosts["automl"].state.due() if a.body.arm != "dummy"]
            return inner(component, due[0])
        return inner(component, action)

    house._issue = floor_last  # type: ignore[method-assign]
    house.begin(gate={**GATE, "adaptivity": "full"})
    assert held
    assert house.told(EraActivated)[0].old == house.model("dummy")
    assert house.show()["deployed"] is not None
    assert not [m for m in house.pool()["models"] if m["state"] == "ADMITTED"]


@pytest.mark.parametrize("adaptivity", ["full", "firstChange"])
def test_with_models_taken_one_by_one_each_has_its_verdict_or_is_retired(
    house: House, adaptivity: str
) -> None:
    house.script.quality = {
        "naive_bayes": 0.5,
        "logistic": 0.6,
        "neighbours": 0.7,
        "forest": 0.8,
        "svc": 0.75,
    }
    house.script.passes = lambda arm: arm != "naive_bayes"
    house.begin(gate={**GATE, "adaptivity": adaptivity})
    for number in range(2, 8):
        if not house.requests("NEW_TEST_SET"):
            break
        house.test_set(number)
    states = {m["arm"]: m["state"] for m in house.pool()["models"] if not m["floor"]}
    assert states["naive_bayes"] == "FAILED"
    assert states["svc"] == "RETIRED"  # the forest was admitted before it
    assert set(states.values()) <= {"FAILED", "RETIRED", "CANDIDATE", "DEPLOYED"}
    assert states["forest"] == "DEPLOYED"
    assert house.gate()["waiting"] == []


def test_a_model_that_cannot_be_judged_fails_and_its_era_ends(house: House) -> None:
    house.script.fails = {JudgeModel: InvalidTable("unreadable", hint="Look at it.")}
    house.begin()
    (era,) = house.gate()["eras"]
    assert era["state"] == "RELEASED"
    assert house.show()["deployed"] is None
    assert house.show()["phase"] == "READY"
    assert house.show()["problem"]["message"] == "unreadable"
