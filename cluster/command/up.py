"""``easeml up``: start the local system."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from cluster.command.verb import Session, verb

__all__ = ["start", "up"]


@verb
def up(
    session: Session,
    port: Annotated[
        int | None, typer.Option(help="Port of the endpoint; 0: any free one [EASEML_PORT].")
    ] = None,
    jobs: Annotated[bool, typer.Option("--jobs", help="With Ray's job server, for easeml submit.")] = False,
    cpus: Annotated[int | None, typer.Option(help="CPUs that Ray may use; all by default.", min=1)] = None,
    slots: Annotated[int, typer.Option(help="Models in training at once.", min=1)] = 2,
) -> None:
    """Start the local system, or say where it runs; it lives on until easeml down."""
    answer = start(session, port=port, jobs=jobs, cpus=cpus, slots=slots)
    session.show(answer, _draw)


def start(session: Session, **options: Any) -> dict[str, Any]:
    """Start the system of the state folder, with progress on screen, and return its status."""
    from cluster import local

    settings = session.settings
    if options.get("port") is None:
        options["port"] = settings.port
    plan = local.Options(store=settings.store, blobs=settings.blobs, **options)
    with session.err.status("starting") as spinner:
        local.up(settings.state, plan, progress=lambda text: spinner.update(text))
    return local.status(settings.state)


def _draw(out: Console, answer: dict[str, Any]) -> None:
    out.print(
        f"Ease.ML runs at {answer['url']} ({answer['url']}/docs), state in {answer['state']}", soft_wrap=True
    )
    out.print("Next: easeml run FILE --label COLUMN --target 0.9, or easeml demo. easeml down ends it.")
