"""``easeml down``: end the local system."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from cluster.command.verb import DEMO, Session, verb
from easeml_ray.errors import NotReady

__all__ = ["down"]


@verb
def down(session: Session) -> None:
    """End the local system, the demonstration's too; what was done is kept for the next easeml up."""
    from cluster import local

    state = session.settings.state
    ended = {}
    for folder in (state, state / DEMO):
        try:
            # Looking for a system makes no folder.
            ended[str(folder)] = local.down(folder) if folder.is_dir() else None
        except NotReady:
            ended[str(folder)] = None
    counts = {folder: count for folder, count in ended.items() if count is not None}
    if not counts:
        raise NotReady(
            f"no system runs over {state}",
            hint="easeml status shows what runs; --state names another folder.",
        )
    session.show({"ended": counts}, _draw)


def _draw(out: Console, answer: dict[str, Any]) -> None:
    for folder, count in answer["ended"].items():
        out.print(f"Ended {count} processes of {folder}; its state stays.", soft_wrap=True)
