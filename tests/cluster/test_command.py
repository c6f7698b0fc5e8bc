"""The command on a system in this process: what people see, and what programs get."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cluster.command import app
from cluster.command.doctor import Check, own_packages
from cluster.command.predict import read_rows
from cluster.command.verb import Session
from easeml_ray import Client
from easeml_ray.errors import Conflict, InvalidArgument, NotFound, UnreadableFile
from tests.serve.house import TASK, House, table

ROW = '{"size": 3.0, "weight": -2.0, "colour": "r"}'


@pytest.fixture(scope="module")
def stars(house: House) -> Client:
    """The admin, whose project ``stars`` serves a model."""
    house.admin.create_project("stars", TASK)
    house.admin.upload("stars", table(), format="csv")
    return house.admin


@pytest.fixture
def easeml(house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setattr(Session, "client", lambda self: house.admin)
    monkeypatch.setenv("EASEML_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("EASEML_URL", "http://ease.ml")
    monkeypatch.setenv("COLUMNS", "200")
    return invoke


def invoke(*arguments: str, input: str = "") -> Result:
    return CliRunner().invoke(app, list(arguments), input=input)


def write(folder: Path, name: str, data: bytes | str) -> str:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return str(path)


# -- looking --------------------------------------------------------------------------------------

VIEWS = [
    (["status"], "stars"),
    (["status", "stars"], "bits removed"),
    (["feasibility", "stars"], "Bayes error"),
    (["feasibility", "stars", "--curves"], "Cover-Hart value"),
    (["next", "stars"], "are left"),
    (["models", "stars"], "deployed"),
    (["gate", "stars"], "to pass, a model must get more than 90 %"),
    (["data", "versions", "stars"], "sealed for the gate"),
    (["market", "show", "stars"], "No offers yet"),
    (["requests", "list"], "Nobody is asked"),
    (["tenant", "list"], "root"),
    (["predict", "stars", "--rows", ROW], "giant"),
]


@pytest.mark.parametrize(("arguments", "shown"), VIEWS, ids=[" ".join(view[0][:2]) for view in VIEWS])
def test_views_are_for_people_and_with_json_for_programs(
    easeml: Any, stars: Client, arguments: list[str], shown: str
) -> None:
    drawn = easeml(*arguments)
    assert drawn.exit_code == 0, drawn.output
    assert shown in drawn.stdout
    raw = easeml(*arguments, "--json")
    assert raw.exit_code == 0
    assert isinstance(json.loads(raw.stdout), dict)
    assert json.loads(easeml("--json", *arguments).stdout).keys() == json.loads(raw.stdout).keys()


def test_every_verb_has_a_help_page_with_the_shared_options() -> None:
    verbs = invoke("--help").output
    for verb in ("demo", "up", "down", "status", "run", "data", "next", "feasibility", "cleaning", "market",
                 "requests", "label", "models", "gate", "predict", "tenant", "submit", "doctor"):  # fmt: skip
        assert f" {verb} " in verbs
    for arguments in (["run"], ["label"], ["data", "upload"], ["market", "offer"], ["submit"]):
        page = invoke(*arguments, "--help")
        assert page.exit_code == 0
        assert "--json" in page.output


def test_the_command_starts_light() -> None:
    heavy = ("ray", "torch", "sklearn", "pyarrow", "httpx", "sqlalchemy", "fastapi", "numpy")
    code = f"import sys, cluster.command; print([m for m in {heavy!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# -- errors ---------------------------------------------------------------------------------------


def test_an_error_is_two_lines_and_an_exit_code(easeml: Any) -> None:
    found = easeml("status", "nothing")
    assert found.exit_code == 4
    assert found.stdout == ""
    error, hint = found.stderr.splitlines()
    assert error == "Error: no project nothing"
    assert hint.startswith("Hint: ")


def test_with_json_an_error_is_a_problem(easeml: Any) -> None:
    found = easeml("status", "nothing", "--json")
    problem = json.loads(found.stderr)
    assert (problem["kind"], problem["exit_code"], found.exit_code) == ("NotFound", 4, 4)
    assert problem["fields"]["name"] == "nothing"


def test_what_nobody_expected_has_no_traceback(easeml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Session) -> Client:
        raise ZeroDivisionError("a [fault]\nof ours")

    monkeypatch.setattr(Session, "client", broken)
    found = easeml("status", "stars")
    assert found.exit_code == 70
    assert found.stderr.startswith("Unexpected: ZeroDivisionError: a [fault]\nHint: EASEML_DEBUG=1")
    monkeypatch.setenv("EASEML_DEBUG", "1")
    assert isinstance(easeml("status", "stars").exception, ZeroDivisionError)


def test_without_a_system_the_way_to_one_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EASEML_URL", raising=False)
    found = invoke("next", "stars", "--state", str(tmp_path / "none"))
    assert found.exit_code == 6
    assert "easeml up" in found.stderr
    assert not (tmp_path / "none").exists()


# -- run --------------------------------------------------------------------------------------------


def test_run_takes_a_file_to_an_endpoint(easeml: Any, tmp_path: Path) -> None:
    file = write(tmp_path, "My Stars.csv", table(400, seed=3))
    found = easeml("run", file, "--label", "kind", "--target", "0.8", "--id-column", "id")
    assert found.exit_code == 0, found.output
    # 80 test rows, 4 verdicts at 0.95: of all four tails, exact, the largest is .0093, and .0125 are allowed.
    assert "gate: n > 0.67 +/- 0.13" in found.stdout
    assert "FEASIBLE" in found.stdout
    assert "curl -s http://ease.ml/v2/models/my-stars/predict" in found.stdout
    assert "$EASEML_TOKEN" in found.stdout
    again = easeml("run", file, "--label", "kind", "--target", "0.85", "--id-column", "id", "--json")
    assert json.loads(again.stdout)["phase"] == "READY"
    assert "target_accuracy 0.8" in again.stderr


def test_run_stops_where_people_are_asked_and_goes_on(easeml: Any, tmp_path: Path) -> None:
    file = write(tmp_path, "noisy.csv", table(300, seed=4, noise=0.25))
    arguments = ["run", file, "--label", "kind", "--target", "0.8", "--condition", "n > 0.35 +/- 0.2"]
    found = easeml(*arguments, "--id-column", "id")
    assert found.exit_code == 6
    assert "waits for people" in found.stderr
    assert "easeml label noisy" in found.stderr
    answered = easeml("label", "noisy", input="perhaps\ntrain\n")
    assert answered.exit_code == 0
    assert "train, improve, or a target" in answered.stderr
    assert "1 answered, 0 skipped" in answered.stdout
    assert easeml(*arguments, "--id-column", "id").exit_code == 0


BAD = [
    (["--label", "nothing", "--target", "0.8"], table(60), 2, "no column 'nothing'"),
    (["--label", "kind", "--target", "1.2"], table(60), 2, "target_accuracy"),
    (["--label", "kind", "--target", "0.8", "--condition", "n >"], table(60), 2, "Error"),
    (["--label", "kind", "--target", "0.8", "--condition", "n > 0.7 +/- 0.01"], table(60), 2, "test rows"),
    (["--label", "kind", "--target", "0.8"], b"%PDF-1.4 no table", 2, "Error"),
    (["--label", "kind", "--target", "0.5"], table(20), 2, "cannot judge even one model"),
]


@pytest.mark.parametrize(("flags", "data", "code", "said"), BAD)
def test_run_refuses_bad_input_before_anything_is_written(
    easeml: Any, house: House, tmp_path: Path, flags: list[str], data: bytes, code: int, said: str
) -> None:
    before = house.events
    found = easeml("run", write(tmp_path, "bad.csv", data), "--id-column", "id", *flags)
    assert found.exit_code == code, found.output
    assert said in found.stderr
    assert house.events == before


# -- answering ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def relabelling(house: House) -> str:
    """A project that asks for labels."""
    task = {**TASK, "target_accuracy": 0.93, "when_undecided": "improve", "batch_items": 8}
    house.admin.create_project("doubtful", task)
    house.admin.upload("doubtful", table(300, seed=5, noise=0.2), format="csv")
    assert house.admin.project("doubtful")["waiting_for"][0]["kind"] == "RELABEL"
    return "doubtful"


def test_requests_are_answered_at_the_terminal(easeml: Any, relabelling: str) -> None:
    asked = easeml("requests", "list", relabelling, "--in", "OPEN", "--rows", "--json")
    count = len(json.loads(asked.stdout)["requests"])
    found = easeml("label", relabelling, "--kind", "RELABEL", input="dwarf\nblue\ngiant\ns\nq\n")
    assert found.exit_code == 0
    assert "Choose one of: dwarf, giant" in found.stderr
    assert "2 answered, 1 skipped" in found.stdout
    left = json.loads(easeml("requests", "list", relabelling, "--in", "OPEN", "--json").stdout)
    assert len(left["requests"]) == count - 4  # one more is leased to who has gone


def test_requests_are_answered_from_a_file(
    easeml: Any, relabelling: str, house: House, tmp_path: Path
) -> None:
    first, second = house.admin.requests(relabelling, "OPEN", limit=2)
    lines = f"request,value\n{first['id']},giant\n{second['key']},dwarf\n"
    found = easeml("label", relabelling, "--answers", write(tmp_path, "a.csv", lines))
    assert "2 answered" in found.stdout, found.output
    again = easeml(
        "label", relabelling, "--answers", write(tmp_path, "b.csv", f"request,value\n{first['id']},giant\n")
    )
    assert again.exit_code == 5
    assert "ANSWERED" in again.stderr
    nothing = easeml(
        "label", relabelling, "--answers", write(tmp_path, "c.json", '{"label:train:999999": "giant"}')
    )
    assert nothing.exit_code == 4


def test_a_batch_can_be_withdrawn(easeml: Any, house: House) -> None:
    house.admin.create_project("closing", {**TASK, "target_accuracy": 0.93, "when_undecided": "ask"})
    house.admin.upload("closing", table(300, seed=6, noise=0.2), format="csv")
    (batch,) = house.admin.project("closing")["waiting_for"]
    found = easeml("requests", "close", "closing", batch["batch"])
    assert f"{batch['open']} requests" in found.stdout


# -- the rest -------------------------------------------------------------------------------------------


def test_offers_and_uploads_name_what_they_did(easeml: Any, house: House, tmp_path: Path) -> None:
    house.admin.create_project("market", TASK)
    file = write(tmp_path, "own.csv", table(120, seed=7))
    assert "is in" in easeml("data", "upload", "market", file).stdout
    offer = write(tmp_path, "rows.csv", table(20, seed=8))
    made = easeml("market", "offer", "market", offer, "--price-cents", "250", "--seller", "bob")
    assert "Offer rows stands: 20 rows for 250 cents" in made.stdout, made.output
    shown = easeml("market", "show", "market")
    assert "bob" in shown.stdout
    assert "unbroken" in shown.stdout
    audit = easeml("market", "audit", "market")
    assert (audit.exit_code, "unbroken" in audit.stdout) == (0, True)
    fresh = write(tmp_path, "fresh.csv", table(60, seed=9))
    assert "is sealed" in easeml("data", "test-set", "market", fresh).stdout


def test_a_token_is_shown_once(easeml: Any) -> None:
    made = easeml("tenant", "create", "carol", "--role", "annotator", "--actor", "carol-at-night")
    assert "carol.carol-at-night." in made.stdout
    assert "carol.carol-at-night." not in easeml("tenant", "list", "--json").stdout


def test_rows_to_predict_come_from_text_and_files(tmp_path: Path) -> None:
    records = [{"size": 1.5, "colour": "red"}]
    assert read_rows('{"size": 1.5, "colour": "red"}') == records
    assert read_rows('{"rows": [{"size": 1.5, "colour": "red"}]}') == records
    assert read_rows(write(tmp_path, "rows.csv", "size,colour\n1.5,red\n")) == records
    assert read_rows(write(tmp_path, "rows.json", '[{"size": 1.5, "colour": "red"}]')) == records
    with pytest.raises(UnreadableFile, match="no JSON"):
        read_rows('{"size": ')
    with pytest.raises(InvalidArgument, match="no rows"):
        read_rows("[]")


def test_columns_of_a_file_that_the_model_does_not_know_are_left_out(
    easeml: Any, stars: Client, tmp_path: Path
) -> None:
    found = easeml("predict", "stars", "--rows", write(tmp_path, "more.csv", table(30, seed=21)), "--json")
    assert found.exit_code == 0, found.output
    assert len(json.loads(found.stdout)["labels"]) == 30
    assert "Left out" in found.stderr
    assert "id, kind" in found.stderr


def test_submit_needs_a_file_inside_what_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEML_STATE", str(tmp_path / "state"))
    assert invoke("submit", str(tmp_path / "none.yaml")).exit_code == 2
    spec = write(tmp_path, "spec.yaml", "name: p")
    outside = invoke("submit", spec, "--working-dir", str(tmp_path / "elsewhere"))
    assert "is not inside" in outside.stderr
    nowhere = invoke("submit", spec, "--working-dir", str(tmp_path))
    assert nowhere.exit_code == 6
    assert "easeml up --jobs" in nowhere.stderr


def test_doctor_finds_all_well_here_and_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(check.ok for check in own_packages())
    wrong = [Check("Python", True, "3.12"), Check("port", False, "80 is taken", "Choose another.")]
    monkeypatch.setattr("cluster.command.doctor.checks", lambda settings: iter(wrong))
    found = invoke("doctor", "--json")
    assert found.exit_code == 1
    assert json.loads(found.stdout)["ok"] is False
    assert "Choose another." in invoke("doctor").stdout


def test_down_without_anything_running_says_so(tmp_path: Path) -> None:
    found = invoke("down", "--state", str(tmp_path))
    assert found.exit_code == 6
    assert "no system runs" in found.stderr


# -- gate -----------------------------------------------------------------------------------------


def test_a_pipeline_reads_a_verdict_from_the_exit_code(easeml: Any, stars: Client) -> None:
    (era,) = stars.gate("stars")["eras"]
    codes = {"PASS": 0, "FAIL": 1}
    for verdict in era["verdicts"]:
        found = easeml("gate", "check", "stars", "--model", verdict["model"][:12], "--json")
        assert found.exit_code == codes[verdict["verdict"]]
        answer = json.loads(found.stdout)
        assert (answer["verdict"], answer["era"]) == (verdict["verdict"], 1)
    drawn = easeml("gate", "check", "stars", "--model", era["verdicts"][0]["model"])
    assert "n > 0.6 +/- 0.3: " in drawn.stdout
    assert easeml("gate", "check", "stars", "--model", "0" * 12).exit_code == 4
    assert easeml("gate", "check", "stars", "--model", "0").exit_code == 2
    assert easeml("gate", "stars").stdout == easeml("gate", "show", "stars").stdout


def test_the_size_of_a_condition_is_explained_without_a_system() -> None:
    found = invoke("gate", "size", "n - o > 0.02 +/- 0.01", "--reliability", "0.9999", "--steps", "32",
                   "--discordance", "0.1", "--rows", "9000", "--json")  # fmt: skip
    answer = json.loads(found.stdout)
    assert answer["labels"] < 2905
    assert answer["ways_out"][0].startswith("widen the tolerance: n - o > 0.02 +/- 0.0")
    drawn = invoke("gate", "size", "n > 0.95 +/- 0.05", "--bound", "hoeffding")
    assert "warning: n > 0.95 +/- 0.05 leaves no room for TRUE" in drawn.stdout
    assert "rows, of which" in drawn.stdout
    assert invoke("gate", "size", "n > 0.95").exit_code == 2


def test_a_pipeline_learns_why_a_model_has_no_verdict() -> None:
    from cluster.command.gate import _full_name, _not_yet, _verdict_of

    name = "abcdef0123"
    era = {"queued": [], "judging": name, "verdicts": [], "waits_for_labels": 0}
    gate = {"project": "p", "eras": [era], "waiting": []}
    models = [{"model": name, "state": "GATING"}]
    assert _full_name(gate, models, "abcdef") == name
    assert _verdict_of(gate, name) is None
    assert "Give it time" in _not_yet("p", gate, name).hint
    era["waits_for_labels"] = 12
    assert "12 labels" in _not_yet("p", gate, name).message
    waiting = {"project": "p", "eras": [], "waiting": [name]}
    assert "data test-set p" in _not_yet("p", waiting, name).hint
    for state in ("TRAINED", "ADMITTED"):  # on its way: no error
        assert _full_name(waiting, [{"model": name, "state": state}], name) == name
    with pytest.raises(Conflict, match="retired without a test"):
        _full_name(waiting, [{"model": name, "state": "RETIRED"}], name)
    with pytest.raises(NotFound):
        _full_name(waiting, models, "123456")
    with pytest.raises(InvalidArgument, match="2 models"):
        _full_name(waiting, [*models, {"model": "abcdef99", "state": "GATING"}], "abcdef")


@pytest.mark.parametrize("text", ['n[site = "a"] > 0.8 +/- 0.1', "n > 0.8 +/- 0.1 /\\ latency < 5 ms"])
def test_conditions_on_other_things_than_accuracy_are_not_put_in_its_words(text: str) -> None:
    from cluster import wording

    told = wording.condition(text, reliability=0.95, steps=4, rows=300)
    assert told.startswith("judged on 300 sealed rows")
