"""A study under way, as HTTP shows and ends it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from easeml_ray import Client
from easeml_ray.component.base import Progress
from easeml_ray.errors import BadInput, Conflict, NotFound, NotReady
from easeml_ray.feasibility import FeasibilityReport
from easeml_ray.feasibility.messages import StudyVersion
from easeml_ray.feasibility.picture import draw
from tests.serve.house import TASK, House, table


@contextmanager
def held(house: House) -> Iterator[None]:
    """Keep every study under way."""
    due = house.system._due

    def others() -> Iterator[Any]:
        return (item for item in due() if not isinstance(item[1].body, StudyVersion))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(house.system, "_due", others)
        yield


def begun(house: House, project: str) -> Client:
    """Return the client of a project whose first study is under way."""
    client = house.new(f"tenant-of-{project}")
    client.create_project(project, TASK)
    client.upload(project, table(), format="csv")
    return client


def note(house: House, project: str, progress: Progress) -> None:
    state = house.system.hosts["feasibility"].state
    (study,) = [action.id for action in state.due() if action.project == project]
    state.note(study, progress)


def test_progress_is_shown_before_the_first_belief(house: House) -> None:
    with held(house):
        client = begun(house, "shown")
        assert client.project("shown")["phase"] == "FEASIBILITY"
        waiting = {"done": 0, "total": 0, "stage": "about to begin"}
        assert client.feasibility("shown") == {"project": "shown", "beliefs": [], "progress": waiting}
        note(house, "shown", Progress(2, 5, "curves"))
        found = client.feasibility("shown", report=True)
        assert found["progress"] == {"done": 2, "total": 5, "stage": "curves"}
        assert found["report"] is None
        with pytest.raises(NotReady, match="first study of shown is under way"):
            client.feasibility_picture("shown")
        client.cancel_study("shown")


def test_a_cancelled_study_leaves_a_question_that_can_be_answered(house: House) -> None:
    with held(house):
        client = begun(house, "ended")
        assert client.cancel_study("ended", key="once") == {"cancelled": [1]}
        assert client.cancel_study("ended", key="once") == {"cancelled": [1]}
    with pytest.raises(Conflict, match="no study of ended is under way"):
        client.cancel_study("ended")
    with pytest.raises(NotFound):
        client.feasibility("ended")
    shown = client.project("ended")
    assert shown["phase"] == "STALLED"
    assert shown["because"] == "tenant-of-ended cancelled the study of version 1"
    (request,) = client.requests("ended")
    client.answer("ended", {request["id"]: "train"})
    assert client.project("ended")["phase"] == "READY"


def test_a_study_that_is_asked_for_again_ends_with_a_belief(house: House) -> None:
    with held(house):
        client = begun(house, "again")
        client.cancel_study("again")
    client.override("again", reason="after all")
    assert [b["number"] for b in client.feasibility("again")["beliefs"]] == [1]
    assert "progress" not in client.feasibility("again")


def test_a_report_is_shown_whole_and_drawn(house: House, stars: Client) -> None:
    shown = stars.feasibility("stars", report=True)
    report, (belief,) = shown["report"], shown["beliefs"]
    assert FeasibilityReport.from_dict(report).to_dict() == report
    assert report["ber_estimate"] == belief["ber_estimate"]
    assert all(size <= report["n_train"] for curve in report["curves"].values() for size, *_ in curve)
    assert stars.feasibility("stars", report=True, version=1) == shown

    picture = stars.feasibility_picture("stars")
    assert picture == draw(FeasibilityReport.from_dict(report))
    assert b"for a target accuracy of 0.8" in picture
    http = house.http(**{"Authorization": stars._headers["Authorization"]})
    for kind, media, first in (("svg", "image/svg+xml", b"<?xml"), ("png", "image/png", b"\x89PNG")):
        answer = http.get("/v1/projects/stars/feasibility/picture", params={"kind": kind, "version": 1})
        assert answer.headers["Content-Type"] == media
        assert answer.content.startswith(first)
    with pytest.raises(NotFound):
        stars.feasibility_picture("stars", version=7)
    with pytest.raises(BadInput):
        stars.feasibility_picture("stars", "gif")


def test_a_report_of_an_earlier_form_is_refused_and_not_a_fault(
    house: House, stars: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def earlier(project: str, digest: str) -> dict[str, Any]:
        return {"decision": "FEASIBLE"}

    monkeypatch.setattr(house.system, "blob_json", earlier)
    with pytest.raises(Conflict, match="report of version 1 is of an earlier easeml_ray"):
        stars.feasibility_picture("stars")


def test_the_page_of_the_api_names_the_kinds_of_pictures(house: House) -> None:
    paths = house.http().get("/openapi.json").json()["paths"]
    drawn = paths["/v1/projects/{project}/feasibility/picture"]["get"]
    assert set(drawn["responses"]["200"]["content"]) == {"image/svg+xml", "image/png"}
    assert {p["name"] for p in drawn["parameters"]} >= {"kind", "version"}
