from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from easeml_ray.arrays import as_features, as_labels, count_classes
from easeml_ray.embed import Classes
from easeml_ray.errors import InvalidArgument, MissingLabels


def test_codes_follow_the_sorted_texts_and_decode_back() -> None:
    column = pa.chunked_array([["b", "a"], ["c", "a"]])
    classes = Classes.fit(column)
    assert classes.names == ("a", "b", "c") and len(classes) == 3
    codes = classes.encode(column)
    assert codes.dtype == np.int64 and codes.tolist() == [1, 0, 2, 0]
    assert classes.decode(codes) == ["b", "a", "c", "a"]


@pytest.mark.parametrize(
    ("labels", "names"),
    [([10, 9, 10], ("10", "9")), ([True, False], ("False", "True")), (["x"], ("x",))],
)
def test_a_label_is_known_by_its_text(labels: list[object], names: tuple[str, ...]) -> None:
    assert Classes.fit(labels).names == names
    assert Classes.fit(pa.array(labels).dictionary_encode()).names == names


def test_a_label_column_read_as_numbers_and_as_text_gets_the_same_codes() -> None:
    classes = Classes.fit(pa.array([3, 1, 2]))
    assert classes.encode(pa.array(["2", "3"])).tolist() == classes.encode(pa.array([2, 3])).tolist()


def test_encoding_no_labels_gives_no_codes() -> None:
    assert Classes.fit(["a"]).encode(pa.array([], pa.string())).shape == (0,)


def test_an_unseen_label_is_refused_by_name() -> None:
    with pytest.raises(InvalidArgument, match=r"'owl' are none of the 2 classes"):
        Classes.fit(["cat", "dog"]).encode(["owl", "cat"])


def test_missing_labels_are_refused_with_their_rows() -> None:
    with pytest.raises(MissingLabels) as caught:
        Classes.fit(pa.array(["a", None, "b", None]))
    assert caught.value.rows == [1, 3]
    with pytest.raises(MissingLabels):
        Classes.fit(pa.array([1.0, float("nan")]))


def test_bad_classes_and_codes_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="no rows"):
        Classes.fit([])
    with pytest.raises(InvalidArgument, match="sorted and distinct"):
        Classes(("b", "a"))
    with pytest.raises(InvalidArgument, match="code 2"):
        Classes(("a", "b")).decode([2])
    with pytest.raises(InvalidArgument, match="not of one kind"):
        Classes.fit(["a", 1])


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([1.0, 2.0], "1 dimension"),
        ([["a"]], "not an array of numbers"),
        ([[1.0], [np.nan]], "NaN or infinity in 1 row"),
        ([[np.inf]], "NaN or infinity"),
        ([[1e200]], "overflow"),
        (np.empty((0, 3)), "0 row"),
        (np.empty((3, 0)), "no features"),
        ([[1.0, 2.0, 3.0]], "3 features, the other rows have 2"),
    ],
)
def test_unusable_features_are_refused(X: object, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words) as caught:
        as_features(X, "X_dev", n_features=2 if words.startswith("3") else None)  # type: ignore[arg-type]
    assert caught.value.argument == "X_dev"


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([[1]], "2 dimension"),
        ([0.5], "not class codes"),
        (["a"], "not class codes"),
        ([-1], "negative"),
        ([3], "code 3"),
    ],
)
def test_unusable_labels_are_refused(y: object, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        as_labels(y, n_classes=3)  # type: ignore[arg-type]


def test_labels_of_another_length_and_too_few_classes_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="2 labels for 3 rows"):
        as_labels([0, 1], n_rows=3)
    with pytest.raises(InvalidArgument, match="at least 3"):
        count_classes(2, as_labels([0, 2]))
    with pytest.raises(InvalidArgument, match="n_classes is 1"):
        count_classes(1)
    assert count_classes(None, as_labels([0])) == 2
    assert count_classes(None, as_labels([0, 2]), as_labels([1])) == 3


def test_features_become_floats_and_labels_whole_numbers() -> None:
    assert as_features([[1, 2], [3, 4]]).dtype == np.float64
    labels = as_labels([0, 2, 1], n_classes=3)
    assert labels.dtype == np.int64 and labels.tolist() == [0, 2, 1]
