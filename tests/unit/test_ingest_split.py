"""Splits, digests and the preparation of a whole file, by example."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct

import pyarrow as pa
import pytest

from easeml_ray.errors import InvalidArgument, TooFewRows
from easeml_ray.ingest import (
    PILLARS,
    Column,
    assign,
    group_digests,
    overlap,
    prepare,
    row_digests,
    split,
)
from easeml_ray.messages import Pillar

TRAIN, DEVELOPMENT, STABLE, REALTIME = PILLARS
SHARES = {TRAIN: 0.5, DEVELOPMENT: 0.2, STABLE: 0.2, REALTIME: 0.1}
SALT = b"secret"


def csv_of(n_rows: int, *, extra: str = "", cells: str = "") -> bytes:
    """Return a CSV with an id, an entity for every two rows, two features and two classes."""
    lines = [f"id,who,size,colour{extra},sold"]
    lines += [f"r{n},e{n // 2},{n}.5,{'rgb'[n % 3]}{cells},{n // 2 % 2}" for n in range(n_rows)]
    return "\n".join(lines).encode()


class TestSplit:
    def test_single_rows_meet_their_shares_exactly(self) -> None:
        parts = split([str(n) for n in range(1000)], SHARES, salt=SALT)
        assert [len(parts.positions(pillar)) for pillar in PILLARS] == [500, 200, 200, 100]

    def test_another_salt_gives_another_split(self) -> None:
        keys = [str(n) for n in range(100)]
        assert (split(keys, SHARES, salt=b"a").codes != split(keys, SHARES, salt=b"b").codes).any()

    def test_the_split_of_known_keys_never_changes(self) -> None:
        # Pillars of stored projects hang on it: written down once, by another program.
        hashes = {key: hashlib.sha256(b"secret" + key.encode()).hexdigest() for key in "abcdefghij"}
        order = sorted(hashes, key=hashes.__getitem__)
        parts = split(list("abcdefghij"), SHARES, salt=SALT)
        cut = {TRAIN: order[:5], DEVELOPMENT: order[5:7], STABLE: order[7:9], REALTIME: order[9:]}
        for pillar, keys in cut.items():
            assert ["abcdefghij"[n] for n in parts.positions(pillar)] == sorted(keys)
        bounds = (hashes[order[4]], hashes[order[6]], hashes[order[8]], "f" * 64)
        assert parts.thresholds == tuple(zip(PILLARS, bounds, strict=True))

    def test_a_pillar_without_a_share_gets_nothing_now_or_later(self) -> None:
        parts = split([str(n) for n in range(50)], {TRAIN: 0.0, STABLE: 1.0}, salt=SALT)
        assert parts.thresholds == ((STABLE, "f" * 64),)
        assert {assign(str(n), parts.thresholds, salt=SALT) for n in range(999)} == {STABLE}

    def test_later_groups_follow_the_shares(self) -> None:
        parts = split([str(n) for n in range(2000)], SHARES, salt=SALT)
        later = [assign(f"later {n}", parts.thresholds, salt=SALT) for n in range(4000)]
        for pillar, share in SHARES.items():
            assert abs(later.count(pillar) / 4000 - share) < 0.05

    def test_thresholds_survive_json(self) -> None:
        keys = [str(n) for n in range(100)]
        parts = split(keys, SHARES, salt=SALT)
        stored = tuple(tuple(pair) for pair in json.loads(json.dumps(parts.thresholds)))
        assert [assign(key, stored, salt=SALT) for key in keys] == [PILLARS[code] for code in parts.codes]

    @pytest.mark.parametrize(
        "shares",
        [{}, {TRAIN: 0.9}, {TRAIN: 1.5, STABLE: -0.5}, {TRAIN: float("nan")}, {TRAIN: 0.5, "test": 0.5}],
    )
    def test_shares_that_are_none_are_refused(self, shares: dict[Pillar, float]) -> None:
        with pytest.raises(InvalidArgument) as caught:
            split(["a", "b"], shares, salt=SALT)
        assert caught.value.argument == "shares"

    def test_an_empty_salt_is_refused(self) -> None:
        with pytest.raises(InvalidArgument):
            split(["a", "b"], SHARES, salt=b"")

    @pytest.mark.parametrize("keys", [["a"] * 40, [], list("abc"), ["a"] * 97 + list("bcd")])
    def test_a_pillar_that_would_stay_empty_is_named(self, keys: list[str]) -> None:
        with pytest.raises(TooFewRows, match=r"leave \w+ \(share 0\.\d\) without any") as caught:
            split(keys, SHARES, salt=SALT)
        assert caught.value.available == len(keys)
        assert caught.value.required > len(keys)


class TestDigests:
    def test_a_row_digest_is_the_hmac_of_its_cells(self) -> None:
        table = pa.table({"b": ["x"], "a": [1.5], "c": pa.array([None], pa.int64()), "d": [2**60 + 1]})
        names = hashlib.sha256(json.dumps(["a", "b", "c", "d"]).encode()).digest()
        cells = b"\x01" + struct.pack(">d", 1.5) + b"\x03" + hashlib.sha256(b"x").digest()
        cells += bytes(9) + b"\x02" + struct.pack(">q", 2**60 + 1)
        expected = hmac.digest(b"key", b"row\0" + names + cells, "sha256")
        assert row_digests(table, ["c", "d", "a", "b"], b"key") == [expected]

    def test_equal_numbers_are_equal_whatever_their_type(self) -> None:
        columns = [[1, 0, -3], [1.0, -0.0, -3.0], pa.array([1, 0, -3], pa.int64())]
        digests = [row_digests(pa.table({"x": column}), ["x"], b"k") for column in columns]
        assert digests[0] == digests[1] == digests[2]
        assert row_digests(pa.table({"x": [True, False]}), ["x"], b"k") == digests[0][:2]

    def test_different_cells_differ(self) -> None:
        text = pa.table({"x": ["", "1", None, "a", "b", "NaN"]})
        number = pa.table({"x": [1.0, 0.0, None, 2.0**53, 1e-300]})
        large = pa.table({"x": [2**53 + 1, 2**53 + 2, 2**53 + 3, 2**63 - 1, -(2**63)]})
        digests = [d for table in (text, number, large) for d in row_digests(table, ["x"], b"k")]
        assert len(set(digests)) == len(digests)
        again = row_digests(pa.table({"x": [2.0**53 + 2, -(2.0**63)]}), ["x"], b"k")
        assert again == [digests[-4], digests[-1]]

    def test_missing_and_nan_are_one(self) -> None:
        with_nan = row_digests(pa.table({"x": [float("nan"), 0.0]}), ["x"], b"k")
        assert with_nan == row_digests(pa.table({"x": [None, 0.0]}), ["x"], b"k")
        assert with_nan[0] != with_nan[1]

    def test_keys_columns_and_domains_part_digests(self) -> None:
        table = pa.table({"x": ["a"], "y": ["a"]})
        digests = [
            *row_digests(table, ["x"], b"k"),
            *row_digests(table, ["y"], b"k"),
            *row_digests(table, ["x"], b"l"),
            *row_digests(table, ["x", "y"], b"k"),
            *group_digests(["a"], b"k"),
            *group_digests(["a"], b"l"),
        ]
        assert len(set(digests)) == 6

    def test_more_rows_than_one_batch_and_a_slice_are_digested_row_by_row(self) -> None:
        table = pa.table({"x": list(range(70_000)), "s": [str(n % 7) for n in range(70_000)]})
        digests = row_digests(table, ["x", "s"], b"k")
        assert len(set(digests)) == 70_000
        assert row_digests(table.slice(65_530, 20), ["x", "s"], b"k") == digests[65_530:65_550]
        assert row_digests(table.slice(0, 0), ["x"], b"k") == []

    def test_overlap_names_the_rows_that_come_back(self) -> None:
        old = row_digests(pa.table({"x": [1.0, 2.0]}), ["x"], b"k")
        new = row_digests(pa.table({"x": [3, 2, 1, 2]}), ["x"], b"k")
        assert overlap(new, set(old)) == [1, 2, 3]
        assert overlap([], set(old)) == []

    def test_bad_arguments_are_refused(self) -> None:
        with pytest.raises(InvalidArgument):
            row_digests(pa.table({"x": [1]}), ["x"], b"")
        with pytest.raises(InvalidArgument):
            row_digests(pa.table({"x": [[1]]}), ["x"], b"k")


class TestPrepare:
    def test_tables_hold_ids_groups_features_and_the_label_in_file_order(self) -> None:
        made = prepare(
            csv_of(100), format=None, label="sold", id_column="id", group_column="who",
            shares=SHARES, salt=SALT, first_row_id=1000,
        )  # fmt: skip
        assert made.schema == (Column("size", "numeric"), Column("colour", "categorical"))
        assert made.classes == ("0", "1")
        assert made.label == "sold"
        seen: list[int] = []
        for pillar in PILLARS:
            table = made.tables[pillar]
            assert table.column_names == ["row_id", "parent_id", "group_id", "size", "colour", "sold"]
            assert [str(type_) for type_ in table.schema.types] == [
                "int64", "int64", "string", "double", "string", "string"
            ]  # fmt: skip
            assert table.num_rows == made.rows[pillar]
            rows = table.column("row_id").to_pylist()
            assert rows == sorted(rows)
            seen += rows
            for row in table.to_pylist():
                n = row["row_id"] - 1000
                assert row["parent_id"] is None
                assert row["group_id"] == f"e{n // 2}"
                assert (row["size"], row["colour"], row["sold"]) == (n + 0.5, "rgb"[n % 3], str(n // 2 % 2))
                assert assign(row["group_id"], made.thresholds, salt=SALT) is pillar
        assert sorted(seen) == list(range(1000, 1100))

    def test_without_a_group_column_the_id_is_the_group(self) -> None:
        made = prepare(csv_of(100), format="csv", label="sold", id_column="id", shares=SHARES, salt=SALT)
        table = made.tables[TRAIN]
        assert table.column("group_id").to_pylist() == [f"r{n}" for n in table.column("row_id").to_pylist()]

    def test_without_group_and_id_equal_rows_stay_together(self) -> None:
        rows = [f"{n % 50},{n % 3 % 2}" for n in range(100)]
        data = "\n".join(["x,y", *rows]).encode()
        made = prepare(data, format="csv", label="y", shares=SHARES, salt=SALT)
        values = [set(made.tables[pillar].column("x").to_pylist()) for pillar in PILLARS]
        assert sum(map(len, values)) == 50
        shuffled = "\n".join(["x,y", *reversed(rows)]).encode()
        again = prepare(shuffled, format="csv", label="y", shares=SHARES, salt=SALT)
        assert [set(again.tables[pillar].column("x").to_pylist()) for pillar in PILLARS] == values

    def test_no_held_out_row_is_also_in_train(self) -> None:
        made = prepare(csv_of(200), format=None, label="sold", id_column="id", shares=SHARES, salt=SALT)
        names = [column.name for column in made.schema]
        held_out = {
            digest
            for pillar in (STABLE, REALTIME)
            for digest in row_digests(made.tables[pillar], names, b"key")
        }
        assert overlap(row_digests(made.tables[TRAIN], names, b"key"), held_out) == []

    @pytest.mark.parametrize("pillar", [TRAIN, DEVELOPMENT])
    def test_a_class_that_train_or_development_lacks_is_named(self, pillar: Pillar) -> None:
        keys = [f"e{n}" for n in range(100)]
        parts = split(keys, SHARES, salt=SALT)
        here = set(parts.positions(pillar).tolist())
        rows = [f"{key},{n},{'a' if n in here else 'ab'[n % 2]}" for n, key in enumerate(keys)]
        data = "\n".join(["who,x,y", *rows]).encode()
        with pytest.raises(TooFewRows, match=f"class 'b' .* {pillar.value}") as caught:
            prepare(data, format="csv", label="y", group_column="who", shares=SHARES, salt=SALT)
        assert caught.value.required > caught.value.available > 0

    def test_a_pillar_without_a_share_needs_no_class(self) -> None:
        made = prepare(csv_of(60), format=None, label="sold", shares={TRAIN: 1.0}, salt=SALT)
        assert made.rows == {TRAIN: 60, DEVELOPMENT: 0, STABLE: 0, REALTIME: 0}
        assert made.tables[STABLE].schema == made.tables[TRAIN].schema
