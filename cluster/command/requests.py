"""``easeml requests``: what people are asked for."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

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
    found = session.client().requests(project, within, kind, limit, rows)
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
    out.print(
        table(
            ["id", "project", "batch", "kind", "state", "about", "choices", "cost", "answer"],
            [
                [
                    r["id"],
                    r["project"],
                    r["batch"],
                    r["kind"],
                    r["state"],
                    r["key"],
                    " ".join(r["choices"][:12]),
                    wording.money(r["cost_cents"]),
                    r["value"],
                ]
                for r in answer["requests"]
            ],
            right=(0, 7),
        )
    )
