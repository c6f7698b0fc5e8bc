"""Repairers that fill each column with one value, whatever the row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import pyarrow as pa

from easeml_ray.augment.columns import Fill, Kind, check_filled, fill_column, kind_of
from easeml_ray.errors import NotReady, SchemaMismatch

__all__ = ["ColumnRepairer"]


class ColumnRepairer(ABC):
    """A repairer with one value a column; subclasses say which.

    See :class:`easeml_ray.augment.Repairer` for the contract.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._schema: pa.Schema | None = None
        self._fills: dict[str, Fill] = {}

    @abstractmethod
    def numeric_fill(self, column: Any) -> Fill:
        """Return what fills a numeric column."""

    @abstractmethod
    def categorical_fill(self, column: Any) -> Fill:
        """Return what fills a categorical column."""

    def fit(self, table: pa.Table) -> Self:
        """Learn one value a column; see :class:`easeml_ray.augment.Repairer`."""
        check_filled(table)
        self._schema = table.schema
        for name in table.column_names:
            kind = kind_of(table[name].type)
            if kind is Kind.NUMERIC:
                self._fills[name] = self.numeric_fill(table[name])
            elif kind is Kind.CATEGORICAL:
                self._fills[name] = self.categorical_fill(table[name])
        return self

    def complete(self, table: pa.Table) -> pa.Table:
        """Fill every missing cell; see :class:`easeml_ray.augment.Repairer`."""
        check_schema(self.name, self._schema, table)
        for index, name in enumerate(table.column_names):
            if name in self._fills:
                filled = fill_column(table[name], self._fills[name])
                table = table.set_column(index, table.schema.field(name), filled)
        return table


def check_schema(name: str, fitted: pa.Schema | None, table: pa.Table) -> None:
    """Check that a table has the columns that a repairer was fitted on.

    Parameters
    ----------
    name : str
        Of the repairer.
    fitted : pyarrow.Schema or None
        What it was fitted on.
    table : pyarrow.Table
        What it is to complete.

    Raises
    ------
    NotReady
        If it was not fitted.
    SchemaMismatch
        If the columns differ.
    """
    if fitted is None:
        raise NotReady(f"the repairer {name!r} is not fitted", hint="Call fit with train features first.")
    if table.schema != fitted:
        raise SchemaMismatch(
            f"the repairer {name!r} was fitted on {fitted.names}, not on {table.column_names},"
            " or the types differ",
            hint="Complete tables of the columns and types that it was fitted on.",
        )
