"""``easeml run``: a person's own file, from the first look to an answering endpoint."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from cluster import wording
from cluster.command.up import start
from cluster.command.verb import Session, verb
from cluster.follow import Standing, standing
from cluster.narrator import Line, Narrator
from easeml_ray.errors import AlreadyExists, NoModel, NotFound, NotReady, WorkFailed

if TYPE_CHECKING:
    from rich.status import Status

    from easeml_ray.client import Client

__all__ = ["run"]

_POLL_SECONDS = 0.5
_STUCK_SECONDS = 60.0  # after a problem was reported and nothing moves


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a file and the flags come to."""

    name: str
    file: Path
    data: bytes
    task: dict[str, Any]
    note: str  # about the gate, for the person
    example: dict[str, Any]  # one row, for the curl


@verb
def run(
    session: Session,
    file: Annotated[Path, typer.Argument(help="CSV or Parquet, one row an example.")],
    label: Annotated[str, typer.Option(help="Column to predict.")],
    target: Annotated[float, typer.Option(help="Share of rows that shall be right, e.g. 0.9.")],
    name: Annotated[str | None, typer.Option(help="Of the project; the file's name by default.")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column of unique ids.")] = None,
    group_column: Annotated[
        str | None, typer.Option(help="Column of the entity whose rows belong together, e.g. the patient.")
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option(help="What a model must show, e.g. 'n > 0.8 +/- 0.05'; chosen by the rows at hand."),
    ] = None,
    reliability: Annotated[float, typer.Option(help="Probability that all verdicts hold.")] = 0.95,
    steps: Annotated[int, typer.Option(help="Models that the test set may judge.", min=1)] = 4,
    seed: Annotated[int, typer.Option(help="Of split and training.")] = 0,
    improve: Annotated[
        bool, typer.Option("--improve", help="Ask for better data although the target is met.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Follow the project, or leave after the upload.")
    ] = True,
) -> None:
    """Take a file to an answering endpoint; stops where people are asked, and goes on when run again."""
    task = {"label": label, "target_accuracy": target, "seed": seed}
    columns = {"id_column": id_column, "group_column": group_column}
    task |= {key: value for key, value in columns.items() if value is not None}
    gate = {"condition": condition, "reliability": reliability, "steps": steps}
    plan = _plan(file, name, task, gate)
    client = _client(session)
    _begin(session, client, plan)
    if improve and client.project(plan.name)["phase"] in ("READY", "UNDECIDED", "STALLED"):
        client.improve(plan.name, "easeml run --improve")
    if not wait:
        session.show(
            client.project(plan.name), lambda out, _: out.print(f"easeml status {plan.name} shows it.")
        )
        return
    where = _follow(session, client, plan.name)
    _end(session, client, plan, where)


# -- before anything is started ---------------------------------------------------------------------


def _plan(file: Path, name: str | None, task: dict[str, Any], gate: dict[str, Any]) -> _Plan:
    """Read and check the file here, so that what is wrong with it is said before anything starts."""
    from cluster.defaults import default_condition, project_name
    from cluster.files import contents, parted
    from easeml_ray.gate import parse, require, subset_rows
    from easeml_ray.messages import Pillar

    data = contents(file)
    project = name or project_name(file.stem)
    chosen = {key: value for key, value in gate.items() if value is not None}
    prepared = parted(project, data, {**task, "gate": chosen})
    rows = prepared.rows[Pillar.STABLE]
    if gate["condition"] is None:
        found = default_condition(
            rows, task["target_accuracy"], reliability=gate["reliability"], steps=gate["steps"]
        )
        chosen |= {"condition": found.condition, "steps": found.steps}
        finest = f"{100 * float(found.tolerance):g} points"
        why = f"chosen because {rows:,} rows tell accuracies apart to {finest} and no finer"
    else:
        terms = {"reliability": gate["reliability"], "steps": gate["steps"], "adaptivity": "none"}
        condition = parse(gate["condition"])
        subsets = subset_rows(prepared.tables[Pillar.STABLE], task["label"], condition)
        require(condition, rows, **terms, bound="best", subsets=subsets)
        why = "as you asked"
    words = wording.condition(
        chosen["condition"], reliability=gate["reliability"], steps=chosen["steps"], rows=rows
    )
    example = prepared.tables[Pillar.TRAIN].slice(0, 1).to_pylist()[0]
    features = {column.name: example[column.name] for column in prepared.schema}
    note = f"{chosen['condition']} ({why}): {words}"
    return _Plan(project, file, data, {**task, "gate": chosen}, note, features)


# -- the beginning ------------------------------------------------------------------------------------


def _client(session: Session) -> Client:
    """Return a client of the named system, or of the local one, started if need be."""
    if session.settings.url is None:
        from cluster import local

        state = session.settings.state
        if not state.is_dir() or local.endpoint(state) is None:
            session.say("No system runs here yet: starting one (easeml down ends it).")
            start(session)
    return session.client()


def _begin(session: Session, client: Client, plan: _Plan) -> None:
    """Create the project and upload the file, unless that was done before."""
    try:
        shown = client.project(plan.name)
        _refuse_other_file(client, plan, shown)
        session.say(f"{plan.name} is known already: going on with it, in {shown['phase']}.")
        _warn(session, plan, shown)
    except NotFound:
        client.create_project(plan.name, plan.task)
        shown = client.project(plan.name)
    if shown["version"] is None and shown["phase"] == "DEFINED":
        session.say(f"gate: {escape(plan.note)}")
        client.upload(plan.name, plan.data)


def _refuse_other_file(client: Client, plan: _Plan, shown: dict[str, Any]) -> None:
    """Refuse a file that is not the project's: it would be left unused without a word."""
    if shown["version"] is None:
        return
    known = client.versions(plan.name)["uploads"][0]["digest"]
    if known != hashlib.sha256(plan.data).hexdigest():
        raise AlreadyExists(
            f"project {plan.name} was made from another file than {plan.file}",
            hint="A project keeps its data; start another: --name NEW-NAME. Further rows come by "
            f"easeml market offer {plan.name}, a fresh test set by easeml data test-set {plan.name}.",
            what="project",
            name=plan.name,
        )


def _warn(session: Session, plan: _Plan, shown: dict[str, Any]) -> None:
    differs = [key for key in ("label", "target_accuracy") if shown["task"][key] != plan.task[key]]
    if differs:
        known = ", ".join(f"{key} {shown['task'][key]}" for key in differs)
        session.say(f"[yellow]It was made with {known}; that stays. --name starts another project.[/yellow]")


# -- on the way ---------------------------------------------------------------------------------------


def _follow(session: Session, client: Client, name: str) -> Standing:
    """Tell what happens until the project needs somebody or is where it should be."""

    def tell(line: Line) -> None:
        session.say(f"[bold]{line.stage}[/bold]: {escape(line.text)}")

    narrator = Narrator(client, name, tell)
    before: dict[str, Any] = {}
    moved_at = time.monotonic()
    with session.err.status("looking") as spinner:
        while True:
            shown, models = client.project(name), client.models(name)
            narrator.look(shown)
            _spin(spinner, shown, models, _study(client, shown))
            where = standing(shown, models)
            if where is not Standing.MOVING:
                return where
            if shown != before:
                before, moved_at = shown, time.monotonic()
            elif shown["problem"] and time.monotonic() - moved_at > _STUCK_SECONDS:
                problem = shown["problem"]
                raise WorkFailed(
                    f"{name} stands still in {shown['phase']}: {problem['message']}",
                    hint=problem.get("hint") or "easeml status shows more.",
                    action=problem.get("what", ""),
                    cause=problem.get("kind", ""),
                )
            time.sleep(_POLL_SECONDS)


def _study(client: Client, shown: dict[str, Any]) -> dict[str, Any] | None:
    """Return how far the study is that the project is at."""
    if shown["phase"] != "FEASIBILITY":
        return None
    try:
        found: dict[str, Any] | None = client.feasibility(shown["project"]).get("progress")
        return found
    except NotFound:
        return None  # it begins in a moment


def _spin(
    spinner: Status, shown: dict[str, Any], models: dict[str, Any], study: dict[str, Any] | None
) -> None:
    text = f"{shown['phase']}: {shown['because']}"
    if study and study["total"]:
        text += f" | {study['stage']}, {study['done']} of {study['total']}"
    if shown["ber_interval"]:
        low, high = shown["ber_interval"]
        text += f" | Bayes error {low:.3f} .. {high:.3f}"
    trained = len(models["models"])
    if trained:
        text += f" | {trained} models, {shown['training']} in training"
    spinner.update(escape(text))


# -- the end ------------------------------------------------------------------------------------------


def _end(session: Session, client: Client, plan: _Plan, where: Standing) -> None:
    shown = client.project(plan.name)
    match where:
        case Standing.PEOPLE:
            raise _asks(client, plan.name, shown)
        case Standing.HALTED:
            raise NotReady(
                f"{plan.name} is {shown['control']}", hint="Resume it through the API, then run again."
            )
        case Standing.NO_MODEL:
            raise NoModel(
                f"no model of {plan.name} passed its gate",
                hint=f"easeml gate {plan.name} shows by how much. Better data: easeml run … --improve; "
                "or another project with a lower --target or --condition. Models that do well in development "
                "and fail here may mean wrong labels in the test set: "
                f"easeml data test-set {plan.name} FILE.",
                project=plan.name,
            )
    session.show({**shown, "url": client.url}, lambda out, answer: _farewell(session, client, plan))


def _asks(client: Client, name: str, shown: dict[str, Any]) -> NotReady:
    """Return the sentence that says what is wanted, and the commands that give it."""
    batch = next(b for b in shown["waiting_for"] if b["kind"] != "LABEL_REALTIME")
    asked = [r for r in client.requests(name, kind=batch["kind"], limit=500) if r["batch"] == batch["batch"]]
    title = asked[0]["title"] if asked else batch["kind"]
    cents = sum(r["cost_cents"] for r in asked if r["state"] in ("OPEN", "LEASED"))
    cost = (
        f" That costs {wording.money(cents)} of {wording.money(shown['budget_left_cents'])}." if cents else ""
    )
    if batch["kind"] == "NEW_TEST_SET":
        return NotReady(f"{name}: {title}", hint=f"Give them: easeml data test-set {name} FILE")
    return NotReady(
        f"{name} waits for people ({batch['open']} x {batch['kind']}): {title}{cost}",
        hint=f"Answer: easeml label {name} (look first: easeml requests list {name} --in OPEN). "
        "Then give the same easeml run again: it goes on.",
    )


def _farewell(session: Session, client: Client, plan: _Plan) -> None:
    asked = {b["kind"]: b["open"] for b in client.project(plan.name)["waiting_for"]}
    if "LABEL_REALTIME" in asked:
        session.say(
            f"{asked['LABEL_REALTIME']} served rows want a label, to choose among the models: "
            f"easeml label {plan.name}"
        )
    if "NEW_TEST_SET" in asked:
        session.say(f"The test set is running out: easeml data test-set {plan.name} FILE gives the next one.")
    token = wording.FROM_ENVIRONMENT
    if session.settings.url is None:
        found = session.running()
        token = wording.from_file(found[0] / "token") if found else token
    session.say(f"The endpoint answers at {client.url}/v2/models/{plan.name}/predict:")
    session.out.print(wording.curl(client.url, plan.name, plan.example, token), soft_wrap=True, markup=False)
    session.say("easeml down ends the system; easeml up takes it up again.")
