"""CIGate's eras: the rules on which the reliability of a verdict rests, and that every era ends."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from harness import Driven

from easeml_ray.component.messages import WorkRejected
from easeml_ray.errors import Conflict, InvalidArgument, NotReady, TooFewTestRows
from easeml_ray.gate import parse
from easeml_ray.gate.label_messages import LearnTestLabels, SealedLabel, TestLabelsLearnt, WantTestLabels
from easeml_ray.gate.labelling import MOST, seal_label
from easeml_ray.gate.language import MAX_TEXT
from easeml_ray.gate.messages import (
    AnnounceKey,
    EraActivated,
    EraExhausted,
    EraReleased,
    Evidence,
    GateModels,
    GivesVerdict,
    JudgeModel,
    ModelsQueued,
    OpenEra,
    ReleasedEra,
    ReleaseEra,
    ShowGate,
    ShowKey,
    TestSetWanted,
    VerdictGiven,
)
from easeml_ray.gate.state import GateState
from easeml_ray.messages import encode
from easeml_ray.sealing import new_private_key, public_key

EVIDENCE = Evidence(rows=900, new_correct=700, old_correct=650, different=80, truth="TRUE")


@pytest.fixture
def gate() -> Iterator[Driven]:
    driven = Driven(GateState)
    yield driven
    driven.check_replay()


def era(adaptivity: str = "none", *, steps: int = 3, rows: int = 900, old: str | None = None) -> OpenEra:
    return OpenEra(
        sealed="sealed",
        rows=rows,
        schema="schema",
        condition="n > 0.6 +/- 0.1",
        reliability=0.95,
        steps=steps,
        adaptivity=adaptivity,
        mode="fp-free",
        bound="hoeffding",
        old=old,
    )


def judge(gate: Driven, passed: bool = False, *, evidence: Evidence | None = EVIDENCE) -> str:
    """Give the verdict that is due; return the model."""
    (work,) = gate.due(JudgeModel)
    gate.report(
        work,
        GivesVerdict(
            era=work.body.era.era,
            model=work.body.model,
            passed=passed,
            evidence=evidence,
            sealed_evidence="sealed",
        ),
    )
    return work.body.model


def judge_all(gate: Driven, passed: bool = False) -> list[str]:
    judged = []
    while gate.due(JudgeModel):
        judged.append(judge(gate, passed))
    return judged


def shown(gate: Driven, number: int = 0) -> dict[str, Any]:
    return gate.ask(ShowGate())["eras"][number - 1]


def waiting(gate: Driven) -> list[str]:
    return gate.ask(ShowGate())["waiting"]


# -- opening ----------------------------------------------------------------------------------


def test_too_few_rows_are_refused_with_ways_out(gate: Driven) -> None:
    error = gate.refused(TooFewTestRows, era(rows=50))
    assert error.available == 50 < error.required
    assert error.ways_out
    assert gate.tell(era(rows=error.required)) == {"era": 1, "required_rows": error.required}


def test_one_era_is_open_at_a_time(gate: Driven) -> None:
    gate.tell(era())
    gate.refused(Conflict, era())
    assert shown(gate)["state"] == "SEALED"
    gate.tell(GateModels(models=("a",), old="floor"))
    gate.refused(Conflict, era())
    judge_all(gate)
    assert gate.tell(era())["era"] == 2


def test_the_key_that_sealed_eras_stays_the_gates_key(gate: Driven) -> None:
    with pytest.raises(NotReady):
        gate.ask(ShowKey(), "_system")
    gate.tell(AnnounceKey(public_key="aa"), project="_system")
    gate.tell(AnnounceKey(public_key="aa"), project="_system")
    gate.refused(Conflict, AnnounceKey(public_key="bb"), project="_system")
    assert gate.ask(ShowKey(), "_system") == {"public_key": "aa"}


# -- adaptivity none --------------------------------------------------------------------------


def test_the_models_are_fixed_before_the_first_verdict(gate: Driven) -> None:
    gate.tell(era(steps=4))
    assert gate.tell(GateModels(models=("a", "b"), old="floor")) == {"era": 1, "queued": 2}
    gate.tell(GateModels(models=("c",), old="floor"))  # two steps are left, and not for it
    assert waiting(gate) == ["c"]
    (wanted,) = gate.told(TestSetWanted)
    assert "fixed before its first verdict" in wanted.why
    assert wanted.rows == shown(gate)["required_rows"]
    assert judge_all(gate) == ["a", "b"]


def test_an_era_ends_when_its_fixed_models_are_judged_though_steps_are_left(gate: Driven) -> None:
    gate.tell(era(steps=4))
    gate.tell(GateModels(models=("a", "b"), old="floor"))
    judge(gate, True)
    assert shown(gate)["state"] == "ACTIVE"
    judge(gate)
    assert shown(gate)["state"] == "EXHAUSTED"
    assert shown(gate)["steps_left"] == 2
    gate.report(gate.due(ReleaseEra)[0], ReleasedEra(era=1, digest="rows", rows=900))
    assert shown(gate)["state"] == "RELEASED"
    assert gate.told(EraReleased)[0].command.rows == 900


def test_of_a_batch_of_more_models_than_steps_the_first_are_fixed(gate: Driven) -> None:
    gate.tell(era(steps=2))
    gate.tell(GateModels(models=("a", "b", "c"), old="floor"))
    assert waiting(gate) == ["c"]
    assert judge_all(gate) == ["a", "b"]
    assert {wanted.era for wanted in gate.told(TestSetWanted)} == {1}


def test_with_fixed_models_the_evidence_is_shown(gate: Driven) -> None:
    gate.tell(era())
    gate.tell(GateModels(models=("a",), old="floor"))
    judge(gate, True)
    (verdict,) = shown(gate)["verdicts"]
    assert (verdict["verdict"], verdict["evidence"]["new_correct"]) == ("PASS", 700)


# -- full and firstChange ---------------------------------------------------------------------


@pytest.mark.parametrize("adaptivity", ["full", "firstChange"])
def test_nothing_but_pass_or_fail_leaves_where_models_may_adapt(gate: Driven, adaptivity: str) -> None:
    gate.tell(era(adaptivity))
    gate.tell(GateModels(models=("a",), old="floor"))
    judge(gate, False, evidence=EVIDENCE)  # even if the work should give it
    told = {"model": "a", "verdict": "FAIL", "step": 1, "evidence": None, "reading": None}
    assert shown(gate)["verdicts"] == [told]
    assert gate.told(VerdictGiven)[0].command.evidence is None


def test_full_takes_models_one_by_one_until_its_steps_are_spent(gate: Driven) -> None:
    gate.tell(era("full", steps=2))
    gate.tell(GateModels(models=("a",), old="floor"))
    judge(gate, True)
    assert shown(gate)["state"] == "ACTIVE"
    gate.tell(GateModels(models=("b",), old="a"))
    gate.tell(GateModels(models=("c",), old="a"))  # the second step is promised to b
    assert waiting(gate) == ["c"]
    judge(gate, True)
    assert shown(gate)["state"] == "EXHAUSTED"


def test_first_change_retires_at_the_first_pass(gate: Driven) -> None:
    gate.tell(era("firstChange"))
    gate.tell(GateModels(models=("a",), old="floor"))
    judge(gate, False)
    assert shown(gate)["state"] == "ACTIVE"
    gate.tell(GateModels(models=("b",), old="floor"))
    judge(gate, True)
    assert shown(gate)["state"] == "EXHAUSTED"
    assert not gate.due(JudgeModel)


def test_what_is_queued_behind_the_first_change_waits_for_the_next_era(gate: Driven) -> None:
    gate.tell(era("firstChange", steps=4))
    for model in "abc":
        gate.tell(GateModels(models=(model,), old="floor"))
    judge(gate, True)
    assert not gate.due(JudgeModel)  # judged now, it would be judged on a retired test set
    assert waiting(gate) == ["b", "c"]
    assert gate.told(TestSetWanted)
    gate.tell(era("firstChange", steps=4, old="a"))
    assert waiting(gate) == []
    assert judge(gate, False) == "b"
    assert shown(gate, 2)["old"] == "a"


def test_of_a_batch_that_is_too_large_an_era_that_adapts_takes_what_it_can(gate: Driven) -> None:
    gate.tell(era("full", steps=2))
    assert gate.tell(GateModels(models=tuple("abc"), old="floor", development=(0.1, 0.2, 0.3))) == {
        "era": 1,
        "queued": 2,
    }
    assert waiting(gate) == ["c"]
    assert judge_all(gate) == ["a", "b"]
    assert shown(gate)["state"] == "EXHAUSTED"


def test_a_pass_behind_which_very_many_wait_is_a_pass(gate: Driven) -> None:
    gate.tell(era("firstChange", steps=2000, rows=10**6))
    for start in range(0, 1100, 100):
        gate.tell(GateModels(models=tuple(f"{n:064d}" for n in range(start, start + 100)), old="floor"))
    judge(gate, True, evidence=None)
    assert shown(gate)["verdicts"][0]["verdict"] == "PASS"
    assert shown(gate)["state"] == "EXHAUSTED"
    assert len(waiting(gate)) == 1099


# -- labels from people -----------------------------------------------------------------------


def test_labels_that_were_paid_for_outlive_a_model_that_could_not_be_judged(gate: Driven) -> None:
    gate.tell(dataclasses.replace(era("full"), labelled=False))
    gate.tell(GateModels(models=("a", "b"), old="floor"))
    wanted = WantTestLabels(
        era=1,
        model="a",
        known="",
        table="table-1",
        rows=(4, 7),
        classes=("no", "yes"),
        answers="answers-a",
        latency_ms=3.5,
    )
    gate.report(gate.due(JudgeModel)[0], wanted)
    assert shown(gate)["waits_for_labels"] == 2
    labels = (
        SealedLabel(row=4, sealed="x", cost_cents=10.0),
        SealedLabel(row=7, sealed=None, cost_cents=0.0),
    )
    gate.tell(LearnTestLabels(era=1, labels=labels))
    (line,) = [body.ledger for body in gate.told(TestLabelsLearnt)]
    assert (line.cost_cents, line.count, line.entropy_before) == (10.0, 2, 0.0)
    (work,) = gate.due(JudgeModel)
    assert (work.body.fresh, work.body.asked) == (labels, wanted)
    gate.fail(work)
    (work,) = gate.due(JudgeModel)
    assert (work.body.model, work.body.fresh, work.body.asked) == ("b", labels, None)
    gate.report(
        work,
        GivesVerdict(
            era=1, model="b", passed=False, evidence=None, sealed_evidence="sealed", known="known-1"
        ),
    )
    gate.tell(GateModels(models=("c",), old="floor"))
    (work,) = gate.due(JudgeModel)
    assert (work.body.known, work.body.fresh) == ("known-1", ())
    gate.report(
        work,
        GivesVerdict(
            era=1, model="c", passed=False, evidence=None, sealed_evidence="sealed", known="known-1"
        ),
    )
    assert gate.due(ReleaseEra)[0].body.known == "known-1"


def test_work_fits_in_a_message_with_the_longest_condition_the_most_classes_and_labels(gate: Driven) -> None:
    clause = "n > 0.6 +/- 0.1"
    condition = clause + " " * (MAX_TEXT - len(clause))
    classes = tuple(f"class {number:04d}" for number in range(24 * 1024 // 14))
    gate.tell(dataclasses.replace(era("full"), labelled=False, condition=condition))
    gate.tell(GateModels(models=("a" * 64,), old="b" * 64))
    wanted = WantTestLabels(
        era=1,
        model="a" * 64,
        known="c" * 64,
        table="d" * 64,
        rows=tuple(range(10**9, 10**9 + MOST)),
        classes=classes,
        answers="e" * 64,
        latency_ms=3.5,
    )
    assert len(json.dumps(classes)) > 23 * 1024
    gate.report(gate.due(JudgeModel)[0], wanted)
    sealed = seal_label(1, public_key(new_private_key()))
    labels = tuple(SealedLabel(row=row, sealed=sealed, cost_cents=10.0) for row in wanted.rows)
    gate.tell(LearnTestLabels(era=1, labels=labels))
    encode(gate.due(JudgeModel)[0].body)


def test_the_release_of_an_era_of_very_many_verdicts_fits_in_a_message(gate: Driven) -> None:
    gate.tell(era("full", steps=400, rows=10**6))
    for _ in range(4):
        gate.tell(
            GateModels(models=tuple(f"{len(shown(gate)['verdicts'])}-{n}" for n in range(100)), old="o")
        )
        while work := gate.due(JudgeModel):
            given = GivesVerdict(
                era=1, model=work[0].body.model, passed=False, evidence=None, sealed_evidence="f" * 64
            )
            gate.report(work[0], given)
    (release,) = gate.due(ReleaseEra)
    assert len(release.body.evidence) == 300
    encode(release.body)


def test_bits_that_verdicts_give_away_have_their_price(gate: Driven) -> None:
    gate.tell(dataclasses.replace(era(), bit_cents=25.0))
    gate.tell(GateModels(models=("a",), old="floor"))
    judge(gate, True)
    assert gate.told(VerdictGiven)[0].ledger.cost_cents == 25.0


# -- what o stands for ------------------------------------------------------------------------


def test_o_is_fixed_for_the_life_of_an_era(gate: Driven) -> None:
    gate.tell(era("full"))
    gate.tell(GateModels(models=("a",), old="floor"))
    judge(gate, True)
    gate.tell(GateModels(models=("b",), old="a"))
    assert gate.due(JudgeModel)[0].body.old == "floor"
    assert [(e.era, e.old) for e in gate.told(EraActivated)] == [(1, "floor")]


def test_o_is_what_is_deployed_when_the_era_opens_and_not_when_models_began_to_wait(gate: Driven) -> None:
    gate.tell(GateModels(models=("a",), old="deployed-then"))
    gate.tell(era(old="deployed-now"))
    assert gate.due(JudgeModel)[0].body.old == "deployed-now"


# -- waiting ----------------------------------------------------------------------------------


def test_waiting_models_are_judged_when_a_new_era_opens(gate: Driven) -> None:
    gate.tell(GateModels(models=("a", "b"), old="floor"))
    assert waiting(gate) == ["a", "b"]
    assert gate.told(TestSetWanted)[0].rows == 0
    gate.tell(era(steps=2))
    assert waiting(gate) == []
    assert judge_all(gate) == ["a", "b"]


def test_more_waiting_models_than_steps_ask_for_another_test_set_at_the_end(gate: Driven) -> None:
    gate.tell(GateModels(models=tuple("abc"), old="floor"))
    gate.tell(era(steps=2))
    assert waiting(gate) == ["c"]
    judge_all(gate)
    assert len(gate.told(TestSetWanted)) == 2
    gate.tell(era(steps=2))
    assert judge_all(gate) == ["c"]
    assert len(gate.told(TestSetWanted)) == 2  # nobody waits any more


def test_models_that_no_message_could_name_are_queued_in_turns(gate: Driven) -> None:
    for start in range(0, 900, 300):
        gate.tell(GateModels(models=tuple(f"{n:064d}" for n in range(start, start + 300)), old="floor"))
    gate.tell(era(steps=1000, rows=10**6))
    assert len(gate.told(ModelsQueued)[-1].command.models) + len(waiting(gate)) == 900


# -- every era ends ---------------------------------------------------------------------------


def test_a_model_that_cannot_be_judged_fails_and_the_era_goes_on(gate: Driven) -> None:
    gate.tell(era())
    gate.tell(GateModels(models=("a", "b"), old="floor"))
    gate.fail(gate.due(JudgeModel)[0])
    assert gate.told(WorkRejected)
    assert [(v["model"], v["verdict"]) for v in shown(gate)["verdicts"]] == [("a", "FAIL")]
    gate.fail(gate.due(JudgeModel)[0])  # the last: otherwise no era would ever open again
    assert shown(gate)["state"] == "EXHAUSTED"
    gate.tell(era())


def test_a_release_that_fails_leaves_the_verdicts_of_the_next_era_alone(gate: Driven) -> None:
    gate.tell(era())
    gate.tell(GateModels(models=("a",), old="floor"))
    judge(gate)
    gate.tell(era())
    gate.tell(GateModels(models=("b", "c"), old="floor"))
    gate.fail(gate.due(ReleaseEra)[0])
    assert len(gate.due(JudgeModel)) == 1
    assert judge_all(gate) == ["b", "c"]
    assert shown(gate, 1)["state"] == "EXHAUSTED"
    assert len(gate.told(EraExhausted)) == 2


def test_projects_have_eras_of_their_own(gate: Driven) -> None:
    gate.tell(era())
    assert gate.tell(era(), project="q")["era"] == 1
    assert gate.ask(ShowGate(), "unknown") == {"project": "unknown", "waiting": [], "eras": []}


def test_what_is_no_command_or_query_is_a_fault_of_the_caller(gate: Driven) -> None:
    with pytest.raises(TypeError, match="no command"):
        gate.tell(ShowGate())
    with pytest.raises(TypeError, match="no query"):
        gate.ask(era())


# -- passes, bits, and what is told in the end ----------------------------------------------------


def test_an_era_of_bounded_passes_retires_at_the_last_of_them(gate: Driven) -> None:
    gate.tell(era("bounded:2", steps=5, rows=2000))
    for model, passed in (("a", True), ("b", False), ("c", True)):
        gate.tell(GateModels(models=(model,), old="floor"))
        judge(gate, passed, evidence=None)
    assert shown(gate)["state"] == "EXHAUSTED"
    assert shown(gate)["leaked_bits"] == pytest.approx(np.log2(1 + 3 + 3))
    gate.tell(GateModels(models=("d",), old="floor"))
    assert waiting(gate) == ["d"]


def test_what_verdicts_rested_on_is_told_when_the_era_is_released(gate: Driven) -> None:
    gate.tell(era("firstChange", rows=2000))
    names = ["a" * 64, "b" * 64]
    for model, name, passed in (("a", names[0], False), ("b", names[1], True)):
        gate.tell(GateModels(models=(model,), old="floor"))
        (work,) = gate.due(JudgeModel)
        gate.report(
            work, GivesVerdict(era=1, model=model, passed=passed, evidence=None, sealed_evidence=name)
        )
    assert [verdict["evidence"] for verdict in shown(gate)["verdicts"]] == [None, None]
    (release,) = gate.due(ReleaseEra)
    assert release.body.evidence == tuple(names)
    gate.report(release, ReleasedEra(era=1, digest="rows", rows=2000, evidence=(EVIDENCE, None)))
    first, second = shown(gate)["verdicts"]
    assert first["evidence"]["new_correct"] == EVIDENCE.new_correct
    assert second["evidence"] is None


@pytest.mark.parametrize(
    ("adaptivity", "steps", "verdicts", "after", "why"),
    [
        ("full", 8, "FFPFPFF", 6, "2 of 8 verdicts are left"),
        ("full", 2, "F", 1, "1 of 2 verdicts are left"),
        ("full", 1, "", 0, "1 of 1 verdicts are left"),
        ("firstChange", 8, "", 0, "retires at the next model that passes"),
        ("bounded:2", 8, "FFP", 3, "retires at the next model that passes"),
        ("none", 8, "FFPP", None, ""),
    ],
)
def test_the_next_test_set_is_asked_for_once_before_the_present_one_ends(
    gate: Driven, adaptivity: str, steps: int, verdicts: str, after: int | None, why: str
) -> None:
    gate.tell(era(adaptivity, steps=steps, rows=5000))
    models = [f"m{i}" for i in range(len(verdicts) + 1)]
    if adaptivity == "none":
        gate.tell(GateModels(models=tuple(models), old="floor"))
    seen = []
    for model, verdict in zip(models, [*verdicts, ""], strict=True):
        if adaptivity != "none":
            gate.tell(GateModels(models=(model,), old="floor"))
        seen.append(len(gate.told(TestSetWanted)))
        if verdict:
            judge(gate, verdict == "P", evidence=None)
    assert seen == [int(after is not None and i >= after) for i in range(len(models))]
    for wanted in gate.told(TestSetWanted):
        assert (wanted.era, wanted.rows) == (1, shown(gate)["required_rows"])
        assert why in wanted.why
    assert shown(gate)["state"] == "ACTIVE"


def metered(adaptivity: str, rows: int, *, labelled: bool = True) -> OpenEra:
    return dataclasses.replace(era(adaptivity, rows=rows, steps=4), meter=(0.0, 0.1), labelled=labelled)


def test_readings_of_the_meter_are_told_with_verdicts_counted_and_paid_for_in_rows(gate: Driven) -> None:
    few = gate.refused(TooFewTestRows, metered("full", 1000))
    assert "leave the meter out" in " ".join(few.ways_out)  # verdicts alone would be content
    gate.tell(era("full", rows=1000, steps=4), project="q")
    narrow = dataclasses.replace(metered("full", few.required), meter=(0.0, 0.01))
    assert "bands" in gate.refused(TooFewTestRows, narrow).message
    gate.refused(InvalidArgument, metered("full", 10_000, labelled=False))
    gate.tell(metered("full", 10_000))
    gate.tell(GateModels(models=("a",), old="floor", development=(0.91,)))
    (work,) = gate.due(JudgeModel)
    assert (work.body.era.command.meter, work.body.development) == ((0.0, 0.1), 0.91)
    gate.report(
        work,
        GivesVerdict(
            era=1, model="a", passed=True, evidence=None, sealed_evidence="sealed", known="", band=1
        ),
    )
    (verdict,) = shown(gate)["verdicts"]
    assert verdict["evidence"] is None
    assert (verdict["reading"]["lower"], verdict["reading"]["upper"]) == (0.0, 0.1)
    assert verdict["reading"]["points"] == "0 to 10"
    assert 0 < verdict["reading"]["tolerance"] <= 0.05
    assert shown(gate)["leaked_bits"] == pytest.approx(1 + np.log2(3))


def test_models_that_wait_keep_their_development_accuracy_for_the_meter(gate: Driven) -> None:
    gate.tell(GateModels(models=("a", "b"), old="floor", development=(0.8, 0.9)))
    gate.tell(metered("none", 10_000))
    judged = []
    while work := gate.due(JudgeModel):
        judged.append(work[0].body.development)
        gate.report(
            work[0],
            GivesVerdict(
                era=1,
                model=work[0].body.model,
                passed=False,
                evidence=EVIDENCE,
                sealed_evidence="",
                known="",
                band=2,
            ),
        )
    assert judged == [0.8, 0.9]
    line = gate.told(VerdictGiven)[0].ledger
    assert line.entropy_before == pytest.approx(1 + np.log2(3))


def test_conditions_that_nothing_can_meet_are_warned_of(gate: Driven) -> None:
    gate.tell(
        OpenEra(
            sealed="sealed",
            rows=2000,
            schema="schema",
            condition="n > 0.9 +/- 0.1",
            reliability=0.95,
            steps=3,
            adaptivity="none",
            mode="fp-free",
            bound="hoeffding",
            old=None,
        )
    )
    assert "leaves no room for TRUE" in shown(gate)["warnings"][0]


def test_a_slice_with_too_few_rows_opens_no_era(gate: Driven) -> None:
    text = 'n[site = "a"] > 0.5 +/- 0.2'
    opening = OpenEra(
        sealed="sealed",
        rows=2000,
        schema="schema",
        condition=text,
        reliability=0.95,
        steps=3,
        adaptivity="none",
        mode="fp-free",
        bound="best",
        old=None,
    )
    error = gate.refused(TooFewTestRows, opening)
    assert error.available == 0
    subset = str(parse(text).clauses[0].subset)
    gate.tell(dataclasses.replace(opening, subset_rows={subset: error.required}))
