"""From a train table with missing cells to an uncertain one.

Symbols
-------
s = repair strategies
p = probability of an alternative: strategies that complete the row so, divided by s

A row's alternatives are one for each strategy, which completes the row as a whole: the
alternatives of a row with three missing cells are at most s, not s to the third.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from easeml_ray.augment.base import Repairer
from easeml_ray.augment.columns import check_filled, missing
from easeml_ray.augment.fixed import FIXED, FixedRepairer
from easeml_ray.augment.neighbours import NeighbourRepairer
from easeml_ray.errors import InvalidArgument, MissingColumn, NotFound
from easeml_ray.uncertain import UncertainTable
from easeml_ray.uncertain.checks import BOOKKEEPING, MOST_ALTERNATIVES

__all__ = ["DEFAULT_REPAIRERS", "REPAIRERS", "alternatives", "repairer_named"]

REPAIRERS: dict[str, Callable[[], Repairer]] = {
    **{name: partial(FixedRepairer, name) for name in FIXED},
    "neighbours": NeighbourRepairer,
}
"""What makes a repairer, by its name."""

DEFAULT_REPAIRERS = ("mean", "median", "mode", "neighbours", "lower_quartile", "upper_quartile")


def repairer_named(name: str) -> Repairer:
    """Make a repairer by its name.

    Parameters
    ----------
    name : str
        A key of REPAIRERS.

    Returns
    -------
    Repairer
        Not fitted yet.

    Raises
    ------
    NotFound
        If there is none of that name.

    Examples
    --------
    >>> repairer_named("median").name
    'median'
    """
    if name not in REPAIRERS:
        raise NotFound(
            f"there is no repairer {name!r}",
            hint=f"Use one of {', '.join(REPAIRERS)}.",
            what="repairer",
            name=name,
        )
    return REPAIRERS[name]()


def alternatives(
    table: pa.Table,
    feature_columns: Sequence[str],
    label_column: str,
    *,
    repairers: Sequence[str | Repairer] | None = None,
) -> pa.Table:
    """Give every train row with missing feature cells the completions of all repair strategies.

    Parameters
    ----------
    table : pyarrow.Table
        Train, one record a row: `row_id`, optionally `parent_id` and `group_id`, features, label.
    feature_columns : sequence of str
        Columns to complete. Strategies learn from these of all rows, and from no label.
    label_column : str
        Carried along as it is.
    repairers : sequence of str or Repairer, optional
        Strategies by name or as objects, at most 32; by default DEFAULT_REPAIRERS.

    Returns
    -------
    pyarrow.Table
        For :class:`easeml_ray.uncertain.UncertainTable`: row_id, parent_id, group_id, probability, features,
        label, rows in the order given. A complete row is one record of probability 1. Equal completions of a
        row are one record, whose probability is the share of strategies that agree on it.

    Raises
    ------
    MissingColumn
        If a named column or `row_id` is not there.
    DuplicateIds
        If a row_id occurs twice.
    EmptyColumn
        If a feature column has no value at all.
    InvalidTable
        If a column with missing cells is neither numeric nor categorical.
    InvalidArgument
        If there are no strategies or more than 32, or a feature is the label or an id.

    Examples
    --------
    >>> train = pa.table({"row_id": [1, 2, 3], "x": [0.0, 4.0, None], "label": ["a", "b", "b"]})
    >>> alternatives(train, ["x"], "label", repairers=["mean", "median", "mode"]).select(
    ...     ["row_id", "probability", "x"]).to_pylist()[2:]
    [{'row_id': 3, 'probability': 0.66..., 'x': 2.0}, {'row_id': 3, 'probability': 0.33..., 'x': 0.0}]
    """
    features = list(dict.fromkeys(feature_columns))
    _check_columns(table, features, label_column)
    strategies = _strategies(repairers)
    kept = [name for name in ("row_id", "parent_id", "group_id") if name in table.column_names]
    rows = UncertainTable.certain(table.select([*kept, *features, label_column])).table
    train = rows.select(features)
    check_filled(train)
    gaps = np.zeros(rows.num_rows, dtype=bool)
    for name in features:
        gaps |= missing(rows[name])
    if not gaps.any():
        return rows
    incomplete = _with_probability(rows.filter(pa.array(gaps)), 1 / len(strategies))
    records = [rows.filter(pa.array(~gaps))]
    for strategy in strategies:
        completed = strategy.fit(train).complete(incomplete.select(features))
        columns = dict(zip(incomplete.column_names, incomplete.columns, strict=True))
        columns |= dict(zip(features, completed.columns, strict=True))
        records.append(pa.Table.from_arrays(list(columns.values()), schema=incomplete.schema))
    place = np.concatenate([np.flatnonzero(~gaps), np.tile(np.flatnonzero(gaps), len(strategies))])
    together = pa.concat_tables(records).unify_dictionaries().combine_chunks()
    # UncertainTable merges the completions of a row that are equal, and adds their votes.
    return UncertainTable(together.take(pa.array(np.argsort(place, kind="stable")))).table


def _with_probability(rows: pa.Table, probability: float) -> pa.Table:
    index = rows.schema.get_field_index("probability")
    return rows.set_column(index, rows.schema.field(index), pa.array(np.full(rows.num_rows, probability)))


def _check_columns(table: pa.Table, features: list[str], label_column: str) -> None:
    wanted = ["row_id", *features, label_column]
    given = table.column_names
    absent = sorted(set(wanted) - set(given), key=wanted.index)
    if absent:
        raise MissingColumn(
            f"the table has no column {', '.join(repr(name) for name in absent)}",
            hint=f"Columns are {', '.join(given)}.",
            columns=absent,
        )
    reserved = [name for name in features if name in {*BOOKKEEPING, label_column}]
    if reserved or label_column in BOOKKEEPING or not features:
        raise InvalidArgument(
            f"feature columns {features} with label column {label_column!r}",
            hint=f"Name at least one feature, neither the label nor one of {', '.join(BOOKKEEPING)}.",
            argument="feature_columns",
        )


def _strategies(repairers: Sequence[str | Repairer] | None) -> list[Repairer]:
    chosen = DEFAULT_REPAIRERS if repairers is None else repairers
    made = [repairer_named(item) if isinstance(item, str) else item for item in chosen]
    if not 1 <= len(made) <= MOST_ALTERNATIVES:
        raise InvalidArgument(
            f"{len(made)} repair strategies given",
            hint=f"Give 1 to {MOST_ALTERNATIVES}: a row has no more alternatives.",
            argument="repairers",
        )
    return made
