"""``easeml gate``: the sealed test sets and their verdicts, and what a condition would cost."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from cluster import wording
from cluster.command.table import table
from cluster.command.verb import Session, verb
from easeml_ray.errors import Conflict, InvalidArgument, NotFound, NotReady

__all__ = ["app"]

_POLL_SECONDS = 0.5
_SHORTEST_NAME = 6


class _ShowFirst(TyperGroup):
    """``easeml gate PROJECT`` means ``easeml gate show PROJECT``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ShowFirst,
    no_args_is_help=True,
    help="The sealed test sets and their verdicts, and what a condition would cost.",
)

Project = Annotated[str, typer.Argument(help="Name of the project.")]


@app.command()
@verb
def show(session: Session, project: Project) -> None:
    """Show the conditions, what their verdicts guarantee, and what is left of the test sets."""
    session.show(session.client().gate(project), _draw)


@app.command()
@verb
def check(
    session: Session,
    project: Project,
    model: Annotated[str, typer.Option(help="Name of the model, or its first characters.")],
    wait: Annotated[float, typer.Option(help="Seconds to wait for a verdict.", min=0)] = 0.0,
) -> None:
    """Tell a model's verdict to a pipeline.

    Exit code 0 for PASS, 1 for FAIL, 4 for a model that nobody knows, 5 for one that was retired without
    a test, 6 while there is no verdict.
    """
    client, end = session.client(), time.monotonic() + wait
    while True:
        gate = client.gate(project)
        name = _full_name(gate, client.models(project)["models"], model)
        found = _verdict_of(gate, name)
        if found is not None:
            break
        if time.monotonic() >= end:
            raise _not_yet(project, gate, name)
        time.sleep(_POLL_SECONDS)
    session.show(found, _draw_check)
    raise typer.Exit(0 if found["verdict"] == "PASS" else 1)


@app.command()
@verb
def size(
    session: Session,
    condition: Annotated[str, typer.Argument(help="Such as 'n - o > 0.02 +/- 0.01'.")],
    reliability: Annotated[float, typer.Option(help="That all verdicts hold.")] = 0.95,
    steps: Annotated[int, typer.Option(help="Models that one test set is to judge.")] = 4,
    adaptivity: Annotated[str, typer.Option(help="none, full, firstChange or bounded:PASSES.")] = "none",
    bound: Annotated[str, typer.Option(help="Which inequality.")] = "best",
    discordance: Annotated[
        float | None, typer.Option(help="Largest share of rows on which the models differ, if known.")
    ] = None,
    meter: Annotated[
        str, typer.Option(help="Edges of an overfitting meter that is read with every verdict: 0.02,0.1.")
    ] = "",
    rows: Annotated[int | None, typer.Option(help="Rows at hand; says what to do if they are few.")] = None,
) -> None:
    """Explain how many test rows and labels a condition needs; no system is asked."""
    from easeml_ray.gate import OverfittingMeter, contradictions, parse, sample_size, ways_out

    plan: dict[str, Any] = {"reliability": reliability, "steps": steps, "adaptivity": adaptivity}
    edges = [edge for edge in meter.split(",") if edge]
    metered = OverfittingMeter(edges, **plan) if edges else None
    plan |= {"bound": bound, "discordance": discordance, "bands": metered.bands if metered else 1}
    parsed = parse(condition)
    needed = sample_size(parsed, **plan)
    labelled = {metered.rows} if metered else set()  # the meter takes the label of each of its rows
    answer = {
        "condition": str(parsed),
        "rows": max({needed.total} | labelled),
        "labels": max({needed.labels} | labelled),
        "meter_rows": metered.rows if metered else None,
        "clauses": [
            {"clause": str(c.clause), "rows": c.rows, "labels": c.labels, "bound": c.bound}
            for c in needed.clauses
        ],
        "warnings": contradictions(parsed),
        "ways_out": ways_out(parsed, rows, **plan) if rows is not None else [],
        "explained": str(needed),
    }
    session.show(answer, _draw_size)


def _full_name(gate: dict[str, Any], models: list[dict[str, Any]], name: str) -> str:
    """Return the one model whose name begins so, if it has a verdict or can come to one."""
    if len(name) < _SHORTEST_NAME:
        raise InvalidArgument(
            f"{name!r} is too short a name for a model.",
            hint=f"give at least its first {_SHORTEST_NAME} characters",
            argument="model",
        )
    states = {str(m["model"]): m["state"] for m in models if m["model"].startswith(name)}
    verdicts = [verdict for era in gate["eras"] for verdict in era["verdicts"]]
    judged = {str(v["model"]) for v in verdicts if v["model"].startswith(name)}
    names = sorted(states.keys() | judged)
    if len(names) > 1:
        raise InvalidArgument(f"{len(names)} models begin with {name!r}.", argument="model")
    if not names:
        raise NotFound(
            f"there is no model {name}",
            hint=f"easeml models {gate['project']} lists them.",
            what="model",
            name=name,
        )
    if states.get(names[0]) == "RETIRED" and not judged:
        raise Conflict(
            f"model {names[0][:12]} was retired without a test",
            hint="Another one was better on development, and tests are spent on those that may be deployed.",
        )
    return names[0]


def _verdict_of(gate: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return the newest verdict on a model; None while it waits for one."""
    given = [
        {
            **verdict,
            "era": era["era"],
            "condition": era["condition"],
            "reliability": era["reliability"],
            "rows": era["rows"],
            "mode": era["mode"],
        }
        for era in gate["eras"]
        for verdict in era["verdicts"]
        if verdict["model"] == name
    ]
    pending = {m for era in gate["eras"] for m in (*era["queued"], era["judging"])} | set(gate["waiting"])
    return given[-1] if given and name not in pending else None


def _not_yet(project: str, gate: dict[str, Any], name: str) -> NotReady:
    """Return what a model waits for."""
    for era in gate["eras"]:
        if era["judging"] and era["waits_for_labels"]:
            return NotReady(
                f"{name[:12]} has no verdict yet: {era['waits_for_labels']} labels of test rows are awaited",
                hint=f"Give them: easeml label {project}.",
            )
    if name in gate["waiting"]:
        return NotReady(
            f"{name[:12]} waits for a test set", hint=f"Give one: easeml data test-set {project} FILE."
        )
    return NotReady(f"{name[:12]} has no verdict yet", hint="Give it time: --wait SECONDS.")


def _draw(out: Console, answer: dict[str, Any]) -> None:
    for era in answer["eras"]:
        out.print(f"[bold]era {era['era']}[/bold] {era['state']}: {escape(era['condition'])}")
        for warning in era["warnings"]:
            out.print(f"[yellow]warning: {escape(warning)}[/yellow]")
        terms = {name: era[name] for name in ("reliability", "steps", "rows", "mode")}
        out.print(wording.condition(era["condition"], **terms))
        out.print(
            f"{era['rows']:,} rows ({era['required_rows']:,} needed by {era['bound']}), "
            f"{era['steps_left']} of {era['steps']} verdicts left, adaptivity {era['adaptivity']}; "
            f"at most {era['leaked_bits']:.1f} of {era['most_bits']:.1f} bits of it are given away"
        )
        if era["judging"]:
            wanted = era["waits_for_labels"]
            waits = f", waits for {wanted} labels: easeml label {answer['project']}" if wanted else ""
            behind = f"; {len(era['queued'])} behind it" if era["queued"] else ""
            out.print(f"judging {era['judging'][:12]}{waits}{behind}")
        metered = bool(era["meter"])
        out.print(
            table(
                ["step", "model", "verdict", "right", "rows", *["development flatters by"] * metered],
                [
                    [
                        v["step"],
                        v["model"][:12],
                        v["verdict"],
                        *_evidence(v["evidence"]),
                        *[_points(v["reading"])] * metered,
                    ]
                    for v in era["verdicts"]
                ],
                right=(0, 3, 4),
            )
        )
    if answer["waiting"]:
        out.print(f"{len(answer['waiting'])} models wait for a fresh test set: easeml data test-set")


def _draw_check(out: Console, found: dict[str, Any]) -> None:
    colour = "green" if found["verdict"] == "PASS" else "red"
    out.print(f"[{colour}]{found['verdict']}[/{colour}] {found['model'][:12]}: {escape(found['condition'])}")
    evidence = found["evidence"]
    if found["reading"] is not None:
        out.print(f"  development flatters it by {_points(found['reading'])}")
    if evidence is None:
        out.print(f"what it rests on is sealed until era {found['era']} is released")
        return
    for line in evidence["clauses"]:
        out.print(f"  {escape(line)}")
    if evidence["failure"]:
        out.print(f"  it could not answer: {escape(evidence['failure'])}")
    if evidence["latency_ms"] is not None:
        out.print(f"  latency {evidence['latency_ms']:.1f} ms")


def _draw_size(out: Console, answer: dict[str, Any]) -> None:
    out.print(escape(answer["explained"]))
    if answer["meter_rows"] is not None:
        out.print(f"  the meter: {answer['meter_rows']:,} rows, all with labels")
    for warning in answer["warnings"]:
        out.print(f"[yellow]warning: {escape(warning)}[/yellow]")
    for way in answer["ways_out"]:
        out.print(f"too few rows; one can {escape(way)}")


def _points(reading: dict[str, Any] | None) -> str:
    if reading is None:
        return ""
    return f"{reading['points']} points (± {100 * reading['tolerance']:.1f})"


def _evidence(evidence: dict[str, Any] | None) -> list[Any]:
    if evidence is None:
        return ["sealed", ""]
    if evidence["labels"] is not None:
        return [f"{evidence['labels']} labels taken", evidence["rows"]]
    return [evidence["new_correct"], evidence["rows"]]
