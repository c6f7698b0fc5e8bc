"""What a repair strategy is: it completes rows that have missing cells.

A repairer is fitted once on the features of train and then completes any table of the same
columns. It sees no label, keeps every cell that is there, and keeps the schema: whole numbers
stay whole, booleans boolean, categories strings. NaN counts as missing. Repairers are
deterministic and, once fitted, do not change.
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
        """Learn from train features.

        Parameters
        ----------
        table : pyarrow.Table
            Feature columns only, numeric or categorical.

        Returns
        -------
        Repairer
            This object.

        Raises
        ------
        EmptyColumn
            If a column has no value at all.
        InvalidTable
            If a column with missing cells is neither numeric nor categorical.
        """

    def complete(self, table: pa.Table) -> pa.Table:
        """Fill every missing cell.

        Parameters
        ----------
        table : pyarrow.Table
            The columns that were fitted.

        Returns
        -------
        pyarrow.Table
            The same rows and schema, without missing cells.

        Raises
        ------
        NotReady
            If nothing was fitted yet.
        SchemaMismatch
            If the columns are not those that were fitted.
        """
