"""The embedding that keeps only the order of the values in each column.

Symbols
-------
u = distinct train values of a column, rising, (n_knots,)
p = their mid-ranks: the share of train values below, plus half the share of equal ones, (n_knots,)
s = normal scores of p, that is Phi^-1(p), (n_knots,)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed.recipe import Recipe

__all__ = ["MOST_KNOTS", "Quantile"]

MOST_KNOTS = 1000
"""Distinct values kept of a column; between two, scores are interpolated."""


@dataclass(frozen=True, slots=True)
class NormalScores:
    """Knots of every column: values and their scores."""

    values: tuple[FloatArray, ...]
    scores: tuple[FloatArray, ...]

    @property
    def n_dimensions(self) -> int:
        """The features."""
        return len(self.values)

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Interpolate the scores; values beyond those of train get the outermost score."""
        embedded = np.empty(rows.shape)
        for j, (values, scores) in enumerate(zip(self.values, self.scores, strict=True)):
            embedded[:, j] = np.interp(rows[:, j], values, scores)
        return embedded


@dataclass(frozen=True, slots=True)
class Quantile(Recipe):
    """Normal scores of the ranks among the train values, column by column.

    The same for any rising function of a feature, at the train values and up to 1000 distinct ones.
    B. L. van der Waerden, "Order tests for the two-sample problem and their power", 1952.
    """

    name: ClassVar[str] = "quantile"
    cost: ClassVar[float] = 13.0

    def learn(self, rows: FloatArray, y: IntArray) -> NormalScores:
        """Rank the values of each column."""
        from scipy.special import ndtri

        values, scores = [], []
        for column in rows.T:
            u, counts = np.unique(column, return_counts=True)
            s = ndtri((np.cumsum(counts) - counts / 2.0) / len(column))
            if len(u) > MOST_KNOTS:
                kept = np.linspace(0, len(u) - 1, MOST_KNOTS).round().astype(np.int64)
                u, s = u[kept], s[kept]
            values.append(u)
            scores.append(s)
        return NormalScores(tuple(values), tuple(scores))
