"""The rows that requests are about, wherever they stand: in a pillar, among served or bought rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from easeml_ray.items import BoughtRow, Cell, Item, Label, ServedRow, TestRow
from easeml_ray.oracle.messages import Kind
from easeml_ray.runtime.system import System

__all__ = ["rows_of"]

_ITEM: TypeAdapter[Item] = TypeAdapter(Item)


async def rows_of(
    system: System, project: str, requests: Sequence[dict[str, Any]]
) -> list[dict[str, Any] | None]:
    """Return the row (column -> value) of each request, in order; None for one that is about no row.

    NotFound if a row is not there any more; else what the system raises.
    """
    asked = [
        None if _is_sealed(request) else _ITEM.validate_python(request["payload"]) for request in requests
    ]
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    pillars: dict[str, set[int]] = defaultdict(set)
    for item in asked:
        if isinstance(item, Label | Cell):
            pillars[item.pillar].add(item.row_id)
    for pillar, ids in pillars.items():
        for row in await system.rows(project, pillar, sorted(ids)):
            found[pillar, row["row_id"]] = row
    served = [item.request_id for item in asked if isinstance(item, ServedRow)]
    if served:
        rows = await system.realtime_rows(project, served)
        found.update({("served", number): row for number, row in zip(served, rows, strict=True)})
    offered = [(item.table, item.place) for item in asked if isinstance(item, BoughtRow | TestRow)]
    if offered:
        rows = await system.offered_rows(project, offered)
        found.update(dict(zip(offered, rows, strict=True)))
    return [found.get(_place(item)) for item in asked]


def _is_sealed(request: dict[str, Any]) -> bool:
    """Tell whether a row was shown for its label alone: it is in clear while that is wanted, no longer."""
    return request["kind"] == Kind.LABEL_TEST and request["state"] not in ("OPEN", "LEASED")


def _place(item: Item | None) -> tuple[Any, ...]:
    match item:
        case Label(pillar=pillar, row_id=row_id) | Cell(pillar=pillar, row_id=row_id):
            return pillar, row_id
        case ServedRow(request_id=request_id):
            return "served", request_id
        case BoughtRow(table=table, place=place) | TestRow(table=table, place=place):
            return table, place
    return ()
