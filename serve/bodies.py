"""How much of a request's body is read: bounded while it streams in, whoever sends it."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import HTTPException, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from easeml_ray.errors import TooLarge

__all__ = ["JSON_BYTES", "UPLOAD_BYTES", "BoundedBodies", "read_upload"]

JSON_BYTES = 2**20
"""Default upper limit of a JSON body, in bytes."""

UPLOAD_BYTES = 100 * 2**20
"""Default upper limit of an uploaded file, in bytes."""

_KEY = "easeml.body"


@dataclass
class _Bound:
    limit: int


class _Refused(HTTPException):
    """Passes through FastAPI's reading of JSON, which hides every other exception."""

    def __init__(self, refused: TooLarge) -> None:
        super().__init__(status_code=413, detail=refused.message)
        self.refused = refused


class BoundedBodies:
    """ASGI middleware: a body over the limit is refused before it is in memory.

    FastAPI reads a JSON body before it asks who sends it, so the limit holds for everybody;
    a route that takes a file raises it for its own request, after authentication.

    Parameters
    ----------
    app
        What to wrap.
    limit : int
        In bytes.
    """

    def __init__(self, app: ASGIApp, *, limit: int = JSON_BYTES) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        bound = scope[_KEY] = _Bound(self.limit)
        declared = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        size = int(declared) if declared.isdigit() else 0
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            if size > bound.limit:
                raise _Refused(_too_large(size, bound.limit))
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > bound.limit:
                    raise _Refused(_too_large(seen, bound.limit))
            return message

        await self.app(scope, bounded, send)


def _too_large(size: int, limit: int) -> TooLarge:
    return TooLarge(
        f"a body of {size} bytes or more is over the limit of {limit}",
        hint="Send less at once; a table is smallest as Parquet.",
        limit=limit,
        size=size,
    )


async def read_upload(request: Request, limit: int) -> bytes:
    """Return the raw body of a request, at most ``limit`` bytes of it.

    Raises
    ------
    HTTPException
        With the TooLarge that the problem document shows.
    """
    request.scope[_KEY].limit = limit
    return b"".join([chunk async for chunk in request.stream()])
