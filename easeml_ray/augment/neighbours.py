"""The mean of the nearest train rows, by the numeric cells that are there.

Symbols
-------
n = train rows that may be donors, at most `max_donors`
mean, scale = of a numeric column's values in train (scale 1 where constant)

Distances are Euclidean over the standardised numeric cells that both rows have, scaled up for
those that are missing (scikit-learn's nan_euclidean).
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easeml_ray.augment.columns import (
    Fill,
    Kind,
    check_filled,
    fill_column,
    kind_of,
    most_frequent,
    numeric_values,
)
from easeml_ray.augment.filled import check_schema
from easeml_ray.errors import InvalidArgument

__all__ = ["NeighbourRepairer"]


class NeighbourRepairer:
    """Fills numbers with the mean of the k nearest rows, categories with the most frequent.

    See :class:`easeml_ray.augment.Repairer` for the contract.

    Parameters
    ----------
    k : int
        Neighbours.
    max_donors : int
        At most so many train rows give values, evenly spaced over the table: time and memory
        grow with rows to complete times donors.

    Raises
    ------
    InvalidArgument
        If a parameter is below 1.

    References
    ----------
    .. [1] O. Troyanskaya et al., "Missing value estimation methods for DNA microarrays",
       Bioinformatics 17(6), 2001: KNNimpute.
    """

    name: ClassVar[str] = "neighbours"

    def __init__(self, k: int = 5, max_donors: int = 5000) -> None:
        for argument, value in (("k", k), ("max_donors", max_donors)):
            if value < 1:
                raise InvalidArgument(f"{argument} is {value}", hint="Give at least 1.", argument=argument)
        self.k = k
        self.max_donors = max_donors
        self._schema: pa.Schema | None = None
        self._numeric: list[str] = []
        self._fills: dict[str, Fill] = {}

    def fit(self, table: pa.Table) -> Self:
        """Keep the donors; see :class:`easeml_ray.augment.Repairer`."""
        from sklearn.impute import KNNImputer

        check_filled(table)
        self._schema = table.schema
        kinds = {name: kind_of(table[name].type) for name in table.column_names}
        self._numeric = [name for name, kind in kinds.items() if kind is Kind.NUMERIC]
        self._fills = {
            name: most_frequent(table[name]) for name, kind in kinds.items() if kind is Kind.CATEGORICAL
        }
        if self._numeric:
            values = self._values(table)
            self._mean = np.nanmean(values, axis=0)
            deviation = np.nanstd(values, axis=0)
            self._scale = np.where(deviation > 0, deviation, 1.0)
            donors = (values - self._mean) / self._scale
            # A column that the chosen donors lack altogether falls back to its mean, that is 0.
            self._imputer: Any = KNNImputer(n_neighbors=self.k, keep_empty_features=True)
            self._imputer.fit(donors[self._evenly_spaced(len(donors))])
        return self

    def complete(self, table: pa.Table) -> pa.Table:
        """Fill every missing cell; see :class:`easeml_ray.augment.Repairer`."""
        check_schema(self.name, self._schema, table)
        estimates = {}
        if self._numeric and table.num_rows:
            scaled = self._imputer.transform((self._values(table) - self._mean) / self._scale)
            estimates = dict(zip(self._numeric, (scaled * self._scale + self._mean).T, strict=True))
        for index, name in enumerate(table.column_names):
            fills = estimates.get(name, self._fills.get(name))
            if fills is not None:
                table = table.set_column(index, table.schema.field(name), fill_column(table[name], fills))
        return table

    def _values(self, table: pa.Table) -> NDArray[np.float64]:
        return np.column_stack([numeric_values(table[name]) for name in self._numeric])

    def _evenly_spaced(self, n_rows: int) -> NDArray[np.int64]:
        return np.linspace(0, n_rows - 1, min(n_rows, self.max_donors)).round().astype(np.int64)
