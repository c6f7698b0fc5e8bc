"""What a restart of each actor costs: opening the store, raising the incarnation, folding all there is.

``python tests/benchmarks/restart.py --json``: 3,000 projects of 60 events each over 20 tenants, in SQLite,
those of a scripted project until a model answers. Lifecycle follows all components; the others
fold their own events.
"""
# ruff: noqa: E402

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import sqlalchemy as sa
from harness import House, relabel

from easeml_ray.runtime import local
from easeml_ray.runtime.components import ACTORS
from easeml_ray.runtime.host import Host
from easeml_ray.runtime.states import STATES
from easeml_ray.store.rows import encode
from easeml_ray.store.sql import SqlEventStore, _event

PROJECTS, EVENTS, TENANTS = 3_000, 60, 20
LIMIT = 3.0  # seconds


def template() -> list[dict[str, Any]]:
    """Return the rows of one project; those of the system as a whole are left out."""
    house = House()
    local.work_of = house.work_of
    house.script.decisions = ["INFEASIBLE", "FEASIBLE"]
    house.script.repairs = relabel(1, 2)
    house.begin("p")
    house.answer("yes", "RELABEL")
    rows = [encode(event) for event in house.store.read() if event.project == "p"]
    if len(rows) < EVENTS:
        raise SystemExit(f"a project of {len(rows)} events is too short")
    return rows[:EVENTS]


def fill(path: Path, rows: list[dict[str, Any]]) -> SqlEventStore:
    """Write the rows once for each project, in the order of the projects."""
    store = SqlEventStore(f"sqlite:///{path}")
    for actor, _ in ACTORS.values():
        store.incarnate(actor)
    with sa.create_engine(f"sqlite:///{path}").begin() as connection:
        for number in range(PROJECTS):
            name = f"p{number:04d}"
            connection.execute(
                sa.insert(_event), [renamed(row, name, f"t{number % TENANTS:02d}") for row in rows]
            )
    return store


def renamed(row: dict[str, Any], name: str, tenant: str) -> dict[str, Any]:
    component = row["stream"].partition("/")[0]
    body = (
        row["body"].replace('"project":"p"', f'"project":"{name}"').replace('"name":"p"', f'"name":"{name}"')
    )
    return {
        **row,
        "stream": f"{component}/{name}",
        "event_id": f"{name}-{row['event_id']}",
        "command_id": f"{name}-{row['command_id']}",
        "tenant": tenant,
        "project": name,
        "body": body,
    }


def main() -> None:
    """Print seconds of a restart, and microseconds an event, for each component."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "easeml.db"
        fill(path, template()).close()
        for component, state in STATES.items():
            started, cpu = time.perf_counter(), time.process_time()
            host = Host(state(), SqlEventStore(f"sqlite:///{path}"), actor=ACTORS[component].name)
            host.start()
            seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
            count = PROJECTS * EVENTS if state.follows is not None else sum(host.versions.values())
            found[component] = {
                "seconds": round(seconds, 3),
                "cpu_seconds": round(cpu, 3),
                "events": count,
                "us_an_event": round(1e6 * cpu / max(count, 1), 1),
            }
            host.store.close()
            del host
    report = {"projects": PROJECTS, "events": PROJECTS * EVENTS, "limit_seconds": LIMIT, "components": found}
    if options.json:
        print(json.dumps(report, indent=1))
        return
    for component, told in found.items():
        seconds, count, each = told["seconds"], told["events"], told["us_an_event"]
        print(f"{component:12} {seconds:6.2f} s  {count:7,} events  {each:5.1f} us each")


if __name__ == "__main__":
    main()
