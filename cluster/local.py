"""A local system: Ray in a session of its own, the nine actors on it, the two HTTP applications.

``up`` starts what is missing and returns; everything lives on until ``down``, which ends
every process of it and nothing else. A start is tried a bounded number of times, each try under a
watchdog, because under load a Ray node may abort while it starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from cluster.record import Endpoint, alive, holder_of, lock, memory_bytes, processes_of, read, sweep, write
from easeml_ray.errors import EasemlError, NotReady, StartupFailed
from easeml_ray.runtime.keys import read_or_make_key

__all__ = ["Endpoint", "Options", "down", "endpoint", "ray_environment", "status", "up"]

_TRIES = 3
_NODE_SECONDS = 90.0  # for one start of the node
_BOOT_SECONDS = 300.0  # for the actors and the HTTP applications
_RESIDENTS = 16  # workers that are actors: ours, the trial workers, and Ray Serve's
_IDLE_SECONDS = 3600.0  # for which a worker without a task is kept
_SYSTEM = "local"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """How to start: port 0 means any free port."""

    port: int = 0
    jobs: bool = False
    cpus: int | None = None
    slots: int = 2
    store: str | None = None
    blobs: str | None = None


def up(state: Path, options: Options = Options(), *, progress: Progress = print) -> Endpoint:
    """Start a local system over a state folder, or return the one that runs.

    Raises
    ------
    StartupFailed
        Ray or a server did not start in three tries.
    """
    state = state.absolute()
    with lock(state):
        running = endpoint(state)
        if running is not None:
            return running
        sweep(state)
        if options.port:
            _refuse_taken(options.port)
        reasons = []
        for attempt in range(1, _TRIES + 1):
            try:
                return _start(state, options, progress)
            except (StartupFailed, OSError) as error:
                reasons.append(str(error).splitlines()[0])
                progress(f"start {attempt} of {_TRIES} failed: {reasons[-1]}")
                sweep(state)
            except BaseException:  # Ctrl-C in the middle of a start
                sweep(state)
                raise
        raise StartupFailed(
            f"the local system did not start in {_TRIES} tries: {reasons[-1]}",
            hint=f"Is the machine overloaded? Logs: {state / 'logs'}. easeml doctor looks further.",
            attempts=_TRIES,
        )


def endpoint(state: Path) -> Endpoint | None:
    """Return the endpoint of a system that runs, None if none does."""
    found = read(state)
    return found if found is not None and found.ready and holder_of(found) is not None else None


def status(state: Path) -> dict[str, Any]:
    """Return what runs over a state folder: the endpoint without secrets, and its processes."""
    found = endpoint(state)
    if found is None:
        return {"running": False, "state": str(state)}
    processes = processes_of(found)
    return {
        "running": True,
        "state": str(state),
        "url": found.url,
        "ray_address": found.ray_address,
        "jobs_url": found.jobs_url,
        "pid": found.pid,
        "driver": alive(found.driver, found.driver_started) is not None,
        "processes": len(processes),
        "memory_bytes": sum(memory_bytes(process) for process in processes),
    }


def down(state: Path) -> int:
    """End a local system and return how many processes that were; its state stays.

    Raises
    ------
    NotReady
        None runs over this folder.
    """
    state = state.absolute()
    with lock(state):
        found = read(state)
        if found is None:
            raise NotReady(
                f"no local system runs over {state}",
                hint="easeml status shows what runs; --state names another folder.",
            )
        return sweep(state)


# -- starting -------------------------------------------------------------------------------


def ray_environment(ray_token: str, folder: str, cpus: int | None = None) -> dict[str, str]:
    """Return the environment in which every process of a system runs."""
    cpus = cpus or os.cpu_count() or 1
    return {
        # A new worker costs 2 CPU seconds and what its task imports: idle ones are kept, so many at
        # most as the actors and twice the tasks that find a processor at once.
        "RAY_num_workers_soft_limit": str(_RESIDENTS + 4 * cpus),
        "RAY_idle_worker_killing_time_threshold_ms": str(int(_IDLE_SECONDS * 1000)),
        **os.environ,
        # A job's `python` shall be this one, whether or not its environment was activated.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": ray_token,
        "RAY_USAGE_STATS_ENABLED": "0",
        # A worker of Ray's gets one core; BLAS threads on top of that only wait for each other.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "RAY_DEDUP_LOGS": "0",
        "EASEML_FOLDER": folder,
    }


def _start(state: Path, options: Options, progress: Progress) -> Endpoint:
    # Who set a token for Ray means it for every process of his; Ray reads it once, at import.
    ray_token = os.environ.get("RAY_AUTH_TOKEN", "")
    ray_token = ray_token or read_or_make_key(state / "ray.token", _text_token).decode()
    token = read_or_make_key(state / "token", _text_token).decode()
    folder = tempfile.mkdtemp(prefix="easeml-", dir=_short_folder())
    logs = state / "logs"
    logs.mkdir(exist_ok=True)
    ray_port, jobs_port, http_port = _free_port(), _free_port(), options.port or _free_port()
    progress("starting Ray")
    arguments = [
        sys.executable,
        "-m",
        "ray.scripts.scripts",
        "start",
        "--head",
        "--block",
        "--node-ip-address=127.0.0.1",
        f"--port={ray_port}",
        f"--temp-dir={folder}",
        "--disable-usage-stats",
        "--no-monitor",  # it asks a cloud for nodes
        # Carries what workers print to a driver's terminal: ours has none, another person's job may.
        f"--include-log-monitor={'true' if options.jobs else 'false'}",
        f"--include-dashboard={'true' if options.jobs else 'false'}",
        *([f"--dashboard-port={jobs_port}"] if options.jobs else []),
        *([f"--num-cpus={options.cpus}"] if options.cpus else []),
    ]
    with (logs / "ray.log").open("ab") as log:
        node = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=ray_environment(ray_token, folder, options.cpus),
            cwd=folder,
            start_new_session=True,
        )
    found = Endpoint(
        url=f"http://127.0.0.1:{http_port}",
        token=token,
        ray_address=f"127.0.0.1:{ray_port}",
        jobs_url=f"http://127.0.0.1:{jobs_port}" if options.jobs else "",
        ray_token=ray_token,
        pid=node.pid,
        started=psutil.Process(node.pid).create_time(),
        folder=folder,
    )
    write(state, found)  # before anything can fail: what is written can be ended
    _await_node(node, ray_port)
    driver, since = _boot(state, options, found, progress)
    found = replace(found, ready=True, driver=driver, driver_started=since)
    write(state, found)
    return found


def _await_node(node: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _NODE_SECONDS
    while time.monotonic() < until:
        if node.poll() is not None:
            raise StartupFailed(f"ray start ended with {node.returncode}", attempts=1)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return
        time.sleep(0.2)
    raise StartupFailed(f"the Ray node did not answer within {_NODE_SECONDS:.0f} s", attempts=1)


def _boot(state: Path, options: Options, found: Endpoint, progress: Progress) -> tuple[int, float]:
    """Create actors and HTTP applications from a process of its own: a start can hang.

    Return its pid and when it began: it stays, as the driver.
    """
    plan = {
        "state": str(state),
        "store": options.store,
        "blobs": options.blobs,
        "slots": options.slots,
        "system": _SYSTEM,
        "node": found.pid,
        "ray_address": found.ray_address,
        "http_port": int(found.url.rsplit(":", 1)[1]),
        "token_file": str(state / "token"),
    }
    with (state / "logs" / "boot.log").open("ab") as log:
        boot = subprocess.Popen(
            [sys.executable, "-m", "cluster.boot"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=ray_environment(found.ray_token, found.folder, options.cpus),
            start_new_session=True,
            text=True,
        )
    driver = boot.pid, psutil.Process(boot.pid).create_time()
    watchdog = _Watchdog(boot, _BOOT_SECONDS)
    last, problem = "", None
    assert boot.stdin is not None and boot.stdout is not None
    with watchdog, boot.stdout:
        with contextlib.suppress(BrokenPipeError), boot.stdin:
            json.dump(plan, boot.stdin)
        for line in boot.stdout:  # to the end: after "ready" it closes its output and stays
            if line.startswith("easeml: "):
                last = line.removeprefix("easeml: ").strip()
                progress(last)
            elif line.startswith("easeml-error: "):
                problem = EasemlError.from_dict(json.loads(line.removeprefix("easeml-error: ")))
        if last != "ready":
            boot.wait()
    if problem is not None:
        raise problem  # StartupFailed is tried again; what is wrong with the state is not
    if last != "ready" or watchdog.fired:
        late = f" within {_BOOT_SECONDS:.0f} s" if watchdog.fired else ""
        raise StartupFailed(f"the actors did not come up{late} (last: {last or 'nothing'})", attempts=1)
    return driver


class _Watchdog:
    """Ends a process group that takes too long."""

    def __init__(self, process: subprocess.Popen[str], seconds: float) -> None:
        import threading

        self.fired = False
        self._process = process
        self._timer = threading.Timer(seconds, self._fire)

    def _fire(self) -> None:
        self.fired = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        if kind is not None:
            self._fire()
            self._process.wait()


def _text_token() -> bytes:
    return secrets.token_urlsafe(32).encode()


def _short_folder() -> str:
    """Return where Ray's sockets can live: their paths must be shorter than about 100 bytes."""
    preferred = tempfile.gettempdir()
    return preferred if len(preferred) <= 30 else "/tmp"


def _free_port() -> int:
    """Return a port that is free now and outside the range that Ray's workers use."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if not 10002 <= port <= 19999:
            return port


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StartupFailed(
                f"port {port} is taken",
                hint="Choose another: --port or EASEML_PORT (0: any free port).",
                attempts=1,
            ) from error
