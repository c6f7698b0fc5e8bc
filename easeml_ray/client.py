"""The client: every verb of the two HTTP applications as a method.

Errors arrive as the classes of :mod:`easeml_ray.errors`, rebuilt from problem documents. It is
one file because it is one class, and most of it says what the verbs take.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from json import dumps as encode
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx

from easeml_ray.errors import (
    BadInput,
    Conflict,
    DeadlineExceeded,
    EasemlError,
    Forbidden,
    InvalidArgument,
    NotFound,
    NotReady,
    SystemFailure,
    TooLarge,
    Unauthenticated,
    UnreadableFile,
)

__all__ = ["Client"]

Json = dict[str, Any]
Value = str | float | int | bool

_BY_STATUS: dict[int, type[EasemlError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    503: NotReady,
    504: DeadlineExceeded,
}


class Client:
    """A running Ease.ML by its address.

    Parameters
    ----------
    url : str
        Where it listens, e.g. ``http://127.0.0.1:8000``.
    token : str or None
        A bearer token; only :meth:`health` and :meth:`ready` do without.
    transport : httpx.BaseTransport, optional
        Carries the requests instead of the network.
    timeout : float
        Seconds until a request without an answer raises DeadlineExceeded.
    http : httpx.Client, optional
        A client to use and to leave open, instead of one of its own.

    Notes
    -----
    Methods that change something take ``key``: sent again under the same key, the command
    happens once, and its first answer is answered again. Every method raises the EasemlErrors
    that its command can meet; NotReady when nobody listens.

    Examples
    --------
    >>> def answer(request: httpx.Request) -> httpx.Response:
    ...     return httpx.Response(200, json={"path": request.url.path})
    >>> with Client("http://ease.ml", "ann.secret", transport=httpx.MockTransport(answer)) as client:
    ...     client.project("stars")
    {'path': '/v1/projects/stars'}
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        transport: httpx.BaseTransport | None = None,
        timeout: float = 60.0,
        http: httpx.Client | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout = timeout
        self._owned = http is None
        self._http = http or httpx.Client(transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()

    def disconnect(self) -> None:
        """Close the connections, unless they were given."""
        if self._owned:
            self._http.close()

    # -- tenants and projects -----------------------------------------------------------------

    def create_tenant(
        self, name: str, role: str = "tenant", *, actor: str | None = None, key: str | None = None
    ) -> Json:
        """Make a tenant, or another token of one: ``{tenant, role, actor, token}``.

        ``actor`` is the person or program behind the token.
        """
        body = {"name": name, "role": role, "actor": actor}
        return self._post("/v1/tenants", body, key=key)

    def tenants(self) -> list[Json]:
        """Return the tenants with how many tokens of which role each has."""
        return self._list("/v1/tenants", "tenants")

    def create_project(self, name: str, task: Mapping[str, Any], *, key: str | None = None) -> Json:
        """Define an application; return it with the whole task, defaults filled in."""
        return self._post("/v1/projects", {"name": name, "task": dict(task)}, key=key)

    def projects(self) -> list[Json]:
        """Return the visible projects and where they stand."""
        return self._list("/v1/projects", "projects")

    def project(self, name: str) -> Json:
        """Return where a project stands and what it waits for."""
        return self._get(self._of(name))

    def control(self, name: str, event: str, *, key: str | None = None) -> Json:
        """Pause, resume or cancel a project."""
        return self._post(self._of(name, "control"), {"event": event}, key=key)

    def improve(self, name: str, reason: str, *, key: str | None = None) -> Json:
        """Ask for the data to be improved although nothing forces it."""
        return self._post(self._of(name, "improve"), {"reason": reason}, key=key)

    def override(
        self,
        name: str,
        target_accuracy: float | None = None,
        train: bool = False,
        reason: str = "",
        *,
        key: str | None = None,
    ) -> Json:
        """Set another target, or train against the belief; logged for good."""
        body = {"target_accuracy": target_accuracy, "train": train, "reason": reason}
        return self._post(self._of(name, "target"), body, key=key)

    def ledger(self, name: str) -> Json:
        """Return the bill: what was spent, and what uncertainty that removed."""
        return self._get(self._of(name, "ledger"))

    def next(self, name: str) -> Json:
        """Return all options of all steps, ranked by expected gain per cent."""
        return self._get(self._of(name, "next"))

    # -- data ---------------------------------------------------------------------------------

    def upload(
        self, name: str, data: bytes | Path, format: str | None = None, *, key: str | None = None
    ) -> Json:
        """Upload a project's data: CSV or Parquet, as bytes or as a file."""
        return self._send_file("PUT", self._of(name, "data"), data, {"format": format}, key)

    def upload_test_set(
        self,
        name: str,
        data: bytes | Path,
        format: str | None = None,
        *,
        labelled: bool = True,
        key: str | None = None,
    ) -> Json:
        """Upload a fresh stable test set; without labels, people are asked for those that verdicts need."""
        options = {"format": format, "labelled": None if labelled else False}
        return self._send_file("PUT", self._of(name, "data/stable"), data, options, key)

    def versions(self, name: str) -> Json:
        """Return the data versions with their lineage."""
        return self._get(self._of(name, "data"))

    def rows(self, name: str, pillar: str, ids: Iterable[int]) -> list[Json]:
        """Return rows of train or development by row id, in their most probable world."""
        path = self._of(name, f"data/{quote(pillar, safe='')}/rows")
        return self._list(path, "rows", ids=",".join(str(i) for i in ids))

    # -- beliefs ------------------------------------------------------------------------------

    def feasibility(self, name: str, report: bool = False, version: int | None = None) -> Json:
        """Return the belief about the Bayes error of each data version, or of one.

        With ``report``, ``report`` holds the whole of the newest of them, with the curves as
        ``[n_train, errors, cover_hart]`` by embedding. While a study is under way, ``progress``
        holds ``{done, total, stage}``.
        """
        return self._get(self._of(name, "feasibility"), report=report or None, version=version)

    def feasibility_picture(self, name: str, kind: str = "svg", version: int | None = None) -> bytes:
        """Return the newest report, or that of a data version, as an ``svg`` or ``png`` picture."""
        return self._picture(self._of(name, "feasibility/picture"), {"kind": kind, "version": version})

    def cancel_study(self, name: str, *, key: str | None = None) -> Json:
        """Cancel the feasibility study that is under way; the project then asks how to go on."""
        return self._post(self._of(name, "feasibility/cancel"), key=key)

    def cleaning(self, name: str) -> Json:
        """Return what cleaning can reach, and the options."""
        return self._get(self._of(name, "cleaning"))

    def cleaning_picture(self, name: str, kind: str = "svg") -> bytes:
        """Return accuracy and certainty against the cells answered, as an ``svg`` or ``png`` picture."""
        return self._picture(self._of(name, "cleaning/picture"), {"kind": kind})

    def models(self, name: str) -> Json:
        """Return searches and models."""
        return self._get(self._of(name, "models"))

    def gate(self, name: str) -> Json:
        """Return the eras, what is left of them, and the verdicts."""
        return self._get(self._of(name, "gate"))

    def pool(self, name: str) -> Json:
        """Return candidates, windows and what is deployed."""
        return self._get(self._of(name, "pool"))

    # -- the market ---------------------------------------------------------------------------

    def market(self, name: str) -> Json:
        """Return offers, what they are worth, and purchases."""
        return self._get(self._of(name, "market"))

    def market_picture(self, name: str, kind: str = "svg") -> bytes:
        """Return expected accuracy against money and rows kept, as an ``svg`` or ``png`` picture."""
        return self._picture(self._of(name, "market/picture"), {"kind": kind})

    def offer(
        self,
        name: str,
        offer: str,
        seller: str | None,
        data: bytes | Path,
        price_cents: int,
        terms: str = "",
        format: str | None = None,
        *,
        owner_column: str | None = None,
        labelled: bool = True,
        key: str | None = None,
    ) -> Json:
        """Offer rows; ``seller`` may be None under a seller's token.

        ``owner_column`` names whom to pay for each row, if the rows have several owners; rows that are
        not ``labelled`` have no label column, and people are asked for their labels after the purchase.
        """
        query = {
            "offer": offer,
            "seller": seller,
            "price_cents": price_cents,
            "terms": terms or None,
            "owner_column": owner_column,
            "labelled": None if labelled else False,
            "format": format,
        }
        return self._send_file("POST", self._of(name, "market/offers"), data, query, key)

    def audit(self, name: str, *, key: str | None = None) -> Json:
        """Have the payments verified and computed again; :meth:`market` shows the outcome."""
        return self._post(self._of(name, "market/audit"), key=key)

    # -- requests to people -------------------------------------------------------------------

    def requests(
        self,
        project: str | None = None,
        state: str | None = None,
        kind: str | None = None,
        limit: int = 100,
        rows: bool = False,
    ) -> list[Json]:
        """Return requests, newest first, with the rows that they are about if asked."""
        query = {"project": project, "state": state, "kind": kind, "limit": limit, "rows": rows or None}
        return self._list("/v1/requests", "requests", **query)

    def request(self, name: str, request: int, rows: bool = False) -> Json:
        """Return one request."""
        return self._get(self._of(name, f"requests/{request}"), rows=rows or None)

    def lease(
        self,
        name: str,
        kinds: Sequence[str] = (),
        limit: int = 20,
        seconds: float = 600,
        *,
        rows: bool = False,
        key: str | None = None,
    ) -> Json:
        """Reserve open requests for oneself: ``{until, requests}``."""
        body = {"kinds": list(kinds), "limit": limit, "seconds": seconds}
        path = self._of(name, "requests/lease")
        return self._post(path, body, query={"rows": rows or None}, key=key)

    def answer(self, name: str, answers: Mapping[int, Value], *, key: str | None = None) -> Json:
        """Answer requests by id, all or none."""
        body = {"answers": [{"request": i, "value": value} for i, value in answers.items()]}
        return self._post(self._of(name, "requests/answers"), body, key=key)

    def skip(self, name: str, ids: Iterable[int], *, key: str | None = None) -> Json:
        """Say that one does not know."""
        return self._post(self._of(name, "requests/skip"), {"requests": list(ids)}, key=key)

    def close(self, name: str, batch: str, *, key: str | None = None) -> Json:
        """Withdraw what is still open in a batch."""
        return self._post(self._of(name, "requests/close"), {"batch": batch}, key=key)

    # -- predictions --------------------------------------------------------------------------

    def predict(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Json:
        """Answer rows, each a record of column names and values; None or NaN where one is missing."""
        records = [{column: _cell(value) for column, value in row.items()} for row in rows]
        return self._post(self._served(name, "predict"), {"rows": records})

    def infer(self, name: str, body: Mapping[str, Any]) -> Json:
        """Answer a request of the Open Inference Protocol."""
        return self._post(self._served(name, "infer"), dict(body))

    def feedback(self, name: str, request_id: str, label: Value, *, key: str | None = None) -> Json:
        """Tell the true label of a row that was answered."""
        body = {"request_id": request_id, "label": label}
        return self._post(self._served(name, "feedback"), body, key=key)

    def served(self, name: str) -> Json:
        """Return the metadata of the model that answers."""
        return self._get(self._served(name))

    # -- health -------------------------------------------------------------------------------

    def health(self) -> Json:
        """Return that the control application lives."""
        return self._get("/healthz")

    def ready(self) -> Json:
        """Return that both applications can work; NotReady until then."""
        return {"control": self._get("/readyz"), "prediction": self._get("/v2/health/ready")}

    # -- the wire -----------------------------------------------------------------------------

    @staticmethod
    def _of(name: str, rest: str = "") -> str:
        return _path("/v1/projects", name, rest)

    @staticmethod
    def _served(name: str, rest: str = "") -> str:
        return _path("/v2/models", name, rest)

    def _picture(self, path: str, query: dict[str, Any]) -> bytes:
        response = self._request("GET", path, query=query)
        if response.is_success and response.headers.get("Content-Type", "").startswith("image/"):
            return response.content
        raise _refusal(response)

    def _get(self, path: str, **query: Any) -> Json:
        return self._send("GET", path, query=query)

    def _post(self, path: str, body: Any = None, **sent: Any) -> Json:
        return self._send("POST", path, json=body, **sent)

    def _list(self, path: str, member: str, **query: Any) -> list[Json]:
        found: list[Json] = self._get(path, **query)[member]
        return found

    def _send_file(
        self, method: str, path: str, data: bytes | Path, query: Mapping[str, Any], key: str | None
    ) -> Json:
        content = _contents(data) if isinstance(data, Path) else data
        return self._send(method, path, query=query, content=content, key=key)

    def _send(self, method: str, path: str, **sent: Any) -> Json:
        response = self._request(method, path, **sent)
        if response.is_success and isinstance(body := _body(response), dict):
            return body
        raise _refusal(response)

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        content: bytes | None = None,
        key: str | None = None,
    ) -> httpx.Response:
        headers = {**self._headers, **({"Idempotency-Key": key} if key else {})}
        if json is not None:
            content = _encoded(json)
            headers["Content-Type"] = "application/json"
        elif content is not None:
            headers["Content-Type"] = "application/octet-stream"
        try:
            return self._http.request(
                method,
                self.url + path,
                params={name: value for name, value in (query or {}).items() if value is not None},
                content=content,
                headers=headers,
                timeout=self._timeout,
            )
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise InvalidArgument(
                f"{self.url!r} is no address: {error}",
                hint="Give it with its scheme, e.g. http://127.0.0.1:8000.",
                argument="url",
            ) from error
        except httpx.ConnectError as error:
            raise NotReady(
                f"nobody listens at {self.url}",
                hint="Start the system with `easeml up`, or set EASEML_URL to where it runs.",
            ) from error
        except httpx.TimeoutException as error:
            raise DeadlineExceeded(
                f"{method} {path} had no answer within {self._timeout:g} s",
                hint="The work may go on all the same: look with `easeml status`.",
                seconds=self._timeout,
            ) from error
        except httpx.TransportError as error:
            raise NotReady(
                f"the connection to {self.url} broke: {error or type(error).__name__}",
                hint="Try again; with the same key a command happens once.",
            ) from error


def _contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFile(
            f"{path} cannot be read: {error.strerror or error}", hint="Give the path of a file."
        ) from error


def _cell(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _encoded(value: Any) -> bytes:
    def plain(other: Any) -> Any:
        if hasattr(other, "item"):  # a NumPy scalar
            return _cell(other.item())
        raise TypeError(f"{type(other).__name__} is no JSON value")

    try:
        return encode(value, default=plain, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            f"the request cannot be written as JSON: {error}",
            hint="Give numbers, text, booleans or None.",
            argument="body",
        ) from error


def _body(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _refusal(response: httpx.Response) -> EasemlError:
    """Return the error of a problem document, or one for an answer that is none of ours."""
    body = _body(response)
    if isinstance(body, dict) and "kind" in body:
        return EasemlError.from_dict({**body, "message": body.get("detail", "")})
    # What stands between us and the applications (a proxy, Serve itself) knows no problems.
    kind = _BY_STATUS.get(response.status_code)
    if kind is None:
        kind = BadInput if 400 <= response.status_code < 500 else SystemFailure
    place = f"{response.request.method} {response.request.url.path}"
    return kind(f"{place} answered {response.status_code}: {response.text[:200]}")


def _path(root: str, name: str, rest: str) -> str:
    path = f"{root}/{quote(name, safe='')}"
    return f"{path}/{rest}" if rest else path
