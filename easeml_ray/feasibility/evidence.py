"""What a study has measured, kept so that a change of the data costs what it changes.

Symbols
-------
n = train rows, T = development rows, F = embeddings, P = blocks of train rows, C = classes
order = train rows in the order in which curves see them, (n,)
sizes = train rows in blocks 1 .. p, (P,), ascending; the last is n
nearest[f][p, t] = train row nearest to t among the first sizes[p] of order, seen through f, (P, T)
distance[f][t] = squared distance of the last of them, (T,)

A label moves no neighbour: changed labels are looked up, nothing is searched again. Appended rows
are one more block. Either leaves the embeddings as they were fitted, and the probes as they
were trained: rows are stale that the probes have not seen, or saw with another label.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easeml_ray.arrays import IntArray, as_labels
from easeml_ray.errors import InvalidArgument, OneClass
from easeml_ray.feasibility.bounds import cover_hart_lower_bound
from easeml_ray.feasibility.calibration import Summary
from easeml_ray.feasibility.consensus import Consensus
from easeml_ray.neighbors.neighbors import Found

__all__ = ["Curve", "Evidence"]


@dataclass(slots=True)
class Curve:
    """The nearest train rows through one embedding, block after block. Shapes: nearest (T,)."""

    nearest: list[IntArray] = field(default_factory=list)  # one a block, in order
    last: Found | None = None  # after the last of them

    def extend(self, found: Found) -> None:
        """Take in the search of the next block: the smaller of (distance, row) stays."""
        if self.last is not None:
            before = self.last
            closer = (found.distance < before.distance) | (
                (found.distance == before.distance) & (found.nearest < before.nearest)
            )
            found = Found(
                np.where(closer, found.distance, before.distance),
                np.where(closer, found.nearest, before.nearest),
                max(found.n_train, before.n_train),
                found.digest,
            )
        self.last = found
        self.nearest.append(found.nearest[:, 0])


@dataclass(slots=True)
class Evidence:
    """Neighbours by embedding and block, and what the probes predict.

    Shapes: y_train, y_dev (n,) and (T,); members (T,).
    """

    y_train: IntArray
    y_dev: IntArray
    n_classes: int
    order: IntArray
    sizes: IntArray
    curves: dict[str, Curve]
    members: dict[str, IntArray] = field(default_factory=dict)  # classes by probe trained on all rows
    consensus: Consensus | None = None
    seen_train: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    seen_dev: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def stale_rows(self) -> int:
        """Train rows that came, or have another label, since the probes were trained."""
        known = self.seen_train.size
        if self.consensus is None:
            return 0
        return int(np.count_nonzero(self.y_train[:known] != self.seen_train)) + self.y_train.size - known

    @property
    def stale_dev_rows(self) -> int:
        """Development rows that have another label since the probes were trained."""
        return 0 if self.consensus is None else int(np.count_nonzero(self.y_dev != self.seen_dev))

    def wrong(self) -> NDArray[np.bool_]:
        """Return where the nearest row has another label, (F, P, T)."""
        # An embedding whose race was stopped keeps the errors of its last block.
        wrong = np.empty((len(self.curves), self.sizes.size, self.y_dev.size), dtype=np.bool_)
        for f, curve in enumerate(self.curves.values()):
            done = len(curve.nearest)
            wrong[f, :done] = self.y_train[np.stack(curve.nearest)] != self.y_dev
            wrong[f, done:] = wrong[f, done - 1]
        return wrong

    def errors(self) -> IntArray:
        """Return how many development rows the nearest of all train rows gets wrong, (F,)."""
        last = np.stack([curve.nearest[-1] for curve in self.curves.values()])
        errors: IntArray = np.count_nonzero(self.y_train[last] != self.y_dev, axis=1)
        return errors

    def last_error(self, embedding: str) -> float:
        """Return the share of development rows that the last neighbours of an embedding get wrong."""
        return float((self.y_train[self.curves[embedding].nearest[-1]] != self.y_dev).mean())

    def finished(self) -> dict[str, int]:
        """Return how many blocks each embedding has seen."""
        return {name: len(curve.nearest) for name, curve in self.curves.items()}

    def member_errors(self) -> dict[str, int]:
        """Return how many development rows each probe gets wrong."""
        return {name: int(np.count_nonzero(codes != self.y_dev)) for name, codes in self.members.items()}

    def summary(self) -> Summary | None:
        """Return what the calibrated interval is computed from; None without probes."""
        if self.consensus is None:
            return None
        wrong = {part: float(rows.mean()) for part, rows in self.consensus.wrong(self.y_dev).items()}
        nearest = float(self.errors().min()) / self.y_dev.size
        return Summary(
            n_train=self.y_train.size,
            n_dev=self.y_dev.size,
            n_classes=self.n_classes,
            error=wrong["all"],
            doubt=float(self.consensus.doubt()["all"].mean()),
            half_error=0.5 * (wrong["first"] + wrong["second"]),
            disagreement=float(self.consensus.disagreement().mean()),
            regret=float(self.consensus.regret().mean()),
            cover_hart=cover_hart_lower_bound(nearest, self.n_classes),
        )

    def relabel_train(self, index: ArrayLike, labels: ArrayLike) -> None:
        """Change labels of train rows; see :meth:`easeml_ray.feasibility.Study.relabel_train`."""
        rows, codes = self._changes(index, labels, self.y_train.size, "train")
        changed = self.y_train.copy()
        changed[rows] = codes
        if changed.size and (changed == changed[0]).all():
            raise OneClass(
                "all train rows would have the same label", hint="Keep rows of two classes.", rows=[]
            )
        self.y_train = changed

    def relabel_dev(self, index: ArrayLike, labels: ArrayLike) -> None:
        """Change labels of development rows; see :meth:`easeml_ray.feasibility.Study.relabel_dev`."""
        rows, codes = self._changes(index, labels, self.y_dev.size, "development")
        self.y_dev[rows] = codes

    def grow(self, labels: IntArray) -> IntArray:
        """Take in the labels of a new block and return the indices of its rows."""
        rows = np.arange(self.y_train.size, self.y_train.size + labels.size, dtype=np.int64)
        self.y_train = np.concatenate([self.y_train, labels])
        self.order = np.concatenate([self.order, rows])
        self.sizes = np.append(self.sizes, self.y_train.size)
        return rows

    def _changes(
        self, index: ArrayLike, labels: ArrayLike, size: int, what: str
    ) -> tuple[IntArray, IntArray]:
        rows = as_labels(index, "index")
        codes = as_labels(labels, "labels", n_rows=rows.size, n_classes=self.n_classes)
        if rows.size and rows.max() >= size:
            raise InvalidArgument(
                f"{what} row {rows.max()} is beyond the {size} rows studied",
                hint="Append new rows; relabel those that were given before.",
                argument="index",
            )
        if np.unique(rows).size != rows.size:
            raise InvalidArgument(
                f"a {what} row is relabelled twice in one call", hint="Give each once.", argument="index"
            )
        return rows, codes
