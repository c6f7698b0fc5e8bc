"""The annotator that reads its answers from a list that somebody wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from easeml_ray.annotators.base import Value
from easeml_ray.errors import DuplicateIds, MissingColumn, UnreadableFile
from easeml_ray.ingest import read

__all__ = ["AnswerList", "parse_answers"]

_NAMES = ("request", "key")
_KINDS = (
    "RELABEL",
    "CLEAN_CELL",
    "LABEL_ROW",
    "LABEL_DEVELOPMENT",
    "LABEL_TEST",
    "LABEL_REALTIME",
    "BUY_ROW",
    "APPROVE_DEPLOY",
    "OVERRIDE_TARGET",
)


def parse_answers(data: bytes) -> dict[str, Value]:
    """Return answers by request: its number, or its key (``label:train:17``).

    Given is a CSV with a column ``request`` (or ``key``) and a column ``value``, or a JSON object. Raises
    UnreadableFile, MissingColumn, or DuplicateIds for a request with two answers.
    """
    if data.lstrip()[:1] == b"{":
        try:
            return {str(key): value for key, value in json.loads(data).items()}
        except json.JSONDecodeError as error:
            raise UnreadableFile(
                f"line {error.lineno} of the answers is no JSON: {error.msg}",
                hint='Write an object: {"7": "yes"}.',
                line=error.lineno,
            ) from error
    table = read(data, "csv")
    name = next((name for name in _NAMES if name in table.column_names), None)
    if name is None or "value" not in table.column_names:
        raise MissingColumn(
            f"the answers have the columns {', '.join(table.column_names)}",
            hint="They need two: request,value (or key,value).",
            columns=table.column_names,
        )
    keys = pc.cast(table[name], pa.string()).to_pylist()
    values = table["value"].to_pylist()
    found = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DuplicateIds(f"request {twice} has two answers", hint="Keep one of them.", column=name)
    return found


class AnswerList:
    """Answers what a list holds, by request number or by key, and nothing else.

    Parameters
    ----------
    answers : mapping of str to value
        As :func:`parse_answers` gives it.
    name : str
        Of the annotator.

    Examples
    --------
    >>> listed = AnswerList({"label:train:3": "no"})
    >>> listed.answer({"id": 1, "kind": "RELABEL", "key": "label:train:3", "payload": {}})
    'no'
    """

    kinds: tuple[str, ...] = _KINDS

    def __init__(self, answers: Mapping[str, Value], *, name: str = "answer list") -> None:
        self.name = name
        self._answers = dict(answers)

    def answer(self, request: Mapping[str, Any]) -> Value | None:
        """Return the listed answer; see :class:`Annotator`."""
        by_number = self._answers.get(str(request["id"]))
        return by_number if by_number is not None else self._answers.get(request["key"])
