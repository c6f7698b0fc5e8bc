"""The record of a local system, ``endpoint.json`` in its state folder, and the processes that it names."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from easeml_ray.runtime.keys import private_folder

__all__ = ["Endpoint", "alive", "holder_of", "lock", "memory_bytes", "processes_of", "read", "sweep", "write"]

_END_SECONDS = 3.0  # nothing is lost by killing: what was acknowledged is in the store


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a local system answers.

    Attributes
    ----------
    url, token : str
        HTTP, and the admin's bearer token.
    ray_address, jobs_url : str
        The node, and its job server ("" when the node has none).
    ray_token : str
        What Ray's own authentication asks for.
    pid : int
        Of the process that holds the node.
    started : float
        When that process began, in seconds since 1970: pids are used again.
    folder : str
        Temporary folder of the node.
    ready : bool
        Whether the start was seen to its end.
    driver, driver_started : int, float
        The process that created the actors: as long as it lives, the workers of their tasks stay.
    """

    url: str
    token: str
    ray_address: str
    jobs_url: str
    ray_token: str
    pid: int
    started: float
    folder: str
    ready: bool = False
    driver: int = 0
    driver_started: float = 0.0


def _file(state: Path) -> Path:
    return state / "endpoint.json"


def write(state: Path, found: Endpoint) -> None:
    """Replace the record; only its owner may read it."""
    draft = state / ".endpoint.json"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(asdict(found), file, indent=1)
    draft.rename(_file(state))


def read(state: Path) -> Endpoint | None:
    """Return the record, None if there is none."""
    try:
        return Endpoint(**json.loads(_file(state).read_text()))
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def lock(state: Path) -> Iterator[None]:
    """Let one process at a time start or end the system of a folder."""
    private_folder(state)
    with (state / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def holder_of(found: Endpoint) -> psutil.Process | None:
    """Return the process that holds the node, None if it is gone."""
    return alive(found.pid, found.started)


def alive(pid: int, started: float) -> psutil.Process | None:
    """Return the process of that pid that began at that time, None if it is gone."""
    try:
        process = psutil.Process(pid)
        # The time of the boot, from which it is computed, may be corrected by some seconds.
        same = abs(process.create_time() - started) < 60.0
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def processes_of(found: Endpoint) -> list[psutil.Process]:
    """Return every process of a system: the holder's descendants, and who has its environment.

    Workers outlive a raylet that was killed; they are known by the environment that they inherited.
    """
    mine: dict[int, psutil.Process] = {}
    holder = holder_of(found)
    if holder is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            mine |= {p.pid: p for p in [holder, *holder.children(recursive=True)]}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.pid in mine:
                continue
            if process.environ().get("EASEML_FOLDER") == found.folder:
                mine[process.pid] = process
    return list(mine.values())


def memory_bytes(process: psutil.Process) -> int:
    """Return its resident memory, 0 once it is gone."""
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def sweep(state: Path) -> int:
    """End what the record of a folder names, remove its temporary folder and the record."""
    found = read(state)
    if found is None:
        return 0
    ended = processes_of(found)
    holder = holder_of(found)
    if holder is not None:
        with contextlib.suppress(psutil.Error):
            holder.terminate()
        psutil.wait_procs([holder], timeout=_END_SECONDS)
    for _ in range(3):  # a process may have started another while it was ended
        left = [process for process in {*ended, *processes_of(found)} if process.is_running()]
        if not left:
            break
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=5)
    shutil.rmtree(found.folder, ignore_errors=True)
    _file(state).unlink(missing_ok=True)
    return len(ended)
