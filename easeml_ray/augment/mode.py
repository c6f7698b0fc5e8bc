"""The most frequent value of a column, numeric or categorical."""

from __future__ import annotations

from typing import Any, ClassVar

from easeml_ray.augment.columns import Fill, most_frequent
from easeml_ray.augment.filled import ColumnRepairer

__all__ = ["ModeRepairer"]


class ModeRepairer(ColumnRepairer):
    """Fills with the most frequent value, ties to the smallest."""

    name: ClassVar[str] = "mode"

    def numeric_fill(self, column: Any) -> Fill:
        """Return the most frequent number."""
        return most_frequent(column)

    def categorical_fill(self, column: Any) -> Fill:
        """Return the most frequent category."""
        return most_frequent(column)
