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
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from easeml_ray.arrays import FloatArray
from easeml_ray.embed.standardise import column_scale
from easeml_ray.errors import (
    DuplicateIds,
    InvalidArgument,
    InvalidTable,
    MissingColumn,
    NestedColumn,
    SchemaMismatch,
    TooFewRows,
)

__all__ = ["CategoricalColumn", "Encoder", "NumericColumn"]

FORMAT = 1

FLOAT = pa.float64()

# Rows encoded at a time: what is at work stays in the processor's cache.
BATCH_ROWS = 4096


@dataclass(frozen=True, slots=True)
class NumericColumn:
    """A column of integers, floats or booleans.

    Parameters
    ----------
    name : str
        Column of the table.
    mean, scale : float
        Of the values present in train.
    """

    name: str
    mean: float
    scale: float

    @property
    def feature_names(self) -> list[str]:
        """The one feature, called like the column."""
        return [self.name]

    @property
    def n_features(self) -> int:
        """Number of its features."""
        return 1


@dataclass(frozen=True, slots=True)
class CategoricalColumn:
    """A column of text or of a dictionary.

    Parameters
    ----------
    name : str
        Column of the table.
    categories : tuple of str
        Categories that have a feature, sorted.
    other : bool
        Whether the remaining categories share one.
    """

    name: str
    categories: tuple[str, ...]
    other: bool

    @property
    def feature_names(self) -> list[str]:
        """One name a kept category, then the other, then the missing one."""
        kept = [f"{self.name}={category}" for category in self.categories]
        return [*kept, *([f"{self.name}:other"] if self.other else []), f"{self.name}:missing"]

    @property
    def n_features(self) -> int:
        """Number of its features."""
        return len(self.categories) + self.other + 1


Column: TypeAlias = NumericColumn | CategoricalColumn


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
        """Fit on the most probable world of train.

        Parameters
        ----------
        table : pyarrow.Table
            Train rows; cells may be missing (null, or NaN in a float column).
        features : sequence of str
            Columns to read, in this order.
        max_categories : int
            The most categories of a column that get a feature of their own: the most
            frequent, ties to the smaller text.

        Returns
        -------
        Encoder
            The fitted encoder.

        Raises
        ------
        InvalidArgument
            If no feature is named or `max_categories` is below 1.
        DuplicateIds
            If a feature is named twice.
        TooFewRows
            If the table is empty.
        MissingColumn, NestedColumn, InvalidTable
            If a column is absent, nested, of a type without an encoding, or infinite.
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
        return cls(tuple(_fit_column(name, column, max_categories) for name, column in read))

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
        """Encode a table.

        Parameters
        ----------
        table : pyarrow.Table
            Rows with at least the columns of :attr:`features`; others are not read.

        Returns
        -------
        ndarray of shape (n_rows, n_features)
            C-contiguous float64, all finite.

        Raises
        ------
        MissingColumn
            If a column is absent.
        SchemaMismatch
            If a column is numeric where train's was categorical, or the other way.
        InvalidTable
            If a column is of a type without an encoding, or holds infinity.
        """
        table = _require(table, self.features)
        for column, type_ in zip(self.columns, table.schema.types, strict=True):
            _check_kind(column, type_)
        ends = np.cumsum([column.n_features for column in self.columns]).tolist()
        encoded = np.zeros((table.num_rows, self.n_features))
        numeric: dict[int, NumericColumn] = {}  # by place
        for place, column in enumerate(self.columns):
            if isinstance(column, NumericColumn):
                numeric[place] = column
            else:
                block = encoded[:, ends[place] - column.n_features : ends[place]]
                _one_hot(column, _texts(table.column(place)), block)
        if len(numeric) == len(self.columns):
            _standardise(list(numeric.values()), table, encoded, slice(None))
        elif numeric:
            into = [ends[place] - 1 for place in numeric]
            _standardise(list(numeric.values()), table.select(list(numeric)), encoded, into)
        return encoded

    def to_json(self) -> str:
        """Return the encoder as canonical JSON text: equal encoders give equal text."""
        columns = [{"kind": _kind_of(column), **asdict(column)} for column in self.columns]
        return json.dumps(
            {"format": FORMAT, "columns": columns}, sort_keys=True, separators=(",", ":"), allow_nan=False
        )

    @classmethod
    def from_json(cls, text: str) -> Encoder:
        """Rebuild an encoder from :meth:`to_json`.

        Parameters
        ----------
        text : str
            What :meth:`to_json` returned.

        Returns
        -------
        Encoder
            An equal encoder.

        Raises
        ------
        InvalidArgument
            If the text is not an encoder of this format.
        """
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


def _kind_of(column: Column) -> str:
    return "numeric" if isinstance(column, NumericColumn) else "categorical"


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


def _check_kind(column: Column, type_: pa.DataType) -> None:
    kind, fitted = _kind(column.name, type_), _kind_of(column)
    # A column without a single value has no type of its own and fits either kind.
    if kind not in ("empty", fitted):
        raise SchemaMismatch(
            f"column {column.name!r} is {kind} here but was {fitted} in train",
            hint=f"Give it as {fitted} values; its type is {type_}",
            column=column.name,
        )


def _kind(name: str, type_: pa.DataType) -> str:
    """Return how a column of this type is encoded: numeric, categorical or empty."""
    if type_ == FLOAT:  # as most are
        return "numeric"
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
        if not _is_text(type_):
            raise InvalidTable(
                f"column {name!r} is a dictionary of {type_}, not of text",
                hint="Decode it to numbers, or cast its values to text.",
                column=name,
            )
    if pa.types.is_null(type_):
        return "empty"
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_boolean(type_):
        return "numeric"
    if pa.types.is_decimal(type_):
        return "numeric"
    if _is_text(type_):
        return "categorical"
    if pa.types.is_nested(type_):
        raise NestedColumn(
            f"column {name!r} is nested ({type_})", hint="Flatten it into plain columns.", column=name
        )
    raise InvalidTable(
        f"column {name!r} of type {type_} has no encoding",
        hint="Give numbers, booleans or text; turn a date into numbers first.",
        column=name,
    )


def _is_text(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)
    )


def _fit_column(name: str, column: pa.ChunkedArray, max_categories: int) -> Column:
    if _kind(name, column.type) == "categorical":
        counts = pc.value_counts(_texts(column).drop_null())
        ranked = sorted(
            zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True),
            key=lambda pair: (-pair[1], pair[0]),
        )
        kept = sorted(category for category, _ in ranked[:max_categories])
        return CategoricalColumn(name, tuple(kept), other=len(ranked) > len(kept))
    values = _numbers(name, column)
    present = values[~np.isnan(values)]
    if not present.size:
        return NumericColumn(name, 0.0, 1.0)
    return NumericColumn(name, float(present.mean()), float(column_scale(present[:, None])[0]))


def _standardise(
    fitted: Sequence[NumericColumn], table: pa.Table, encoded: FloatArray, into: slice | list[int]
) -> None:
    """Write numeric columns, and all at once: to call Arrow for each costs more than its cells."""
    mean, scale = np.array([(column.mean, column.scale) for column in fitted]).T
    floats = table
    if any(type_ != FLOAT for type_ in table.schema.types):
        floats = pa.Table.from_arrays([_floats(column) for column in table.columns], table.column_names)
    start = 0
    for batch in floats.to_batches(BATCH_ROWS):
        values: FloatArray = batch.to_tensor(null_to_nan=True, row_major=True).to_numpy()
        if np.isinf(values).any():
            for name, column in zip(table.column_names, table.columns, strict=True):
                _numbers(name, column)
        values -= mean
        values /= scale
        values[np.isnan(values)] = 0.0
        encoded[start : start + len(values), into] = values
        start += len(values)


def _floats(column: pa.ChunkedArray) -> pa.ChunkedArray:
    # Not a safe cast: an integer beyond 2**53 is a feature as well as its neighbour is.
    return column.cast(FLOAT, safe=False)


def _numbers(name: str, column: pa.ChunkedArray) -> FloatArray:
    """Return the values as float64, NaN where the cell is missing; refuse infinite ones."""
    values: FloatArray = _floats(column).to_numpy().astype(np.float64, copy=False)
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise InvalidTable(
            f"column {name!r} holds infinity in {infinite.size} row(s), the first is row {infinite[0]}",
            hint="Replace infinite values by numbers, or leave the cells empty.",
            column=name,
            rows=infinite[:20].tolist(),
        )
    return values


def _texts(column: pa.ChunkedArray) -> pa.Array:
    """Return the values as one array of text."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    chunks = column.cast(pa.large_string()).chunks
    return pa.concat_arrays(chunks) if chunks else pa.array([], pa.large_string())


def _one_hot(column: CategoricalColumn, texts: pa.Array, block: FloatArray) -> None:
    """Write the ones of a categorical column into its zeroed features."""
    missing = np.asarray(texts.is_null())
    # Rows whose value is not in the set (and missing ones) have no index.
    found = pc.index_in(texts, value_set=pa.array(column.categories, pa.large_string()))
    position = found.fill_null(-1).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero((position >= 0) & ~missing)
    block[rows, position[rows]] = 1.0
    if column.other:
        block[np.flatnonzero((position < 0) & ~missing), len(column.categories)] = 1.0
    block[missing, -1] = 1.0
