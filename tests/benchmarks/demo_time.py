"""What the demonstration costs: seconds, processor seconds, and how many processes its tasks needed.

``easeml demo --fresh`` runs over a new state folder in the temporary folder, which is ended and
removed afterwards, also when the demonstration fails or takes too long. Every process that
descends from it, or that has its state folder in the environment, is looked at five times a
second; one that lives between two looks is missed, and so are the last moments of each.

wall_seconds     of the command, the system's start included
up_seconds       of them, until the system answered
cpu_seconds      user and system time of all those processes, until the command's end; and of whom:
                 the actors, Ray Serve, the task processes, the rest of Ray, the command and its driver
task_processes   workers that were never seen as an actor: each is started, and imports
tasks            how often each task was seen, by its name: looks, not runs
processes, peak_mib   all that were seen, and the most memory (pss) that they had at one time
others_cpu       processors, on average, that the rest of the machine kept busy meanwhile

    python tests/benchmarks/demo_time.py [--json] [--seconds 600]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

LOOK_SECONDS = 0.2
MEMORY_LOOKS = 25  # looks between two of the memory: the kernel adds it up page by page
NAMES = {"serve": ("Serve", "Proxy"), "ray": ("Agent",), "actor": ("Actor",)}
LIMITS = {"wall_seconds": 110.0, "task_processes": 8}

COMMAND = "import sys; from cluster.command import main; sys.argv[0] = 'easeml'; main()"


class Watch:
    """What was seen of the processes of one state folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.seconds: dict[int, float] = {}  # pid -> processor seconds when last seen
        self.roles: dict[int, str] = {}
        self.tasks: Counter[str] = Counter()
        self.peak = 0
        self._strangers = {os.getpid(), *psutil.pids()}
        self._looks = 0

    def look(self) -> None:
        """Look at all of them once."""
        memory = 0
        weigh = self._looks % MEMORY_LOOKS == 0
        self._looks += 1
        for pid in set(psutil.pids()) - self._strangers:
            try:
                process = psutil.Process(pid)
                if not self._is_ours(process):
                    continue
                times = process.cpu_times()
                self.seconds[pid] = times.user + times.system
                self._name(pid, process.cmdline())
                memory += process.memory_full_info().pss if weigh else 0
            except (psutil.Error, OSError):
                continue
        self.peak = max(self.peak, memory)

    def _is_ours(self, process: psutil.Process) -> bool:
        if process.pid in self.seconds:
            return True
        ours = process.ppid() in self.seconds or process.environ().get("EASEML_STATE") == self.folder
        if not ours:
            self._strangers.add(process.pid)
        return ours

    def _name(self, pid: int, command: list[str]) -> None:
        title = command[0] if command else ""
        if not title.startswith("ray::"):
            ours = "cluster.boot" in command or COMMAND in command
            self.roles.setdefault(pid, "command" if ours else "ray")
            return
        title = title.removeprefix("ray::")
        if role := next((role for role, parts in NAMES.items() if any(p in title for p in parts)), ""):
            self.roles[pid] = role
        elif self.roles.get(pid) not in ("actor", "serve"):  # idle as any worker, between two calls
            self.roles[pid] = "task"
            if title != "IDLE":
                self.tasks[title] += 1

    def spent(self) -> dict[str, float]:
        """Return processor seconds by role."""
        found: Counter[str] = Counter()
        for pid, seconds in self.seconds.items():
            found[self.roles.get(pid, "ray")] += seconds
        return {role: round(seconds, 1) for role, seconds in found.most_common()}


def busy_seconds() -> float:
    """Return how long the machine's processors have been busy, all together."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))


def measured(folder: str, most: float) -> dict[str, Any]:
    """Run the demonstration over a state folder and return what was seen."""
    environment = {**os.environ, "EASEML_STATE": folder, "EASEML_PORT": "0"}
    began, busy = time.monotonic(), busy_seconds()
    watch, up = Watch(folder), None  # what is there before is not ours
    with (Path(folder) / "output.txt").open("w+") as output:
        command = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "demo", "--fresh"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            while command.poll() is None and time.monotonic() - began < most:
                watch.look()
                if up is None and is_up(Path(folder)):
                    up = time.monotonic() - began
                time.sleep(LOOK_SECONDS)
            wall = time.monotonic() - began
            busy = busy_seconds() - busy
        finally:
            if command.poll() is None:
                command.kill()
                command.wait()
            subprocess.run([sys.executable, "-c", COMMAND, "down"], env=environment, capture_output=True)
        output.seek(0)
        told = output.read()
    spent = sum(watch.seconds.values())
    found = {
        "wall_seconds": round(wall, 1),
        "up_seconds": round(up or wall, 1),
        "cpu_seconds": round(spent, 1),
        "of_whom": watch.spent(),
        "task_processes": list(watch.roles.values()).count("task"),
        "tasks": dict(watch.tasks.most_common()),
        "processes": len(watch.seconds),
        "peak_mib": round(watch.peak / 2**20),
        "others_cpu": round((busy - spent) / wall, 2),
    }
    if command.returncode != 0:
        sys.exit(f"the demonstration ended with {command.returncode}:\n{told[-2000:]}\nuntil then {found}")
    return found


def is_up(folder: Path) -> bool:
    """Tell whether the start of the system was seen to its end."""
    try:
        return bool(json.loads((folder / "demo" / "endpoint.json").read_text())["ready"])
    except (OSError, ValueError):
        return False


def main() -> None:
    """Measure once and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=600.0, help="ends it after so long")
    given = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="demo-time-")
    try:
        found = measured(folder, given.seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    over = {name: found[name] for name, most in LIMITS.items() if found[name] > most}
    if given.json:
        print(json.dumps({**found, "limits": LIMITS, "over": over}, indent=1))
    else:
        for name, value in found.items():
            print(f"{name:<16}{value}")
        print("above its limit: " + ", ".join(over) if over else "within its limits")


if __name__ == "__main__":
    main()
