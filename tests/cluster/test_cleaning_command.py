"""``easeml cleaning``: what cleaning can reach, on the screen, as data and as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cluster.command import app
from cluster.command.verb import Session
from easeml_ray.errors import BadInput, NotFound, NotReady
from tests.serve.house import TASK, House, table


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def easeml(house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setattr(Session, "client", lambda self: house.admin)
    monkeypatch.setenv("EASEML_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "100")
    return invoke


def holey(rows: int, *, empty: int) -> bytes:
    """Return a file in which one row of five lacks as many cells as ``empty`` says."""
    lines = table(rows, seed=3, noise=0.1).decode().splitlines()
    for row in range(5, len(lines), 5):
        cells = lines[row].split(",")
        for column in range(1, 1 + empty):
            cells[column] = ""
        lines[row] = ",".join(cells)
    return "\n".join(lines).encode()


@pytest.fixture(scope="module")
def repaired(house: House) -> dict[str, Any]:
    """What is proposed for a project whose rows lack cells."""
    house.admin.create_project("holes", {**TASK, "target_accuracy": 0.99, "batch_items": 7})
    house.admin.upload("holes", holey(300, empty=2), format="csv")
    if house.admin.project("holes")["phase"] == "READY":
        house.admin.improve("holes", "cells are missing")
    return house.admin.cleaning("holes")


def test_what_cleaning_can_reach_is_told(easeml: Any, repaired: dict[str, Any]) -> None:
    shown = easeml("cleaning", "holes")
    assert shown.exit_code == 0, shown.output
    words = " ".join(shown.stdout.split())
    belief = repaired["belief"]
    assert f"{belief['uncertain_rows']} rows have several alternatives" in words
    assert f"between {belief['lower']:.3f} and {belief['upper']:.3f}" in words
    assert f"cells and this vote: {belief['action']}" in words
    assert json.loads(easeml("cleaning", "holes", "--json").stdout) == repaired


@pytest.mark.parametrize(("kind", "begin"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_the_curve_is_written_as_a_picture(
    easeml: Any, house: House, repaired: dict[str, Any], tmp_path: Path, kind: str, begin: bytes
) -> None:
    path = tmp_path / f"curve.{kind}"
    shown = easeml("cleaning", "holes", "--picture", str(path))
    assert shown.exit_code == 0, shown.output
    assert path.read_bytes().startswith(begin)
    assert house.admin.cleaning_picture("holes", kind).startswith(begin)


def test_a_picture_of_a_kind_that_nobody_draws_is_refused_before_anything_is_asked(
    easeml: Any, tmp_path: Path
) -> None:
    shown = easeml("cleaning", "holes", "--picture", str(tmp_path / "curve.gif"))
    assert shown.exit_code != 0
    assert ".svg" in shown.output and not list(tmp_path.glob("curve.*"))


def test_the_api_answers_with_the_type_of_the_picture(house: House, repaired: dict[str, Any]) -> None:
    http = house.http(**{"Authorization": house.admin._headers["Authorization"]})
    for kind, media in (("svg", "image/svg+xml"), ("png", "image/png")):
        answer = http.get("/v1/projects/holes/cleaning/picture", params={"kind": kind})
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, media)
    with pytest.raises(BadInput):
        house.admin.cleaning_picture("holes", "gif")


def test_a_project_without_uncertain_rows_has_no_curve_to_draw(house: House) -> None:
    house.admin.create_project("whole", {**TASK, "target_accuracy": 0.99})
    house.admin.upload("whole", table(240, seed=3, noise=0.1))
    if house.admin.project("whole")["phase"] == "READY":
        house.admin.improve("whole", "the labels look doubtful")
    assert house.admin.cleaning("whole")["curve"] == []
    with pytest.raises(NotReady, match="no row has several alternatives"):
        house.admin.cleaning_picture("whole")
    with pytest.raises(NotFound):
        house.admin.cleaning_picture("nowhere")
