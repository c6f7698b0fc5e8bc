"""Tables on screen, all of one kind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

__all__ = ["table"]

_LONGEST_WORD = 20


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
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    for index, name in enumerate(columns):
        words = [word for text in [name, *(row[index] for row in texts)] for word in text.split()]
        made.add_column(
            name,
            justify="right" if index in right else "left",
            overflow="fold",
            # Sentences wrap between words; a word, a number or a name is never broken.
            min_width=min(max(map(len, words), default=1), _LONGEST_WORD),
        )
    for row in texts:
        made.add_row(*map(escape, row))
    return made
