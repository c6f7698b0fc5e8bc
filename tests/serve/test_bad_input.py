"""Bad input over HTTP: each has its kind, its status and a hint, and nothing is written."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from harness import asked

from easeml_ray import Client
from easeml_ray.errors import EasemlError, RequestClosed
from easeml_ray.messages import Principal, Role
from easeml_ray.oracle.messages import Kind, OpenRequests
from tests.serve.house import TASK, House, table


def edited(edit: Callable[[list[list[str]]], None], rows: int = 120) -> bytes:
    """Return the table after an edit of its cells; row 0 is the header."""
    cells = [line.split(",") for line in table(rows).decode().splitlines()]
    edit(cells)
    return "\n".join(",".join(row) for row in cells).encode()


def one_class(cells: list[list[str]]) -> None:
    for row in cells[1:]:
        row[4] = "dwarf"


def empty_column(cells: list[list[str]]) -> None:
    for row in cells[1:]:
        row[2] = ""


def same_id_twice(cells: list[list[str]]) -> None:
    cells[7][0] = cells[3][0]


def no_label_column(cells: list[list[str]]) -> None:
    cells[0][4] = "Kind of star"


def labels_of_nan(cells: list[list[str]]) -> None:
    for row in cells[4:9]:
        row[4] = "NaN"


def nested() -> bytes:
    sink = io.BytesIO()
    rows = 60
    columns = {
        "id": pa.array(range(rows)),
        "size": pa.array([[1.0, float(i)] for i in range(rows)]),
        "kind": pa.array(["a", "b"] * (rows // 2)),
    }
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


PROSE = b"Dear colleagues,\n\nattached, find the measurements; of last week!\n\nYours, Ann\n"


@dataclass
class Bad:
    """One row of the table: what is sent, and what must come back."""

    kind: str
    data: bytes
    format: str | None = "csv"
    task: dict[str, Any] | None = None
    fields: tuple[str, ...] = ()


UPLOADS = {
    "missing label column": Bad("MissingColumn", edited(no_label_column), fields=("column", "columns")),
    "one class": Bad("OneClass", edited(one_class), fields=("column",)),
    "column without a value": Bad("EmptyColumn", edited(empty_column), fields=("column",)),
    "duplicate ids": Bad("DuplicateIds", edited(same_id_twice), fields=("rows",)),
    "labels of NaN": Bad("MissingLabels", edited(labels_of_nan), fields=("rows",)),
    "five rows": Bad("TooFewRows", table(5), fields=("required", "available")),
    "prose called .csv": Bad("UnreadableFile", PROSE),
    "nested types": Bad("NestedColumn", nested(), format="parquet", fields=("column",)),
    "no bytes at all": Bad("UnreadableFile", b""),
    "format nobody knows": Bad("InvalidArgument", table(60), format="xlsx", fields=("argument",)),
    "too few stable rows": Bad(
        "TooFewTestRows",
        table(100),
        task={**TASK, "gate": {"condition": "n > 0.8 +/- 0.01"}},
        fields=("required", "available", "ways_out"),
    ),
}


@pytest.fixture(scope="module")
def eve(house: House) -> Iterator[Client]:
    """A tenant whose uploads are all refused."""
    client = house.new("eve")
    client.create_project("bad", TASK)
    yield client


@pytest.mark.parametrize("name", UPLOADS)
def test_a_file_that_cannot_be_used_is_refused_whole(house: House, eve: Client, name: str) -> None:
    bad = UPLOADS[name]
    project = "bad"
    if bad.task is not None:
        project = f"bad-{len(eve.projects())}"
        eve.create_project(project, bad.task)
    before = house.events
    with pytest.raises(EasemlError) as refused:
        eve.upload(project, bad.data, bad.format)
    error = refused.value
    assert (type(error).__name__, error.status) == (bad.kind, 400)
    assert error.message and error.hint
    assert all(error.fields.get(field) not in (None, [], "") for field in bad.fields), error.fields
    assert house.events == before
    assert eve.project(project)["phase"] == "DEFINED"


@pytest.mark.parametrize(
    ("change", "kind", "field"),
    [
        ({"target_accuracy": 1.2}, "InvalidSpec", "field"),
        ({"target_accuracy": None}, "InvalidSpec", "field"),
        ({"sahpes": {}}, "InvalidSpec", "field"),
        ({"shares": {"train": 0.9}}, "InvalidSpec", "field"),
        ({"gate": {"condition": "n > > 0.8"}}, "ConditionSyntax", "text"),
    ],
)
def test_a_task_that_is_wrong_makes_no_project(
    house: House, eve: Client, change: dict[str, Any], kind: str, field: str
) -> None:
    before = house.events
    with pytest.raises(EasemlError) as refused:
        eve.create_project("wrong", {**TASK, **change})
    assert (type(refused.value).__name__, refused.value.status) == (kind, 400)
    assert refused.value.hint and refused.value.fields[field]
    assert house.events == before


def test_an_answer_to_a_closed_request_is_a_conflict(house: House, eve: Client) -> None:
    ask(house, "eve", "bad", Kind.RELABEL, "closed-1", ("dwarf", "giant"))
    request = eve.requests("bad", kind="RELABEL")[0]["id"]
    eve.skip("bad", [request])
    before = house.events
    with pytest.raises(RequestClosed) as refused:
        eve.answer("bad", {request: "dwarf"})
    assert (refused.value.status, refused.value.request, refused.value.state) == (
        409,
        str(request),
        "SKIPPED",
    )
    assert refused.value.hint and house.events == before


def ask(house: House, tenant: str, project: str, kind: Kind, key: str, choices: tuple[str, ...]) -> None:
    """Open one request, as a component would."""
    items = (asked(key),)
    body = OpenRequests(
        kind=kind,
        batch=f"batch-{key}",
        asker="tests",
        title="Which?",
        items=items,
        choices=choices,
        gain=None,
        deadline=4e9,
        answers_per_item=1,
    )
    principal = Principal(tenant, Role.SYSTEM, "tests")
    house.run(house.system.handle("oracle", project, principal, body))


BODIES: list[tuple[str, str, dict[str, Any], str, int]] = [
    ("POST", "/v1/projects", {"content": b"{"}, "InvalidArgument", 400),
    ("POST", "/v1/projects", {"json": {"name": "x"}}, "InvalidArgument", 400),
    ("POST", "/v1/projects", {"json": {"name": "No Name!", "task": TASK}}, "InvalidSpec", 400),
    ("POST", "/v1/projects/bad/control", {"json": {"event": "explode"}}, "InvalidArgument", 400),
    ("POST", "/v1/projects/bad/improve", {"json": {"reason": "now"}}, "IllegalTransition", 409),
    ("POST", "/v1/projects/bad/target", {"json": {"target_accuracy": 7}}, "InvalidSpec", 400),
    ("POST", "/v1/projects/bad/requests/answers", {"json": {"answers": []}}, "InvalidArgument", 400),
    (
        "POST",
        "/v1/projects/bad/requests/answers",
        {"json": {"answers": [{"request": i, "value": 1} for i in range(1, 202)]}},
        "InvalidArgument",
        400,
    ),
    (
        "POST",
        "/v1/projects/bad/requests/answers",
        {"json": {"answers": [{"request": 999, "value": 1}]}},
        "NotFound",
        404,
    ),
    ("POST", "/v1/projects/bad/requests/close", {"json": {"batch": "none"}}, "NotFound", 404),
    ("GET", "/v1/projects/bad/requests/999", {}, "NotFound", 404),
    ("GET", "/v1/requests?state=SLEEPING", {}, "InvalidArgument", 400),
    ("GET", "/v1/projects/bad/data", {}, "NotFound", 404),
    ("GET", "/v1/projects/bad/data/train/rows?ids=one", {}, "InvalidArgument", 400),
    ("GET", "/v1/projects/bad/data/cellar/rows?ids=1", {}, "InvalidArgument", 400),
    ("GET", "/v1/projects/bad/data/stable/rows?ids=1", {}, "CapabilityDenied", 403),
    ("PUT", "/v1/projects/bad/data/stable", {"content": b"a,b\n1,2\n"}, "NotFound", 404),
    ("GET", "/v1/projects/bad/feasibility", {}, "NotFound", 404),
    ("POST", "/v1/projects/bad/feasibility/cancel", {}, "Conflict", 409),
    ("POST", "/v1/projects/bad/market/offers?offer=o&price_cents=1", {}, "InvalidArgument", 400),
    (
        "POST",
        "/v1/projects/bad/market/offers?offer=o&seller=s&price_cents=-1",
        {},
        "InvalidArgument",
        400,
    ),
    ("GET", "/v1/nothing", {}, "NotFound", 404),
    ("GET", "/v1/projects/", {}, "NotFound", 404),
    ("DELETE", "/v1/projects", {}, "InvalidArgument", 405),
    ("POST", "/v2/models/bad/predict", {"json": {"rows": []}}, "InvalidArgument", 400),
    ("POST", "/v2/models/bad/infer", {"json": {"inputs": []}}, "InvalidArgument", 400),
]


@pytest.mark.parametrize(("method", "path", "sent", "kind", "status"), BODIES)
def test_every_refusal_is_a_problem_document(
    house: House, eve: Client, method: str, path: str, sent: dict[str, Any], kind: str, status: int
) -> None:
    before = house.events
    token = eve._headers["Authorization"].removeprefix("Bearer ")
    answer = house.http(token).request(method, path, **sent)
    document = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, document["status"], document["kind"]) == (status, status, kind), document
    assert document["type"] == f"urn:easeml:error:{document['code']}"
    assert document["title"] and document["detail"] and document["hint"]
    assert document["instance"] == path.split("?")[0]
    assert house.events == before
    if status == 405:
        assert "POST" in answer.headers["allow"]


def test_records_that_do_not_fit_the_model_name_the_column(stars: Client) -> None:
    good = {"size": 1.0, "weight": 2.0, "colour": "r"}
    for record, column in (
        ({**good, "colours": "r"}, "colours"),
        ({"size": 1.0, "weight": 2.0}, "colour"),
        ({**good, "size": "big"}, "size"),
    ):
        with pytest.raises(EasemlError) as refused:
            stars.predict("stars", [record])
        assert type(refused.value).__name__ == "SchemaMismatch" and refused.value.column == column
        assert refused.value.hint
