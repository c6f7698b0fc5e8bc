"""From an Arrow table to features: standardised numbers and one-hot categories.

Symbols
-------
mean, scale = of a numeric column's values in train (ddof 0; scale 1 where constant)
m = categories kept of a categorical column, at most `max_categories`

A numeric column gives one feature, ``(value - mean) / scale``; a missing cell gives 0,
that is the mean. A categorical column gives m + 1 features of 0 or 1, one a kept category
and one for a missing cell, and one more for all other categories if train has more than
`max_categories` of them. Without that, a category that train lacks gives zeros only.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from easeml_ray.arrays import FloatArray
from easeml_ray.embed.columns import (
    CategoricalColumn,
    Column,
    NumericColumn,
    check_kind,
    fit_column,
    kind_of,
    one_hot,
    standardise,
)
from easeml_ray.errors import DuplicateIds, InvalidArgument, InvalidTable, MissingColumn, TooFewRows

__all__ = ["Encoder"]

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Encoder:
    """A fitted map from tables to features. It is stored by digest and never refitted.

    Parameters
    ----------
    columns : tuple of NumericColumn or CategoricalColumn
        The columns read, in the order of their features.

    Examples
    --------
    >>> train = pa.table({"age": [20, 40], "city": ["Bern", None]})
    >>> encoder = Encoder.fit(train, ["age", "city"])
    >>> encoder.feature_names
    ['age', 'city=Bern', 'city:missing']
    >>> encoder.transform(train)
    array([[-1.,  1.,  0.],
           [ 1.,  0.,  1.]])
    >>> Encoder.from_json(encoder.to_json()) == encoder
    True
    """

    columns: tuple[Column, ...]

    @classmethod
    def fit(cls, table: pa.Table, features: Sequence[str], *, max_categories: int = 64) -> Encoder:
        """Fit on the most probable world of train, to the columns named, in this order.

        Cells may be missing (null, or NaN in a float column). The `max_categories` most frequent categories
        of a column get a feature of their own, ties to the smaller text. TooFewRows for an empty table,
        DuplicateIds for a feature named twice, MissingColumn, NestedColumn or InvalidTable for a column
        absent, nested, infinite or of a type without an encoding; else InvalidArgument.
        """
        if not features:
            raise InvalidArgument("no feature columns are named", hint="Name one.", argument="features")
        if max_categories < 1:
            raise InvalidArgument(
                f"max_categories is {max_categories}", hint="Give at least 1.", argument="max_categories"
            )
        repeated = sorted(name for name, times in Counter(features).items() if times > 1)
        if repeated:
            raise DuplicateIds(
                f"feature column(s) named twice: {', '.join(repeated)}",
                hint="Name each once.",
                column=repeated[0],
            )
        if table.num_rows == 0:
            raise TooFewRows(
                "the table to fit on has no rows", hint="Give train rows.", required=1, available=0
            )
        read = zip(features, _require(table, list(features)).columns, strict=True)
        return cls(tuple(fit_column(name, column, max_categories) for name, column in read))

    @property
    def features(self) -> list[str]:
        """The columns that are read."""
        return [column.name for column in self.columns]

    @property
    def feature_names(self) -> list[str]:
        """The name of each feature, in order."""
        return [name for column in self.columns for name in column.feature_names]

    @property
    def n_features(self) -> int:
        """The width of what :meth:`transform` returns."""
        return sum(column.n_features for column in self.columns)

    @property
    def digest(self) -> str:
        """SHA-256 of :meth:`to_json`, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def transform(self, table: pa.Table) -> FloatArray:
        """Encode a table with at least these :attr:`features`: (n_rows, n_features) float64, all finite.

        MissingColumn if one is absent, SchemaMismatch if it is numeric where train's was categorical or the
        other way, InvalidTable if it is of a type without an encoding, or holds infinity.
        """
        table = _require(table, self.features)
        for column, type_ in zip(self.columns, table.schema.types, strict=True):
            check_kind(column, type_)
        ends = np.cumsum([column.n_features for column in self.columns]).tolist()
        encoded = np.zeros((table.num_rows, self.n_features))
        numeric: dict[int, NumericColumn] = {}  # by place
        for place, column in enumerate(self.columns):
            if isinstance(column, NumericColumn):
                numeric[place] = column
            else:
                block = encoded[:, ends[place] - column.n_features : ends[place]]
                one_hot(column, table.column(place), block)
        if len(numeric) == len(self.columns):
            standardise(list(numeric.values()), table, encoded, slice(None))
        elif numeric:
            into = [ends[place] - 1 for place in numeric]
            standardise(list(numeric.values()), table.select(list(numeric)), encoded, into)
        return encoded

    def to_json(self) -> str:
        """Return the encoder as canonical JSON text: equal encoders give equal text."""
        columns = [{"kind": kind_of(column), **asdict(column)} for column in self.columns]
        return json.dumps(
            {"format": FORMAT, "columns": columns}, sort_keys=True, separators=(",", ":"), allow_nan=False
        )

    @classmethod
    def from_json(cls, text: str) -> Encoder:
        """Rebuild an encoder from :meth:`to_json`, or raise InvalidArgument for any other text."""
        try:
            value = json.loads(text)
            if value["format"] != FORMAT:
                raise ValueError(f"format {value['format']}")
            return cls(tuple(_column_from(entry) for entry in value["columns"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidArgument(
                f"the text is not an encoder of format {FORMAT}: {error}",
                hint="Give what Encoder.to_json returned.",
                argument="text",
            ) from error


def _column_from(entry: dict[str, Any]) -> Column:
    if entry["kind"] == "numeric":
        return NumericColumn(entry["name"], float(entry["mean"]), float(entry["scale"]))
    return CategoricalColumn(entry["name"], tuple(entry["categories"]), bool(entry["other"]))


def _require(table: pa.Table, names: list[str]) -> pa.Table:
    """Return the named columns as a table, in the order of the names."""
    # Arrow makes its list of names anew each time it is asked.
    given = table.column_names
    places = {name: place for place, name in enumerate(given)}
    absent = [name for name in names if name not in places]
    if absent:
        raise MissingColumn(
            f"the table lacks the column(s) {', '.join(absent)}",
            hint=f"It has {', '.join(given) or 'none'}",
            columns=absent,
        )
    if len(places) < len(given):
        times = Counter(given)
        repeated = [name for name in names if times[name] > 1]
        if repeated:
            raise InvalidTable(
                f"the table has more than one column {repeated[0]!r}", hint="Rename one.", column=repeated[0]
            )
    return table if given == names else table.select([places[name] for name in names])
