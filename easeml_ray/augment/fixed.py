"""Repairers that fill each column with one value, whatever the row.

They differ in a statistic of a numeric column's values, and in the place of a category among those of its
column, the most frequent first. Strategies that all fill with the centre of a column agree too much to show
how uncertain a cell is: the quartiles and the runners-up are plausible values on either side.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easeml_ray.augment.columns import (
    Fill,
    Kind,
    category_counts,
    kind_of,
    most_frequent_number,
    numeric_values,
)
from easeml_ray.augment.filled import Filling

__all__ = ["FIXED", "FixedRepairer"]

Statistic: TypeAlias = Callable[[NDArray[np.float64]], Any]
"""Of the values of a column, (n_rows,), NaN where missing."""

FIXED: dict[str, tuple[Statistic, int | str]] = {
    "mean": (np.nanmean, 0),
    "median": (np.nanmedian, 0),
    "mode": (most_frequent_number, 0),
    "lower_quartile": (partial(np.nanpercentile, q=25), 1),
    "upper_quartile": (partial(np.nanpercentile, q=75), 2),
    # For data where a missing cell means something, and no default: where cells are missing by
    # accident, zero is seldom a plausible value and a category of its own never the true one.
    "constant": (lambda values: 0.0, "missing"),
}
"""By name: the statistic of numbers, and the place of the category, from 0, or the category itself."""


class FixedRepairer(Filling):
    """A repairer of :data:`FIXED`; a column of too few categories gets its least frequent one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._statistic, self._category = FIXED[name]
        self._fills: dict[str, Fill] = {}

    def learn(self, table: pa.Table) -> None:
        """Compute one value a column."""
        self._fills = {}
        for name, column in zip(table.column_names, table.columns, strict=True):
            kind = kind_of(column.type)
            if kind is Kind.NUMERIC:
                self._fills[name] = float(self._statistic(numeric_values(column)))
            elif kind is Kind.CATEGORICAL:
                self._fills[name] = self._of(category_counts(column))

    def fills(self, table: pa.Table) -> dict[str, Fill]:
        """Return the value of each column."""
        return self._fills

    def _of(self, counts: list[tuple[str, int]]) -> str:
        if isinstance(self._category, str):
            return self._category
        return counts[min(self._category, len(counts) - 1)][0]
