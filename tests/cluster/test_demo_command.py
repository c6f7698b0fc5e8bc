"""``easeml demo`` as a whole, with a system in this process in place of one on Ray."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from cluster import local
from cluster.command import app
from cluster.demo.application import Application
from easeml_ray.annotators import TruthTable
from easeml_ray.ingest import read
from tests.serve.house import TASK, House, table


def small(tenant: str, project: str, seed: int) -> Application:
    rows, later = table(200, seed=seed), read(table(20, seed=seed + 50), "csv")
    features = ["size", "weight", "colour"]
    truth: pa.Table = read(rows, "csv")
    return Application(
        tenant=tenant,
        project=project,
        story=f"{project} is small",
        task=TASK,
        upload=rows,
        rows=200,
        offers=(),
        annotator=TruthTable(truth, label="kind", id_column="id", later=later),
        stream=tuple(later.select(features).to_pylist()),
    )


@pytest.fixture
def stage(house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Put the house in the place of a local system; count its starts."""
    seen: dict[str, Any] = {"ups": 0, "downs": 0, "state": tmp_path}
    token = house.admin.create_tenant("root", "admin")["token"]
    found = local.Endpoint("http://ease.ml", token, "", "", "", 0, 0.0, "")

    def up(state: Path, *_: Any, **__: Any) -> local.Endpoint:
        seen["ups"] += 1
        return found

    def down(state: Path) -> int:
        seen["downs"] += 1
        return 1

    monkeypatch.setattr(local, "up", up)
    monkeypatch.setattr(local, "down", down)
    monkeypatch.setattr(local, "endpoint", lambda state: found if seen["ups"] > seen["downs"] else None)
    monkeypatch.setattr("easeml_ray.client.Client", lambda url, token: house.client(token))
    name = f"t{len(house.admin.projects())}"
    monkeypatch.setattr("cluster.demo.digits.digits", lambda: small(f"{name}-lab", "digits", 11))
    monkeypatch.setattr("cluster.demo.clinic.clinic", lambda: small(f"{name}-clinic", "tumours", 12))
    monkeypatch.setenv("EASEML_STATE", str(tmp_path))
    return seen


def test_the_demo_plays_once_and_is_shown_again(stage: dict[str, Any]) -> None:
    first = CliRunner().invoke(app, ["demo"])
    assert first.exit_code == 0, first.output
    assert "digits is small" in first.stdout
    assert "truth (programmed)" in first.stdout
    assert "curl -s http://ease.ml/v2/models/tumours/predict" in first.stdout
    assert f"$(cat {stage['state']}/demo/token)" in first.stdout
    assert "-> " in first.stdout
    assert "easeml down" in first.stdout
    second = CliRunner().invoke(app, ["demo"])
    assert stage["ups"] == 1
    story = [line for line in first.stdout.splitlines() if line.startswith(("digits ", "tumours "))]
    assert [line for line in second.stdout.splitlines() if line in story] == story
    raw = json.loads(CliRunner().invoke(app, ["demo", "--json"]).stdout)
    assert [a["phase"] for a in raw["applications"]] == ["READY", "READY"]
    assert raw["url"] == "http://ease.ml"
    kept = json.loads((stage["state"] / "demo" / "demo.json").read_text())
    assert not any(token in first.stdout for token in kept["tokens"].values())


def test_down_ends_the_demo_and_fresh_starts_over(stage: dict[str, Any]) -> None:
    folder = stage["state"] / "demo"
    folder.mkdir()
    (folder / "demo.json").write_text('{"tokens": {}, "lines": [], "results": [], "seconds": 1}')
    stopped = CliRunner().invoke(app, ["demo"])
    assert f"easeml up --state {folder}" in " ".join(stopped.stdout.split())
    ended = CliRunner().invoke(app, ["down"])
    assert str(folder) in ended.stdout
    # The house still knows the projects of the first test: what matters is that it plays again.
    again = CliRunner().invoke(app, ["demo", "--fresh"])
    assert stage["ups"] == 1, again.output
