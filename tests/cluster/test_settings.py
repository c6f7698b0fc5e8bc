from __future__ import annotations

from pathlib import Path

import pytest

from cluster.settings import DEFAULT_PORT, load
from easeml_ray.errors import InvalidSpec


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "easeml.toml").write_text('port = 1001\nurl = "http://file"\ntoken = "file"\n')
    environ = {"EASEML_STATE": str(tmp_path), "EASEML_PORT": "1002", "EASEML_URL": "http://environment"}
    settings = load({"port": 1003, "url": None}, environ=environ)
    assert settings.port == 1003
    assert settings.url == "http://environment"
    assert settings.token == "file"


def test_defaults_stand_in_the_state_folder(tmp_path: Path) -> None:
    settings = load({"state": tmp_path}, environ={})
    assert settings.store == f"sqlite:///{tmp_path}/easeml.db"
    assert settings.blobs == str(tmp_path / "blobs")
    assert settings.port == DEFAULT_PORT
    assert settings.url is settings.token is settings.ray_address is None


def test_the_state_folder_is_absolute_and_has_a_place_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert load({"state": "here"}, environ={}).state == Path("/here")
    assert load({}, environ={}).state.is_absolute()


def test_empty_variables_count_as_not_given(tmp_path: Path) -> None:
    assert load({"state": tmp_path}, environ={"EASEML_URL": "", "EASEML_PORT": ""}).url is None


@pytest.mark.parametrize("port", ["-1", "http", "70000"])
def test_what_is_no_port_is_refused(tmp_path: Path, port: str) -> None:
    with pytest.raises(InvalidSpec, match="no port"):
        load({"state": tmp_path}, environ={"EASEML_PORT": port})


@pytest.mark.parametrize("text", ["port = ", "color = 1", 'state = "/elsewhere"'])
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "easeml.toml").write_text(text)
    with pytest.raises(InvalidSpec, match=r"easeml\.toml"):
        load({"state": tmp_path}, environ={})
