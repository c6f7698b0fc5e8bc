"""The Open Inference Protocol, version 2: tensors in, tensors out, as JSON.

A request carries either one tensor a feature column, named as the column, of shape [n] or [n, 1];
or a single tensor ``input`` of shape [n, number of columns], the columns in the order of the
model's metadata, all numeric. A missing cell is null. A response carries ``label`` (BYTES, [n])
and ``probabilities`` (FP64, [n, number of classes], in the order of the parameter ``classes``).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from easeml_ray.arms.model import ServableModel
from easeml_ray.embed import CategoricalColumn
from easeml_ray.errors import InvalidArgument, SchemaMismatch
from serve.prediction.models import Served

__all__ = ["InferRequest", "Tensor", "inferred", "metadata", "records_of"]

WHOLE = "input"

Datatype = Literal[
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
]


class Tensor(BaseModel):
    """One tensor; ``data`` in row-major order, nested or flat."""

    model_config = ConfigDict(extra="ignore")

    name: str
    shape: list[int] = Field(min_length=1, max_length=2)
    datatype: Datatype
    data: list[Any]
    parameters: dict[str, Any] | None = None


class WantedOutput(BaseModel):
    """An output that is asked for by name."""

    model_config = ConfigDict(extra="ignore")

    name: Literal["label", "probabilities"]


class InferRequest(BaseModel):
    """A request of the protocol."""

    model_config = ConfigDict(extra="ignore")

    id: str | None = None
    inputs: list[Tensor] = Field(min_length=1)
    outputs: list[WantedOutput] | None = None
    parameters: dict[str, Any] | None = None


def metadata(project: str, served: Served) -> dict[str, Any]:
    """Return what the protocol tells of a model, and where the model comes from."""
    model, deployment = served.model, served.deployment
    known = model.metadata
    return {
        "name": project,
        "versions": [str(deployment.number)],
        "platform": "easeml",
        "inputs": [
            {
                "name": column.name,
                "datatype": "BYTES" if isinstance(column, CategoricalColumn) else "FP64",
                "shape": [-1],
            }
            for column in model.encoder.columns
        ],
        "outputs": _heads(model, -1),
        "parameters": {
            "classes": list(model.classes.names),
            "model": deployment.model,
            "arm": deployment.arm,
            "data_version": deployment.version,
            "development_accuracy": known.dev_accuracy,
            "development_lower": known.dev_lower,
            "development_rows": known.dev_rows,
        },
    }


def _heads(model: ServableModel, rows: int) -> list[dict[str, Any]]:
    return [
        {"name": "label", "datatype": "BYTES", "shape": [rows]},
        {"name": "probabilities", "datatype": "FP64", "shape": [rows, len(model.classes)]},
    ]


def records_of(request: InferRequest, model: ServableModel) -> list[dict[str, Any]]:
    """Turn a request's tensors into rows.

    Raises
    ------
    SchemaMismatch
        A tensor is missing, unknown, or disagrees with the others about the number of rows.
    InvalidArgument
        A tensor's data do not have its shape.
    """
    names = model.encoder.features
    first = request.inputs[0]
    if len(request.inputs) == 1 and first.name == WHOLE and len(first.shape) == 2:
        return _from_whole(first, model)
    columns: dict[str, list[Any]] = {}
    for tensor in request.inputs:
        if len(tensor.shape) == 2 and tensor.shape[1] != 1:
            raise SchemaMismatch(
                f"tensor {tensor.name!r} has the shape {tensor.shape}",
                hint=f"Give one tensor of shape [n] a column, or a single one named {WHOLE!r}.",
                column=tensor.name,
            )
        if tensor.name in columns:
            raise SchemaMismatch(
                f"tensor {tensor.name!r} is given twice", hint="Give each once.", column=tensor.name
            )
        columns[tensor.name] = _flat(tensor)
    missing = [name for name in names if name not in columns]
    known = set(names)
    unknown = [name for name in columns if name not in known]
    if missing or unknown:
        wrong = f"lacks the tensor(s) {', '.join(missing)}" if missing else f"has unknown {unknown[0]!r}"
        raise SchemaMismatch(
            f"the request {wrong}",
            hint=f"The model's columns are {', '.join(names)}.",
            column=(missing or unknown)[0],
        )
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise SchemaMismatch(
            f"the tensors have {' and '.join(map(str, sorted(lengths)))} rows",
            hint="Give all tensors the same number of rows.",
        )
    return [dict(zip(names, cells, strict=True)) for cells in zip(*(columns[n] for n in names), strict=True)]


def _from_whole(tensor: Tensor, model: ServableModel) -> list[dict[str, Any]]:
    names = model.encoder.features
    texts = [c.name for c in model.encoder.columns if isinstance(c, CategoricalColumn)]
    if texts:
        raise SchemaMismatch(
            f"column {texts[0]!r} is text and cannot stand in one tensor of numbers",
            hint="Give one tensor a column.",
            column=texts[0],
        )
    if tensor.shape[1] != len(names):
        raise SchemaMismatch(
            f"tensor {WHOLE!r} has {tensor.shape[1]} columns, the model {len(names)}",
            hint=f"In this order: {', '.join(names)}.",
        )
    cells = _flat(tensor)
    width = len(names)
    return [
        dict(zip(names, cells[start : start + width], strict=True)) for start in range(0, len(cells), width)
    ]


def _flat(tensor: Tensor) -> list[Any]:
    data = tensor.data
    if data and isinstance(data[0], list):
        rows = [row if isinstance(row, list) else [row] for row in data]
        regular = all(len(row) == tensor.shape[-1] for row in rows)
        data = [cell for row in rows for cell in row] if regular else []
    expected = 1
    for size in tensor.shape:
        expected *= size
    if len(data) != expected or min(tensor.shape) < 1:
        raise InvalidArgument(
            f"tensor {tensor.name!r} of shape {tensor.shape} does not hold {expected} values",
            hint="Give as many values as the shape says, row by row.",
            argument=tensor.name,
        )
    return data


def inferred(
    project: str,
    served: Served,
    request: InferRequest,
    probabilities: NDArray[np.float64],
    request_ids: list[str | None],
) -> dict[str, Any]:
    """Return the response of the protocol."""
    model, deployment = served.model, served.deployment
    labels = model.classes.decode(probabilities.argmax(axis=1))
    data = {"label": labels, "probabilities": probabilities.ravel().tolist()}
    wanted = {output.name for output in request.outputs} if request.outputs else set(data)
    answer: dict[str, Any] = {
        "model_name": project,
        "model_version": str(deployment.number),
        "outputs": [
            {**head, "data": data[head["name"]]}
            for head in _heads(model, len(labels))
            if head["name"] in wanted
        ],
        "parameters": {
            "classes": list(model.classes.names),
            "model": deployment.model,
            "data_version": deployment.version,
            "request_ids": request_ids,
        },
    }
    if request.id is not None:
        answer["id"] = request.id
    return answer
