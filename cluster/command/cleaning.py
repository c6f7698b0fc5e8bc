"""``easeml cleaning``: what cleaning can reach."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cluster import wording
from cluster.command.options import draw_options
from cluster.command.picture import picture_kind, save_picture
from cluster.command.table import table
from cluster.command.verb import Session, verb

__all__ = ["cleaning"]

_SHOWN = 10
_COLUMNS = {
    "pillar": "pillar",
    "row_id": "row",
    "column": "column",
    "given": "given",
    "likely": "likely",
    "doubt": "doubt",
    "bits": "bits not known",
    "information": "bits told of predictions",
    "points": "expected points",
    "answer": "answer",
}


@verb
def cleaning(
    session: Session,
    project: Annotated[str, typer.Argument(help="Name of the project.")],
    picture: Annotated[
        Path | None, typer.Option(help="Write the curve as a picture, .svg or .png.", dir_okay=False)
    ] = None,
) -> None:
    """Show how wrong the labels look, how uncertain the cells are, and which to have confirmed."""
    kind, client = picture_kind(picture), session.client()
    session.show(client.cleaning(project), _draw)
    if picture is not None:
        save_picture(session, picture, client.cleaning_picture(project, kind))


def _draw(out: Console, answer: dict[str, Any]) -> None:
    belief = answer["belief"]
    out.print(f"data version {answer['version']}: label noise about {belief['noise']:.3f} (uniform)")
    if belief["uncertain_rows"]:
        _draw_cells(out, belief)
    done = f"answered {answer['answered']}, skipped {answer['skipped']}"
    out.print(f"{done}, {answer['removed_bits']:.1f} bits removed")
    if len(answer["curve"]) > 1:
        out.print(_way(answer["curve"]))
    if answer["checks"]:
        out.print(_checks(answer["checks"]))
    draw_options(out, answer["options"])
    for option in answer["options"]:
        held = {key for item in option["items"] for key in item}
        keys = [key for key in _COLUMNS if key in held]
        rows = [[item.get(key) for key in keys] for item in option["items"][:_SHOWN]]
        out.print(table([_COLUMNS[key] for key in keys], rows))


def _draw_cells(out: Console, belief: dict[str, Any]) -> None:
    certain = 100 * belief["certain_fraction"]
    out.print(
        f"{belief['uncertain_rows']} rows have several alternatives ({belief['entropy']:.0f} bits); "
        f"{certain:.0f} % of the development rows are predicted alike whatever is true"
    )
    spread = "" if belief["sd"] is None else f" (sd {belief['sd']:.3f})"
    out.print(
        f"accuracy of a vote of neighbours between {belief['lower']:.3f} and {belief['upper']:.3f}, "
        f"expected {belief['expected']:.3f}{spread}, with a good repair {belief['potential']:.3f}"
    )
    if belief["action"]:
        proof = " (proven for these development rows)" if belief["certified"] else ""
        out.print(f"cells and this vote: {belief['action']}{proof}: {belief['reason']}", markup=False)


def _checks(checks: list[dict[str, Any]]) -> Any:
    columns = ["v", "what was asked", "your best arm", "accuracy before", "after", "gain in points (90 %)"]
    rows = [
        [
            check["number"],
            check["kind"],
            check["arm"],
            f"{check['before']:.3f}",
            f"{check['after']:.3f}",
            wording.gain(check["gain"]),
        ]
        for check in checks
    ]
    return table(columns, rows, right=[0, 3, 4])


def _way(curve: list[dict[str, Any]]) -> Any:
    columns = ["v", "cells answered", "lower", "expected", "good repair", "upper", "certain"]
    rows = [
        [
            point["number"],
            point["cells"],
            *(f"{point[name]:.3f}" for name in ("lower", "expected", "potential", "upper")),
            f"{point['certain_fraction']:.0%}",
        ]
        for point in curve
    ]
    return table(columns, rows, right=range(7))
