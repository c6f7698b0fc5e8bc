"""A bar for long work, on the error stream of a person at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cluster.command.verb import Session

__all__ = ["bar"]


@contextmanager
def bar(session: Session) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar, and yield what moves it: ``tell(done, total, stage)``, total 0 while not known."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    shown = session.err.is_terminal
    with Progress(*columns, console=session.err, transient=True, disable=not shown) as progress:
        task = progress.add_task("about to begin", total=None)

        def tell(done: int, total: int, stage: str) -> None:
            progress.update(task, completed=done, total=total or None, description=stage)

        yield tell
