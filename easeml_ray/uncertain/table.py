"""Tables whose rows may be one of several alternatives.

Symbols
-------
N = rows; M_i = alternatives of row i; p_ij = probability that row i is alternative j
H_i = - sum_j p_ij log2 p_ij, entropy of row i in bits
world = one alternative for each row; its probability is the product of their p_ij

The format is block-independent-disjoint: records of one `row_id` are mutually exclusive and
their probabilities sum to 1; different rows are independent, so that the entropy of the table
is the sum of H_i and the number of worlds the product of M_i.

References
----------
.. [1] D. Suciu, D. Olteanu, C. Re, C. Koch, "Probabilistic Databases", 2011, section 2.2.2:
   block-independent-disjoint databases.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pyarrow as pa

from easeml_ray.errors import DuplicateIds, InvalidArgument, InvalidTable, MissingColumn, NotFound
from easeml_ray.uncertain.cells import agreeing, as_cell, with_cell
from easeml_ray.uncertain.checks import BOOKKEEPING, FloatArray, IntArray, merge_equal, read_records

__all__ = ["UncertainTable"]


class UncertainTable:
    """A block-independent-disjoint probabilistic table; never changes.

    Records of one row are made contiguous, in order of first appearance; equal alternatives
    of a row merge and their probabilities add; alternatives of probability 0 are left out.
    Columns come as row_id, parent_id, group_id, probability, then all others.

    Parameters
    ----------
    table : pyarrow.Table
        With `row_id` (integer), `probability` (number), features and label. `parent_id`
        (integer, may be null) and `group_id` (string or integer) may be absent: then rows have
        no parents, and each row is a group of its own.

    Raises
    ------
    MissingColumn
        If `row_id` or `probability` is not there.
    NestedColumn
        If a column of a row with alternatives holds lists, structs or maps.
    InvalidTable
        If ids or probabilities are missing or of a wrong type, probabilities are negative or do
        not sum to 1 in a row within 1e-9, a row has more than 32 alternatives, or alternatives
        of one row differ in parent or group.

    Examples
    --------
    >>> table = UncertainTable(pa.table({
    ...     "row_id": [7, 7, 9], "parent_id": [None, None, None], "group_id": ["a", "a", "b"],
    ...     "probability": [0.5, 0.5, 1.0], "age": [30, 40, 50], "label": ["x", "x", "y"],
    ... }))
    >>> table.row_entropy()
    array([1., 0.])
    >>> table.condition_cell(7, "age", 40).most_probable()["age"].to_pylist()
    [40, 50]
    """

    def __init__(self, table: pa.Table) -> None:
        ordered, row_ptr = read_records(table)
        self._set(*merge_equal(ordered, row_ptr))

    @classmethod
    def certain(cls, table: pa.Table) -> Self:
        """Make a table of which every row is sure.

        Parameters
        ----------
        table : pyarrow.Table
            As for the class, without `probability`, one record a row.

        Returns
        -------
        UncertainTable
            One alternative of probability 1 a row.

        Raises
        ------
        DuplicateIds
            If a `row_id` occurs twice.
        InvalidTable
            If there is a column `probability`.

        Examples
        --------
        >>> UncertainTable.certain(pa.table({"row_id": [1, 2], "x": [0.5, 0.7]})).entropy()
        0.0
        """
        if "probability" in table.column_names:
            raise InvalidTable(
                "a certain table has no column 'probability'",
                hint="Use UncertainTable(table) for a table with probabilities.",
                column="probability",
            )
        if "row_id" in table.column_names and table.num_rows:
            ids, counts = np.unique(table["row_id"].to_numpy(zero_copy_only=False), return_counts=True)
            twice = ids[counts > 1]
            if twice.size:
                raise DuplicateIds(
                    f"{len(twice)} row_id(s) occur more than once, the first is {twice[0]}",
                    hint="Give each row an id of its own.",
                    column="row_id",
                    rows=[int(i) for i in twice[:10]],
                )
        return cls(table.append_column("probability", pa.array(np.ones(table.num_rows))))

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self._row_ptr) - 1

    @property
    def table(self) -> pa.Table:
        """The records, alternatives of one row next to each other."""
        return self._table

    @property
    def row_ids(self) -> IntArray:
        """Id of each row, shape (n_rows,)."""
        return self._row_ids

    @property
    def row_ptr(self) -> IntArray:
        """Alternatives of row i are records ``row_ptr[i]`` to ``row_ptr[i + 1] - 1``."""
        return self._row_ptr

    @property
    def probability(self) -> FloatArray:
        """Probability of each record in its row, shape (n_records,)."""
        return self._probability

    def __repr__(self) -> str:
        return f"UncertainTable({self.n_rows} rows, {self._table.num_rows} alternatives)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UncertainTable) and bool(self._table.equals(other._table))

    __hash__ = None  # type: ignore[assignment]

    def row_entropy(self) -> FloatArray:
        """Compute the entropy of each row.

        Returns
        -------
        ndarray of shape (n_rows,)
            Bits, at least 0.
        """
        if not self.n_rows:
            return np.zeros(0)
        terms = -self._probability * np.log2(self._probability)
        return np.maximum(np.add.reduceat(terms, self._row_ptr[:-1]), 0.0)

    def entropy(self) -> float:
        """Compute the entropy of the table in bits: rows are independent, so it is their sum."""
        return float(self.row_entropy().sum())

    def log10_worlds(self) -> float:
        """Return the decimal logarithm of the number of possible worlds."""
        return float(np.log10(np.diff(self._row_ptr)).sum())

    def most_probable(self) -> pa.Table:
        """Return the most probable world.

        Returns
        -------
        pyarrow.Table
            Each row's most probable alternative, ties to the first, with probability 1.
        """
        places = np.arange(len(self._probability))
        if not self.n_rows:
            return self._table
        largest = np.repeat(
            np.maximum.reduceat(self._probability, self._row_ptr[:-1]), np.diff(self._row_ptr)
        )
        first = np.where(self._probability == largest, places, len(places))
        return self._world(np.minimum.reduceat(first, self._row_ptr[:-1]))

    def sample(self, rng: np.random.Generator) -> pa.Table:
        """Draw a world by its probability.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        pyarrow.Table
            One alternative a row, with probability 1.
        """
        if not self.n_rows:
            return self._table
        # The largest of log p + Gumbel noise is alternative j with probability p_j.
        score = np.log(self._probability) + rng.gumbel(size=len(self._probability))
        largest = np.repeat(np.maximum.reduceat(score, self._row_ptr[:-1]), np.diff(self._row_ptr))
        places = np.where(score == largest, np.arange(len(score)), len(score))
        return self._world(np.minimum.reduceat(places, self._row_ptr[:-1]))

    def alternatives(self, row_id: int) -> pa.Table:
        """Return the alternatives of a row.

        Parameters
        ----------
        row_id : int
            Id of the row.

        Returns
        -------
        pyarrow.Table
            Its records.

        Raises
        ------
        NotFound
            If there is no such row.
        """
        start, end = self._bounds(row_id)
        return self._table.slice(start, end - start)

    def condition(self, row_id: int, alternative: int) -> Self:
        """Learn that a row is one of its alternatives.

        Parameters
        ----------
        row_id : int
            Id of the row.
        alternative : int
            Index among the row's alternatives.

        Returns
        -------
        UncertainTable
            The row has this alternative only.

        Raises
        ------
        NotFound
            If there is no such row.
        InvalidArgument
            If it has no such alternative.
        """
        start, end = self._bounds(row_id)
        if not 0 <= alternative < end - start:
            raise InvalidArgument(
                f"row {row_id} has alternatives 0 to {end - start - 1}, not {alternative}",
                hint="Use condition_cell for a value that is no alternative.",
                argument="alternative",
            )
        return self._replace(start, end, self._table.slice(start + alternative, 1), np.ones(1))

    def condition_cell(self, row_id: int, column: str, value: Any) -> Self:
        """Learn the value of a cell.

        Alternatives that agree with it are kept and their probabilities scaled to sum 1. If
        none agrees, the value is written into all of them. Alternatives that are then equal
        merge, and their probabilities add.

        Parameters
        ----------
        row_id : int
            Id of the row.
        column : str
            A feature or the label.
        value : object
            The value, None for a missing one; floats agree within 1e-9 relative.

        Returns
        -------
        UncertainTable
            Conditioned.

        Raises
        ------
        NotFound
            If there is no such row.
        MissingColumn
            If there is no such column.
        InvalidArgument
            If the column is not a feature or label, or cannot hold the value.
        """
        start, end = self._bounds(row_id)
        if column not in self._table.column_names:
            raise MissingColumn(
                f"there is no column {column!r}",
                hint=f"Columns are {', '.join(self._table.column_names[len(BOOKKEEPING) :])}.",
                columns=[column],
            )
        if column in BOOKKEEPING:
            raise InvalidArgument(
                f"{column!r} is no feature or label", hint="Name a data column.", argument="column"
            )
        records = self._table.slice(start, end - start)
        cell = as_cell(value, records.schema.field(column).type, column)
        agrees = agreeing(records[column], cell)
        if agrees.any():
            kept = self._probability[start:end][agrees]
            return self._replace(start, end, records.filter(pa.array(agrees)), kept / kept.sum())
        return self._replace(start, end, with_cell(records, column, cell), self._probability[start:end])

    def _set(self, table: pa.Table, row_ptr: IntArray) -> None:
        self._table = table
        self._row_ptr = row_ptr
        self._row_ids: IntArray = table["row_id"].to_numpy()[row_ptr[:-1]]
        self._probability: FloatArray = table["probability"].to_numpy()
        self._place: dict[int, int] | None = None
        for array in (self._row_ptr, self._row_ids, self._probability):
            array.setflags(write=False)

    def _bounds(self, row_id: int) -> tuple[int, int]:
        if self._place is None:
            self._place = {int(i): place for place, i in enumerate(self._row_ids)}
        place = self._place.get(int(row_id))
        if place is None:
            raise NotFound(
                f"there is no row {row_id}", hint="Give the row_id of a row.", what="row", name=str(row_id)
            )
        return int(self._row_ptr[place]), int(self._row_ptr[place + 1])

    def _world(self, places: IntArray) -> pa.Table:
        world = self._table.take(pa.array(places))
        index = world.column_names.index("probability")
        return world.set_column(index, "probability", pa.array(np.ones(self.n_rows)))

    def _replace(self, start: int, end: int, records: pa.Table, probability: FloatArray) -> Self:
        """Put other records in the place of one row's; the rest is known to be well-formed."""
        index = records.column_names.index("probability")
        records = records.set_column(index, "probability", pa.array(probability))
        records, bounds = merge_equal(records, np.array([0, records.num_rows]))
        parts = [self._table.slice(0, start), records, self._table.slice(end)]
        row_ptr = self._row_ptr.copy()
        row_ptr[row_ptr >= end] += int(bounds[-1]) - (end - start)
        result = type(self).__new__(type(self))
        result._set(pa.concat_tables(parts).unify_dictionaries().combine_chunks(), row_ptr)
        return result
