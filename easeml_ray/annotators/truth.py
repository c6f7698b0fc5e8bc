"""The annotator that knows the truth, for demonstrations, jobs and tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from easeml_ray.annotators.base import Value
from easeml_ray.ingest import validate

__all__ = ["TruthTable", "train_anyway"]

_Features = tuple[Value | None, ...]


def train_anyway(payload: Mapping[str, Any]) -> str:
    """Answer every question about the target with ``train``."""
    return "train"


class TruthTable:
    """Answers from a table of true values.

    A label is looked up by ``row_id``, which is the row's position in the uploaded file, and for
    rows that came later (bought ones, realtime ones) by their features. A cell is looked up by
    ``row_id`` and column. What the table does not hold has no answer.

    Parameters
    ----------
    table : pyarrow.Table
        The uploaded file with every value true; row i is ``row_id`` i.
    label : str
        Column of the class.
    id_column, group_column : str, optional
        Columns that are no features.
    later : pyarrow.Table, optional
        True rows that were not uploaded, with the same columns.
    offer_cents : float
        It says yes to offers that cost no more than this, and no to others.
    decide : callable
        What it answers when a target turns out not to be surely reachable: from the request's
        payload to ``train``, ``improve`` or another target.
    name : str
        Of the annotator.

    Raises
    ------
    InvalidTable
        In one of its forms, when a table cannot be the truth: labels are missing, for example.

    Examples
    --------
    >>> rows = pa.table({"size": [1.0, 2.0, 7.0], "sold": ["no", "no", "yes"]})
    >>> truth = TruthTable(rows, label="sold")
    >>> truth.answer({"kind": "RELABEL", "payload": {"row_id": 2}})
    'yes'
    >>> truth.answer({"kind": "CLEAN_CELL", "payload": {"row_id": 1, "column": "size"}})
    2.0
    >>> truth.answer({"kind": "LABEL_REALTIME", "payload": {}, "row": {"size": 7}})
    'yes'
    """

    kinds: tuple[str, ...] = (
        "RELABEL",
        "CLEAN_CELL",
        "LABEL_ROW",
        "LABEL_DEVELOPMENT",
        "LABEL_TEST",
        "LABEL_REALTIME",
        "BUY_ROW",
        "OVERRIDE_TARGET",
    )

    def __init__(
        self,
        table: pa.Table,
        *,
        label: str,
        id_column: str | None = None,
        group_column: str | None = None,
        later: pa.Table | None = None,
        offer_cents: float = float("inf"),
        decide: Callable[[Mapping[str, Any]], str | None] = train_anyway,
        name: str = "truth (programmed)",
    ) -> None:
        self.name = name
        self._offer_cents = offer_cents
        self._decide = decide
        read = partial(validate, label=label, id_column=id_column, group_column=group_column, further=True)
        clean = read(table)
        self._names: tuple[str, ...] = tuple(clean.features.column_names)
        self._labels: list[str] = clean.labels.to_pylist()
        self._columns: dict[str, list[Value | None]] = clean.features.to_pydict()
        self._by_features: dict[_Features, str] = {}
        self._learn(self._columns, self._labels)
        if later is not None and later.num_rows:
            more = read(later)
            self._learn(more.features.to_pydict(), more.labels.to_pylist())

    def _learn(self, columns: Mapping[str, list[Value | None]], labels: Sequence[str]) -> None:
        rows = zip(*(columns[name] for name in self._names), strict=True)
        for features, label in zip(rows, labels, strict=True):
            self._by_features.setdefault(_plain(features), label)

    def answer(self, request: Mapping[str, Any]) -> Value | None:
        """Return the true answer; see :class:`Annotator`."""
        payload = request["payload"]
        match request["kind"]:
            case "BUY_ROW":
                return "yes" if request.get("cost_cents", 0.0) <= self._offer_cents else "no"
            case "OVERRIDE_TARGET":
                return self._decide(payload)
            case "CLEAN_CELL":
                return self._cell(payload)
            case kind if kind in self.kinds:
                return self.label_of(payload.get("row_id"), request.get("row"))
        return None

    def label_of(self, row_id: int | None, row: Mapping[str, Any] | None = None) -> str | None:
        """Return the true label of a row by its id, else by its features; None if unknown."""
        if row_id is not None and 0 <= row_id < len(self._labels):
            return self._labels[row_id]
        if row is None:
            return None
        return self._by_features.get(_plain(row.get(name) for name in self._names))

    def _cell(self, payload: Mapping[str, Any]) -> Value | None:
        values = self._columns.get(payload["column"], [])
        row_id = payload["row_id"]
        return values[row_id] if 0 <= row_id < len(values) else None


def _plain(values: Any) -> _Features:
    """Return a row's values so that 7 and 7.0 are one; what is read from JSON may be either."""
    return tuple(float(v) if isinstance(v, int | float) else v for v in values)
