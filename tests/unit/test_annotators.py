from __future__ import annotations

import pyarrow as pa
import pytest

from easeml_ray.annotators import AnswerList, TruthTable
from easeml_ray.annotators.listed import parse_answers
from easeml_ray.errors import DuplicateIds, MissingColumn, MissingLabels, UnreadableFile

TRUE = pa.table(
    {
        "id": ["a", "b", "c"],
        "size": [1.5, 2.0, 7.0],
        "colour": ["red", None, "blue"],
        "kind": [0, 1, 1],
    }
)


def truth(**options: object) -> TruthTable:
    return TruthTable(TRUE, label="kind", id_column="id", **options)  # type: ignore[arg-type]


def request(kind: str, **payload: object) -> dict[str, object]:
    return {"id": 1, "kind": kind, "key": "k", "payload": payload, "cost_cents": 100.0}


def test_labels_are_known_by_row_id_as_text() -> None:
    assert truth().answer(request("RELABEL", row_id=2, pillar="train")) == "1"


def test_cells_are_known_by_row_id_and_column_in_their_own_type() -> None:
    assert truth().answer(request("CLEAN_CELL", row_id=0, column="size")) == 1.5
    assert truth().answer(request("CLEAN_CELL", row_id=2, column="colour")) == "blue"
    assert truth().answer(request("CLEAN_CELL", row_id=1, column="colour")) is None


def test_rows_that_came_later_are_known_by_their_features() -> None:
    later = pa.table({"id": ["z"], "size": [9], "colour": ["green"], "kind": [1]})
    annotator = truth(later=later)
    asked = request("LABEL_REALTIME") | {"row": {"colour": "green", "size": 9.0}}
    assert annotator.answer(asked) == "1"
    bought = request("RELABEL", row_id=77) | {"row": {"size": 1.5, "colour": "red", "row_id": 77}}
    assert annotator.answer(bought) == "0"


def test_what_the_table_does_not_hold_has_no_answer() -> None:
    assert truth().answer(request("RELABEL", row_id=3)) is None
    assert truth().answer(request("CLEAN_CELL", row_id=0, column="weight")) is None
    assert truth().answer(request("LABEL_REALTIME") | {"row": {"size": 0.0, "colour": "red"}}) is None
    assert truth().answer(request("NEW_TEST_SET")) is None


def test_offers_are_bought_up_to_a_price() -> None:
    assert truth(offer_cents=100).answer(request("BUY_ROW", offer="o")) == "yes"
    assert truth(offer_cents=99).answer(request("BUY_ROW", offer="o")) == "no"


def test_a_target_that_cannot_be_reached_is_decided_by_the_policy() -> None:
    assert truth().answer(request("OVERRIDE_TARGET", surely_reachable="0.8")) == "train"
    lower = truth(decide=lambda payload: str(payload["surely_reachable"]))
    assert lower.answer(request("OVERRIDE_TARGET", surely_reachable="0.8")) == "0.8"


def test_a_truth_without_labels_is_refused() -> None:
    with pytest.raises(MissingLabels):
        TruthTable(pa.table({"x": [1.0, 2.0], "y": ["a", None]}), label="y")


@pytest.mark.parametrize(
    "data", [b"request,value\n7,yes\n8,2.5\n", b"key,value\n7,yes\n8,2.5\n", b'{"7": "yes", "8": 2.5}']
)
def test_answers_are_read_from_csv_and_json(data: bytes) -> None:
    assert {key: str(value) for key, value in parse_answers(data).items()} == {"7": "yes", "8": "2.5"}


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"a,b\n1,2\n", MissingColumn),
        (b"request,value\n1,a\n1,b\n", DuplicateIds),
        (b"{not json", UnreadableFile),
    ],
)
def test_answers_that_cannot_be_read_are_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_answers(data)


def test_a_list_answers_by_number_and_by_key_and_nothing_else() -> None:
    listed = AnswerList({"1": "by number", "label:train:3": "by key"})
    asked = request("RELABEL")
    assert listed.answer(asked) == "by number"
    assert listed.answer(asked | {"id": 9, "key": "label:train:3"}) == "by key"
    assert listed.answer(asked | {"id": 9}) is None
