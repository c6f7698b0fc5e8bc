"""Windows as ModelPool's state holds them: stretches of realtime rows, and what labels told of them.

A window that can take no further segment while the one before waits for its labels keeps a sample of
all segments that came for it: of n that came, each subset of MOST_SEGMENTS with equal probability
(Algorithm R of Vitter, "Random sampling with a reservoir", ACM TOMS 11(1), 1985). So each row that came,
in a segment of however many rows, is kept with the same probability MOST_SEGMENTS / n; a sample weighted
by rows would prefer the rows of large segments. What does not hold: rows of one segment stay together (a
cluster sample), so rows are not kept independently of one another, and how many are kept varies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from easeml_ray.messages import LedgerLine
from easeml_ray.pool.messages import (
    AskedRow,
    CollectWindow,
    FinishRound,
    LabelledRow,
    PickRound,
    SegmentStored,
    StoreSegment,
)
from easeml_ray.pool.picker import posterior
from easeml_ray.pool.window import WINDOW, WindowState

__all__ = ["BETA", "MOST_SEGMENTS", "Window", "weights"]

BETA = 1.0  # of ModelPicker; tuned per budget in a later form
MOST_SEGMENTS = 300  # of a window: they travel in one message


@dataclass
class Window:
    """One stretch of realtime rows.

    segments : (id, digest, rows) in the order in which they came; rows : in them; wanted : rows at
    which it is full; passed : rows that came and are not kept; passed_segments : in so many segments;
    asked : row -> what was asked; pending : rows without an answer yet; seen : rows that the picker
    went past; proposals : of them, those whose coin was thrown; labelled : row -> label code.
    """

    number: int
    state: WindowState = WINDOW.initial
    segments: list[tuple[str, str, int]] = field(default_factory=list)
    candidates: tuple[str, ...] = ()
    rows: int = 0
    wanted: int = 0
    passed: int = 0
    passed_segments: int = 0
    labels_left: int = 0
    seen: int = 0
    proposals: int = 0
    losses: list[float] = field(default_factory=list)
    asked: dict[int, AskedRow] = field(default_factory=dict)
    pending: set[int] = field(default_factory=set)
    labelled: dict[int, int] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        """Whether it can be closed."""
        return self.rows >= self.wanted or len(self.segments) >= MOST_SEGMENTS

    def to_let_pass(self, segment: str, seed: int) -> str | None:
        """Choose the segment that it does without if one more comes; None while there is room."""
        if len(self.segments) < MOST_SEGMENTS:
            return None
        came = len(self.segments) + self.passed_segments + 1
        place = int(np.random.default_rng(seed).integers(came))
        return self.segments[place][0] if place < MOST_SEGMENTS else segment

    def store(self, stored: SegmentStored) -> None:
        """Take in a segment, and do without the one that was let pass for it."""
        body: StoreSegment = stored.command
        self.segments.append((body.segment, body.digest, body.rows))
        self.rows += body.rows
        self.wanted, self.labels_left = body.window_rows, body.labels
        if stored.let_pass is not None:
            place = next(i for i, (name, _, _) in enumerate(self.segments) if name == stored.let_pass)
            _, _, rows = self.segments.pop(place)
            self.rows -= rows
            self.passed += rows
            self.passed_segments += 1

    def close(self, candidates: tuple[str, ...], rows: int, labels: int) -> None:
        """Freeze the candidates."""
        self.candidates, self.rows, self.labels_left = candidates, rows, labels
        self.losses = [0.0] * len(candidates)

    def ask(self, finished: FinishRound) -> None:
        """Take in a round of the picker."""
        self.seen, self.proposals = finished.stop, finished.proposals
        self.asked.update((row.row, row) for row in finished.asked)
        self.pending.update(row.row for row in finished.asked)
        self.labels_left -= len(finished.asked)

    def learn(self, labels: tuple[LabelledRow, ...]) -> None:
        """Take in labels of rows that were asked for."""
        self.losses = self.losses_after(labels)
        self.pending.difference_update(label.row for label in labels)
        self.labelled.update((label.row, label.label) for label in labels if label.label is not None)

    def losses_after(self, labels: tuple[LabelledRow, ...]) -> list[float]:
        """Return the losses after labels: L_j += 1[prediction_j != label] / probability."""
        losses = list(self.losses)
        for label in labels:
            if label.label is None:
                continue
            asked = self.asked[label.row]
            for j, prediction in enumerate(asked.predictions):
                losses[j] += (prediction != label.label) / asked.probability
        return losses

    def ledger(self, labels: tuple[LabelledRow, ...]) -> LedgerLine:
        """Return the line of labels: how much less is unknown of which candidate is best."""
        return LedgerLine(
            variable=f"best of {len(self.candidates)} candidates on window {self.number}",
            entropy_before=_entropy(weights(self.losses, self.proposals)),
            entropy_after=_entropy(weights(self.losses_after(labels), self.proposals)),
            cost_cents=sum(label.cost_cents for label in labels),
            evidence=f"{len(labels)} realtime labels",
        )

    def next_round(self) -> PickRound:
        """Return the work that walks on from the rows that were seen."""
        return PickRound(
            window=self.number,
            segments=tuple(self.segments),
            candidates=self.candidates,
            start=self.seen,
            proposals=self.proposals,
            losses=tuple(self.losses),
            labels_left=self.labels_left,
            beta=BETA,
        )

    def collect(self) -> CollectWindow:
        """Return the work that gathers the rows that were labelled."""
        labelled = tuple(sorted(self.labelled.items()))
        return CollectWindow(window=self.number, segments=tuple(self.segments), labelled=labelled)

    def shown(self) -> dict[str, Any]:
        """Return what people may see of it."""
        came = self.rows + self.passed
        return {
            "window": self.number,
            "state": self.state.value,
            "rows": self.rows,
            "passed": self.passed,
            "note": (
                f"rows that came while the window before waited for labels: {came}, "
                f"of which {self.rows} are kept"
                if self.passed
                else ""
            ),
            "seen": self.seen,
            "labels": len(self.labelled),
            "pending": len(self.pending),
            "candidates": list(self.candidates),
            "posterior": weights(self.losses, self.proposals) if self.candidates else [],
        }


def weights(losses: list[float], proposals: int) -> list[float]:
    """Return how probable each candidate is to be the best."""
    return [float(weight) for weight in posterior(losses, proposals)]


def _entropy(probabilities: list[float]) -> float:
    return -sum(p * math.log2(p) for p in probabilities if p > 0)
