"""Errors as RFC 9457 problem documents: every refusal and every failure of both applications.

A document holds ``type``, ``title``, ``status``, ``detail`` and ``instance`` of the RFC, and as
extensions ``code`` (the last part of ``type``), ``hint``, ``kind`` and ``fields``: with kind and
fields the client rebuilds the very :class:`~easeml_ray.errors.EasemlError`.
"""

from __future__ import annotations

import json
import logging
import math
import re
import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from easeml_ray.errors import (
    EasemlError,
    Forbidden,
    InvalidArgument,
    NotFound,
    NotReady,
    SystemFailure,
    TooLarge,
    Unauthenticated,
)

__all__ = ["PROBLEMS", "Answer", "Incidents", "Problem", "code_of", "install_problems", "problem"]

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:easeml:error:"

# Where HTTP refuses before any of our code ran, by status.
_BY_STATUS: dict[int, type[EasemlError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    413: TooLarge,
    503: NotReady,
}


class Problem(BaseModel):
    """The document, for the OpenAPI page."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    hint: str
    kind: str
    fields: dict[str, Any]


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem: what is wrong, where, and what to do about it.",
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
    }
}
"""``responses`` of an application: whatever is not a success is a problem document."""


class Answer(JSONResponse):
    """JSON in which what JSON cannot say (NaN, infinities) is null."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        try:
            text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except ValueError:
            text = json.dumps(_finite(content), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()


class _ProblemAnswer(Answer):
    media_type = MEDIA_TYPE


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value


def _plain(value: Any) -> Any:
    """Return a field's value as JSON has it; what it has not becomes text."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def code_of(kind: str) -> str:
    """Return the code of an error class.

    Examples
    --------
    >>> code_of("NoModel")
    'NO_MODEL'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).upper()


def problem(
    error: EasemlError,
    *,
    instance: str = "",
    status: int | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return an error as a response.

    Parameters
    ----------
    error : EasemlError
        What is to be said.
    instance : str
        Path of the request.
    status, code
        Other ones than those of the error's class, where HTTP has a finer word.
    headers : mapping, optional
        Further headers.
    """
    kind = type(error).__name__
    code = code or code_of(kind)
    status = status or error.status
    document = {
        "type": TYPE_PREFIX + code,
        "title": (type(error).__doc__ or kind).strip().splitlines()[0].rstrip("."),
        "status": status,
        "detail": error.message,
        "instance": instance,
        "code": code,
        "hint": error.hint,
        "kind": kind,
        "fields": _plain(error.fields),
    }
    sent = dict(headers or {})
    if isinstance(error, Unauthenticated):
        sent.setdefault("WWW-Authenticate", 'Bearer realm="easeml"')
    if isinstance(error, NotReady):
        sent.setdefault("Retry-After", "1")
    return _ProblemAnswer(document, status_code=status, headers=sent)


async def _on_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, EasemlError)
    if error.status >= 500 and not isinstance(error, NotReady):
        log.warning("%s %s: %s", request.method, request.url.path, error, exc_info=error)
    return problem(error, instance=request.url.path)


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    first = found[0]
    place = ".".join(str(part) for part in first["loc"]) or "request"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    refused = InvalidArgument(
        f"{place}: {first['msg']}{more}",
        hint="The form of every request stands in the OpenAPI page of this application.",
        argument=place,
    )
    return problem(refused, instance=request.url.path)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    path, headers = request.url.path, error.headers
    refused = getattr(error, "refused", None)
    if isinstance(refused, EasemlError):
        return problem(refused, instance=path, headers=headers)
    if error.status_code == 404:
        missing = NotFound(
            f"nothing stands at {path}",
            hint="The OpenAPI page lists the routes.",
            what="route",
            name=path,
        )
        return problem(missing, instance=path, headers=headers)
    if error.status_code == 405:
        wrong = InvalidArgument(
            f"{path} does not take {request.method}",
            hint="The header Allow says what it takes.",
            argument="method",
        )
        return problem(wrong, instance=path, status=405, code="METHOD_NOT_ALLOWED", headers=headers)
    other = InvalidArgument if error.status_code < 500 else SystemFailure
    kind = _BY_STATUS.get(error.status_code, other)
    return problem(kind(str(error.detail)), instance=path, status=error.status_code, headers=headers)


class Incidents:
    """ASGI middleware: what nobody foresaw becomes a 500 that says nothing but its number.

    The number stands in the log beside the traceback.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception:
            incident = uuid.uuid4().hex[:12]
            log.exception("incident %s at %s %s", incident, scope["method"], scope["path"])
            if started:
                raise
            unforeseen = SystemFailure(
                f"something unforeseen happened: incident {incident}",
                hint="The operator finds the incident in the log of the server.",
            )
            await problem(unforeseen, instance=scope["path"])(scope, receive, send)


def install_problems(app: FastAPI) -> None:
    """Make an application answer every error as a problem document."""
    app.add_exception_handler(EasemlError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_middleware(Incidents)
