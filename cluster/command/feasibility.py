"""``easeml feasibility``: whether the target can be reached."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from cluster.command.table import table
from cluster.command.verb import Session, verb

__all__ = ["feasibility"]


@verb
def feasibility(
    session: Session,
    project: Annotated[str, typer.Argument(help="Name of the project.")],
    report: Annotated[bool, typer.Option("--report", help="Add the newest whole report.")] = False,
) -> None:
    """Show what is believed about the Bayes error of every data version, and the advice."""
    session.show(session.client().feasibility(project, report), _draw)


def _draw(out: Console, answer: dict[str, Any]) -> None:
    beliefs = answer["beliefs"]
    out.print(
        table(
            [
                "v",
                "target",
                "decision",
                "belief",
                "Bayes error",
                "90 % interval",
                "1NN",
                "embedding",
            ],
            [
                [
                    b["number"],
                    f"{b['target_accuracy']:g}",
                    b["decision"],
                    f"{b['belief']:.2f}",
                    f"{b['ber_lower']:.3f}",
                    "{:.3f} .. {:.3f}".format(*b["ber_interval"]),
                    f"{b['ber_upper']:.3f}",
                    b["best_embedding"],
                ]
                for b in beliefs
            ],
            right=(0, 1, 3, 4, 6),
        )
    )
    for sentence in beliefs[-1]["advice"]:
        out.print(f"- {sentence}", markup=False)
    out.print(f"method: {beliefs[-1]['method']}", style="dim", markup=False)
    if answer.get("report"):
        _draw_curves(out, answer["report"])


def _draw_curves(out: Console, report: dict[str, Any]) -> None:
    rows = [
        [name, n_train, errors, f"{value:.3f}"]
        for name, curve in report["curves"].items()
        for n_train, errors, value in curve
    ]
    out.print(table(["embedding", "train rows", "1NN errors", "Cover-Hart value"], rows, right=(1, 2, 3)))
