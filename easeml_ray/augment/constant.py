"""A constant for each kind of column: zero, and a category of its own for what is missing."""

from __future__ import annotations

from typing import Any, ClassVar

from easeml_ray.augment.columns import Fill
from easeml_ray.augment.filled import ColumnRepairer

__all__ = ["ConstantRepairer"]


class ConstantRepairer(ColumnRepairer):
    """Fills with constants, for data where a missing cell means something.

    Not among the default strategies: where cells are missing by accident, zero is seldom a
    plausible value and a category of its own never the true one.

    Parameters
    ----------
    number : float
        For numeric columns.
    category : str
        For categorical columns.
    """

    name: ClassVar[str] = "constant"

    def __init__(self, number: float = 0.0, category: str = "missing") -> None:
        super().__init__()
        self.number = number
        self.category = category

    def numeric_fill(self, column: Any) -> Fill:
        """Return the constant number."""
        return self.number

    def categorical_fill(self, column: Any) -> Fill:
        """Return the constant category."""
        return self.category
