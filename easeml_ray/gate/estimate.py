"""What a test set says of a condition: the value of each clause, where some rows may lack their label.

======  ==========================================================================
symbol  meaning
======  ==========================================================================
z       value of the clause's expression n·N + o·O + d·D on one row
======  ==========================================================================

A row without a label counts as the worst z that its answers allow: the one that speaks against the
clause with fp-free, for it with fn-free. Where the answers alone fix z (n - o on a row on which the models
agree) no label is missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from easeml_ray.gate.condition import Clause, Condition, Subset
from easeml_ray.gate.evaluation import Estimate, Evaluation, evaluation_of

__all__ = ["NO_LABEL", "estimate", "wants_label"]

NO_LABEL = -2  # no class, and no model's answer either


def estimate(
    condition: Condition,
    old: NDArray[np.int64],
    new: NDArray[np.int64],
    labels: NDArray[np.int64],
    *,
    members: Mapping[Subset, NDArray[np.bool_]],
    mode: str,
    latency: Estimate | None = None,
) -> Evaluation:
    """Evaluate a condition on a test set; every array is (n_rows,), labels may be NO_LABEL."""
    values = []
    for clause in condition.clauses:
        rows = members[clause.subset] if clause.subset else np.ones(len(labels), dtype=bool)
        values.append(_mean(clause, old[rows], new[rows], labels[rows], mode))
    return evaluation_of(condition, values, mode=mode, latency=latency)


def wants_label(clause: Clause, old: NDArray[np.int64], new: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell the rows whose label can change a clause."""
    agreeing, different = row_values(clause)
    return np.where(old != new, len(set(different)) > 1, len(set(agreeing)) > 1)


def row_values(clause: Clause) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    """Return z where both models are right or wrong, and where the new, the old or none of two answers is."""
    n, o, d = clause.n, clause.o, clause.d
    return (n + o, Fraction(0)), (n + d, o + d, d)


def _mean(
    clause: Clause, old: NDArray[np.int64], new: NDArray[np.int64], labels: NDArray[np.int64], mode: str
) -> Fraction:
    """Return the exact mean of z, rows without a label at their worst."""
    agreeing, different = row_values(clause)
    worst = min if (clause.comparison == ">") == (mode == "fp-free") else max
    same, known = old == new, labels != NO_LABEL
    right, before = new == labels, old == labels
    total = Fraction(0)
    for value, rows in (
        (agreeing[0], same & known & right),
        (different[0], ~same & known & right),
        (different[1], ~same & known & before),
        (different[2], ~same & known & ~right & ~before),
        (worst(agreeing), same & ~known),
        (worst(different), ~same & ~known),
    ):
        total += value * int(rows.sum())
    return total / len(labels)
