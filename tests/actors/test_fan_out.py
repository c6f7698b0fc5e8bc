"""Long work spreads over tasks of its own, says how far it is, and ends when it is cancelled."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
import ray
from harness import replayed, version

from actors import shell
from actors.call import call, find_actor
from actors.config import NAMESPACE, SystemConfig, actor_name
from actors.feasibility_estimator import FeasibilityEstimatorActor
from actors.shell import awaited
from actors.tasks.bench import TaskBench
from actors.tasks.fan_out import TaskExecutor
from easeml_ray.component.base import Job, Progress
from easeml_ray.errors import Conflict, InvalidArgument, NotFound, WorkFailed
from easeml_ray.feasibility.messages import CancelStudy, Report, ShowReport, Study, StudyCancelled
from easeml_ray.feasibility.state import FeasibilityState
from easeml_ray.messages import Principal, Role
from easeml_ray.store import open_event_store

pytestmark = pytest.mark.ray

# Workers do not have this module: what stands in it travels with the task.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

WHO = Principal("lab", Role.TENANT, "ann")
NAME = "fan"
WIDTH = 3


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


def until(true: Callable[[], Any], seconds: float = 60.0) -> float:
    """Wait until something is true; return how many seconds that took."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < seconds, f"not true within {seconds} s"
        time.sleep(0.01)
    return time.monotonic() - started


def processors_free() -> float:
    """Return how many processors are free; Ray leaves out a resource of which nothing is."""
    return float(ray.available_resources().get("CPU", 0.0))


# -- what tasks run -------------------------------------------------------------------------------


def work_in(folder: Path, name: str) -> None:
    """Be at work for ever, as a process that can be found by its name."""
    (folder / name).write_text(str(os.getpid()))
    while True:
        np.linalg.svd(np.ones((200, 200)))


def pids(folder: Path) -> list[int]:
    return [int(text) for path in folder.iterdir() if (text := path.read_text())]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def about(array: np.ndarray, power: int) -> tuple[float, bool, int, str | None]:
    """Return a sum, whether the array may be written to, and how many threads its algebra has."""
    from threadpoolctl import threadpool_info

    threads = max(pool["num_threads"] for pool in threadpool_info())
    return float((array**power).sum()), array.flags.writeable, threads, os.environ.get("OMP_NUM_THREADS")


def refuse(how: str) -> None:
    if how == "ours":
        raise InvalidArgument("wrong", hint="Mend it.", argument="x")
    raise ValueError("broken")


def die(marks: Path, times: int) -> int:
    """End the process without a word the first ``times`` times."""
    count = len(list(marks.iterdir()))
    if count < times:
        (marks / str(count)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return count


# -- the executor ---------------------------------------------------------------------------------


def test_what_is_shared_arrives_as_a_read_only_array_in_a_process_of_one_thread(cluster: Any) -> None:
    array = np.arange(100_000, dtype=np.float64)
    with TaskExecutor() as executor:
        assert executor.width == 4
        handle = executor.share(array)
        futures = [executor.submit(about, handle, power) for power in (0, 1, 2)]
        for power, future in enumerate(futures):
            assert future.result(60) == (float((array**power).sum()), False, 1, "1")


def test_what_a_function_raises_comes_back_as_an_error_of_ours(cluster: Any) -> None:
    with TaskExecutor() as executor:
        with pytest.raises(InvalidArgument) as ours:
            executor.submit(refuse, "ours").result(60)
        assert (type(ours.value), ours.value.argument) == (InvalidArgument, "x")
        with pytest.raises(WorkFailed, match="broken"):
            executor.submit(refuse, "other").result(60)


def test_a_function_whose_worker_dies_is_given_to_another_a_few_times(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "once").mkdir()
    (tmp_path / "always").mkdir()
    with TaskExecutor() as executor:
        once = executor.submit(die, tmp_path / "once", 1)
        always = executor.submit(die, tmp_path / "always", 1000)
        assert once.result(60) == 1
        with pytest.raises(WorkFailed, match="lost 4 times"):
            always.result(120)
    assert len(list((tmp_path / "always").iterdir())) == 4


def test_what_is_pending_at_the_end_is_cancelled(cluster: Any, tmp_path: Path) -> None:
    with TaskExecutor() as executor:
        future = executor.submit(work_in, tmp_path, "a")
        until(lambda: pids(tmp_path))
    assert future.cancelled()
    with pytest.raises(CancelledError):
        future.result()
    until(lambda: not any(map(alive, pids(tmp_path))), 10)


@ray.remote(max_retries=0)
def spread(numbers: list[int]) -> list[int]:
    with TaskExecutor() as executor:
        return [future.result() for future in [executor.submit(abs, n) for n in numbers]]


def test_a_task_that_waits_lends_its_processor_to_what_it_waits_for(cluster: Any) -> None:
    """It holds all that is free, so that its own tasks could never begin otherwise."""
    free = np.floor(2 * processors_free()) / 2
    assert ray.get(spread.options(num_cpus=free).remote([1, -2, 3]), timeout=60) == [1, 2, 3]


# -- signs of life --------------------------------------------------------------------------------


def test_progress_is_told_a_few_times_a_second_and_each_new_stage_at_once(tmp_path: Path) -> None:
    told: list[tuple[Progress, tuple[str, int]]] = []

    class Owner:
        class note:
            remote = staticmethod(lambda action, progress, turn: told.append((progress, turn)))

    config = SystemConfig.local(tmp_path)
    bench = TaskBench(config, "feasibility", "action")
    bench._owner = Owner
    for done in range(10_000):
        bench.progress(done, 10_000, "curves")
    bench.progress(10_000, 10_000, "curves")
    bench.progress(0, 0, "bounds")
    notes = [progress for progress, _ in told]
    assert (notes[0].done, notes[0].stage) == (0, "curves")
    assert (notes[-1].done, notes[-1].stage) == (0, "bounds")
    assert notes[-2].done == 10_000
    assert len(notes) < 10
    assert [number for _, (_, number) in told] == list(range(len(told)))
    assert len({sender for _, (sender, _) in told}) == 1
    silent = TaskBench(config, "feasibility")
    silent.progress(1, 2, "nobody waits for it")


def test_a_note_that_was_overtaken_is_left_out() -> None:
    """Ray begins the calls of an asynchronous actor in any order."""
    shown: dict[str, Progress] = {}

    def remember(action: str, progress: Progress) -> bool:
        shown[action] = progress
        return True

    async def play() -> list[str]:
        actor = object.__new__(FeasibilityEstimatorActor)
        actor.lock = asyncio.Lock()
        actor.heard, actor.turns = {"action": 0.0}, {}
        actor.host = SimpleNamespace(state=SimpleNamespace(note=remember))  # type: ignore[assignment]
        stages = []
        for stage, turn in (("b", ("one", 1)), ("a", ("one", 0)), ("c", ("one", 2)), ("again", ("two", 0))):
            await actor.note("action", Progress(0, 1, stage), turn)
            stages.append(shown["action"].stage)
        return stages

    assert run(play()) == ["b", "b", "c", "again"]


def test_work_may_take_as_long_as_it_shows_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "_WORK_SECONDS", 0.2)
    actor = object.__new__(FeasibilityEstimatorActor)
    actor.heard = {}

    async def play(seconds: float, signs: int) -> bool:
        """Return whether the work came to its end."""
        work = asyncio.create_task(asyncio.sleep(seconds, True))
        outlasting = asyncio.create_task(actor._outlast("action", work))
        for _ in range(signs):
            await asyncio.sleep(0.1)
            actor.heard["action"] = time.monotonic()
        try:
            await outlasting
        except TimeoutError:
            assert work.cancelled()
            return False
        return work.result()

    assert run(play(0.05, 0))
    assert run(play(0.55, 5))
    assert not run(play(60.0, 0))
    assert not run(play(60.0, 3))


# -- a study --------------------------------------------------------------------------------------


@ray.remote(num_cpus=0.5, max_retries=0)
def study_for_ever(config: SystemConfig, job: Job, folder: Path) -> Any:
    bench = TaskBench(config, "feasibility", job.id)
    attempt = len(list(folder.glob("*-driver")))
    (folder / f"{attempt}-driver").write_text(str(os.getpid()))
    with bench.executor() as executor:
        futures = [executor.submit(work_in, folder, f"{attempt}-{i}") for i in range(WIDTH)]
        for done in range(1000):
            bench.progress(done, 1000, "curves")  # most of these are never sent
        bench.progress(0, WIDTH, "waiting")
        futures[0].result()


class EndlessEstimatorActor(FeasibilityEstimatorActor):
    """A FeasibilityEstimator whose studies have no end."""

    async def perform(self, job: Job) -> Any:
        folder = Path(self.config.state) / "pids"
        return await awaited(study_for_ever.remote(self.config, job, folder), force=True)


class Estimator:
    """The actor as its callers see it."""

    def __init__(self, config: SystemConfig) -> None:
        self.config = config
        self.folder = Path(config.state) / "pids"

    def tell(self, body: Any, command_id: str) -> Any:
        arguments = (command_id, "p", WHO, body)
        return run(call(NAME, "FeasibilityEstimator", "handle", *arguments))

    def show(self) -> Any:
        return run(call(NAME, "FeasibilityEstimator", "read", "p", ShowReport()))

    def begin(self, command_id: str) -> None:
        """Begin a study and wait until all of its processes are at work."""
        for path in self.folder.iterdir():
            path.unlink()
        self.tell(Study(version=version(), target_accuracy=0.9), command_id)
        until(lambda: len(pids(self.folder)) == WIDTH + 1)


def due(estimator: Estimator) -> list[str]:
    """Return the ids of what is due, by folding the log anew."""
    store: Any = open_event_store(estimator.config.store)
    return list(replayed(FeasibilityState, store).actions)


@pytest.fixture(scope="module")
def estimator(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estimator]:
    config = SystemConfig.local(tmp_path_factory.mktemp("fan"), name=NAME)
    made = Estimator(config)
    made.folder.mkdir()
    actor = ray.remote(EndlessEstimatorActor).options(
        name=actor_name(NAME, "FeasibilityEstimator"), namespace=NAMESPACE, max_restarts=-1, num_cpus=0
    )
    handle = actor.remote(config)
    ray.get(handle.ready.remote(), timeout=120)
    yield made
    ray.kill(handle)


@pytest.fixture(autouse=True)
def no_study_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """End what a failed test left at work, which would keep the processors from the next."""
    yield
    if "estimator" in request.fixturenames:
        left: Estimator = request.getfixturevalue("estimator")
        if due(left):
            left.tell(CancelStudy(), f"cancel-after-{request.node.name}")
        until(lambda: not any(map(alive, pids(left.folder))), 20)


def test_a_study_that_is_cancelled_ends_at_once_with_all_its_tasks(estimator: Estimator) -> None:
    with pytest.raises(NotFound):
        estimator.show()
    before = processors_free()
    estimator.begin("study")
    until(lambda: estimator.show()["progress"]["stage"] == "waiting")
    assert estimator.show() == {
        "project": "p",
        "beliefs": [],
        "progress": {"done": 0, "total": WIDTH, "stage": "waiting"},
    }
    working = pids(estimator.folder)
    assert all(map(alive, working))
    until(lambda: processors_free() < before, 10)

    started = time.monotonic()
    assert estimator.tell(CancelStudy(), "cancel") == {"cancelled": [1]}
    until(lambda: not any(map(alive, working)), 10)
    ended = time.monotonic() - started
    until(lambda: processors_free() >= before, 10)
    print(f"processes ended after {ended:.2f} s, processors free after {time.monotonic() - started:.2f} s")

    with pytest.raises(NotFound):
        estimator.show()
    who = ray.get(find_actor(NAME, "FeasibilityEstimator").ready.remote(), timeout=30)
    assert who["due"] == 0
    store = open_event_store(estimator.config.store)
    kinds = [type(event.body).__name__ for event in store.read(prefix="feasibility/p")]
    assert kinds == ["StudyStarted", "StudyCancelled"]


def test_the_result_of_a_cancelled_study_that_comes_late_leaves_no_trace(estimator: Estimator) -> None:
    estimator.begin("late")
    (action,) = due(estimator)
    estimator.tell(CancelStudy(), "cancel-late")
    store = open_event_store(estimator.config.store)
    length = len(store.read())
    late = Report(
        number=1,
        target_accuracy=0.9,
        decision="FEASIBLE",
        belief=0.5,
        ber_lower=0.1,
        ber_upper=0.2,
        ber_interval=(0.1, 0.2),
        best_embedding="raw",
        advice=(),
        method="test",
        report="report",
        ber_estimate=0.15,
        model_error=0.2,
    )
    with pytest.raises(Conflict):
        estimator.tell(late, action)
    assert len(store.read()) == length
    with pytest.raises(Conflict):
        estimator.tell(CancelStudy(), "cancel-again")


def test_a_study_whose_task_is_killed_begins_anew_and_leaves_no_process_behind(
    estimator: Estimator,
) -> None:
    estimator.begin("killed")
    first = pids(estimator.folder)
    driver = int((estimator.folder / "0-driver").read_text())
    os.kill(driver, signal.SIGKILL)
    until(lambda: not any(map(alive, first)), 10)
    until(lambda: len(pids(estimator.folder)) == 2 * (WIDTH + 1))
    estimator.tell(CancelStudy(), "cancel-killed")
    until(lambda: not any(map(alive, pids(estimator.folder))), 10)
    events = open_event_store(estimator.config.store).read(prefix="feasibility/p")
    assert isinstance(events[-1].body, StudyCancelled)


def test_a_study_cancelled_while_its_actor_is_dead_stays_so(estimator: Estimator) -> None:
    """The actor dies under the study; what it is told when it is back holds for the work it owes."""
    estimator.begin("restarted")
    first = pids(estimator.folder)
    who = ray.get(find_actor(NAME, "FeasibilityEstimator").ready.remote(), timeout=30)
    os.kill(who["pid"], signal.SIGKILL)
    assert estimator.tell(CancelStudy(), "cancel-restarted") == {"cancelled": [1]}
    until(lambda: not any(map(alive, [*first, *pids(estimator.folder)])), 20)
    assert due(estimator) == []
