"""``easeml feasibility``: whether the target can be reached."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from cluster import wording
from cluster.command.picture import picture_kind, save_picture
from cluster.command.progress import bar
from cluster.command.report import draw_curves, draw_report
from cluster.command.table import table
from cluster.command.verb import Session, verb
from easeml_ray.errors import InvalidArgument

if TYPE_CHECKING:
    from easeml_ray.client import Client

__all__ = ["feasibility"]

_POLL_SECONDS = 0.5
_FILE = "A file without a project"


@verb
def feasibility(
    session: Session,
    project: Annotated[
        str, typer.Argument(help="Name of the project; or a file, with --label and --target.")
    ],
    version: Annotated[int | None, typer.Option(help="Data version; the newest by default.")] = None,
    curves: Annotated[bool, typer.Option("--curves", help="Add the curves point by point.")] = False,
    picture: Annotated[
        Path | None, typer.Option(help="Write the picture to FILE.svg or FILE.png.", metavar="FILE")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the study that is under way.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="End the study that is under way.")] = False,
    label: Annotated[str | None, typer.Option(help="Column to predict.", rich_help_panel=_FILE)] = None,
    target: Annotated[
        float | None, typer.Option(help="Share of rows that shall be right, e.g. 0.9.", rich_help_panel=_FILE)
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(help="Column of unique ids.", rich_help_panel=_FILE)
    ] = None,
    group_column: Annotated[
        str | None,
        typer.Option(help="Column of the entity whose rows belong together.", rich_help_panel=_FILE),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split.", rich_help_panel=_FILE)] = 0,
) -> None:
    """Show whether the target can be reached: the Bayes error with its interval, and what to do.

    [bold]easeml feasibility data.csv --label y --target 0.9[/bold] studies a file here, without a system.
    """
    kind = picture_kind(picture)
    file = Path(project)
    if label is not None or target is not None or (file.suffix and file.is_file()):
        task = {"label": label, "target_accuracy": target, "seed": seed}
        columns = {"id_column": id_column, "group_column": group_column}
        task |= {key: value for key, value in columns.items() if value is not None}
        _study_file(session, file, task, curves, picture, kind)
        return
    client = session.client()
    if cancel:
        session.show(client.cancel_study(project), partial(_draw_cancelled, project=project))
        return
    answer = (
        _awaited(session, client, project, version) if wait else client.feasibility(project, True, version)
    )
    session.show(answer, partial(_draw, curves=curves))
    if picture is not None and answer["report"]:
        save_picture(session, picture, client.feasibility_picture(project, kind, version))


# -- a project ----------------------------------------------------------------------------------------


def _awaited(session: Session, client: Client, project: str, version: int | None) -> dict[str, Any]:
    """Return the answer once no study is under way."""
    with bar(session) as tell:
        while True:
            answer = client.feasibility(project, True, version)
            if "progress" not in answer:
                return answer
            far = answer["progress"]
            tell(far["done"], far["total"], far["stage"])
            time.sleep(_POLL_SECONDS)


def _draw_cancelled(out: Console, answer: dict[str, Any], *, project: str) -> None:
    numbers = " and ".join(str(number) for number in answer["cancelled"])
    out.print(f"The study of version {numbers} ends.", markup=False)
    out.print(f"{project} now asks how to go on: easeml requests list {project}", markup=False)


def _draw_progress(out: Console, progress: dict[str, Any]) -> None:
    far = f": {progress['done']} of {progress['total']}" if progress["total"] else ""
    out.print(f"A study is under way, {progress['stage']}{far}.", markup=False)


def _draw(out: Console, answer: dict[str, Any], *, curves: bool) -> None:
    if "progress" in answer:
        _draw_progress(out, answer["progress"])
    beliefs, report = answer["beliefs"], answer["report"]
    if not beliefs:
        return
    if len(beliefs) > 1:
        out.print(_history(beliefs))
    if "ber_estimate" not in report:
        # Written by an earlier easeml_ray, which measured less.
        out.print(wording.belief(beliefs[-1]), markup=False)
        return
    draw_report(out, f"{answer['project']}, data version {beliefs[-1]['number']}", report)
    if curves:
        draw_curves(out, report)


def _history(beliefs: list[dict[str, Any]]) -> Any:
    columns = ["v", "target", "decision", "belief", "Bayes error", "90 % interval", "model now"]
    rows = [
        [
            b["number"],
            f"{b['target_accuracy']:g}",
            b["decision"],
            f"{b['belief']:.2f}",
            f"{b['ber_estimate']:.3f}",
            "{:.3f} .. {:.3f}".format(*b["ber_interval"]),
            f"{b['model_error']:.3f}",
        ]
        for b in beliefs
    ]
    return table(columns, rows, right=(0, 1, 3, 4, 6))


# -- a file -------------------------------------------------------------------------------------------


def _study_file(
    session: Session,
    file: Path,
    task: dict[str, Any],
    curves: bool,
    picture: Path | None,
    kind: Literal["svg", "png"],
) -> None:
    """Study a file in this process."""
    from cluster.file_study import study_file

    for name, value in (("label", task["label"]), ("target", task["target_accuracy"])):
        if value is None:
            raise InvalidArgument(
                f"a study of {file} needs --{name}",
                hint="For a file give --label and --target; for a project neither.",
                argument=name,
            )
    with bar(session) as tell:
        report = study_file(file, task, progress=tell)

    def draw(out: Console, answer: dict[str, Any]) -> None:
        draw_report(out, str(file), answer["report"])
        if curves:
            draw_curves(out, answer["report"])

    session.show({"file": str(file), "report": report.to_dict()}, draw)
    if picture is not None:
        from easeml_ray.feasibility.picture import draw as drawn

        save_picture(session, picture, drawn(report, kind))
