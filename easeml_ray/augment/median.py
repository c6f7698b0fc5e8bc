"""The median of a numeric column, the most frequent category of a categorical one."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from easeml_ray.augment.columns import Fill, most_frequent, numeric_values
from easeml_ray.augment.filled import ColumnRepairer

__all__ = ["MedianRepairer"]


class MedianRepairer(ColumnRepairer):
    """Fills with medians and most frequent categories."""

    name: ClassVar[str] = "median"

    def numeric_fill(self, column: Any) -> Fill:
        """Return the median of the values that are there."""
        return float(np.nanmedian(numeric_values(column)))

    def categorical_fill(self, column: Any) -> Fill:
        """Return the most frequent category."""
        return most_frequent(column)
