"""``easeml gate``: the sealed test sets and their verdicts."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from cluster import wording
from cluster.command.table import table
from cluster.command.verb import Session, verb

__all__ = ["gate"]


@verb
def gate(session: Session, project: Annotated[str, typer.Argument(help="Name of the project.")]) -> None:
    """Show the conditions, what their verdicts guarantee, and what is left of the test sets."""
    session.show(session.client().gate(project), _draw)


def _draw(out: Console, answer: dict[str, Any]) -> None:
    for era in answer["eras"]:
        out.print(f"[bold]era {era['era']}[/bold] {era['state']}: {era['condition']}")
        terms = {name: era[name] for name in ("reliability", "steps", "rows", "mode")}
        out.print(wording.condition(era["condition"], **terms))
        out.print(
            f"{era['rows']:,} rows ({era['required_rows']:,} needed by {era['bound']}), "
            f"{era['steps_left']} of {era['steps']} verdicts left, adaptivity {era['adaptivity']}"
        )
        out.print(
            table(
                ["step", "model", "verdict", "right", "rows"],
                [
                    [v["step"], v["model"][:12], v["verdict"], *_evidence(v["evidence"])]
                    for v in era["verdicts"]
                ],
                right=(0, 3, 4),
            )
        )
    if answer["waiting"]:
        out.print(f"{len(answer['waiting'])} models wait for a fresh test set: easeml data test-set")


def _evidence(evidence: dict[str, Any] | None) -> list[Any]:
    return [evidence["new_correct"], evidence["rows"]] if evidence else ["sealed", ""]
