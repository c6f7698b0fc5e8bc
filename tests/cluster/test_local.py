"""A local system comes up, goes down without a trace, and goes on where it stopped."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from projects import small_project
from typer.testing import CliRunner

from cluster import local
from cluster.command import app
from easeml_ray import Client
from easeml_ray.errors import MissingColumn, NotReady, StartupFailed


def processes_of(folder: str) -> list[str]:
    """Return the command lines of processes that belong to a node."""
    found = []
    for process in psutil.process_iter():
        try:
            inherited = process.environ().get("EASEML_FOLDER") == folder
            if inherited or folder in " ".join(process.cmdline()):
                found.append(" ".join(process.cmdline())[:80])
        except (psutil.Error, OSError):
            continue
    return found


def test_down_without_up_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="no local system runs"):
        local.down(tmp_path)
    assert local.status(tmp_path) == {"running": False, "state": str(tmp_path)}


def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartupFailed, match=f"port {port} is taken"):
            local.up(tmp_path, local.Options(port=port), progress=lambda line: None)
    assert local.endpoint(tmp_path) is None


@pytest.mark.ray
def test_up_goes_on_where_down_stopped_and_down_leaves_no_process(
    tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the session's own node: ending one system must not touch another."""
    monkeypatch.setenv("EASEML_STATE", str(tmp_path))
    first = local.up(tmp_path, progress=lambda line: None)
    assert local.up(tmp_path, progress=lambda line: None) == first
    for secret in ("token", "ray.token", "gate.key", "data.key", "endpoint.json"):
        path = tmp_path / secret
        assert not path.exists() or stat.S_IMODE(path.stat().st_mode) == 0o600, secret
    known = small_project()
    task = {**known.task, "when_undecided": "ask"}
    with Client(first.url, first.token) as client:
        client.create_project("small", task)
        workers_stay(first, client)
        loses_its_driver(first, tmp_path)
        client.upload("small", known.data, format="csv")
        before = settled(client)
    assert local.down(tmp_path) > 9
    assert processes_of(first.folder) == []
    assert not Path(first.folder).exists()
    assert local.endpoint(tmp_path) is None

    second = local.up(tmp_path, progress=lambda line: None)
    try:
        assert second.token == first.token
        assert driver_check() == [(True, "lives")]
        with Client(second.url, second.token) as client:
            assert settled(client) == before
    finally:
        local.down(tmp_path)
    assert processes_of(second.folder) == []
    # The other system was left alone.
    assert psutil.Process(cluster.pid).is_running()
    with Client(cluster.url, cluster.token) as client:
        assert client.ready()


def workers_stay(found: local.Endpoint, client: Client) -> None:
    """Check that one task after another is done by the same worker."""

    def refuse() -> None:
        with pytest.raises(MissingColumn):  # found by a task, which reads the file
            client.upload("small", b"one,two\n1,2\n", format="csv")

    refuse()
    before = workers_of(found)
    for _ in range(3):
        refuse()
    assert len(workers_of(found) - before) <= 1


def loses_its_driver(found: local.Endpoint, state: Path) -> None:
    """Kill the driver and check that this is told, and that the system counts as running."""
    assert local.status(state)["driver"] is True
    driver = psutil.Process(found.driver)
    assert "cluster.boot" in driver.cmdline()
    driver.kill()
    driver.wait(10)
    assert local.up(state, progress=lambda line: None) == found
    assert local.status(state)["driver"] is False
    assert driver_check() == [(False, "gone")]
    shown = CliRunner().invoke(app, ["status"])
    assert shown.exit_code == 0
    assert "process that started the actors is gone" in " ".join(shown.stdout.split())


def test_the_driver_ends_with_its_node() -> None:
    node = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    code = f"from cluster.boot import stay; stay({node.pid})"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as driver:
        try:
            assert driver.stdout is not None
            assert driver.stdout.read() == ""  # whoever waited for the start is let go
            assert driver.poll() is None
            node.communicate()
            assert driver.wait(60) == 0
        finally:
            node.kill()
            driver.kill()


def workers_of(found: local.Endpoint) -> set[int]:
    """Return the processes of a node that run tasks and actors."""
    children = psutil.Process(found.pid).children(recursive=True)
    return {child.pid for child in children if child.cmdline()[:1] and child.cmdline()[0].startswith("ray::")}


def driver_check() -> list[tuple[bool, str]]:
    """Return what the doctor says of the driver."""
    told = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    return [(check["ok"], check["found"]) for check in told["checks"] if check["what"] == "driver"]


def settled(client: Client) -> dict[str, Any]:
    """Return the project once it waits for a person or has nothing more to do."""
    until = time.monotonic() + 90
    while time.monotonic() < until:
        seen = client.project("small")
        if seen["waiting_for"] or seen["deployed"]:
            return seen
        time.sleep(0.3)
    raise AssertionError(seen)
