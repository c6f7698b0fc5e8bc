"""Values off the centre: quartiles of numeric columns, runners-up of categorical ones.

Strategies that all fill with the centre of a column agree too much to show how uncertain a
cell is. These two offer plausible values on either side.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from easeml_ray.augment.columns import Fill, category_counts, numeric_values
from easeml_ray.augment.filled import ColumnRepairer

__all__ = ["LowerQuartileRepairer", "UpperQuartileRepairer"]


class LowerQuartileRepairer(ColumnRepairer):
    """Fills with the lower quartile, and with the second most frequent category.

    A column of one category only has no runner-up; it is filled with that category.
    """

    name: ClassVar[str] = "lower_quartile"

    def numeric_fill(self, column: Any) -> Fill:
        """Return the 25th percentile."""
        return float(np.nanpercentile(numeric_values(column), 25))

    def categorical_fill(self, column: Any) -> Fill:
        """Return the second most frequent category."""
        return _runner_up(column, 1)


class UpperQuartileRepairer(ColumnRepairer):
    """Fills with the upper quartile, and with the third most frequent category.

    Where there are fewer categories, the least frequent one is taken.
    """

    name: ClassVar[str] = "upper_quartile"

    def numeric_fill(self, column: Any) -> Fill:
        """Return the 75th percentile."""
        return float(np.nanpercentile(numeric_values(column), 75))

    def categorical_fill(self, column: Any) -> Fill:
        """Return the third most frequent category."""
        return _runner_up(column, 2)


def _runner_up(column: Any, place: int) -> str:
    counts = category_counts(column)
    return counts[min(place, len(counts) - 1)][0]
