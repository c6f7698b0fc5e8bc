"""``easeml cleaning``: what cleaning can reach."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from cluster.command.options import draw_options
from cluster.command.table import table
from cluster.command.verb import Session, verb

__all__ = ["cleaning"]

_SHOWN = 10


@verb
def cleaning(session: Session, project: Annotated[str, typer.Argument(help="Name of the project.")]) -> None:
    """Show how wrong the labels look, how uncertain the cells are, and which to have confirmed."""
    session.show(session.client().cleaning(project), _draw)


def _draw(out: Console, answer: dict[str, Any]) -> None:
    belief = answer["belief"]
    out.print(f"data version {answer['version']}: label noise about {belief['noise']:.3f} (uniform)")
    if belief["uncertain_rows"]:
        certain = 100 * belief["certain_fraction"]
        out.print(
            f"{belief['uncertain_rows']} rows have several alternatives ({belief['entropy']:.0f} bits); "
            f"{certain:.0f} % of the development rows are predicted alike whatever is true"
        )
        out.print(
            f"accuracy between {belief['lower']:.3f} and {belief['upper']:.3f}, "
            f"expected {belief['expected']:.3f}"
        )
    done = f"answered {answer['answered']}, skipped {answer['skipped']}"
    out.print(f"{done}, {answer['removed_bits']:.1f} bits removed")
    draw_options(out, answer["options"])
    for option in answer["options"]:
        keys = sorted({key for item in option["items"] for key in item} - {"key", "candidates"})
        rows = [[item.get(key) for key in keys] for item in option["items"][:_SHOWN]]
        out.print(table(keys, rows))
