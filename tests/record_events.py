"""Plays the life of four projects and writes its events: ``python tests/record_events.py FILE``.

What it wrote stands in tests/data and must fold for ever (tests/unit/test_recorded_events.py). It is run
again only to record events that did not exist then, into another file.
"""
# ruff: noqa: E402

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from harness import TASK, House, digest, option, relabel, seal

from easeml_ray.automl.messages import CompareVersions, RunTrial
from easeml_ray.component.base import Job
from easeml_ray.errors import OneClass
from easeml_ray.feasibility.messages import CancelStudy, StudyVersion
from easeml_ray.gate.label_messages import WantTestLabels
from easeml_ray.gate.labelling import seal_label
from easeml_ray.gate.messages import JudgeModel
from easeml_ray.market.messages import (
    Audit,
    MakeOffer,
    Payment,
    RecomputePayments,
    RefuseOffer,
    ReportAudit,
    Settle,
    Settlement,
    SettlePurchase,
)
from easeml_ray.oracle.messages import Answer, AnswerRequests, Lease, Skip, Volunteer
from easeml_ray.pool.messages import StoreSegment
from easeml_ray.process.messages import (
    ControlProject,
    CreateProject,
    CreateTenant,
    OverrideTarget,
    RequestImprovement,
)
from easeml_ray.registry.messages import AddTestSet, FindLatest
from easeml_ray.runtime import local
from easeml_ray.sealing import public_key
from easeml_ray.store.rows import encode

HOUR = 3600.0


class Recorded(House):
    """A house with test sets that come without labels, and offers of several owners."""

    def work_of(self, component: str) -> dict[type, Any]:
        return {**super().work_of(component), SettlePurchase: self._perform, RecomputePayments: self._perform}

    def _perform(self, job: Job, bench: Any) -> Any:
        match job.body:
            case JudgeModel(era=era, asked=None) as work if not era.command.labelled:
                return WantTestLabels(
                    era=era.era, model=work.model, known="", table=digest("rows"), rows=(3, 5),
                    classes=("no", "yes"), answers=digest("answers"),
                )  # fmt: skip
            case SettlePurchase(offer=offer, version=version):
                split = Settlement(method="test", k=5, utility="jia", version=version, shares=(0.1, 0.2))
                return Settle(offer=offer.offer, payments=_PAID, settlement=split)
            case RecomputePayments(offer=offer):
                return ReportAudit(offer=offer.offer, payments=_PAID)
        return super()._perform(job, bench)

    hold = False

    def _due(self) -> Any:
        """Return what is due, but for studies while ``hold`` is set."""
        found = super()._due()
        return (due for due in found if not (self.hold and isinstance(due[1].body, StudyVersion)))

    def test_set_of(self, project: str, number: int, *, labelled: bool = True) -> None:
        checked = self.hosts["registry"].state.read(project, FindLatest())["came"]
        self.tell(
            "registry",
            AddTestSet(
                upload=f"upload-{number}", stable=f"stable-{number}", stable_rows=1000,
                held_out=f"held-{number}", checked=checked, labelled=labelled,
            ),
            project=project,
        )  # fmt: skip

    def segment_of(self, project: str, name: str) -> None:
        body = StoreSegment(segment=name, digest=digest(name), rows=4, lost=1, window_rows=8, labels=4)
        self.tell("pool", body, project=project)

    def create(self, project: str, **changes: Any) -> None:
        self.tell("process", CreateProject(name=project, task={**TASK, **changes}), project=project)

    def say(self, value: Any, kind: str, project: str, *, actor: str = "ann") -> None:
        """Answer all open requests of a kind."""
        asked = self.requests(kind, project)
        assert asked, kind
        answers = tuple(Answer(request=r["id"], value=value) for r in asked)
        self.tell("oracle", AnswerRequests(annotator=actor, answers=answers), project=project)

    def offer(self, name: str, project: str, **changes: Any) -> None:
        made = {"seller": "eve", "rows": 4, "digest": digest(name), "price_cents": 90, "terms": "", **changes}
        self.tell("market", MakeOffer(offer=name, **made), project=project)


_PAID = (Payment(seller="ada", cents=30), Payment(seller="bob", cents=60))


def relabelled(house: Recorded) -> None:
    """Infeasible, relabelled by two people, ready; verdicts steer; windows; a failed trial and check."""
    house.script.decisions = ["INFEASIBLE", "FEASIBLE", "FEASIBLE"]
    house.script.repairs = relabel(1, 2, 3)
    house.script.quality = {"logistic": 0.6, "forest": 0.7, "svc": 0.8}
    house.script.passes = lambda arm: arm != "forest"
    house.script.fails = {CompareVersions: OneClass("train has one class", hint="Add rows of another.")}
    gate = {"condition": "n > 0.3 +/- 0.2", "steps": 2, "adaptivity": "full", "meter": (0.02, 0.1)}
    house.create("steered", gate=gate, answers_per_item=2)
    house.tell("registry", seal("steered", rows=20_000), project="steered")
    first, *rest = [r["id"] for r in house.requests("RELABEL", "steered")]
    house.tell("oracle", Lease(annotator="bob", kinds=(), limit=1, seconds=60.0), project="steered")
    house.pass_time(61.0)
    house.tell("oracle", Skip(annotator="cid", requests=(first,)), project="steered")
    for who in ("ann", "bob"):
        answers = tuple(Answer(request=i, value="yes") for i in (first, *rest))
        house.tell("oracle", AnswerRequests(annotator=who, answers=answers), project="steered")
    house.test_set_of("steered", 2)
    house.tell("process", RequestImprovement(reason="could be better"), project="steered")
    for who in ("ann", "bob"):
        house.say("no", "RELABEL", "steered", actor=who)


def bought(house: Recorded) -> None:
    """Rows bought of one owner, of several, without labels, and one offer refused; paused and resumed."""
    house.script = type(house.script)()
    house.script.decisions = ["INFEASIBLE"] * 3 + ["FEASIBLE"]
    house.script.worth = {"one": 0.09, "many": 0.06, "bare": 0.03}
    house.create("bought")
    house.offer("one", "bought")
    house.offer("many", "bought", owners=2)
    house.offer("bare", "bought", labelled=False)
    house.offer("poor", "bought", price_cents=9)
    house.tell("market", RefuseOffer(offer="theirs", seller="mallory", held_out=3), project="bought")
    house.tell("registry", seal("bought"), project="bought")
    for _ in range(3):
        house.say("yes", "BUY_ROW", "bought", actor="boss")
        while house.requests("LABEL_ROW", "bought"):
            house.say("yes", "LABEL_ROW", "bought")
    house.tell("market", Audit(), project="bought")
    house.tell("process", ControlProject(event="pause"), project="bought")
    house.tell("process", ControlProject(event="resume"), project="bought")
    house.tell("process", ControlProject(event="cancel"), project="bought")


def cleaned(house: Recorded) -> None:
    """Undecided, cells cleaned, an unlabelled test set, realtime windows, feedback, expiry."""
    house.script = type(house.script)()
    house.script.decisions = ["UNDECIDED", "FEASIBLE"]
    house.script.repairs = lambda body: (option("CLEAN_CELL", body.command.version.number, [1, 2]),)
    house.script.quality = {"logistic": 0.6, "forest": 0.7}
    house.script.fails = {RunTrial: OneClass("train has one class", hint="Add rows of another.")}
    house.create(
        "cleaned", when_undecided="improve", budgets={"improvement_cents": 1000.0, "realtime_labels": 4}
    )
    house.script.fails = {}
    house.tell("registry", seal("cleaned"), project="cleaned")
    house.say(4.5, "CLEAN_CELL", "cleaned")
    house.test_set_of("cleaned", 2, labelled=False)
    house.script.quality = {"svc": 0.9}
    house.tell("process", RequestImprovement(reason="again"), project="cleaned")
    house.say(5.5, "CLEAN_CELL", "cleaned")
    sealed = seal_label(1, public_key(house.gate_key))
    while house.requests("LABEL_TEST", "cleaned"):
        house.say(sealed, "LABEL_TEST", "cleaned")
    for number in range(4):
        house.segment_of("cleaned", f"s{number}")
        if number == 1:
            house.tell(
                "oracle", Volunteer(annotator="eve", key="realtime:later:1", value="yes"), project="cleaned"
            )
            house.say("yes", "LABEL_REALTIME", "cleaned")
    unknown = tuple(r["id"] for r in house.requests("LABEL_REALTIME", "cleaned"))
    house.tell("oracle", Skip(annotator="ann", requests=unknown[:1]), project="cleaned")
    house.pass_time(100 * HOUR)


def stalled(house: Recorded) -> None:
    """Nothing is worth its cost; the target is lowered; a study is cancelled; a trial fails."""
    house.script = type(house.script)()
    house.script.decisions = ["INFEASIBLE", "UNDECIDED", "FEASIBLE"]
    house.script.worth = {"dear": 0.001}
    house.script.fails = {RunTrial: OneClass("train has one class", hint="Add rows of another.")}
    house.create("stalled", when_undecided="ask")
    house.offer("dear", "stalled", price_cents=5)
    house.tell("registry", seal("stalled"), project="stalled")
    house.say("no", "BUY_ROW", "stalled")
    house.say("0.7", "OVERRIDE_TARGET", "stalled")
    house.hold = True
    house.tell(
        "process", OverrideTarget(target_accuracy=0.6, train=False, reason="enough"), project="stalled"
    )
    house.tell("feasibility", CancelStudy(), project="stalled")
    house.hold = False
    house.go_on()
    house.say("train", "OVERRIDE_TARGET", "stalled")


def play() -> Recorded:
    """Return a house in which all chapters were played."""
    house = Recorded()
    local.work_of = house.work_of
    house.tell("process", CreateTenant(name="lab", role="tenant", token_hash="0" * 64), project="_system")
    for chapter in (relabelled, bought, cleaned, stalled):
        chapter(house)
    house.check_replay()
    return house


def main() -> None:
    """Write the events as one JSON object a line, as a store keeps them."""
    rows = [{**encode(event), "seq": event.seq} for event in play().store.read()]
    Path(sys.argv[1]).write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(f"{len(rows)} events of {len({row['kind'] for row in rows})} kinds")


if __name__ == "__main__":
    main()
