"""``easeml label``: answer what people are asked for, at the terminal or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from cluster import wording
from cluster.command.table import table
from cluster.command.verb import Session, verb
from easeml_ray.errors import InvalidAnswer, NotFound, RequestClosed, UnreadableFile

if TYPE_CHECKING:
    from easeml_ray.client import Client

__all__ = ["label"]

_AT_ONCE = 150
_WIDE = 12  # more columns than this are laid out in several lines


@verb
def label(
    session: Session,
    project: Annotated[str, typer.Argument(help="Name of the project.")],
    kind: Annotated[str | None, typer.Option(help="Only requests of this kind.")] = None,
    limit: Annotated[int, typer.Option(help="Stop after so many.", min=1)] = 1_000,
    answers: Annotated[
        Path | None, typer.Option(help="Answers from a file: request,value as CSV, or a JSON object.")
    ] = None,
) -> None:
    """Answer requests one by one (s skips, q ends), or all that a file has answers for."""
    client = session.client()
    done = (
        _from_file(client, project, kind, answers) if answers else _ask(session, client, project, kind, limit)
    )
    session.show(
        {"project": project, **done},
        lambda out, answer: out.print(f"{answer['answered']} answered, {answer['skipped']} skipped"),
    )


# -- from a file --------------------------------------------------------------------------------


def _from_file(client: Client, project: str, kind: str | None, path: Path) -> dict[str, int]:
    from easeml_ray.annotators import AnswerList
    from easeml_ray.annotators.listed import parse_answers

    try:
        given = parse_answers(path.read_bytes())
    except OSError as error:
        raise UnreadableFile(
            f"{path} cannot be read: {error.strerror}", hint="Give the path of a file."
        ) from error
    listed = AnswerList(given)
    open_now = client.requests(project, "OPEN", kind, 500)
    matched = {r["id"]: value for r in open_now if (value := listed.answer(r)) is not None}
    used = {str(number) for number in matched} | {r["key"] for r in open_now}
    # A number that is not open is sent first: the system says why it cannot be answered.
    others = {int(name): value for name, value in given.items() if name.isdigit() and name not in used}
    unknown = sorted(name for name in given if not name.isdigit() and name not in used)
    if unknown and not matched and not others:
        raise NotFound(
            f"none of the {len(given)} answers is to an open request of {project} (first: {unknown[0]})",
            hint=f"easeml requests list {project} shows the open ones.",
            what="request",
            name=unknown[0],
        )
    everything = list({**others, **matched}.items())
    for start in range(0, len(everything), _AT_ONCE):
        client.answer(project, dict(everything[start : start + _AT_ONCE]))
    return {"answered": len(everything), "skipped": 0}


# -- at the terminal ------------------------------------------------------------------------------


def _ask(session: Session, client: Client, project: str, kind: str | None, limit: int) -> dict[str, int]:
    counts = {"answered": 0, "skipped": 0, "gone": 0}
    while sum(counts.values()) < limit:
        # One at a time: what is not shown is not kept from others.
        leased = client.lease(project, [kind] if kind else [], 1, rows=True)["requests"]
        if not leased:
            session.say("Nothing more is asked for at present.")
            break
        _draw(session, leased[0])
        outcome = _settle(session, client, project, leased[0])
        if outcome == "quit":
            break
        counts[outcome] += 1
    return counts


def _settle(session: Session, client: Client, project: str, request: dict[str, Any]) -> str:
    """Ask until the request is answered or skipped, or the person has had enough."""
    words = {"s", "q"} - set(request["choices"])  # a class may be called s
    while True:
        said = session.prompt(
            f"answer, {'s' if 's' in words else 'skip'} or {'q' if 'q' in words else 'quit'}"
        )
        try:
            if said is None or said == "quit" or (said == "q" and "q" in words):
                return "quit"
            if said == "skip" or (said == "s" and "s" in words):
                client.skip(project, [request["id"]])
                return "skipped"
            client.answer(project, {request["id"]: said})
            return "answered"
        except InvalidAnswer as error:
            session.fail(error)
        except RequestClosed as error:
            session.fail(error)
            return "gone"


def _draw(session: Session, request: dict[str, Any]) -> None:
    session.say(f"\n[bold]{request['kind']}[/bold] {request['id']}: {escape(request['title'])}")
    if request.get("row"):
        session.say(_laid_out(request["row"]))
    payload = request["payload"]
    about = {
        "column": payload.get("column"),
        "given": payload.get("given"),
        "looks like": payload.get("likely"),
        "could be": _candidates(payload),
        "rows offered": payload.get("rows"),
        "terms": payload.get("terms"),
        "why": payload.get("why"),
        "choices": ", ".join(request["choices"]),
        "cost": wording.money(request["cost_cents"]) if request["cost_cents"] else None,
    }
    for name, value in about.items():
        if value not in (None, ""):
            session.say(f"  {name}: {escape(str(value))}")


def _candidates(payload: dict[str, Any]) -> str:
    found = payload.get("candidates", [])
    return ", ".join(f"{value} ({probability:.2f})" for value, probability in found)


def _laid_out(row: dict[str, Any]) -> Any:
    if len(row) <= _WIDE:
        return table(list(row), [list(row.values())])
    cells = [f"{name}={value}" for name, value in row.items()]
    return escape("  ".join(cells))
