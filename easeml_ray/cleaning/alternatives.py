"""The ragged set of alternatives that every certain-prediction query reads.

Symbols
-------
N = rows
M = alternatives of all rows together
C = classes
candidates = features of the alternatives, row by row, float64 (M, n_features)
row_ptr    = alternatives of row i are row_ptr[i] .. row_ptr[i + 1] - 1, int (N + 1,)
labels     = label of each alternative, int (M,)
prior      = probability of each alternative in its row, float64 (M,)
row_of     = row of each alternative, int (M,)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from easeml_ray.arrays import FloatArray, IntArray, as_features, as_labels, count_classes
from easeml_ray.errors import InvalidArgument

__all__ = ["Alternatives", "check_neighbours", "read_alternatives"]

PRIOR_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Rows of which each is one of several alternatives, rows independent of each other."""

    candidates: FloatArray  # (M, n_features), row by row
    row_ptr: IntArray  # (N + 1,)
    labels: IntArray  # (M,)
    prior: FloatArray  # (M,), those of one row sum to 1
    row_of: IntArray  # (M,)
    n_classes: int  # labels are 0 .. n_classes - 1

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.row_ptr) - 1


def read_alternatives(
    candidates: ArrayLike,
    row_ptr: ArrayLike,
    labels: ArrayLike,
    *,
    n_classes: int | None = None,
    prior: ArrayLike | None = None,
    other_labels: IntArray | None = None,
) -> Alternatives:
    """Check a ragged set of alternatives and bring it into one form."""
    # Labels are one a row or one an alternative; without a prior each row's alternatives are equally
    # probable. `other_labels` are further labels that `n_classes` must cover.
    features = as_features(candidates, "candidates")
    starts = _read_row_ptr(row_ptr, len(features))
    sizes = np.diff(starts)
    given = as_labels(labels, "labels")
    if len(given) not in (len(sizes), len(features)):
        raise InvalidArgument(
            f"labels has {len(given)} values for {len(sizes)} rows with {len(features)} alternatives",
            hint="Give one label a row, or one an alternative.",
            argument="labels",
        )
    others = () if other_labels is None else (other_labels,)
    classes = count_classes(n_classes, given, *others)
    return Alternatives(
        candidates=features,
        row_ptr=starts,
        labels=given if len(given) == len(features) else np.repeat(given, sizes),
        prior=_read_prior(prior, starts),
        row_of=np.repeat(np.arange(len(sizes), dtype=np.int64), sizes),
        n_classes=classes,
    )


def check_neighbours(k: int, n_rows: int) -> int:
    """Return `k` if it is odd and at most `n_rows`, so that a vote of k neighbours is defined."""
    if int(k) != k or k < 1 or k % 2 == 0:
        raise InvalidArgument(f"k is {k}", hint="Give a positive odd number.", argument="k")
    if k > n_rows:
        raise InvalidArgument(
            f"k is {k}, but there are {n_rows} rows", hint=f"Give at most {n_rows}.", argument="k"
        )
    return int(k)


def _read_row_ptr(row_ptr: ArrayLike, n_alternatives: int) -> IntArray:
    starts = np.asarray(row_ptr)
    if starts.ndim != 1 or starts.dtype.kind not in "iu" or len(starts) < 2:
        raise InvalidArgument(
            "row_ptr is not a list of at least two whole numbers",
            hint="Give n_rows + 1 positions into candidates.",
            argument="row_ptr",
        )
    starts = starts.astype(np.int64)
    empty = np.flatnonzero(np.diff(starts) < 1)
    if empty.size:
        raise InvalidArgument(
            f"row_ptr gives row {empty[0]} no alternative",
            hint="Each row needs at least one alternative.",
            argument="row_ptr",
        )
    if starts[0] != 0 or starts[-1] != n_alternatives:
        raise InvalidArgument(
            f"row_ptr runs from {starts[0]} to {starts[-1]}, not from 0 to {n_alternatives}",
            hint="It must cover every alternative once.",
            argument="row_ptr",
        )
    return starts


def _read_prior(prior: ArrayLike | None, starts: IntArray) -> FloatArray:
    sizes = np.diff(starts)
    if prior is None:
        return np.repeat(1.0 / sizes, sizes)
    weights = np.asarray(prior, dtype=np.float64)
    if weights.shape != (starts[-1],):
        raise InvalidArgument(
            f"prior has shape {weights.shape}, not ({starts[-1]},)",
            hint="Give one probability an alternative.",
            argument="prior",
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise InvalidArgument(
            "prior holds a negative or infinite value, or NaN", hint="Give probabilities.", argument="prior"
        )
    sums = np.add.reduceat(weights, starts[:-1])
    off = np.flatnonzero(np.abs(sums - 1.0) > PRIOR_TOLERANCE)
    if off.size:
        raise InvalidArgument(
            f"the prior of row {off[0]} sums to {sums[off[0]]!r}, not 1",
            hint="Divide each row's probabilities by their sum.",
            argument="prior",
        )
    return np.asarray(weights / np.repeat(sums, sizes))
