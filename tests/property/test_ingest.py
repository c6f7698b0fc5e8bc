"""Invariants of reading, of the split and of the digests."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from easeml_ray.errors import EasemlError, TooFewRows
from easeml_ray.ingest import PILLARS, assign, read, row_digests, split

keys = st.lists(st.integers(0, 400), min_size=1, max_size=300).map(lambda ns: [f"g{n}" for n in ns])
weights = st.lists(st.integers(0, 10), min_size=4, max_size=4).filter(any)
salts = st.binary(min_size=1, max_size=8)


def shares_of(parts: list[int]) -> dict:
    return {pillar: part / sum(parts) for pillar, part in zip(PILLARS, parts, strict=True)}


def try_split(groups: list[str], parts: list[int], salt: bytes):
    try:
        return split(groups, shares_of(parts), salt=salt)
    except TooFewRows:
        return None


@settings(max_examples=35, deadline=None)
@given(keys, weights, salts)
def test_every_row_is_in_one_pillar_and_no_group_in_two(groups, parts, salt) -> None:
    made = try_split(groups, parts, salt)
    if made is None:
        return
    positions = np.concatenate([made.positions(pillar) for pillar in PILLARS])
    assert sorted(positions.tolist()) == list(range(len(groups)))
    pillar_of: dict[str, set[int]] = {}
    for group, code in zip(groups, made.codes.tolist(), strict=True):
        pillar_of.setdefault(group, set()).add(code)
    assert all(len(codes) == 1 for codes in pillar_of.values())


@settings(max_examples=35, deadline=None)
@given(keys, weights, salts)
def test_a_pillar_misses_its_share_by_at_most_one_group(groups, parts, salt) -> None:
    made = try_split(groups, parts, salt)
    if made is None:
        return
    largest = max(groups.count(group) for group in set(groups))
    for pillar, share in shares_of(parts).items():
        rows = len(made.positions(pillar))
        assert abs(rows - share * len(groups)) <= largest + 1e-6
        assert (rows > 0) == (share > 0)


@settings(max_examples=20, deadline=None)
@given(keys, weights, salts, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(groups, parts, salt, random) -> None:
    made = try_split(groups, parts, salt)
    order = list(range(len(groups)))
    random.shuffle(order)
    again = try_split([groups[n] for n in order], parts, salt)
    assert (made is None) == (again is None)
    if made is not None and again is not None:
        assert again.codes.tolist() == made.codes[order].tolist()
        assert again.thresholds == made.thresholds


@settings(max_examples=20, deadline=None)
@given(keys, weights, salts)
def test_groups_that_were_split_are_assigned_where_they_are(groups, parts, salt) -> None:
    made = try_split(groups, parts, salt)
    if made is None:
        return
    for group, code in zip(groups, made.codes.tolist(), strict=True):
        assert assign(group, made.thresholds, salt=salt) is PILLARS[code]


@settings(max_examples=20, deadline=None)
@given(keys, weights, salts)
def test_a_split_fails_only_when_a_cut_meets_another(groups, parts, salt) -> None:
    if try_split(groups, parts, salt) is None:
        largest = max(groups.count(group) for group in set(groups))
        smallest = min(share for share in shares_of(parts).values() if share > 0)
        assert smallest * len(groups) <= largest + 1e-6


cells = st.one_of(st.none(), st.floats(allow_infinity=False), st.sampled_from([0.0, -0.0, 1.0]))
texts = st.one_of(st.none(), st.sampled_from(["", "a", "b"]))


@settings(max_examples=35, deadline=None)
@given(st.lists(st.tuples(cells, texts), min_size=1, max_size=20))
def test_digests_are_equal_exactly_when_the_rows_are(rows) -> None:
    table = pa.table(
        {
            "x": pa.array([row[0] for row in rows], pa.float64()),
            "s": pa.array([row[1] for row in rows], pa.string()),
        }
    )
    digests = row_digests(table, ["x", "s"], b"key")
    plain = [(None if x is None or x != x else x, s) for x, s in rows]
    for one, first in zip(plain, digests, strict=True):
        for other, second in zip(plain, digests, strict=True):
            assert (one == other) == (first == second)


pieces = st.sampled_from(
    [
        "a",
        "1",
        "0",
        ".5",
        "-",
        ",",
        ",",
        ";",
        "\t",
        '"',
        '""',
        "\n",
        "\n",
        "\r",
        " ",
        "é",
        "\0",
        "NA",
        "inf",
        "1e999",
    ]
)


@settings(max_examples=120, deadline=None)
@given(st.lists(pieces, max_size=30).map("".join), st.sampled_from(["", "a,b\n"]))
def test_any_text_is_read_whole_or_refused_with_a_hint(text, header) -> None:
    try:
        table = read((header + text).encode(), "csv")
    except EasemlError as error:
        assert error.hint
    else:
        assert len(set(table.column_names)) == table.num_columns > 1
        assert table.num_rows <= text.count("\n") + text.count("\r") + 1
