"""A feasibility study of a large table through the actors: seconds, memory, progress, and its end.

A local system starts with two processors, its state in a temporary folder, and ends with the
script; DataRegistry and FeasibilityEstimator are those of another one on the same node, which has
nothing else to do. A table of three classes
(20,000 train rows of 64 features, 2,000 development rows) is uploaded and studied with all
default embeddings; then it is studied from memory, for another target and for a version with
one label in a hundred changed; then studies of it are cancelled at each of their stages.

study     wall seconds; how often its progress moved, and whether it grew to its total
memory    MiB of the largest process by task, sampled (rss with what it shares with others, uss its
          own, pss its own and its part of what it shares), and of the driver's and the others'
          whole life (hwm: what the kernel saw, no moment missed)
resumed   wall seconds of the studies from memory
cancelled seconds from the cancel to its reply, to the end of the last task process (gone, or
          idle after its work), and to the node saying that all processors are free

    python tests/benchmarks/study_on_ray.py [--json] [--small]
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv

CPUS = 2
CLASSES, FEATURES = 3, 64
SYSTEM_NAME = "bench"
T = TypeVar("T")
SAMPLE_SECONDS = 0.15
LIMITS = {"task_peak_mib": 1024.0, "cancel_seconds": 1.0}


# -- a system --------------------------------------------------------------------------------


def environment(folder: str) -> None:
    """Set what every process of the system inherits; Ray reads it once, when it is imported."""
    os.environ |= {
        "HOME": folder,
        "OMP_NUM_THREADS": "1",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_urlsafe(32),
    }
    for name in ("STATE", "URL", "TOKEN", "STORE", "BLOBS", "PORT"):
        os.environ.pop(f"EASEML_{name}", None)
    sys.path.insert(0, str(Path(__file__).parents[2]))


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


class Bench:
    """The two actors that a study needs, and their callers' side of it.

    They are a system of their own beside the one that was started, so that no project goes on to
    training, and nothing but the study is at work.
    """

    def __init__(self, state: Path, node: int) -> None:
        import ray

        from actors.config import NAMESPACE, SystemConfig, actor_name
        from actors.data_registry import DataRegistry
        from actors.feasibility_estimator import FeasibilityEstimator
        from actors.system import ActorSystem
        from easeml_ray.messages import Principal, Role

        self.config = SystemConfig.local(state, name=SYSTEM_NAME)
        actors = {"DataRegistry": DataRegistry, "FeasibilityEstimator": FeasibilityEstimator}
        self.handles = [
            actor.options(
                name=actor_name(SYSTEM_NAME, name), namespace=NAMESPACE, max_restarts=-1, num_cpus=0
            ).remote(self.config)
            for name, actor in actors.items()
        ]
        ray.get([handle.ready.remote() for handle in self.handles], timeout=180)
        self.node = psutil.Process(node)
        self.others: set[int] = set()
        self.others = {process.pid for process in self.tasks()}  # actors, which work for ever
        self.cpus = self.free()
        self.system = ActorSystem(self.config)
        self.who = Principal("lab", Role.TENANT, "ann")

    def upload(self, project: str, data: bytes, shares: dict[str, float]) -> Any:
        """Prepare a file as a task, seal it, and return its first version."""
        from easeml_ray.process.task import parse_task
        from easeml_ray.runtime.intake import Upload
        from easeml_ray.sealing import new_private_key, public_key

        task = {"label": "y", "target_accuracy": 0.9, "shares": shares}
        asked = Upload(
            project=project, tenant=self.who.tenant, task=parse_task(task), format="csv",
            public_key=public_key(new_private_key()),
        )  # fmt: skip
        sealed = run(self.system.take(asked, data))
        run(self.system.handle("registry", project, self.who, sealed))
        return sealed.version

    def relabelled(self, version: Any) -> Any:
        """Return a version in which one train row in a hundred has a label drawn anew."""
        from easeml_ray.registry.messages import Correction, Revise

        rows = run(self.system.table(version.train, "registry"))["row_id"].to_pylist()[::100]
        made = tuple(
            Correction(pillar="train", row_id=row, column=None, value=str(row % CLASSES), evidence="")
            for row in rows
        )
        revise = Revise(number=version.number, corrections=made, purchases=(), reason="relabelling")
        run(self.system.handle("registry", version.project, self.who, revise))
        while True:
            found, *_ = run(self.system._latest(version.project))
            if found.number > version.number:
                return found
            time.sleep(0.1)

    def begin(self, version: Any, target: float) -> None:
        from easeml_ray.feasibility.messages import Study

        run(
            self.system.handle(
                "feasibility", version.project, self.who, Study(version=version, target_accuracy=target)
            )
        )

    def show(self, project: str) -> Any:
        from easeml_ray.feasibility.messages import ShowReport

        return run(self.system.read("feasibility", project, ShowReport()))

    def cancel(self, project: str) -> None:
        from easeml_ray.feasibility.messages import CancelStudy

        run(self.system.handle("feasibility", project, self.who, CancelStudy()))

    def progress(self, project: str, end: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Look ten times a second until ``end`` is true of what is shown; return what progress was."""
        seen: list[dict[str, Any]] = []
        while True:
            shown = self.show(project)
            if "progress" in shown and (not seen or seen[-1] != shown["progress"]):
                seen.append(shown["progress"])
            if end(shown):
                return seen
            time.sleep(0.1)

    @staticmethod
    def free() -> float:
        """Return how many processors the node says nobody has."""
        import ray

        return float(ray.available_resources().get("CPU", 0.0))

    def tasks(self) -> dict[psutil.Process, str]:
        """Return the processes that are at work on tasks, and on which."""
        found = {}
        for process in self.node.children(recursive=True):
            name = task_of(process)
            if name is not None and process.pid not in self.others:
                found[process] = name
        return found


def task_of(process: psutil.Process) -> str | None:
    """Return what a worker process is at; None if it is idle, gone, or no worker."""
    try:
        title = " ".join(process.cmdline()).strip()
    except psutil.Error:
        return None
    name = title.removeprefix("ray::")
    return None if name == title or name.startswith("IDLE") else name


def on_a_node(folder: Path, work: Callable[[Bench], T]) -> T:
    """Start a local system, do what is wanted on its node, and end every process of it."""
    import ray

    from actors.config import NAMESPACE
    from cluster import local

    try:
        # One slot: trials hold half a processor each for ever, and two tasks shall be at work at once.
        options = local.Options(cpus=CPUS, slots=1)
        endpoint = local.up(folder / "state", options, progress=lambda told: None)
        try:
            ray.init(address=endpoint.ray_address, namespace=NAMESPACE, log_to_driver=False)
            (folder / SYSTEM_NAME).mkdir()
            return work(Bench(folder / SYSTEM_NAME, endpoint.pid))
        finally:
            ray.shutdown()
            local.down(folder / "state")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -- what is measured ---------------------------------------------------------------------------


class Sampler:
    """Looks at the memory of all task processes, several times a second."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.samples = 0
        self.peaks: dict[str, dict[str, float]] = {}
        self.life: dict[int, float] = {}  # pid -> hwm
        self.drivers: set[int] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(SAMPLE_SECONDS):
            self.samples += 1
            for process, name in self.bench.tasks().items():
                try:
                    self._look(process, name)
                except (psutil.Error, OSError):  # it ended meanwhile
                    continue

    def _look(self, process: psutil.Process, name: str) -> None:
        memory = process.memory_full_info()
        now = {kind: getattr(memory, kind) / 2**20 for kind in ("rss", "uss", "pss")}
        before = self.peaks.setdefault(name, dict.fromkeys(now, 0.0))
        self.peaks[name] = {kind: max(now[kind], before[kind]) for kind in now}
        status = Path(f"/proc/{process.pid}/status").read_text()
        self.life[process.pid] = float(status.partition("VmHWM:")[2].split()[0]) / 1024
        if name == "run":
            self.drivers.add(process.pid)

    def report(self) -> dict[str, Any]:
        others = [peak for pid, peak in self.life.items() if pid not in self.drivers]
        return {
            "samples": self.samples,
            "task_processes": len(self.life),
            "peak_mib_by_task": {
                name: {kind: round(value) for kind, value in peaks.items()}
                for name, peaks in sorted(self.peaks.items())
            },
            "driver_hwm_mib": round(max(self.life[pid] for pid in self.drivers)),
            "others_hwm_mib": round(max(others, default=0.0)),
            "task_peak_mib": round(max(self.life.values())),
        }


def whole_study(bench: Bench, version: Any) -> dict[str, Any]:
    """Measure a study from nothing to its report."""
    with Sampler(bench) as sampler:
        started = time.perf_counter()
        bench.begin(version, 0.9)
        seen = bench.progress(version.project, lambda shown: bool(shown["beliefs"]))
        seconds = time.perf_counter() - started
    (belief,) = bench.show(version.project)["beliefs"]
    report = bench.system.blobs.get_json(bench.who.tenant, belief["report"])
    steps = [told["done"] for told in seen if told["total"]]
    return {
        "wall_seconds": round(seconds, 1),
        "embeddings": len(report["curves"]),
        "decision": belief["decision"],
        "ber_interval": [round(end, 4) for end in belief["ber_interval"]],
        "progress": {
            "moved": len(seen),
            "grew": steps == sorted(steps),
            "last": [steps[-1], seen[-1]["total"]],
            "stages": list(dict.fromkeys(told["stage"].partition(":")[0] for told in seen)),
        },
        "memory": sampler.report(),
    }


def resumed(bench: Bench, version: Any, target: float) -> float:
    """Return the seconds that a study from memory takes."""
    before = len(bench.show(version.project)["beliefs"])
    started = time.perf_counter()
    bench.begin(version, target)
    bench.progress(version.project, lambda shown: len(shown["beliefs"]) > before)
    return round(time.perf_counter() - started, 2)


def cancelled(bench: Bench, version: Any, stage: str) -> dict[str, Any]:
    """Cancel a study as soon as a step of a stage is done; measure how long its processes live."""
    bench.begin(version, 0.9)
    seen = bench.progress(
        version.project, lambda shown: shown.get("progress", {}).get("stage", "").startswith(stage)
    )
    working = known = bench.tasks()
    started = time.perf_counter()
    bench.cancel(version.project)
    replied = time.perf_counter() - started
    ended = free = None
    while ended is None or free is None:
        now = time.perf_counter() - started
        # Those that were at work are looked at alone, which is quick; then all, for those that came.
        if ended is None and not any(task_of(p) for p in working) and not (working := bench.tasks()):
            ended = now
        if free is None and bench.free() >= bench.cpus:
            free = now
        if now > 60.0:
            raise TimeoutError(f"still at work after a minute: {bench.tasks()}")
        time.sleep(0.01)
    time.sleep(1.0)
    return {
        "at": seen[-1],
        "task_processes": len(known),
        "reply_seconds": round(replied, 3),
        "processes_ended_seconds": round(ended, 3),
        "processors_free_seconds": round(free, 3),
        "at_work_a_second_later": len(bench.tasks()),
    }


# -- the table ----------------------------------------------------------------------------------


def table(train: int, development: int, stable: int, seed: int = 0) -> tuple[bytes, dict[str, float]]:
    """Return normal classes with close means as CSV, and the share of each pillar."""
    rows = train + development + stable
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, rows)
    X = rng.standard_normal((rows, FEATURES)) + 0.22 * rng.standard_normal((CLASSES, FEATURES))[y]
    columns = {f"x{j}": np.round(X[:, j], 4) for j in range(FEATURES)}
    sink = io.BytesIO()
    pyarrow.csv.write_csv(pa.table({**columns, "y": y}), sink)
    shares = {"train": train / rows, "development": development / rows}
    return sink.getvalue(), {**shares, "stable": 1.0 - sum(shares.values())}


def measure(bench: Bench, shrink: int) -> dict[str, Any]:
    data, shares = table(20_000 // shrink, 2_000 // shrink, 400)
    version = bench.upload("studied", data, shares)
    result: dict[str, Any] = {
        "train_rows": version.train.rows,
        "development_rows": version.development.rows,
        "features": FEATURES,
        "cpus": CPUS,
        "cpus_free_before": bench.cpus,
        "load_before": round(os.getloadavg()[0], 1),
        "study": whole_study(bench, version),
    }
    result["resumed"] = {"another_target": resumed(bench, version, 0.8)}
    result["resumed"]["new_labels"] = resumed(bench, bench.relabelled(version), 0.9)
    again = bench.upload("cancelled", data, shares)
    result["cancelled"] = [cancelled(bench, again, stage) for stage in ("embedding", "neighbours", "probes")]
    result["limits"] = limits(result)
    return result


def limits(result: dict[str, Any]) -> dict[str, Any]:
    """Return each limit, what was measured, and whether it is met."""
    study, stops = result["study"], result["cancelled"]
    slowest = max(max(s["reply_seconds"], s["processes_ended_seconds"]) for s in stops)
    found = {"task_peak_mib": study["memory"]["task_peak_mib"], "cancel_seconds": slowest}
    progress = study["progress"]
    return {
        **{name: [found[name], most, found[name] < most] for name, most in LIMITS.items()},
        "progress_grows_to_its_total": progress["grew"] and len(set(progress["last"])) == 1,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--small", action="store_true", help="a third of the rows, for a quick look")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="easeml-")
    environment(folder)
    result = on_a_node(Path(folder), lambda bench: measure(bench, 3 if options.small else 1))
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for part, values in result.items():
        print(part)
        for key, value in values.items() if isinstance(values, dict) else [("", values)]:
            print(f"  {key:28s} {value}")


if __name__ == "__main__":
    main()
