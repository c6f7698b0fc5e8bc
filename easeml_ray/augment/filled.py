"""What repairers that fill column by column share: the schema, and writing the fills."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easeml_ray.augment.columns import Fill, check_filled, fill_column
from easeml_ray.errors import NotReady, SchemaMismatch

__all__ = ["Filling"]


class Filling(ABC):
    """A :class:`easeml_ray.augment.Repairer` whose subclasses say what fills a column."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._schema: pa.Schema | None = None

    @abstractmethod
    def learn(self, table: pa.Table) -> None:
        """Learn from train features that are checked."""

    @abstractmethod
    def fills(self, table: pa.Table) -> Mapping[str, Fill | NDArray[np.float64]]:
        """Return what fills a column: a value, or one a row of the table, (n_rows,)."""

    def fit(self, table: pa.Table) -> Self:
        """Learn from train features; see :class:`easeml_ray.augment.Repairer`."""
        check_filled(table)
        self._schema = table.schema
        self.learn(table)
        return self

    def complete(self, table: pa.Table) -> pa.Table:
        """Fill every missing cell; see :class:`easeml_ray.augment.Repairer`."""
        if self._schema is None:
            raise NotReady(
                f"the repairer {self.name!r} is not fitted", hint="Call fit with train features first."
            )
        names = table.column_names
        if table.schema != self._schema:
            raise SchemaMismatch(
                f"the repairer {self.name!r} was fitted on {self._schema.names}, not on {names},"
                " or the types differ",
                hint="Complete tables of the columns and types that it was fitted on.",
            )
        fills = self.fills(table)
        columns = [
            fill_column(column, fills[name]) if name in fills else column
            for name, column in zip(names, table.columns, strict=True)
        ]
        return pa.Table.from_arrays(columns, schema=table.schema)
