"""``easeml next``: what to do next, ranked across all steps."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from cluster import wording
from cluster.command.options import draw_options
from cluster.command.verb import Session, verb

__all__ = ["next_"]


@verb
def next_(session: Session, project: Annotated[str, typer.Argument(help="Name of the project.")]) -> None:
    """Rank everything that could be done next by expected gain per cent, across all steps."""
    session.show(session.client().next(project), _draw)


def _draw(out: Console, answer: dict[str, Any]) -> None:
    out.print(
        f"{answer['project']} is {answer['phase']}; {wording.money(answer['budget_left_cents'])} are left"
    )
    draw_options(out, answer["options"])
