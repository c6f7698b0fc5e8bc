from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.job import load_spec, main, run_job
from easeml_ray.errors import BadInput, InvalidSpec, NoModel, NotReady, UnreadableFile
from easeml_ray.runtime.local import LocalSystem
from easeml_ray.store import open_stores
from tests.serve.house import TASK, table

# The test rows are as noisy as the others, so that nobody gets nine in ten of them right.
NOISY = {
    **TASK,
    "target_accuracy": 0.93,
    "when_undecided": "improve",
    "batch_items": 40,
    "gate": {"condition": "n > 0.3 +/- 0.3", "steps": 2},
}


@pytest.fixture
def system(tmp_path: Path) -> LocalSystem:
    return LocalSystem(*open_stores("memory://", str(tmp_path / "blobs")))


def written(folder: Path, rows: bytes, **fields: Any) -> Path:
    (folder / "stars.csv").write_bytes(rows)
    (folder / "true.csv").write_bytes(table(300))
    spec = {"name": "stars", "data": "stars.csv", "task": NOISY, **fields}
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(spec))
    return path


def run(system: LocalSystem, path: Path, said: list[str]) -> dict[str, Any]:
    return asyncio.run(run_job(system, load_spec(path), say=said.append, pause=0.01))


def test_a_job_takes_a_project_to_a_deployed_model(system: LocalSystem, tmp_path: Path) -> None:
    said: list[str] = []
    path = written(tmp_path, table(300, noise=0.3), annotator="truth", truth="true.csv")
    result = run(system, path, said)
    assert result["deployed"]
    assert "PASS" in result["verdicts"]
    assert result["bill"]["improvement_spent_cents"] > 0
    assert any("answered by truth-program" in line for line in said)
    assert any("FEASIBLE" in line for line in said)
    json.dumps(result, default=str)
    again: list[str] = []
    assert run(system, path, again)["deployed"] == result["deployed"]
    assert again[0] == "stars: goes on"


def test_without_an_annotator_a_job_stops_where_people_are_asked(system: LocalSystem, tmp_path: Path) -> None:
    path = written(tmp_path, table(300, noise=0.3))
    with pytest.raises(NotReady, match="RELABEL") as stopped:
        run(system, path, [])
    assert stopped.value.exit_code == 6
    assert "easeml label stars" in stopped.value.hint


def test_a_list_answers_what_it_holds_and_then_the_job_stops(system: LocalSystem, tmp_path: Path) -> None:
    (tmp_path / "answers.json").write_text('{"1": "giant", "2": "dwarf"}')
    said: list[str] = []
    with pytest.raises(NotReady, match="waits for people"):
        run(system, written(tmp_path, table(300, noise=0.3), answers="answers.json"), said)
    assert any("2 of " in line and "answer-list" in line for line in said)


def test_a_job_whose_models_all_fail_says_so(system: LocalSystem, tmp_path: Path) -> None:
    task = {**TASK, "target_accuracy": 0.6, "gate": {"condition": "n > 0.75 +/- 0.24", "steps": 2}}
    with pytest.raises(NoModel, match="no model of stars passed"):
        run(system, written(tmp_path, table(300, noise=0.2), task=task), [])


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"task": {"label": "kind"}}, InvalidSpec),
        ({"colour": "red"}, InvalidSpec),
        ({"annotator": "truth"}, InvalidSpec),
        ({"annotator": "truth", "truth": "true.csv", "answers": "a.csv"}, InvalidSpec),
        ({"data": "missing.csv"}, UnreadableFile),
        ({"annotator": "truth", "truth": "missing.csv"}, UnreadableFile),
    ],
)
def test_a_wrong_project_file_writes_nothing(
    system: LocalSystem, tmp_path: Path, fields: dict[str, Any], error: type[BadInput]
) -> None:
    before = len(list(system.store.read()))
    with pytest.raises(error):
        run(system, written(tmp_path, table(60), **fields), [])
    assert len(list(system.store.read())) == before


def test_the_module_says_what_a_file_looks_like_and_what_is_wrong_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["job", "--help"])
    assert main() == 0
    assert "annotator: truth" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["job", str(tmp_path / "none.yaml")])
    assert main() == 2
    assert "cannot be read" in capsys.readouterr().err
