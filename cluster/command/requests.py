"""``easeml requests``: what people are asked for."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from cluster import wording
from cluster.command.table import table
from cluster.command.verb import Session, verb

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="What people are asked for: list and withdraw.")


@app.command("list")
@verb
def list_(
    session: Session,
    project: Annotated[str | None, typer.Argument(help="A project; all of them if left out.")] = None,
    within: Annotated[
        str | None, typer.Option("--in", help="OPEN, LEASED, ANSWERED, SKIPPED or EXPIRED.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="RELABEL, CLEAN_CELL, BUY_ROW, …")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    rows: Annotated[bool, typer.Option("--rows", help="With the rows that they are about.")] = False,
) -> None:
    """List requests, newest first; easeml label answers them."""
    found = session.client().requests(project, within and within.upper(), kind, limit, rows)
    session.show({"requests": found}, _draw)


@app.command()
@verb
def close(
    session: Session,
    project: Annotated[str, typer.Argument(help="Name of the project.")],
    batch: Annotated[str, typer.Argument(help="As easeml requests list shows it.")],
) -> None:
    """Withdraw what is still open in a batch; the project goes on without those answers."""
    session.show(
        session.client().close(project, batch),
        lambda out, answer: out.print(f"{answer['expired']} requests of {batch} were withdrawn."),
    )


def _draw(out: Console, answer: dict[str, Any]) -> None:
    if not answer["requests"]:
        out.print("Nobody is asked for anything.")
        return
    several = len({r["project"] for r in answer["requests"]}) > 1
    columns = ["id", "kind", "state", "about", "cost", "answer"]
    rows = [
        [r["id"], r["kind"], r["state"], r["key"], wording.money(r["cost_cents"]), r["value"]]
        for r in answer["requests"]
    ]
    if several:
        columns.insert(0, "project")
        rows = [[r["project"], *row] for r, row in zip(answer["requests"], rows, strict=True)]
    out.print(table(columns, rows, right=(int(several),)))
    for batch in dict.fromkeys((r["batch"], r["title"], tuple(r["choices"])) for r in answer["requests"]):
        name, title, choices = batch
        out.print(f"{name}: {escape(title)}" + (f" One of: {', '.join(choices[:20])}." if choices else ""))
