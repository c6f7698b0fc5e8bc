"""How options are drawn: what could be done, what it is worth and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from cluster import wording
from cluster.command.table import table

__all__ = ["draw_options"]


def draw_options(out: Console, options: Sequence[dict[str, Any]]) -> None:
    """Draw options, in the order in which they are given."""
    if not options:
        out.print("Nothing is proposed at present.")
        return
    out.print(
        table(
            ["what", "expected gain", "cost", "points a 1,000 cents", "how it was computed"],
            [
                [
                    option["title"],
                    wording.gain(option["gain"]),
                    wording.money(option["cost_cents"]),
                    f"{100_000 * option['gain']['mean'] / max(option['cost_cents'], 0.01):.2f}",
                    option["method"],
                ]
                for option in options
            ],
            right=(1, 2, 3),
        )
    )
