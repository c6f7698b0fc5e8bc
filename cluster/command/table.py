"""Tables on screen, all of one kind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

__all__ = ["table"]


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Collection[int] = ()) -> Table:
    """Return a table; None is an empty cell, and nothing in a cell is taken for markup.

    Parameters
    ----------
    columns : sequence of str
        Their headers.
    rows : iterable of sequences
        The cells.
    right : collection of int
        Columns of numbers, set to the right.
    """
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        made.add_column(name, justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*("" if cell is None else escape(str(cell)) for cell in row))
    return made
