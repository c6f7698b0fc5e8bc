"""The rows that requests are about, wherever they stand: in a pillar, among served or bought rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from easeml_ray.messages import Pillar
from easeml_ray.oracle.messages import Kind
from easeml_ray.runtime.system import System

__all__ = ["rows_of"]


async def rows_of(
    system: System, project: str, requests: Sequence[dict[str, Any]]
) -> list[dict[str, Any] | None]:
    """Return the row of each request, None for one that is about no row.

    Parameters
    ----------
    system : System
        Where the rows are read.
    project : str
        Whose requests.
    requests : sequence of dict
        With their payloads.

    Returns
    -------
    list of dict or None
        Columns and values, in the order of the requests.

    Raises
    ------
    EasemlError
        NotFound if a row is not there any more; what the system raises.
    """
    payloads = [{} if _is_sealed(request) else request["payload"] for request in requests]
    pillars: dict[str, set[int]] = defaultdict(set)
    for payload in payloads:
        if _in_pillar(payload):
            pillars[payload["pillar"]].add(payload["row_id"])
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for pillar, ids in pillars.items():
        for row in await system.rows(project, pillar, sorted(ids)):
            found[pillar, row["row_id"]] = row
    served = [payload["request_id"] for payload in payloads if "request_id" in payload]
    if served:
        rows = await system.realtime_rows(project, served)
        found.update({("served", number): row for number, row in zip(served, rows, strict=True)})
    offered = [(payload["table"], payload["place"]) for payload in payloads if "place" in payload]
    if offered:
        rows = await system.offered_rows(project, offered)
        found.update(dict(zip(offered, rows, strict=True)))
    return [found.get(_place(payload)) for payload in payloads]


def _is_sealed(request: dict[str, Any]) -> bool:
    """Tell whether a row was shown for its label alone: it is in clear while that is wanted, no longer."""
    return request["kind"] == Kind.LABEL_TEST and request["state"] not in ("OPEN", "LEASED")


def _in_pillar(payload: dict[str, Any]) -> bool:
    return payload.get("pillar") in (Pillar.TRAIN, Pillar.DEVELOPMENT) and "row_id" in payload


def _place(payload: dict[str, Any]) -> tuple[Any, ...]:
    if _in_pillar(payload):
        return payload["pillar"], payload["row_id"]
    if "request_id" in payload:
        return "served", payload["request_id"]
    return payload.get("table"), payload.get("place")
