"""The mean of a numeric column, the most frequent category of a categorical one."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from easeml_ray.augment.columns import Fill, most_frequent, numeric_values
from easeml_ray.augment.filled import ColumnRepairer

__all__ = ["MeanRepairer"]


class MeanRepairer(ColumnRepairer):
    """Fills with means and most frequent categories.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"x": [1.0, 3.0, None], "c": ["a", None, "a"]})
    >>> MeanRepairer().fit(table).complete(table).to_pydict()
    {'x': [1.0, 3.0, 2.0], 'c': ['a', 'a', 'a']}
    """

    name: ClassVar[str] = "mean"

    def numeric_fill(self, column: Any) -> Fill:
        """Return the mean of the values that are there."""
        return float(np.nanmean(numeric_values(column)))

    def categorical_fill(self, column: Any) -> Fill:
        """Return the most frequent category."""
        return most_frequent(column)
