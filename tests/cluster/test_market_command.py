"""``easeml market``: what money would buy and what rows bring, on the screen, as data and as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cluster.command import app
from cluster.command.verb import Session
from easeml_ray.errors import BadInput, InvalidArgument, NotReady
from easeml_ray.market.picture import draw
from tests.serve.house import TASK, House, table


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def easeml(house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setattr(Session, "client", lambda self: house.admin)
    monkeypatch.setenv("EASEML_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "100")
    return invoke


@pytest.fixture(scope="module")
def offered(house: House) -> dict[str, Any]:
    """The market of a project that two offers were made to, one of them without labels."""
    house.admin.create_project("shop", {**TASK, "target_accuracy": 0.6, "when_undecided": "train"})
    house.admin.upload("shop", table(300, seed=5, noise=0.2), format="csv")
    more = table(60, seed=6).decode()
    house.admin.offer("shop", "good", "ada", more.encode(), 120, format="csv")
    header, *lines = more.splitlines()
    label = header.split(",").index(TASK["label"])
    bare = [",".join(c for i, c in enumerate(line.split(",")) if i != label) for line in [header, *lines]]
    house.admin.offer("shop", "bare", "bob", "\n".join(bare).encode(), 60, format="csv", labelled=False)
    house.admin.improve("shop", "more rows")
    return house.admin.market("shop")


def test_what_money_would_buy_is_told(easeml: Any, offered: dict[str, Any]) -> None:
    shown = easeml("market", "show", "shop")
    assert shown.exit_code == 0, shown.output
    words = " ".join(shown.stdout.split())
    assert {one["offer"] for one in offered["plan"]["alone"]} == {"good", "bare"}
    assert offered["plan"]["chosen"] and "What" in words and "would buy" in words
    assert f"{offered['plan']['curve'][-1]['accuracy']:.3f}" in words
    assert f"all rows {offered['values']['best'][-1]:.3f}" in words
    assert json.loads(easeml("market", "show", "shop", "--json").stdout) == offered


@pytest.mark.parametrize(("kind", "begin"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_the_curves_are_written_as_a_picture(
    easeml: Any, house: House, offered: dict[str, Any], tmp_path: Path, kind: str, begin: bytes
) -> None:
    path = tmp_path / f"market.{kind}"
    shown = easeml("market", "show", "shop", "--picture", str(path))
    assert shown.exit_code == 0, shown.output
    assert path.read_bytes().startswith(begin)
    assert house.admin.market_picture("shop", kind).startswith(begin)


def test_pictures_of_nothing_are_refused(house: House) -> None:
    house.admin.create_project("bare", TASK)
    with pytest.raises(NotReady):
        house.admin.market_picture("bare")
    with pytest.raises(BadInput):
        house.admin.market_picture("bare", "gif")
    with pytest.raises(InvalidArgument, match="nothing to draw"):
        draw((), retained=None)


def test_rows_alone_have_a_picture_too(offered: dict[str, Any]) -> None:
    assert draw((), retained=offered["values"], kind="png").startswith(b"\x89PNG")
