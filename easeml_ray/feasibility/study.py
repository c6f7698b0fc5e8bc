"""Whether a target accuracy is within reach, told before any training.

A study has two halves. The race embeds the train rows block by block and keeps the nearest of them for every
development row, through several embeddings: Cover-Hart values, curves, and an answer to a changed label that
costs next to nothing. The probes are trained on all train rows and on either half of them; from their errors
and from what the halves disagree about comes the calibrated interval of the Bayes error.

References
----------
C. Renggli et al., "Ease.ML/Snoopy", ICDE 2023: the race, and the smallest Cover-Hart value over
embeddings. The interval and the decisions are this library's own; see
:mod:`easeml_ray.feasibility.calibration`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arrays import FloatArray, IntArray, as_labels
from easeml_ray.embed import Embedding, RowSchema, modality_of
from easeml_ray.errors import InvalidArgument
from easeml_ray.feasibility.calibration import Calibration
from easeml_ray.feasibility.collect import (
    Progress,
    Work,
    best_on_train,
    fit_embeddings,
    race,
    search,
    taken,
    train_probes,
)
from easeml_ray.feasibility.consensus import PARTS, consensus
from easeml_ray.feasibility.curves import prefixes
from easeml_ray.feasibility.evidence import Curve, Evidence
from easeml_ray.feasibility.inputs import checked_labels, checked_target, chosen_embeddings
from easeml_ray.feasibility.judge import judge
from easeml_ray.feasibility.race import StopRule, strategy_named
from easeml_ray.feasibility.report import FeasibilityReport
from easeml_ray.probes.models import MAX_PROBE_ROWS, PROBES, probe_view

if TYPE_CHECKING:
    from easeml_ray.component.base import Executor

__all__ = ["Study", "study"]

BLOCKS = 10
RETRAIN_SHARE = 0.05
"""Probes are trained again once so large a share of train or development rows is news to them."""


def study(
    X_train: ArrayLike,
    y_train: ArrayLike,
    X_dev: ArrayLike,
    y_dev: ArrayLike,
    *,
    target_accuracy: float,
    embeddings: Sequence[str | Embedding] | None = None,
    n_classes: int | None = None,
    strategy: str = "uniform",
    seed: int = 0,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> FeasibilityReport:
    """Estimate the Bayes error and compare it with a target.

    Labels are taken as they are: the Bayes error is that of the noisy labels of the development
    rows, and so is the accuracy that the target speaks of.

    Parameters
    ----------
    X_train : array-like of shape (n_train, n_features)
        Train features, at least two rows. A sequence of n_train texts, or images of shape
        (n_train, height, width[, channels]), go through embeddings of their kind.
    y_train : array-like of int, shape (n_train,)
        Class codes, at least two classes.
    X_dev : array-like of shape (n_dev, n_features)
        Development features, at least two rows.
    y_dev : array-like of int, shape (n_dev,)
        Class codes. One that train lacks is allowed and counts as an error.
    target_accuracy : float
        Accuracy asked for, above 0 and at most 1.
    embeddings : sequence of str or Embedding, optional
        What to look at the features through; by default those of
        :func:`easeml_ray.embed.default_embeddings`.
    n_classes : int, optional
        Classes C; inferred from the codes by default.
    strategy : str
        The order in which embeddings see blocks of train rows, one of
        :data:`easeml_ray.feasibility.race.STRATEGIES`.
    seed : int
        Of the order of the train rows and of the bootstrap.
    executor : Executor, optional
        Where searches and probes run; here, one after the other, by default. The report does
        not depend on it.
    progress : callable, optional
        Called as ``progress(done, total, stage)``.

    Returns
    -------
    FeasibilityReport
        Decision, belief, interval, curves and advice.

    Raises
    ------
    TooFewRows
        If either set has fewer than two rows.
    OneClass
        If train has one class only.
    InvalidArgument
        If an array, the target, an embedding or `n_classes` is unusable.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(0, 2, 400)
    >>> X = rng.standard_normal((400, 2)) + 6.0 * y[:, None]
    >>> report = study(X[:300], y[:300], X[300:], y[300:], target_accuracy=0.9)
    >>> report.decision.value
    'FEASIBLE_SURE'
    """
    checked_target(target_accuracy)
    made = Study(X_train, y_train, X_dev, y_dev, embeddings=embeddings, n_classes=n_classes, seed=seed)
    made.run(strategy=strategy, executor=executor, progress=progress)
    return made.report(target_accuracy)


class Study:
    """A study that goes on: labels change, rows come, and the report follows.

    Parameters
    ----------
    X_train, y_train, X_dev, y_dev : array-like
        As for :func:`study`.
    embeddings : sequence of str or Embedding, optional
        As for :func:`study`.
    n_classes : int, optional
        Classes C; inferred from the codes by default.
    seed : int
        Of the order of the train rows and of the bootstrap.

    Attributes
    ----------
    evidence : Evidence
        What was measured so far.
    cpu_seconds : float
        Processor seconds of the work so far, wherever it ran.

    Raises
    ------
    TooFewRows, OneClass, InvalidArgument
        As :func:`study`.

    Examples
    --------
    >>> X, y = np.array([[0.0], [0.1], [1.0], [1.1]]), [0, 0, 1, 1]
    >>> made = Study(X, y, X + 0.01, y, embeddings=["raw"]).run()
    >>> made.evidence.errors(), made.relabel_dev([0], [1]).evidence.errors()
    (array([0]), array([1]))
    """

    def __init__(
        self,
        X_train: ArrayLike,
        y_train: ArrayLike,
        X_dev: ArrayLike,
        y_dev: ArrayLike,
        *,
        embeddings: Sequence[str | Embedding] | None = None,
        n_classes: int | None = None,
        seed: int = 0,
    ) -> None:
        self.modality = modality_of(X_train)
        self.schema, X = RowSchema.of(self.modality, X_train, "X_train")
        self.X_dev = self.schema.read(X_dev, "X_dev")
        y, z, classes = checked_labels(X, y_train, self.X_dev, y_dev, n_classes)
        self.embeddings = chosen_embeddings(embeddings, self.modality, X)
        self.seed = seed
        self.evidence = Evidence(
            y_train=y.copy(),
            y_dev=z.copy(),
            n_classes=classes,
            order=np.random.default_rng(seed).permutation(y.size),
            sizes=prefixes(y.size, BLOCKS),
            curves={embedding.name: Curve() for embedding in self.embeddings},
        )
        self.fit_labels = y  # of the rows that embeddings are fitted to, whatever is relabelled later
        self._rows: list[Any] = [X]  # train rows, part after part
        self._maps: dict[str, Any] = {}
        self._dev: dict[str, FloatArray] = {}  # embedded development rows
        self.cpu_seconds = 0.0

    @classmethod
    def resumed(
        cls,
        evidence: Evidence,
        X_train: ArrayLike,
        X_dev: ArrayLike,
        *,
        fit_labels: IntArray,
        embeddings: Sequence[str | Embedding] | None = None,
        seed: int = 0,
    ) -> Study:
        """Go on with a study whose evidence was kept; it belongs to the study from now on.

        The rows are those that it was measured on, in the same order; `fit_labels`, int64, are those of the
        first train rows, which the embeddings are fitted to. Those of the library are found by the names in
        the evidence; they are fitted again only when rows are appended.
        """
        made = cls(
            X_train, evidence.y_train, X_dev, evidence.y_dev,
            embeddings=embeddings or list(evidence.curves), n_classes=evidence.n_classes, seed=seed,
        )  # fmt: skip
        made.evidence, made.fit_labels = evidence, fit_labels
        return made

    def run(
        self,
        *,
        strategy: str = "uniform",
        stop: StopRule | None = None,
        executor: Executor | None = None,
        progress: Progress | None = None,
    ) -> Study:
        """Race the embeddings to their end, or until a rule stops them, and train the probes; return itself.

        Strategy, executor and progress as for :func:`study`. `stop` is told the errors of each embedding so
        far, by block; true ends the race early. Every embedding sees one block at least.
        """
        if any(self.evidence.finished().values()):
            raise InvalidArgument("this study has run", hint="Append or relabel rows.", argument="self")
        blocks = self.evidence.sizes.size
        work = Work(executor, progress, len(self.embeddings) * (blocks + 1) + len(PROBES) * len(PARTS))
        self._race(strategy, stop, work)
        self._train_probes(work)
        self.cpu_seconds += work.cpu_seconds
        return self

    def relabel_train(self, index: ArrayLike, labels: ArrayLike) -> Study:
        """Change the labels of train rows, each at most once; return itself.

        No neighbour moves; probes become stale. OneClass or InvalidArgument if that is not possible.
        """
        self.evidence.relabel_train(index, labels)
        return self

    def relabel_dev(self, index: ArrayLike, labels: ArrayLike) -> Study:
        """Change labels of development rows, as :meth:`relabel_train` does."""
        self.evidence.relabel_dev(index, labels)
        return self

    def append(self, X: ArrayLike, y: ArrayLike, *, executor: Executor | None = None) -> Study:
        """See more train rows: a block more of every curve, through the embeddings as fitted; return itself.

        Rows like the first ones; class codes below `n_classes`. Embeddings whose race was stopped before its
        end stay where they are.
        """
        rows = self.schema.read(X, "X")
        codes = as_labels(y, "y", n_rows=len(rows), n_classes=self.evidence.n_classes)
        if not codes.size:
            return self
        complete = [
            name for name, done in self.evidence.finished().items() if done == self.evidence.sizes.size
        ]
        work = Work(executor, None, 2 * len(self.embeddings))
        if not self._maps:
            self._fit_embeddings(work)
        first = self.evidence.y_train.size
        index = np.arange(first, first + codes.size, dtype=np.int64)
        futures = {
            name: work.submit(search, self._maps[name], rows, index, self._dev[name]) for name in complete
        }
        found = {name: future.result() for name, future in futures.items()}
        # Nothing is taken in before everything is found.
        self.evidence.grow(codes)
        self._rows.append(rows)
        for name, nearest in found.items():
            self.evidence.curves[name].extend(nearest)
        self.cpu_seconds += work.cpu_seconds
        return self

    @property
    def stale(self) -> bool:
        """Whether so much changed since the probes were trained that they should be again."""
        e = self.evidence
        return max(e.stale_rows / e.y_train.size, e.stale_dev_rows / e.y_dev.size) > RETRAIN_SHARE

    def retrain(self, *, executor: Executor | None = None, progress: Progress | None = None) -> Study:
        """Train the probes on the rows and labels as they are now; return the study."""
        work = Work(executor, progress, len(PROBES) * len(PARTS))
        self._train_probes(work)
        self.cpu_seconds += work.cpu_seconds
        return self

    def report(self, target_accuracy: float, *, calibration: Calibration | None = None) -> FeasibilityReport:
        """Compare what was measured with a target above 0 and at most 1; by default, the shipped calibration.

        InvalidArgument if the target is out of range or the study has not run.
        """
        checked_target(target_accuracy)
        if not all(self.evidence.finished().values()):
            raise InvalidArgument("nothing is measured yet", hint="Call run() first.", argument="self")
        width = self.schema.shape[0] if self.modality == "table" else None
        return judge(self.evidence, target_accuracy, seed=self.seed, width=width, calibration=calibration)

    def _train(self) -> Any:
        """Return all train rows as one."""
        if len(self._rows) > 1:
            # Texts are a list, everything else an array.
            if isinstance(self._rows[0], list):
                self._rows = [[row for part in self._rows for row in part]]
            else:
                self._rows = [np.concatenate(self._rows)]
        return self._rows[0]

    def _probe_view(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return train and development rows as probes look at them: numbers, and not too many."""
        X = self._train()
        if self.modality == "table":
            return probe_view(taken(X, rows), self.X_dev)
        # Texts and images have no features of their own: an embedding gives them, chosen on train
        # rows alone, so that development rows stay fresh for the probes.
        if not self._maps:
            self._fit_embeddings(Work(None, None, len(self.embeddings)))
        best = best_on_train(self._maps, X, self.evidence.y_train, rows)
        return probe_view(self._maps[best].transform(taken(X, rows)), self._dev[best])

    def _fit_embeddings(self, work: Work) -> None:
        X = self._train()[: self.fit_labels.size]
        found = fit_embeddings(self.embeddings, X, self.fit_labels, self.X_dev, work)
        self._maps = {name: map_ for name, (map_, _) in found.items()}
        self._dev = {name: Z for name, (_, Z) in found.items()}

    def _race(self, strategy: str, stop: StopRule | None, work: Work) -> None:
        self._fit_embeddings(work)
        arms = dict.fromkeys(self.evidence.curves, self.evidence.sizes.size)
        named = strategy_named(strategy, arms)
        race(self.evidence, self._train(), self._maps, self._dev, named, stop, work)

    def _train_probes(self, work: Work) -> None:
        evidence = self.evidence
        # A random part of many rows; appended rows are as likely to be in either half as the first.
        chosen = np.random.default_rng(self.seed).permutation(evidence.y_train.size)[:MAX_PROBE_ROWS]
        train, dev = self._probe_view(chosen)
        found = train_probes(train, evidence.y_train[chosen], dev, evidence.n_classes, work)
        evidence.seen_train, evidence.seen_dev = evidence.y_train.copy(), evidence.y_dev.copy()
        evidence.members = {name: P.argmax(axis=1) for name, P in found["all"].items()}
        evidence.consensus = consensus(found, evidence.y_dev, seed=self.seed)
