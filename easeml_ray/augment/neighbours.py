"""The mean of the nearest train rows, by the numeric cells that are there.

Symbols
-------
n = train rows that may be donors, at most `max_donors`
mean, scale = of a numeric column's values in train (scale 1 where constant)

Distances are Euclidean over the standardised numeric cells that both rows have, scaled up for
those that are missing (scikit-learn's nan_euclidean).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easeml_ray.augment.columns import Fill, Kind, category_counts, kind_of, numeric_values
from easeml_ray.augment.filled import Filling
from easeml_ray.errors import InvalidArgument

__all__ = ["NeighbourRepairer"]


class NeighbourRepairer(Filling):
    """Fills numbers with the mean of the k nearest of n donors, categories with the most frequent.

    Donors are evenly spaced over train: time and memory grow with rows to complete times donors. KNNimpute of
    O. Troyanskaya et al., "Missing value estimation methods for DNA microarrays", Bioinformatics 17(6), 2001.
    """

    def __init__(self, k: int = 5, max_donors: int = 5000) -> None:
        super().__init__("neighbours")
        for argument, value in (("k", k), ("max_donors", max_donors)):
            if value < 1:
                raise InvalidArgument(f"{argument} is {value}", hint="Give at least 1.", argument=argument)
        self.k = k
        self.max_donors = max_donors
        self._numeric: list[str] = []
        self._categories: dict[str, Fill] = {}

    def learn(self, table: pa.Table) -> None:
        """Keep the donors."""
        from sklearn.impute import KNNImputer

        kinds = {field.name: kind_of(field.type) for field in table.schema}
        self._numeric = [name for name, kind in kinds.items() if kind is Kind.NUMERIC]
        self._categories = {
            name: category_counts(table[name])[0][0]
            for name, kind in kinds.items()
            if kind is Kind.CATEGORICAL
        }
        if self._numeric:
            values = self._values(table)
            self._mean = np.nanmean(values, axis=0)
            deviation = np.nanstd(values, axis=0)
            self._scale = np.where(deviation > 0, deviation, 1.0)
            donors = (values - self._mean) / self._scale
            spaced = np.linspace(0, len(donors) - 1, min(len(donors), self.max_donors)).round()
            # A column that the chosen donors lack altogether falls back to its mean, that is 0.
            self._imputer: Any = KNNImputer(n_neighbors=self.k, keep_empty_features=True)
            self._imputer.fit(donors[spaced.astype(np.int64)])

    def fills(self, table: pa.Table) -> dict[str, Fill | NDArray[np.float64]]:
        """Estimate the numbers of every row, missing or not."""
        if not self._numeric or not table.num_rows:
            return {**self._categories}
        scaled = self._imputer.transform((self._values(table) - self._mean) / self._scale)
        estimates = (scaled * self._scale + self._mean).T
        return self._categories | dict(zip(self._numeric, estimates, strict=True))

    def _values(self, table: pa.Table) -> NDArray[np.float64]:
        return np.column_stack([numeric_values(table[name]) for name in self._numeric])
