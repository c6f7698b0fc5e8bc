"""The work of a study: embeddings, searches and probes, here or wherever an executor runs them.

What is submitted are the plain functions of this package, on arrays; results are taken in the
order of submission, so that the evidence does not depend on who was quick.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.component.executor import LocalExecutor
from easeml_ray.embed import Embedding
from easeml_ray.feasibility.consensus import PARTS
from easeml_ray.feasibility.evidence import Evidence
from easeml_ray.feasibility.race import StopRule, Strategy
from easeml_ray.neighbors.nearest import NearestNeighbor
from easeml_ray.neighbors.neighbors import Found, NearestNeighbors
from easeml_ray.probes.models import PROBES, predictions

if TYPE_CHECKING:
    from easeml_ray.component.base import Executor

__all__ = [
    "Pending",
    "Progress",
    "Work",
    "best_on_train",
    "fit_embedding",
    "fit_embeddings",
    "race",
    "search",
    "taken",
    "timed",
    "train_probes",
]

VIEW_ROWS = 2_000
"""Train rows by which the embedding of texts and images for the probes is chosen."""

Progress: TypeAlias = Callable[[int, int, str], None]


class Pending:
    """A result to come, whose cost is then added up."""

    def __init__(self, work: Work, future: Future[tuple[Any, float]]) -> None:
        self._work, self._future = work, future

    def result(self) -> Any:
        """Wait for the result and return it."""
        value, seconds = self._future.result()
        self._work.cpu_seconds += seconds
        return value

    def cancel(self) -> bool:
        """Call it off."""
        return self._future.cancel()


class Work:
    """Where functions run, and how far they are."""

    def __init__(self, executor: Executor | None, progress: Progress | None, total: int) -> None:
        self._executor: Executor = executor if executor is not None else LocalExecutor()
        self._progress, self._done, self._total = progress, 0, total
        self.width, self.share = self._executor.width, self._executor.share
        self.cpu_seconds = 0.0
        """What was used by the functions whose results were taken, wherever they ran."""

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Pending:
        """Run a function; its result also says what it cost."""
        return Pending(self, self._executor.submit(timed, function, *args))

    def step(self, stage: str) -> None:
        """Say that one more step is done."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total, stage)


def fit_embeddings(
    embeddings: Sequence[Embedding], X: Any, y: IntArray, dev: Any, work: Work
) -> dict[str, tuple[Any, FloatArray]]:
    """Fit embeddings to train rows; return each with the development rows that it embedded (T, k)."""
    shared = work.share(X), work.share(y), work.share(dev)
    futures = [(e.name, work.submit(fit_embedding, e, *shared)) for e in embeddings]
    found = {}
    for name, future in futures:
        found[name] = future.result()
        work.step(f"embedding: {name}")
    return found


def race(
    evidence: Evidence,
    X: Any,
    maps: Mapping[str, Any],
    dev: Mapping[str, FloatArray],
    strategy: Strategy,
    stop: StopRule | None,
    work: Work,
) -> None:
    """Search block after block through the embeddings that a strategy names."""
    shared = {name: (work.share(maps[name]), work.share(dev[name])) for name in maps}
    ends = np.concatenate([[0], evidence.sizes])
    flying: deque[tuple[str, Pending]] = deque()
    while True:
        # One more than run at once: the next is there when one ends.
        while len(flying) <= work.width and (arms := strategy.next(at_most=1)):
            name = arms[0]
            block = len(evidence.curves[name].nearest)
            index = evidence.order[ends[block] : ends[block + 1]]
            fitted, Z = shared[name]
            flying.append((name, work.submit(search, fitted, taken(X, index), index, Z)))
        if not flying:
            return
        name, future = flying.popleft()
        evidence.curves[name].extend(future.result())
        strategy.observe(name, evidence.last_error(name))
        work.step(f"neighbours: {name}")
        if stop is not None and all(strategy.curves.values()) and stop(strategy.curves):
            for _, late in flying:
                late.cancel()
            return


def train_probes(
    X: FloatArray, y: IntArray, dev: FloatArray, n_classes: int, work: Work
) -> dict[str, dict[str, FloatArray]]:
    """Train every probe on all rows and on either half of them."""
    # Shapes: X, dev (n, k) and (T, k); y (n,); returned (T, C).
    shared, Z = work.share(X), work.share(dev)
    half = y.size // 2
    spans = dict(zip(PARTS, ((0, y.size), (0, half), (half, y.size)), strict=True))
    futures = deque(
        (part, work.submit(predictions, name, shared, y, span, Z, n_classes))
        for part, span in spans.items()
        for name in PROBES
    )
    found: dict[str, dict[str, FloatArray]] = {part: {} for part in PARTS}
    while futures:
        part, future = futures.popleft()
        found[part] |= future.result()
        work.step("probes")
    return found


def timed(function: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    """Return what a function returns, and the processor seconds that it took."""
    began = time.process_time()
    value = function(*args)
    return value, time.process_time() - began


def best_on_train(maps: Mapping[str, Any], X: Any, y: IntArray, rows: IntArray) -> str:
    """Return the embedding in which one half of some train rows is nearest to its like in the other."""
    # Shapes: y (n,).
    some = rows[:VIEW_ROWS]
    half = some[: some.size // 2], some[some.size // 2 :]

    def errors(name: str) -> int:
        seen, asked = (maps[name].transform(taken(X, part)) for part in half)
        state = NearestNeighbor(asked, y[half[1]], int(y.max()) + 1).append(seen, y[half[0]])
        return int(state.errors)

    return min(maps, key=errors)


def fit_embedding(embedding: Embedding, X: Any, y: IntArray, dev: Any) -> tuple[Any, FloatArray]:
    """Fit an embedding to train rows; return it and the embedded development rows (T, k)."""
    fitted = embedding.fit(X, y)
    return fitted, fitted.transform(dev)


def search(fitted: Any, X: Any, index: IntArray, Z: FloatArray) -> Found:
    """Return the nearest of some train rows, embedded here, for each embedded development row."""
    return NearestNeighbors(Z, k=1).append(fitted.transform(X), index=index).found()


def taken(X: Any, rows: IntArray) -> Any:
    """Return some rows; texts are a list, everything else an array."""
    return [X[row] for row in rows] if isinstance(X, list) else X[rows]
