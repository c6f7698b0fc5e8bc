"""Which answers a request takes, and the form in which they are kept."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

from easeml_ray.errors import InvalidAnswer
from easeml_ray.oracle.messages import Asked, Kind, OpenRequests
from easeml_ray.sealing import HEADER

__all__ = ["checked_answer"]

_BATCH_BYTES = 24 * 1024  # of all answers of a batch: what follows from them is one message


def checked_answer(request: int, asked: OpenRequests, item: Asked, value: Any) -> Any:
    """Return the answer in the form that was asked for, or refuse it."""
    choices = asked.choices
    if asked.kind is Kind.LABEL_TEST:
        return _sealed(request, value)
    if choices:
        if str(value) not in choices:
            raise InvalidAnswer(
                f"{value!r} is no answer to request {request}",
                hint=f"Choose one of: {', '.join(choices[:20])}.",
                request=str(request),
            )
        return str(value)
    match getattr(item.item, "answer", None):
        case "number":
            return _number(request, value)
        case "decision":
            return _decision(request, value)
        case "upload":
            raise InvalidAnswer(
                f"request {request} is answered by a file",
                hint="Upload the test set: easeml data test-set PROJECT FILE.",
                request=str(request),
            )
        case "text":
            value = str(value)
    most = _BATCH_BYTES // len(asked.items)
    if len(json.dumps(value)) > most:
        raise InvalidAnswer(
            f"the answer to request {request} is longer than {most} bytes",
            hint="Shorten it, or skip the request.",
            request=str(request),
        )
    return value


def _sealed(request: int, value: Any) -> str:
    """Take a label of a test row only as the gate alone can read it."""
    try:
        if not base64.b64decode(str(value), validate=True).startswith(HEADER):
            raise ValueError("not sealed")
    except ValueError as error:
        # The label itself stays out of the message.
        raise InvalidAnswer(
            f"the answer to request {request} is not sealed to the gate's key",
            hint="Answer through the API, the client or easeml label: they seal it.",
            request=str(request),
        ) from error
    return str(value)


def _number(request: int, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidAnswer(
            f"request {request} wants a number, not {value!r}",
            hint="Give a finite number, e.g. 12.5.",
            request=str(request),
        )
    return number


def _decision(request: int, value: Any) -> str:
    """Return ``train``, ``improve`` or a target in (0, 1) as text."""
    text = str(value).strip().lower()
    try:
        is_target = 0 < float(text) < 1
    except ValueError:
        is_target = False
    if text in ("train", "improve") or is_target:
        return text
    raise InvalidAnswer(
        f"{value!r} is no answer to request {request}",
        hint="Answer train, improve, or a target accuracy between 0 and 1, e.g. 0.85.",
        request=str(request),
    )
