from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from easeml_ray.embed import RowSchema, modality_of
from easeml_ray.embed.rows import as_images, as_texts, unit_floats
from easeml_ray.errors import InvalidArgument


@pytest.mark.parametrize(
    ("rows", "modality"),
    [
        (np.zeros((2, 3)), "table"),
        ([[1, 2], [3, 4]], "table"),
        (np.zeros((2, 3), dtype=bool), "table"),
        (["a", "b"], "text"),
        (("a",), "text"),
        (np.array(["a", "b"]), "text"),
        (np.array(["a", None], dtype=object), "text"),
        (np.array(["a"], dtype=np.dtypes.StringDType()), "text"),
        (pa.array(["a", None]), "text"),
        (pa.chunked_array([["a"], ["b"]]), "text"),
        (pa.array(["a", "a"]).dictionary_encode(), "text"),
        (np.zeros((2, 8, 8)), "image"),
        (np.zeros((2, 8, 8, 3), dtype=np.uint8), "image"),
    ],
)
def test_the_kind_of_rows_is_seen_from_their_form(rows: object, modality: str) -> None:
    assert modality_of(rows) == modality


@pytest.mark.parametrize(
    "rows",
    [
        "one text",
        3.0,
        [1.0, 2.0],
        np.zeros((2, 2, 2, 2, 2)),
        pa.array([1, 2]),
        [],
        np.array([["a"]]),
        [{"a": 1}],
    ],
)
def test_what_is_neither_table_nor_text_nor_image_is_refused(rows: object) -> None:
    with pytest.raises(InvalidArgument, match="neither features, nor texts, nor images"):
        modality_of(rows)


def test_texts_are_read_from_lists_arrays_and_arrow() -> None:
    for given in (["a", "é"], np.array(["a", "é"]), pa.array(["a", "é"]).dictionary_encode(), ("a", "é")):
        assert as_texts(given) == ["a", "é"]
    assert as_texts([]) == []


def test_texts_that_are_missing_or_none_or_have_no_utf8_form_are_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"2 missing text\(s\), the first is row 1"):
        as_texts(["a", None, None], "X_dev")
    for bad in ("one text", ["a", 3], [b"\xff"], ["\ud800"], pa.array([1]), np.zeros((2, 2)), 5):
        with pytest.raises(InvalidArgument, match="not a sequence of texts"):
            as_texts(bad)


def test_images_get_a_channel_axis_and_keep_bytes_as_bytes() -> None:
    grey = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    assert as_images(grey).shape == (2, 4, 4, 1) and as_images(grey).dtype == np.uint8
    assert as_images(grey.astype(np.float32)[..., None]).dtype == np.float64
    assert as_images(grey[:0]).shape == (0, 4, 4, 1)
    assert np.array_equal(unit_floats(as_images(grey)), as_images(grey / 255.0))


def test_images_of_several_shapes_or_unknown_range_or_with_nan_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="several shapes"):
        as_images([np.zeros((4, 4)), np.zeros((5, 5))])
    with pytest.raises(InvalidArgument, match="not \\(rows, height, width"):
        as_images(np.zeros((4, 4)))
    with pytest.raises(InvalidArgument, match="not \\(rows, height, width"):
        as_images(np.zeros((4, 0, 4)))
    with pytest.raises(InvalidArgument, match="int64 values, whose range is not known"):
        as_images(np.zeros((1, 4, 4), dtype=np.int64))
    with pytest.raises(InvalidArgument, match="NaN or infinity in 1 row"):
        as_images(np.full((1, 4, 4), np.nan))


def test_later_rows_must_be_like_those_fitted_on() -> None:
    schema, rows = RowSchema.of("image", np.zeros((2, 4, 6)))
    assert schema == RowSchema("image", (4, 6, 1)) and rows.shape == (2, 4, 6, 1)
    with pytest.raises(InvalidArgument, match=r"a row of X_dev has shape \(6, 4, 1\), .* had \(4, 6, 1\)"):
        schema.read(np.zeros((2, 6, 4)), "X_dev")
    assert RowSchema.of("text", ["a"])[0].shape == ()
