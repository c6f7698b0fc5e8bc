"""What a repair strategy is: it completes rows that have missing cells.

A repairer is fitted once on the features of train and then completes any table of the same columns. It sees
no label, keeps every cell that is there, and keeps the schema: whole numbers stay whole, booleans boolean,
categories strings. NaN counts as missing. Repairers are deterministic and, once fitted, do not change.
"""

from __future__ import annotations

from typing import Protocol, Self, runtime_checkable

import pyarrow as pa

__all__ = ["Repairer"]


@runtime_checkable
class Repairer(Protocol):
    """Completes rows with missing cells."""

    @property
    def name(self) -> str:
        """Short name, the key in the registry."""
        ...

    def fit(self, table: pa.Table) -> Self:
        """Learn from train's feature columns, numeric or categorical; return this object.

        EmptyColumn if one has no value at all, InvalidTable if one with missing cells is of another kind.
        """

    def complete(self, table: pa.Table) -> pa.Table:
        """Fill every missing cell: the same rows and schema.

        NotReady if nothing was fitted yet, SchemaMismatch if the columns are not those that were.
        """
