"""Tells what happens to an application, one line a stage, from what the system answers.

Nothing is told that was not read from the system in this run, and nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster import wording

if TYPE_CHECKING:
    from easeml_ray.client import Client

__all__ = ["Line", "Narrator", "Tell"]

_IMPROVES = {"CLEAN_CELL": "clean", "RELABEL": "relabel", "BUY_ROW": "buy"}
_GONE = ("EXHAUSTED", "RELEASED")
_CHOSEN = ("DECIDED", "RELEASED")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the story: which project, which stage, what happened."""

    project: str
    stage: str
    text: str


Tell = Callable[[Line], None]


class Narrator:
    """The story of one project.

    Parameters
    ----------
    client : Client
        Of its tenant.
    project : str
        Its name.
    tell : callable
        Takes each line once.
    """

    def __init__(self, client: Client, project: str, tell: Tell) -> None:
        self._client = client
        self._project = project
        self._tell = tell
        self._told: set[str] = set()
        self._beliefs = 0
        self._gains = 0

    def say(self, stage: str, text: str, *, once: str | None = None) -> None:
        """Tell a line; with ``once``, only the first time under that name."""
        if once is not None:
            if once in self._told:
                return
            self._told.add(once)
        self._tell(Line(self._project, stage, text))

    def look(self, shown: Mapping[str, Any]) -> None:
        """Tell what is new since the last look; ``shown`` is the project as it stands."""
        if shown["version"] is None:
            return
        self._data()
        self._feasibility(shown)
        self._choice(shown)
        if shown["phase"] == "READY":
            self._models()
            self._gate()
            self._windows()

    def _data(self) -> None:
        if "data" in self._told:
            return
        found = self._client.versions(self._project)
        first = found["versions"][0]
        self.say(
            "data",
            f"{first['train_rows']:,} rows to train, {first['development_rows']:,} to develop, "
            f"{found['test_sets'][0]['rows']:,} sealed for the gate",
            once="data",
        )

    def _feasibility(self, shown: Mapping[str, Any]) -> None:
        if shown["decision"] is None:
            return
        beliefs = self._client.feasibility(self._project)["beliefs"]
        for number in range(self._beliefs, len(beliefs)):
            self._realised(number)
            found = beliefs[number]
            self.say("feasibility", f"version {found['number']}: {wording.belief(found)}")
        self._beliefs = len(beliefs)

    def _realised(self, study: int) -> None:
        """Tell what the step before a study was predicted to bring and what it brought."""
        gains = self._client.ledger(self._project)["gains"]
        while self._gains < min(study, len(gains)):
            found = gains[self._gains]
            self._gains += 1
            self.say(
                "gain",
                f"{_IMPROVES[found['kind']]}: predicted {wording.gain(found['predicted'])}, the next study "
                f"saw {100 * found['realised']:+.1f}"
                + ("" if found["model"] is None else f" (its models {100 * found['model']:+.1f})"),
            )

    def _choice(self, shown: Mapping[str, Any]) -> None:
        batch = next((b for b in shown["waiting_for"] if b["kind"] in _IMPROVES), None)
        if batch is None or batch["batch"] in self._told:
            return
        ranked = self._client.next(self._project)["options"]
        chosen = next((o for o in ranked if o["affordable"] and o["kind"] == batch["kind"]), None)
        if chosen is None:
            return
        what = f"{_IMPROVES[chosen['kind']]} {chosen['items']} {_thing(chosen['kind'], chosen['items'])}"
        if chosen["kind"] == "BUY_ROW":
            # The title ends with the price, which is told anyway.
            what = chosen["title"].replace("Buy", "buy", 1).rsplit(" for ", 1)[0]
        self.say(
            "choice",
            f"{what} for {wording.money(chosen['cost_cents'])}: expected {wording.gain(chosen['gain'])}, "
            f"the best of {len(ranked)} by gain per cent",
            once=batch["batch"],
        )

    def _models(self) -> None:
        found = self._client.models(self._project)
        search = found["searches"][-1] if found["searches"] else None
        if search is None or search["state"] == "OPEN":
            return
        trials = sorted(search["finished"], key=lambda t: -float(t["development_accuracy"]))
        listed = ", ".join(f"{t['arm']} {t['development_accuracy']:.3f}" for t in trials)
        failed = f"; failed: {', '.join(search['failed'])}" if search["failed"] else ""
        self.say(
            "models",
            f"{len(trials)} trained on version {search['version']}, development accuracy: {listed}{failed}",
            once=f"models-{search['version']}",
        )

    def _gate(self) -> None:
        eras = self._client.gate(self._project)["eras"]
        for era in eras:
            if era["state"] not in _GONE:
                continue
            name = f"era-{era['era']}"
            if name in self._told:
                continue
            arms = self._arms()
            self.say(
                "gate", f"{era['condition']}: {wording.condition(era['condition'], **_terms(era))}", once=name
            )
            verdicts = ", ".join(_verdict(v, arms) for v in era["verdicts"])
            self.say(
                "gate", f"{verdicts}. The set is small: it sees no finer differences than {_finest(era)}"
            )

    def _windows(self) -> None:
        found = self._client.pool(self._project)
        arms = {m["model"]: m["arm"] for m in found["models"]}
        for window in found["windows"]:
            if window["state"] not in _CHOSEN or not window["candidates"]:
                continue
            posterior = dict(zip(window["candidates"], window["posterior"], strict=True))
            listed = ", ".join(f"{arms[m]} {p:.2f}" for m, p in sorted(posterior.items(), key=_by_weight))
            self.say(
                "window",
                f"{window['rows']} realtime rows, {_asked(window['labels'])}; posterior: {listed}; "
                f"deployed: {found['deployed']['arm']}",
                once=f"window-{window['window']}",
            )

    def _arms(self) -> dict[str, str]:
        return {m["model"]: m["arm"] for m in self._client.pool(self._project)["models"]}


def _by_weight(item: tuple[str, float]) -> float:
    return -item[1]


def _thing(kind: str, count: int) -> str:
    thing = "label" if kind == "RELABEL" else "cell"
    return thing if count == 1 else f"{thing}s"


def _asked(labels: int) -> str:
    if labels == 0:
        return "no label asked, the candidates hardly differ"
    return "1 label asked" if labels == 1 else f"{labels} labels asked"


def _terms(era: Mapping[str, Any]) -> dict[str, Any]:
    return {name: era[name] for name in ("reliability", "steps", "rows", "mode")}


def _finest(era: Mapping[str, Any]) -> str:
    from easeml_ray.gate import parse

    tolerance = max(clause.epsilon for clause in parse(era["condition"]).clauses)
    return f"{100 * float(tolerance):g} points"


def _verdict(verdict: Mapping[str, Any], arms: Mapping[str, str]) -> str:
    evidence = verdict["evidence"]
    seen = f" ({evidence['new_correct']} right)" if evidence else ""
    return f"{arms.get(verdict['model'], verdict['model'][:8])} {verdict['verdict']}{seen}"
