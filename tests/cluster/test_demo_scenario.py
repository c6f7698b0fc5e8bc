from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster.demo.application import Application, pillars
from cluster.demo.clinic import clinic
from cluster.demo.digits import digits
from cluster.demo.record import Record
from cluster.demo.scenario import Player, play
from cluster.narrator import Line
from easeml_ray.errors import Conflict, DeadlineExceeded
from easeml_ray.ingest import read
from easeml_ray.messages import Pillar
from tests.serve.house import House

Story = tuple[dict[str, dict[str, Any]], list[Line]]


class Cast:
    """Players of both applications on one system."""

    def __init__(self, house: House) -> None:
        self.lines: list[Line] = []
        self.applications = [digits(), clinic()]
        self.clients = [house.new(application.tenant) for application in self.applications]

    def players(self) -> list[Player]:
        return [
            Player(client, application, self.lines.append)
            for client, application in zip(self.clients, self.applications, strict=True)
        ]


@pytest.fixture(scope="module")
def cast(house: House) -> Cast:
    return Cast(house)


@pytest.fixture(scope="module")
def story(cast: Cast) -> Story:
    # Interrupted after some steps and taken up by players that remember nothing.
    for _ in range(4):
        for player in cast.players():
            player.step()
    results = play(cast.players(), pause=0.05, patience=60)
    return {result["project"]: result for result in results}, cast.lines


def test_both_projects_end_ready_with_a_deployed_model_that_passed(story: Story) -> None:
    # Ninety-eight development rows cannot decide 97 %: there a person says to train.
    decisions = {"digits": "FEASIBLE", "breast-cancer": "UNDECIDED"}
    for name, result in story[0].items():
        assert (result["phase"], result["decision"]) == ("READY", decisions[name])
        assert result["verdicts"].count("PASS") >= 2
        assert result["deployed"] is not None
        assert result["windows"][0]["state"] in ("DECIDED", "RELEASED")


def test_digits_are_infeasible_until_enough_labels_were_bought(story: Story) -> None:
    told = [line.text for line in story[1] if (line.project, line.stage) == ("digits", "feasibility")]
    first = next(text for text in told if text.startswith("version 1:"))
    assert "INFEASIBLE" in first
    gains = story[0]["digits"]["bill"]["gains"]
    assert [gain["kind"] for gain in gains] == ["RELABEL"] * len(gains)
    assert len(gains) >= 2
    assert story[0]["digits"]["bill"]["improvement_spent_cents"] == 1000 * len(gains)


def test_the_clinic_has_cells_cleaned_and_buys_of_an_honest_seller(story: Story, house: House) -> None:
    kinds = [gain["kind"] for gain in story[0]["breast-cancer"]["bill"]["gains"]]
    assert {"CLEAN_CELL", "BUY_ROW"} <= set(kinds)
    market = house.admin.market("breast-cancer")
    bought = {offer["offer"] for offer in market["offers"] if offer["bought"]}
    assert bought
    assert "bulk" not in bought
    assert market["chain_intact"]


def test_every_stage_is_told_once(story: Story) -> None:
    for project in ("digits", "breast-cancer"):
        stages = [line.stage for line in story[1] if line.project == project]
        wanted = {"project", "data", "feasibility", "choice", "answers", "gain", "models", "gate", "window"}
        assert wanted <= set(stages)
    answers = [line.text for line in story[1] if line.stage == "answers"]
    assert all("truth (programmed)" in text for text in answers)


def test_what_is_finished_is_not_done_again(story: Story, cast: Cast, house: House) -> None:
    again = play(cast.players(), pause=0.05, patience=30)
    assert {result["project"]: result["bill"] for result in again} == {
        name: result["bill"] for name, result in story[0].items()
    }


def test_a_player_that_stands_still_is_given_up(house: House) -> None:
    nobody = digits("digits-alone")
    nobody.annotator.kinds = ()  # leaves everything to people
    player = Player(house.new("alone"), nobody, lambda line: None)
    with pytest.raises(DeadlineExceeded, match="RELABELLING"):
        play([player], pause=0.02, patience=0.3)


@pytest.mark.parametrize("application", [digits(), clinic()], ids=["digits", "clinic"])
def test_nothing_is_spoilt_in_the_stable_rows(application: Application) -> None:
    table = read(application.upload, "csv")
    label, identity = application.task["label"], application.task["id_column"]
    groups = table[identity].to_pylist()
    stable = pillars(application.project, application.task, groups)[Pillar.STABLE]
    rows = table.take(stable)
    assert sum(column.null_count for column in rows.columns) == 0
    for row_id, given in zip(stable.tolist(), rows[label].to_pylist(), strict=True):
        asked = {"kind": "RELABEL", "payload": {"row_id": row_id}}
        assert application.annotator.answer(asked) == str(given)


def test_what_is_spoilt_is_as_much_as_the_story_says() -> None:
    table = read(digits().upload, "csv")
    truth = digits().annotator
    wrong = sum(
        truth.answer({"kind": "RELABEL", "payload": {"row_id": i}}) != str(given)
        for i, given in enumerate(table["digit"].to_pylist())
    )
    assert f"{wrong} are wrong" in digits().story
    holes = read(clinic().upload, "csv")
    assert f"{sum(column.null_count for column in holes.columns)} in all" in clinic().story


def test_a_record_survives_and_is_its_owners_alone(tmp_path: Path) -> None:
    record = Record.open(tmp_path / "demo")
    record.tokens["ann"] = "secret"
    line = Line("p", "data", "text")
    assert record.told(line)
    again = Record.open(tmp_path / "demo")
    assert again == record
    assert not again.told(line)
    answered = Line("p", "answers", "100 of 100")
    assert again.told(answered)
    assert again.told(answered)
    assert (tmp_path / "demo" / "demo.json").stat().st_mode & 0o077 == 0
    again.wipe()
    assert not (tmp_path / "demo").exists()


def test_a_folder_of_somebody_else_is_not_wiped(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(Conflict, match="no demonstration"):
        Record.open(tmp_path).wipe()
