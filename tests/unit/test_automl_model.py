"""Models as they are stored and served: round trips, refusals, and rows as JSON."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from easeml_ray.arms import ARMS, ModelMetadata, ServableModel, dump, estimators, load, train
from easeml_ray.arms.estimators import estimator_from_bytes, estimator_to_bytes
from easeml_ray.arms.model import table_of
from easeml_ray.embed import Classes, Encoder
from easeml_ray.errors import (
    InvalidArgument,
    InvalidTable,
    MissingColumn,
    ModelFailed,
    SchemaMismatch,
    SchemaTooNew,
    StoreError,
    TooLarge,
)

N_ROWS = 60
FEATURES = ["age", "city", "member"]


def people() -> tuple[pa.Table, list[str]]:
    rng = np.random.default_rng(4)
    city = rng.choice(["Bern", "Basel", "Chur"], size=N_ROWS)
    age = rng.uniform(20, 60, size=N_ROWS)
    labels = np.where(age + 10 * (city == "Bern") > 42, "yes", np.where(city == "Chur", "maybe", "no"))
    cells = [None if i % 9 == 4 else value for i, value in enumerate(age.tolist())]
    table = pa.table({"age": cells, "city": city.tolist(), "member": (age > 50).tolist()})
    return table, labels.tolist()


TABLE, LABELS = people()
ENCODER = Encoder.fit(TABLE, FEATURES)
CLASSES = Classes.fit(LABELS)


def trained(name: str) -> ServableModel:
    X, y = ENCODER.transform(TABLE), CLASSES.encode(LABELS)
    result = train(name, X, y, X, y, n_classes=len(CLASSES), seed=3)
    metadata = ModelMetadata(name, "people", 7, result.dev_accuracy, result.dev_lower, result.dev_rows, 3)
    return ServableModel(result.estimator, ENCODER, CLASSES, metadata)


@pytest.fixture(scope="module")
def model() -> ServableModel:
    return trained("naive_bayes")


@pytest.fixture(scope="module")
def container(model: ServableModel) -> bytes:
    return dump(model)


def rewritten(container: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    """Return the zip file with every member changed; None leaves a member out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(container)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_s_model_comes_back_the_same(name: str) -> None:
    model = trained(name)
    again = load(dump(model))
    assert (again.predict_proba(TABLE) == model.predict_proba(TABLE)).all()
    assert again.predict(TABLE) == model.predict(TABLE)
    assert (again.encoder, again.classes, again.metadata) == (ENCODER, CLASSES, model.metadata)


def test_records_and_tables_give_the_same_answers(model: ServableModel) -> None:
    records = json.loads(json.dumps(TABLE.to_pylist()))
    assert (model.predict_proba(records) == model.predict_proba(TABLE)).all()
    assert set(model.predict(records)) <= set(CLASSES.names)
    assert model.predict_proba([]).shape == (0, 3)
    assert model.predict([]) == []


def test_a_table_may_have_other_columns_but_must_have_the_encoder_s(model: ServableModel) -> None:
    wider = TABLE.append_column("row_id", pa.array(range(N_ROWS)))
    assert (model.predict_proba(wider) == model.predict_proba(TABLE)).all()
    with pytest.raises(MissingColumn):
        model.predict_proba(TABLE.drop_columns(["age"]))


@pytest.mark.parametrize(
    ("record", "column", "told"),
    [
        ({"age": 30, "city": "Bern"}, "member", "lacks"),
        ({"age": 30, "city": "Bern", "member": True, "agee": 1}, "agee", "did you mean 'age'"),
        ({"age": "30", "city": "Bern", "member": True}, "age", "a number"),
        ({"age": 30, "city": 3000, "member": True}, "city", "a text"),
        ({"age": [30], "city": "Bern", "member": True}, "age", "a number"),
        ({"age": 10**400, "city": "Bern", "member": True}, "age", "too large"),
        ([30, "Bern", True], None, "object"),
    ],
)
def test_records_of_another_form_are_refused(
    model: ServableModel, record: Any, column: str | None, told: str
) -> None:
    good = {"age": 30.5, "city": None, "member": False}
    with pytest.raises(SchemaMismatch) as caught:
        model.predict_proba([good, record])
    assert caught.value.column == column
    assert told in str(caught.value)
    if "too large" not in told:
        assert caught.value.rows == [1]


def test_records_become_the_columns_that_they_name_whatever_their_order(model: ServableModel) -> None:
    records = [
        {"age": 30, "city": "Bern", "member": True},
        {"member": None, "city": None, "age": 2**63 + 1},
        {"city": "Chur", "age": np.float64(0.5), "member": 0.25},
    ]
    made = table_of(records, model.encoder)
    expected = pa.table(
        {
            "age": pa.array([30.0, float(2**63 + 1), 0.5]),
            "city": ["Bern", None, "Chur"],
            "member": pa.array([1.0, None, 0.25]),
        }
    )
    assert made.equals(expected.select(model.encoder.features))
    assert table_of(records[:1], model.encoder).equals(made.slice(0, 1))
    assert table_of([], model.encoder).equals(made.slice(0, 0))


def test_the_first_wrong_column_is_named_with_all_its_rows(model: ServableModel) -> None:
    good = {"age": 1, "city": "Bern", "member": None}
    bad = [{**good, "age": "1", "city": 3}, good, {**good, "age": b"1"}, {**good, "member": "yes"}]
    with pytest.raises(SchemaMismatch, match="'age' holds str in record 0, not a number") as caught:
        table_of(bad, model.encoder)
    assert caught.value.rows == [0, 2]


def test_what_a_model_raises_is_its_own_failure(model: ServableModel) -> None:
    assert model.codes(TABLE).tolist() == model.predict_proba(TABLE).argmax(axis=1).tolist()
    with pytest.raises(ModelFailed, match="MissingColumn"):
        model.codes(TABLE.drop_columns(["age"]))


def test_an_infinite_cell_is_refused(model: ServableModel) -> None:
    with pytest.raises(InvalidTable, match="infinity"):
        model.predict([{"age": float("inf"), "city": None, "member": None}])
    with pytest.raises(InvalidArgument, match="beyond"):
        model.predict([{"age": 1e100, "city": None, "member": None}])


def test_an_untrusted_type_is_refused_before_anything_is_built(container: bytes) -> None:
    def hostile(name: str, content: bytes) -> bytes:
        if name != "estimator.skops":
            return content

        def renamed(member: str, text: bytes) -> bytes:
            if member != "schema.json":
                return text
            schema = json.loads(text)
            schema["__module__"], schema["__class__"] = "subprocess", "Popen"
            return json.dumps(schema).encode()

        return rewritten(content, renamed)

    with pytest.raises(StoreError, match=r"subprocess\.Popen"):
        load(rewritten(container, hostile))


class Home:
    """A classifier that is not scikit-learn's."""

    def fit(self) -> None: ...


def test_a_classifier_of_another_library_is_not_stored() -> None:
    with pytest.raises(InvalidArgument, match="not trusted"):
        estimator_to_bytes(Home())
    from sklearn.cluster import Birch

    with pytest.raises(InvalidArgument, match="cannot be stored"):
        estimator_to_bytes(Birch())


def test_trees_that_lead_out_of_themselves_are_refused() -> None:
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(n_estimators=6, random_state=0)
    forest.fit(ENCODER.transform(TABLE), CLASSES.encode(LABELS))
    good = estimator_to_bytes(forest)
    assert estimator_from_bytes(good, n_features=ENCODER.n_features)
    arrays = {"children_left": 10**6, "children_right": 0, "feature": 99}
    for name, value in arrays.items():
        damaged = estimator_from_bytes(good, n_features=ENCODER.n_features)
        tree = damaged.estimators_[5].tree_
        state = tree.__getstate__()
        field = {"children_left": "left_child", "children_right": "right_child"}.get(name, name)
        state["nodes"][field][0] = value
        tree.__setstate__(state)
        with pytest.raises(StoreError, match="leads out"):
            estimator_from_bytes(estimator_to_bytes(damaged), n_features=ENCODER.n_features)


def test_boosted_trees_are_checked_as_well() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    boosted = HistGradientBoostingClassifier(max_iter=3).fit(X, y)
    again = estimator_from_bytes(estimator_to_bytes(boosted), n_features=2)
    assert (again.predict_proba(X) == boosted.predict_proba(X)).all()
    for field, value in {"left": 10**6, "feature_idx": 99, "bitset_idx": 99}.items():
        damaged = estimator_from_bytes(estimator_to_bytes(boosted), n_features=2)
        for predictor in (trees[0] for trees in damaged._predictors):
            inner = predictor.nodes["is_leaf"] == 0
            predictor.nodes[field][inner] = value
            if field == "bitset_idx":
                predictor.nodes["is_categorical"][inner] = 1
        with pytest.raises(StoreError, match="tree"):
            estimator_from_bytes(estimator_to_bytes(damaged), n_features=2)


def test_a_classifier_for_other_features_or_classes_is_refused(container: bytes) -> None:
    def fewer(name: str, content: bytes) -> bytes:
        if name != "manifest.json":
            return content
        manifest = json.loads(content)
        manifest["classes"] = ["maybe", "no"]
        return json.dumps(manifest).encode()

    with pytest.raises(StoreError, match="class codes"):
        load(rewritten(container, fewer))
    stored = zipfile.ZipFile(io.BytesIO(container)).read("estimator.skops")
    with pytest.raises(StoreError, match="features"):
        estimator_from_bytes(stored, n_features=2)
    with pytest.raises(StoreError, match="probabilities"):
        estimator_from_bytes(estimator_to_bytes([1, 2]), n_features=2)


def test_a_newer_format_is_told_apart_from_damage(container: bytes) -> None:
    def newer(name: str, content: bytes) -> bytes:
        return content.replace(b'"format": 1', b'"format": 2', 1) if name == "manifest.json" else content

    with pytest.raises(SchemaTooNew) as caught:
        load(rewritten(container, newer))
    assert (caught.value.found, caught.value.known) == (2, 1)


@pytest.mark.parametrize("missing", ["manifest.json", "estimator.skops"])
def test_incomplete_containers_are_refused(container: bytes, missing: str) -> None:
    with pytest.raises(StoreError):
        load(rewritten(container, lambda name, content: None if name == missing else content))


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip file", b"\x80\x04N."])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(StoreError):
        load(data)


def test_a_container_that_unpacks_to_too_much_is_refused(
    container: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimators, "MAX_BYTES", 1000)
    with pytest.raises(TooLarge) as caught:
        load(container)
    assert caught.value.limit == 1000
    assert caught.value.size > 1000


def test_loading_a_model_brings_no_torch(model: ServableModel, tmp_path: Path) -> None:
    """In a process of its own, where nothing else has imported it."""
    stored = tmp_path / "model.zip"
    stored.write_bytes(dump(model))
    code = (
        "import sys, pathlib;"
        "from easeml_ray.arms import dump, load;"
        "model = load(pathlib.Path(sys.argv[1]).read_bytes());"
        "model.estimator.predict_proba([[0.0] * model.estimator.n_features_in_]);"
        "load(dump(model));"
        # The place that was taken while skops was imported is free again.
        "print('torch' in sys.modules, 'sklearn.externals.array_api_compat.torch' in sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(stored)], capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == ["False", "False"]
