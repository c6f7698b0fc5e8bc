"""A model as it is stored and served: classifier, encoder, class names and what is known of it.

The container is a zip file of ``manifest.json`` (format, encoder, classes, metadata) and ``estimator.skops``.
"""

from __future__ import annotations

import difflib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import NoneType
from typing import Any

import pyarrow as pa

from easeml_ray.arms.estimators import estimator_from_bytes, estimator_to_bytes, open_zip
from easeml_ray.arms.training import class_probabilities
from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed import CategoricalColumn, Classes, Encoder
from easeml_ray.errors import BadInput, ModelFailed, SchemaMismatch, SchemaTooNew, StoreError

__all__ = ["ModelMetadata", "ServableModel", "dump", "load"]

FORMAT = 1
MANIFEST = "manifest.json"
ESTIMATOR = "estimator.skops"

Record = Mapping[str, Any]

_NUMBER = (int, float, NoneType)
_TEXT = (str, NoneType)


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """Where a model comes from."""

    # arm, project: what was trained, and for whom
    arm: str
    project: str
    data_version: int  # the project's data version that it was trained on
    # accuracy on that version's development rows and its one-sided 95 % lower limit
    dev_accuracy: float
    dev_lower: float
    dev_rows: int  # number of those rows
    seed: int  # of the training


@dataclass(frozen=True, slots=True)
class ServableModel:
    """A fitted classifier together with all that it needs to answer raw rows."""

    estimator: Any  # fitted on features of the encoder and codes of the classes
    encoder: Encoder  # turns rows into features
    classes: Classes  # names of the class codes
    metadata: ModelMetadata  # where the model comes from

    def predict_proba(self, rows: pa.Table | Sequence[Record]) -> FloatArray:
        """Return the probability of each class, (n_rows, n_classes), in the order of ``classes.names``.

        Rows are a table with at least the encoder's columns, or one JSON object a row with exactly these,
        null where a cell is missing. SchemaMismatch is of a record, InvalidTable of a table or of a cell.
        """
        table = rows if isinstance(rows, pa.Table) else table_of(rows, self.encoder)
        return class_probabilities(self.estimator, self.encoder.transform(table), len(self.classes))

    def codes(self, features: pa.Table) -> IntArray:
        """Return the code of the most probable class of each row, (n_rows,) int64; of equal ones the first.

        The table has at least the encoder's columns. ModelFailed is whatever the model raised.
        """
        try:
            codes: IntArray = self.predict_proba(features).argmax(axis=1)
        except Exception as error:
            raise ModelFailed(
                f"the model cannot answer these rows: {type(error).__name__}: {error}",
                hint="Train it on rows like these, or take another arm.",
                cause=repr(error),
            ) from error
        return codes

    def predict(self, rows: pa.Table | Sequence[Record]) -> list[str]:
        """Return the name of the most probable class of each row; of equal ones the first.

        Rows and errors as of :meth:`predict_proba`.
        """
        return self.classes.decode(self.predict_proba(rows).argmax(axis=1))


def table_of(records: Sequence[Record], encoder: Encoder) -> pa.Table:
    """Turn JSON records into a table of the encoder's columns, float64 and text, or raise SchemaMismatch.

    A record has exactly these columns, null where a cell is missing.
    """
    known = encoder.features
    names = set(known)
    for i, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise SchemaMismatch(
                f"record {i} is {type(record).__name__}, not an object of column names and values",
                hint=f"give each row as an object of {', '.join(known)}",
                rows=[i],
            )
        if record.keys() != names:
            raise _wrong_columns(i, record, known)
    numbers: dict[str, list[Any]] = {}
    texts: dict[str, list[Any]] = {}
    for column in encoder.columns:
        name, text = column.name, isinstance(column, CategoricalColumn)
        cells = [record[name] for record in records]
        allowed = _TEXT if text else _NUMBER
        # Looked at by type, as a column has few: a check a cell would cost more than the rest.
        if not all(issubclass(kind, allowed) for kind in set(map(type, cells))):
            raise _wrong_kind(name, cells, allowed)
        (texts if text else numbers)[name] = cells
    made = _arrays(texts, pa.string()) | _arrays(_as_floats(numbers), pa.float64())
    return pa.table([made[name] for name in known], names=known)


def _as_floats(columns: dict[str, list[Any]]) -> dict[str, list[float | None]]:
    made: dict[str, list[float | None]] = {}
    for name, cells in columns.items():
        try:
            made[name] = [None if cell is None else float(cell) for cell in cells]
        except OverflowError as error:
            raise SchemaMismatch(
                f"column {name!r} has a number too large for a float", column=name
            ) from error
    return made


def _arrays(columns: dict[str, list[Any]], type_: pa.DataType) -> dict[str, Any]:
    """Make all columns of a type as slices of one array: to make an array costs more than a cell."""
    whole = pa.array([cell for cells in columns.values() for cell in cells], type_)
    rows = len(whole) // max(len(columns), 1)
    return {name: whole.slice(place * rows, rows) for place, name in enumerate(columns)}


def dump(model: ServableModel) -> bytes:
    """Write a model as :func:`load` takes it; writing it twice may give different bytes.

    InvalidArgument if the classifier holds types that are not trusted.
    """
    manifest = {
        "format": FORMAT,
        "encoder": model.encoder.to_json(),
        "classes": list(model.classes.names),
        "metadata": asdict(model.metadata),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression=zipfile.ZIP_DEFLATED) as container:
        container.writestr(MANIFEST, json.dumps(manifest, sort_keys=True))
        # Compressed here, as a whole: a forest's trees share most of their text.
        container.writestr(ESTIMATOR, estimator_to_bytes(model.estimator))
    return buffer.getvalue()


def load(data: bytes) -> ServableModel:
    """Read a model that :func:`dump` wrote; it gives the same probabilities.

    StoreError if the bytes are no model, are damaged, or name a type that is not trusted; SchemaTooNew if a
    newer easeml_ray wrote them; TooLarge if they unpack to more than 2 GiB.
    """
    with open_zip(data) as container:
        try:
            manifest = json.loads(container.read(MANIFEST))
            stored = container.read(ESTIMATOR)
            found = int(manifest["format"])
        except Exception as error:
            # What damaged bytes raise depends on where they are damaged.
            raise _no_model(error) from error
    if found > FORMAT:
        raise SchemaTooNew(
            f"the stored model is of format {found}, and this easeml_ray reads up to {FORMAT}",
            hint="upgrade easeml_ray",
            found=found,
            known=FORMAT,
        )
    try:
        encoder = Encoder.from_json(manifest["encoder"])
        classes = Classes(tuple(manifest["classes"]))
        metadata = ModelMetadata(**manifest["metadata"])
    except (KeyError, TypeError, BadInput) as error:
        raise _no_model(error) from error
    estimator = estimator_from_bytes(stored, n_features=encoder.n_features)
    codes = [int(code) for code in estimator.classes_]
    if not set(codes) <= set(range(len(classes))):
        raise _no_model(ValueError(f"class codes {codes} for {len(classes)} classes"))
    return ServableModel(estimator, encoder, classes, metadata)


def _no_model(error: Exception) -> StoreError:
    return StoreError(
        f"the bytes are not a stored model: {type(error).__name__}: {error}", hint="train the model again"
    )


def _wrong_columns(i: int, record: Record, known: list[str]) -> SchemaMismatch:
    missing = [name for name in known if name not in record]
    if missing:
        return SchemaMismatch(
            f"record {i} lacks the column(s) {', '.join(missing)}",
            hint="give null where the value is not known",
            column=missing[0],
            rows=[i],
        )
    unknown = sorted(map(str, record.keys() - set(known)))
    near = difflib.get_close_matches(unknown[0], known, n=1)
    return SchemaMismatch(
        f"record {i} has the unknown column(s) {', '.join(unknown)}",
        hint=f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}",
        column=unknown[0],
        rows=[i],
    )


def _wrong_kind(name: str, cells: list[Any], allowed: tuple[type, ...]) -> SchemaMismatch:
    wrong = [i for i, cell in enumerate(cells) if not isinstance(cell, allowed)]
    kind = "a text" if allowed is _TEXT else "a number"
    return SchemaMismatch(
        f"column {name!r} holds {type(cells[wrong[0]]).__name__} in record {wrong[0]}, not {kind}",
        hint=f"give {kind}, or null where it is not known",
        column=name,
        rows=wrong[:20],
    )
