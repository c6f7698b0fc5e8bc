"""``easeml demo``: two applications from raw data to an answering endpoint, side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from cluster import wording
from cluster.command.status import draw_bill
from cluster.command.verb import DEMO, Session, verb
from cluster.narrator import Line
from easeml_ray.errors import EasemlError, NotReady

if TYPE_CHECKING:
    from cluster.demo.application import Application
    from cluster.demo.record import Record
    from cluster.demo.scenario import Player
    from cluster.local import Endpoint

__all__ = ["demo"]

_COLOURS = ("cyan", "magenta")


@verb
def demo(
    session: Session,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget an earlier run and start over.")] = False,
) -> None:
    """Show the whole system on real data: digits with wrong labels, tumours with missing cells.

    An interrupted run goes on, a finished one is shown again. The system goes on answering until
    easeml down.
    """
    from cluster.demo.record import Record

    folder = session.settings.state / DEMO
    record = Record.open(folder)
    if fresh:
        _forget(folder, record)
    for line in record.lines:
        _tell(session, line)
    if record.results is None:
        _perform(session, record)
    _end(session, record)


def _forget(folder: Path, record: Record) -> None:
    from cluster import local

    if folder.is_dir():
        try:
            local.down(folder)
        except NotReady:
            pass  # it was down already
    record.wipe()


# -- the run --------------------------------------------------------------------------------------


def _perform(session: Session, record: Record) -> None:
    from cluster import local
    from cluster.demo.clinic import clinic
    from cluster.demo.digits import digits
    from cluster.demo.scenario import Player, play
    from easeml_ray.client import Client

    began = time.monotonic()
    record.save()
    applications = [digits(), clinic()]
    session.say(
        "Two tenants, one pool of workers. Their people are a program that knows the truth; "
        f"it is called {applications[0].annotator.name!r} below."
    )
    with session.err.status("starting") as spinner:
        plan = local.Options(port=session.settings.port)
        found = local.up(record.folder, plan, progress=lambda text: spinner.update(text))
        admin = Client(found.url, found.token)

        def tell(line: Line) -> None:
            if record.told(line):
                _tell(session, line)

        def watch(players: Sequence[Player]) -> None:
            spinner.update("   ".join(_where(player) for player in players))

        players = [
            Player(Client(found.url, _token(admin, record, application)), application, tell)
            for application in applications
        ]
        record.results = play(players, watch=watch)
    record.seconds = time.monotonic() - began
    record.save()


def _token(admin: Any, record: Record, application: Application) -> str:
    """Return the tenant's token; the program that answers in its name is its actor."""
    if application.tenant not in record.tokens:
        made = admin.create_tenant(application.tenant, actor="truth-program")
        record.tokens[application.tenant] = made["token"]
        record.save()
    return record.tokens[application.tenant]


def _where(player: Player) -> str:
    phase = player.shown["phase"] if player.shown else "…"
    return f"{player.application.project}: {'done' if player.done else phase}"


def _tell(session: Session, line: Line) -> None:
    colour = _COLOURS[0] if line.project == "digits" else _COLOURS[1]
    session.say(f"[{colour}]{line.project:<13}[/{colour}] [bold]{line.stage:<11}[/bold] {escape(line.text)}")


# -- the end ----------------------------------------------------------------------------------------


def _end(session: Session, record: Record) -> None:
    from cluster import local

    results = record.results or []
    found = local.endpoint(record.folder)
    answer = {
        "finished": True,
        "seconds": record.seconds,
        "url": found.url if found else None,
        "state": str(record.folder),
        "lines": [{"project": li.project, "stage": li.stage, "text": li.text} for li in record.lines],
        "applications": results,
    }
    session.show(answer, lambda out, _: _draw(out, record, found))


def _draw(out: Console, record: Record, found: Endpoint | None) -> None:
    for result in record.results or []:
        out.print(f"\n[bold]{result['project']}[/bold] of {result['tenant']}: {_summary(result)}")
        draw_bill(out, result["bill"])
    out.print(f"The run took {record.seconds:.0f} s; every number was computed in it.")
    option = f" --state {record.folder}"
    if found is None:
        out.print(
            f"The system is down. It comes back, with all of this, by: easeml up{option}", soft_wrap=True
        )
        return
    out.print(f"\nThe endpoint answers at {found.url}. Ask it about a tumour:", soft_wrap=True)
    project, row = _example()
    token = wording.from_file(record.folder / "token")
    out.print(wording.curl(found.url, project, row, token), soft_wrap=True, markup=False)
    out.print(_asked(found, project, row), markup=False)
    out.print(f"Look around: easeml status, easeml next digits, {found.url}/docs", soft_wrap=True)
    out.print("It runs on until easeml down; what was done is kept.")


def _summary(result: dict[str, Any]) -> str:
    deployed, verdicts = result["deployed"], result["verdicts"]
    if deployed is None:
        return f"{result['phase']}, no model passed"
    return (
        f"{result['decision']} at target {result['target_accuracy']:g}, {verdicts.count('PASS')} of "
        f"{len(verdicts)} models passed, {deployed['arm']} is deployed"
    )


def _example() -> tuple[str, dict[str, Any]]:
    from cluster.demo.clinic import clinic

    application = clinic()
    return application.project, application.stream[-1]


def _asked(found: Endpoint, project: str, row: dict[str, Any]) -> str:
    """Return what the endpoint answers to the command above."""
    from easeml_ray.client import Client

    try:
        answer = Client(found.url, found.token).predict(project, [row])
    except EasemlError as error:
        return f"-> {error.message}"
    label = answer["labels"][0]
    return (
        f"-> {label} ({answer['probabilities'][0][label]:.2f}) by {answer['arm']}, "
        f"trained on data version {answer['data_version']}"
    )
