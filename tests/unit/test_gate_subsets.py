"""Which rows a clause speaks of, and how long a row takes."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest

from easeml_ray.errors import InvalidArgument
from easeml_ray.gate import parse, subset_rows
from easeml_ray.gate.condition import Subset
from easeml_ray.gate.latency import row_latency
from easeml_ray.gate.subsets import members

TABLE = pa.table(
    {
        "row_id": [1, 2, 3, 4],
        "site": pa.array(["a", "b", None, "a"]).dictionary_encode(),
        "hour": [3.0, 3.5, 4.0, None],
        "day": [True, False, True, True],
        "label": ["sick", "well", "sick", "well"],
    }
)


@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("site", "a", [True, False, False, True]),
        ("hour", "3", [True, False, False, False]),
        ("day", "true", [True, False, True, True]),
        (None, "well", [False, True, False, True]),
        ("site", "z", [False] * 4),
    ],
)
def test_rows_are_found_by_what_stands_in_them(column: str | None, value: str, found: list[bool]) -> None:
    assert members(TABLE, "label", Subset(column, value)).tolist() == found


def test_what_cannot_be_found_is_said() -> None:
    for column in ("place", "label", "row_id"):
        with pytest.raises(InvalidArgument, match="no feature") as caught:
            members(TABLE, "label", Subset(column, "a"))
        assert "site, hour, day" in caught.value.hint
    with pytest.raises(InvalidArgument, match="holds numbers"):
        members(TABLE, "label", Subset("hour", "noon"))


def test_every_slice_of_a_condition_is_counted() -> None:
    condition = parse('n > 0.5 +/- 0.1 /\\ n[site = "a"] > 0.5 +/- 0.1 /\\ recall(n, "sick") > 0.5 +/- 0.1')
    assert subset_rows(TABLE, "label", condition) == {Subset("site", "a"): 2, Subset(None, "sick"): 2}


def test_the_latency_is_that_of_one_row() -> None:
    sizes = []

    def predict(rows: pa.Table) -> None:
        sizes.append(rows.num_rows)
        time.sleep(0.001)

    assert 1.0 <= row_latency(predict, TABLE) < 100.0
    assert set(sizes) == {1}
