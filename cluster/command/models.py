"""``easeml models``: what was trained, and where each model stands."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from cluster.command.table import table
from cluster.command.verb import Session, verb

__all__ = ["models"]


@verb
def models(session: Session, project: Annotated[str, typer.Argument(help="Name of the project.")]) -> None:
    """Show the searches and every model: how it was measured, where it stands, what is deployed."""
    session.show(session.client().models(project), _draw)


def _draw(out: Console, answer: dict[str, Any]) -> None:
    for search in answer["searches"]:
        left = [*search["running"], *search["waiting"]]
        text = f"search on version {search['version']}: {search['state']}"
        out.print(text + (f"; to come: {', '.join(left)}" if left else ""))
        for arm, why in search["failed"].items():
            out.print(f"[red]{arm} failed:[/red] {why}")
    out.print(
        table(
            ["model", "arm", "version", "development accuracy", "lower bound", "seconds", "state"],
            [
                [
                    m["model"][:12],
                    m["arm"],
                    m["version"],
                    f"{m['development_accuracy']:.3f}",
                    f"{m['development_lower']:.3f}",
                    "" if m["seconds"] is None else f"{m['seconds']:.2f}",
                    m["state"],
                ]
                for m in answer["models"]
            ],
            right=(2, 3, 4, 5),
        )
    )
    deployed = answer["deployed"]
    if deployed:
        out.print(
            f"deployed: {deployed['arm']} ({deployed['model'][:12]}) of data version {deployed['version']}, "
            f"because: {deployed['because']}"
        )
