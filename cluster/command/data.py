"""``easeml data``: upload, versions, fresh test sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cluster.command.table import table
from cluster.command.verb import Session, verb

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="A project's data: upload, versions, fresh test sets.")

Project = Annotated[str, typer.Argument(help="Name of the project.")]
File = Annotated[Path, typer.Argument(help="CSV or Parquet.")]
Format = Annotated[str | None, typer.Option(help="csv or parquet; the bytes say it by default.")]


@app.command()
@verb
def upload(session: Session, project: Project, file: File, format: Format = None) -> None:
    """Upload a project's data: checked, split into pillars and sealed, or refused whole."""
    session.show(
        session.client().upload(project, file, format),
        lambda out, _: out.print(f"{file} is in. easeml status {project} shows what comes of it."),
    )


@app.command("test-set")
@verb
def test_set(
    session: Session,
    project: Project,
    file: File,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="No label column; people label what verdicts need.")
    ] = False,
    format: Format = None,
) -> None:
    """Upload a fresh stable test set; rows that were trained on are refused."""
    session.show(
        session.client().upload_test_set(project, file, format, labelled=not unlabelled),
        lambda out, _: out.print(f"{file} is sealed; easeml gate {project} shows what is left of it."),
    )


@app.command()
@verb
def versions(session: Session, project: Project) -> None:
    """List the data versions with their lineage."""
    session.show(session.client().versions(project), _draw)


def _draw(out: Console, answer: dict[str, Any]) -> None:
    out.print(
        table(
            ["version", "from", "because of", "train rows", "of them uncertain", "development rows"],
            [
                [
                    v["number"],
                    v["parent"],
                    v["reason"],
                    v["train_rows"],
                    v["uncertain_rows"],
                    v["development_rows"],
                ]
                for v in answer["versions"]
            ],
            right=(0, 1, 3, 4, 5),
        )
    )
    sealed = [f"{test_set['rows']:,}" for test_set in answer["test_sets"] if test_set["sealed"]]
    out.print(f"{' and '.join(sealed) or 'no'} rows are sealed for the gate")
    out.print(f"{answer['waiting_rows']:,} labelled rows wait for the next version")
