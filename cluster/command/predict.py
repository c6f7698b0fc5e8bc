"""``easeml predict``: ask the endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cluster.command.table import table
from cluster.command.verb import Session, verb
from easeml_ray.errors import InvalidArgument, UnreadableFile

__all__ = ["predict", "read_rows"]

_AT_ONCE = 1_000
_SHOWN = 50


@verb
def predict(
    session: Session,
    project: Annotated[str, typer.Argument(help="Name of the project.")],
    rows: Annotated[str, typer.Option(help="""A file (CSV, Parquet, JSON), or JSON: '{"size": 1.5}'.""")],
) -> None:
    """Have rows answered by the deployed model: label, probability, and the id for feedback."""
    records = read_rows(rows)
    client = session.client()
    if not _is_json(rows):
        records = _of_model(session, records, client.served(project))
    parts = [client.predict(project, records[i : i + _AT_ONCE]) for i in range(0, len(records), _AT_ONCE)]
    listed = ("labels", "probabilities", "request_ids")
    joined = {name: [value for part in parts for value in part[name]] for name in listed}
    session.show({**parts[-1], **joined}, _draw)


def read_rows(text: str) -> list[dict[str, Any]]:
    """Return records from JSON, or from the file of this name.

    Raises
    ------
    UnreadableFile, InvalidArgument
        There is no such file, or it holds no rows.
    """
    if _is_json(text):
        records = _parsed(text)
    else:
        path = Path(text)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UnreadableFile(
                f"{path} cannot be read: {error.strerror}",
                hint="""Give a file, or a JSON record such as '{"size": 1.5}'.""",
            ) from error
        if path.suffix == ".json":
            records = _parsed(data.decode("utf-8", "replace"))
        else:
            from easeml_ray.ingest import read

            records = read(data, None).to_pylist()
    if not records or not all(isinstance(record, dict) for record in records):
        raise InvalidArgument(
            "there are no rows to answer", hint="Give records: column names and values.", argument="rows"
        )
    return records


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[")


def _of_model(
    session: Session, records: list[dict[str, Any]], served: dict[str, Any]
) -> list[dict[str, Any]]:
    """Leave out the columns of a file that the model does not know: ids, the label itself."""
    known = [column["name"] for column in served["inputs"]]
    others = [name for name in records[0] if name not in known]
    if others:
        session.err.print(f"Left out, as the model does not know them: {', '.join(others)}", markup=False)
    return [{name: value for name, value in record.items() if name in known} for record in records]


def _parsed(text: str) -> list[dict[str, Any]]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UnreadableFile(
            f"the rows are no JSON: {error.msg} at character {error.pos}",
            hint="""A record looks like '{"size": 1.5, "colour": "red"}'.""",
            line=error.lineno,
        ) from error
    if isinstance(value, dict):
        inner = value.get("rows")
        return inner if isinstance(inner, list) else [value]
    return list(value)


def _draw(out: Console, answer: dict[str, Any]) -> None:
    answered = list(zip(answer["labels"], answer["probabilities"], answer["request_ids"], strict=True))
    out.print(
        table(
            ["row", "label", "probability", "request id"],
            [
                [i, label, f"{shares[label]:.3f}", asked]
                for i, (label, shares, asked) in enumerate(answered[:_SHOWN])
            ],
            right=(0, 2),
        )
    )
    if len(answered) > _SHOWN:
        out.print(f"and {len(answered) - _SHOWN:,} more; --json prints all")
    out.print(
        f"by {answer['arm']} ({answer['model'][:12]}), deployment {answer['model_version']}, "
        f"trained on data version {answer['data_version']}"
    )
