"""``easeml feasibility``: a whole study on the screen, as data and as a picture, and one under way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cluster.command import app
from cluster.command.verb import Session
from easeml_ray.component.base import Progress
from easeml_ray.feasibility import FeasibilityReport
from easeml_ray.feasibility.messages import StudyVersion
from easeml_ray.feasibility.picture import draw
from tests.serve.house import TASK, House, table


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def easeml(house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setattr(Session, "client", lambda self: house.admin)
    monkeypatch.setenv("EASEML_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "80")
    return invoke


# -- a study that has ended ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def holey() -> bytes:
    """A file with missing cells."""
    lines = table(400, seed=3, noise=0.1).decode().splitlines()
    for row in range(5, len(lines), 9):
        cells = lines[row].split(",")
        cells[1 + row % 3] = ""
        lines[row] = ",".join(cells)
    return "\n".join(lines).encode()


@pytest.fixture(scope="module")
def studied(house: House, holey: bytes) -> dict[str, Any]:
    """The report of a project made of the file."""
    house.admin.create_project("my-stars", {**TASK, "target_accuracy": 0.88, "when_undecided": "ask"})
    house.admin.upload("my-stars", holey, format="csv")
    report: dict[str, Any] = house.admin.feasibility("my-stars", report=True)["report"]
    return report


def test_a_report_is_told_on_eighty_columns(easeml: Any, studied: dict[str, Any]) -> None:
    shown = easeml("feasibility", "my-stars")
    assert shown.exit_code == 0, shown.output
    assert max(map(len, shown.stdout.splitlines())) <= 80
    words = " ".join(shown.stdout.split())
    low, high = studied["ber_interval"]
    slopes = "{1:.2f} [{0:.2f}, {2:.2f}]".format(*studied["slopes"][studied["best_embedding"]])
    for text in (
        f"my-stars, data version 2: {studied['decision']} for a target accuracy of 0.88",
        f"Bayes error {studied['ber_estimate']:.3f}, 90 % interval {low:.3f} .. {high:.3f}",
        f"a model now error {studied['model_error']:.3f} expected",
        f"best classifier {studied['best_classifier']}: error {studied['best_error']:.3f}",
        f"classical pair {studied['ber_lower']:.3f} .. {studied['ber_upper']:.3f}",
        f"{studied['ber_upper']:.3f} {studied['ber_lower']:.3f} {slopes.replace('-0.00', '0.00')}",
        f"1. {studied['advice'][0]}",
        f"method {studied['method']}.",
        f"reference class {studied['reference_class']['problems']:,} problems with known Bayes error",
        f"outside of it {'; '.join(studied['outside']) or 'in no respect'}.",
    ):
        assert text in words, (text, words)
    assert all(name in shown.stdout for name in studied["curves"])


def test_curves_are_a_table_and_the_whole_report_is_data(easeml: Any, studied: dict[str, Any]) -> None:
    shown = easeml("feasibility", "my-stars", "--curves", "--version", "2")
    size, errors, value = studied["curves"]["raw"][3]
    row = ["raw", str(size), str(errors), f"{errors / studied['n_dev']:.3f}", f"{value:.3f}"]
    assert row in [line.split() for line in shown.stdout.splitlines()]
    raw = json.loads(easeml("feasibility", "my-stars", "--json").stdout)
    assert raw["report"] == studied
    assert easeml("feasibility", "my-stars", "--version", "9").exit_code == 4


def test_a_picture_is_written_whole_or_not_at_all(
    easeml: Any, studied: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "[a].SVG"
    file.write_text("older")
    shown = easeml("feasibility", "my-stars", "--picture", str(file), "--json")
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["report"] == studied
    assert "[a].SVG" in "".join(shown.stderr.split())
    assert file.read_bytes() == draw(FeasibilityReport.from_dict(studied))

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as half:
            half.write(data[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        failed = easeml("feasibility", "my-stars", "--picture", str(file))
    assert failed.exit_code == 2
    assert "No space left" in failed.stderr
    assert len(file.read_bytes()) > 10
    assert [path.name for path in tmp_path.iterdir()] == ["[a].SVG"]
    nowhere = easeml("feasibility", "my-stars", "--picture", str(tmp_path / "none" / "a.png"))
    assert "a folder that exists" in " ".join(nowhere.stderr.split())
    monkeypatch.setattr(Session, "client", lambda self: pytest.fail("asked before the name was looked at"))
    assert ".svg or .png" in easeml("feasibility", "my-stars", "--picture", "a.pdf").stderr


def test_a_report_of_an_earlier_form_is_told_in_a_line(
    easeml: Any, house: House, studied: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def earlier(project: str, digest: str) -> dict[str, Any]:
        return {"decision": studied["decision"], "curves": {}}

    monkeypatch.setattr(house.system, "blob_json", earlier)
    shown = easeml("feasibility", "my-stars")
    assert shown.exit_code == 0
    assert f"{studied['decision']} for target 0.88: Bayes error about" in shown.stdout


# -- a file without a system ----------------------------------------------------------------------------


def test_a_file_is_studied_as_its_project_would_be(
    easeml: Any, holey: bytes, studied: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "client", lambda self: pytest.fail("a file needs no system"))
    file, picture = tmp_path / "My Stars.csv", tmp_path / "a.png"
    file.write_bytes(holey)
    arguments = [str(file), "--label", "kind", "--id-column", "id", "--picture", str(picture), "--json"]
    found = easeml("feasibility", *arguments, "--target", "0.88")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["report"] == studied
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "state").exists()

    for flags, said in (
        ([], "needs --label"),
        (["--label", "kind"], "needs --target"),
        (["--label", "kind", "--target", "2"], "target_accuracy"),
        (["--label", "none", "--target", "0.8"], "no column 'none'"),
    ):
        refused = easeml("feasibility", str(file), *flags)
        assert refused.exit_code == 2
        assert said in " ".join(refused.stderr.split())
    assert easeml("feasibility", str(tmp_path / "no.csv"), "--label", "k", "--target", "0.8").exit_code == 2


# -- a study under way ----------------------------------------------------------------------------------


@pytest.fixture
def under_way(easeml: Any, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project ``slow`` whose study does not end by itself."""
    due = house.system._due

    def others() -> Iterator[Any]:
        return (item for item in due() if not isinstance(item[1].body, StudyVersion))

    monkeypatch.setattr(house.system, "_due", others)
    house.admin.create_project("slow", TASK)
    house.admin.upload("slow", table(), format="csv")


def test_a_study_shows_how_far_it_is_and_is_cancelled(house: House, under_way: None) -> None:
    shown = invoke("feasibility", "slow")
    assert (shown.exit_code, shown.stdout) == (0, "A study is under way, about to begin.\n")
    state = house.system.hosts["feasibility"].state
    (study,) = [action.id for action in state.due() if action.project == "slow"]
    state.note(study, Progress(3, 8, "curves"))
    assert invoke("feasibility", "slow").stdout == "A study is under way, curves: 3 of 8.\n"
    raw = json.loads(invoke("feasibility", "slow", "--json").stdout)
    assert raw["progress"] == {"done": 3, "total": 8, "stage": "curves"}

    ended = invoke("feasibility", "slow", "--cancel")
    assert ended.exit_code == 0
    assert "The study of version 1 ends." in ended.stdout
    assert "easeml requests list slow" in ended.stdout
    assert "cancelled the study" in invoke("requests", "list", "slow").stdout
    again = invoke("feasibility", "slow", "--cancel")
    assert (again.exit_code, again.stdout) == (5, "")
    assert "no study of slow is under way" in again.stderr


def test_one_waits_for_a_study_to_end(
    easeml: Any, house: House, studied: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = house.admin.feasibility("my-stars", report=True)
    under_way = {**answer, "progress": {"done": 1, "total": 2, "stage": "probes"}}
    answers = iter([under_way, under_way, answer])
    monkeypatch.setattr(house.admin, "feasibility", lambda *asked: next(answers))
    monkeypatch.setattr("cluster.command.feasibility._POLL_SECONDS", 0.0)
    shown = easeml("feasibility", "my-stars", "--wait")
    assert f"{studied['decision']} for a target accuracy of 0.88" in " ".join(shown.stdout.split())
    assert "under way" not in shown.stdout
    assert next(answers, None) is None
