"""The client: errors are rebuilt as their classes, and failures of the wire are our own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import easeml_ray
from easeml_ray import Client
from easeml_ray.errors import (
    BadInput,
    DeadlineExceeded,
    EasemlError,
    InvalidArgument,
    NotReady,
    SystemFailure,
    TooFewTestRows,
    UnreadableFile,
)
from serve.problems import problem


def client(answer: Any) -> Client:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    return Client("http://ease.ml/", "t", transport=httpx.MockTransport(handle), timeout=3.0)


@pytest.mark.parametrize("kind", sorted(EasemlError.kinds))
def test_every_error_survives_the_way_through_a_problem_document(kind: str) -> None:
    cls = EasemlError.kinds[kind]
    fields = {name: ["a", "b"] if name.endswith("s") else "value" for name in cls.declared}
    error = cls("what and where", hint="do this", **fields)
    sent = problem(error, instance="/here")
    with pytest.raises(cls) as raised:
        client(httpx.Response(sent.status_code, content=bytes(sent.body))).projects()
    assert type(raised.value) is cls and raised.value == error
    assert sent.status_code == cls.status


def test_fields_that_json_has_not_become_what_it_has() -> None:
    error = TooFewTestRows("few", required=10, available=float("inf"), ways_out=("a", Path("b")))
    body = httpx.Response(400, content=bytes(problem(error).body)).json()
    assert body["fields"] == {"required": 10, "available": None, "ways_out": ["a", "b"]}


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (httpx.ConnectError("refused"), NotReady, "easeml up"),
        (httpx.ReadTimeout("late"), DeadlineExceeded, "easeml status"),
        (httpx.ReadError("reset"), NotReady, "same key"),
        (httpx.UnsupportedProtocol("ftp"), InvalidArgument, "http://"),
        (httpx.Response(503, text="deploying"), NotReady, "deploying"),
        (httpx.Response(502, text="<html>"), SystemFailure, "502"),
        (httpx.Response(418, text="teapot"), BadInput, "418"),
        (httpx.Response(200, text="<html>"), SystemFailure, "200"),
    ],
)
def test_failures_of_the_wire_are_errors_of_ours(answer: Any, kind: type[EasemlError], says: str) -> None:
    with pytest.raises(kind) as raised:
        client(answer).project("p")
    assert type(raised.value) is kind and says in str(raised.value)


def test_a_port_where_nobody_listens_says_how_to_start() -> None:
    with Client("http://127.0.0.1:9", "t", timeout=2) as nobody, pytest.raises(NotReady, match="easeml up"):
        nobody.health()


def test_names_are_quoted_and_keys_are_sent() -> None:
    seen: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    one = client(note)
    one.project("../tenants?x=1")
    one.control("p", "pause", key="k")
    one.offer("p", "o", None, b"rows", 5)
    assert seen[0].url.raw_path == b"/v1/projects/..%2Ftenants%3Fx%3D1"
    assert seen[1].headers["Idempotency-Key"] == "k" and "Idempotency-Key" not in seen[0].headers
    assert dict(seen[2].url.params) == {"offer": "o", "price_cents": "5"}


def test_records_of_numpy_values_and_missing_ones_can_be_sent() -> None:
    seen: list[Any] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(200, json={})

    client(note).predict("p", [{"a": np.float32(1.5), "b": float("nan"), "c": np.int64(3), "d": None}])
    assert seen == [b'{"rows": [{"a": 1.5, "b": null, "c": 3, "d": null}]}']
    with pytest.raises(InvalidArgument):
        client(note).predict("p", [{"a": object()}])
    with pytest.raises(InvalidArgument):
        client(note).override("p", float("inf"))


def test_a_file_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile):
        client(httpx.Response(200, json={})).upload("p", tmp_path / "none.csv")


def test_a_given_http_client_is_used_and_left_open() -> None:
    with httpx.Client(transport=httpx.MockTransport(lambda r: httpx.Response(200, json={}))) as http:
        with Client("http://ease.ml", None, http=http) as one:
            assert one.health() == {}
        assert not http.is_closed


def test_importing_the_package_is_light() -> None:
    assert easeml_ray.__all__ == ["Client", "__version__"]
    code = "import sys, easeml_ray; print([m for m in ('httpx', 'numpy', 'ray') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    with pytest.raises(AttributeError):
        easeml_ray.Clients  # noqa: B018
