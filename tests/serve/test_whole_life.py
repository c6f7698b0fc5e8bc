"""One project from nothing to feedback on its predictions, over HTTP alone."""

from __future__ import annotations

import time

import pytest

from easeml_ray import Client
from easeml_ray.errors import AlreadyExists, InvalidAnswer, NoModel, NotFound, SchemaMismatch
from tests.serve.house import TASK, House, table

ROW = {"size": 3.1, "weight": -2.2, "colour": "r"}


def test_a_project_without_data_serves_no_model(house: House) -> None:
    zoe = house.new("zoe")
    zoe.create_project("empty", TASK)
    with pytest.raises(NoModel) as refused:
        zoe.predict("empty", [ROW])
    assert refused.value.project == "empty" and refused.value.status == 503
    answer = house.http(zoe._headers["Authorization"].split()[1]).post(
        "/v2/models/empty/predict", json={"rows": [ROW]}
    )
    assert answer.status_code == 503 and answer.json()["type"].endswith(":NO_MODEL")
    assert answer.headers["Retry-After"] == "1"


def test_upload_leads_to_a_served_model_with_beliefs_all_along(stars: Client) -> None:
    assert stars.project("stars")["phase"] == "READY"
    belief = stars.feasibility("stars", report=True)
    newest = belief["beliefs"][-1]
    low, high = newest["ber_interval"]
    assert 0 <= low <= high < 0.5 and newest["method"] and newest["number"] == 1
    assert belief["report"]
    models = stars.models("stars")
    assert models["deployed"]["version"] == 1
    assert {m["state"] for m in models["models"]} >= {"TRAINED", "DEPLOYED"}
    assert all(m["seconds"] is not None for m in models["models"])
    era = stars.gate("stars")["eras"][0]
    assert era["verdicts"][0]["verdict"] == "PASS" and era["reliability"] == 0.95
    assert stars.pool("stars")["deployed"] == models["deployed"]
    bill = stars.ledger("stars")
    assert bill["total_cents"] > 0 and bill["removed_bits"] > 0
    assert stars.next("stars")["phase"] == "READY"
    assert [p["project"] for p in stars.projects()] == ["stars"]
    version = stars.versions("stars")["versions"][0]
    assert version["train_rows"] + version["development_rows"] + 60 > 290


def test_rows_are_shown_of_train_and_not_of_the_stable_pillar(stars: Client) -> None:
    found = None
    for row_id in range(20):
        try:
            found = stars.rows("stars", "train", [row_id])[0]
            break
        except NotFound:
            continue
    assert found is not None and set(found) == {"row_id", "size", "weight", "colour", "kind"}


def test_predictions_say_which_model_gave_them(house: House, stars: Client) -> None:
    stars.ready()
    answer = stars.predict("stars", [ROW, {"size": -0.4, "weight": 0.3, "colour": None}])
    assert answer["labels"] == ["giant", "dwarf"]
    assert all(abs(sum(p.values()) - 1) < 1e-9 for p in answer["probabilities"])
    deployed = stars.pool("stars")["deployed"]
    assert (answer["model"], answer["model_version"], answer["data_version"]) == (
        deployed["model"],
        deployed["deployment"],
        1,
    )
    assert len(set(answer["request_ids"])) == 2


def test_tensors_of_the_open_inference_protocol_give_the_same_answers(stars: Client) -> None:
    known = stars.served("stars")
    assert [t["datatype"] for t in known["inputs"]] == ["FP64", "FP64", "BYTES"]
    columns = {"size": [3.1, -0.4], "weight": [-2.2, None], "colour": ["r", "g"]}
    tensors = [
        {"name": name, "shape": [2], "datatype": "BYTES" if name == "colour" else "FP64", "data": data}
        for name, data in columns.items()
    ]
    answer = stars.infer("stars", {"id": "q1", "inputs": tensors})
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    same = stars.predict("stars", rows)
    label, probabilities = answer["outputs"]
    assert (answer["id"], answer["model_name"]) == ("q1", "stars")
    assert label["data"] == same["labels"] and label["datatype"] == "BYTES"
    classes = answer["parameters"]["classes"]
    assert probabilities["shape"] == [2, 2]
    assert probabilities["data"] == [p[c] for p in same["probabilities"] for c in classes]
    only = stars.infer("stars", {"inputs": tensors, "outputs": [{"name": "label"}]})
    assert [o["name"] for o in only["outputs"]] == ["label"]


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ([{"name": "size", "shape": [1], "datatype": "FP64", "data": [1.0]}], "lacks"),
        ([{"name": "input", "shape": [1, 3], "datatype": "FP64", "data": [1.0, 2.0, 3.0]}], "text"),
        ([{"name": "size", "shape": [2, 3], "datatype": "FP64", "data": [0.0] * 6}], "shape"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    stars: Client, inputs: list[dict[str, object]], says: str
) -> None:
    with pytest.raises(SchemaMismatch, match=says):
        stars.infer("stars", {"inputs": inputs})


def test_feedback_becomes_the_answer_of_a_realtime_request(house: House, stars: Client) -> None:
    rows = [{**ROW, "size": 0.1 * i} for i in range(16)]
    ids = stars.predict("stars", rows)["request_ids"]
    first = stars.feedback("stars", ids[0], "giant")
    assert first["kept"] or first["answered"]
    with pytest.raises(InvalidAnswer):
        stars.feedback("stars", ids[1], "comet")
    with pytest.raises(NotFound):
        stars.feedback("stars", "0" * 32 + ":0", "giant")
    with pytest.raises(NotFound):
        stars.feedback("stars", ids[0].split(":")[0] + ":999", "giant")
    until = time.monotonic() + 5
    while not (windows := stars.pool("stars")["windows"]) and time.monotonic() < until:
        time.sleep(0.05)
    assert windows[0]["rows"] >= 16
    wanted = stars.requests("stars", kind="LABEL_REALTIME", state="OPEN", rows=True)
    for request in wanted:
        assert set(request["row"]) == set(ROW)
        stars.feedback("stars", request["payload"]["request_id"], "giant")
    if wanted:
        still = stars.requests("stars", kind="LABEL_REALTIME", state="OPEN")
        assert not {r["id"] for r in still} & {r["id"] for r in wanted}


def test_answers_to_requests_make_a_new_version_and_new_models(house: House) -> None:
    tom = house.new("tom")
    tom.create_project("noisy", {**TASK, "target_accuracy": 0.97, "batch_items": 5})
    tom.upload("noisy", table(240, seed=3, noise=0.12))
    if tom.project("noisy")["phase"] == "READY":
        tom.improve("noisy", "the labels look doubtful")
    wanted = tom.requests("noisy", state="OPEN", rows=True)
    assert wanted, tom.project("noisy")
    assert {r["kind"] for r in wanted} == {"RELABEL"} and all(r["row"]["kind"] for r in wanted)
    leased = tom.lease("noisy", kinds=["RELABEL"], limit=2, rows=True)
    assert len(leased["requests"]) == 2
    before = tom.project("noisy")["version"]
    values = {r["id"]: "giant" if r["row"]["size"] > 1.5 else "dwarf" for r in wanted}
    assert tom.answer("noisy", values)["closed"] == len(values)
    assert tom.project("noisy")["version"] == before + 1
    assert tom.versions("noisy")["versions"][-1]["reason"] == "answers"
    assert tom.cleaning("noisy")["version"] >= 1
    assert tom.ledger("noisy")["improvement_spent_cents"] > 0


def test_data_are_uploaded_once(stars: Client) -> None:
    with pytest.raises(AlreadyExists):
        stars.upload("stars", table(seed=9))
