"""Digests as blobs: small, sorted, looked up where they lie."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa

from easeml_ray.ingest import contained, group_digests, join, pack, row_digests, shorten
from easeml_ray.registry import digests as module
from easeml_ray.registry.digests import put_digests, seen, settled_cells, table_digests
from easeml_ray.store.blobs import ArrowBlobStore

KEY = b"key"
SCHEMA = {"features": [["x", "numeric"], ["s", "categorical"]], "label": "y"}


def table(x: list[float | None], groups: list[str]) -> pa.Table:
    return pa.table(
        {"x": pa.array(x, pa.float64()), "s": pa.array([str(v) for v in x]), "group_id": pa.array(groups)}
    )


def test_what_is_packed_is_found_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    raw = rng.bytes(32 * 5000)
    digests = shorten([raw[i : i + 32] for i in range(0, len(raw), 32)])
    # Bytes that text would lose or compare as signed.
    odd = shorten([bytes(32), b"\0" * 15 + b"\1" + b"\0" * 16, b"\xff" * 32, b"\x80" + bytes(31)])
    held, others = np.concatenate([digests[::2], odd[1:3]]), np.concatenate([digests[1::2], odd[[0, 3]]])
    kept = {one.tobytes() for one in held}
    packed = pack(held)
    assert len(packed) == 16 * len(held)
    for asked in (held, others):
        assert contained(asked, packed).tolist() == [one.tobytes() in kept for one in asked]
    assert not contained(held, b"").any()
    assert join([pack(held[:100]), pack(held[50:]), b""]) == packed
    assert join([]) == b""


def test_a_row_is_seen_by_its_features_or_by_its_group(tmp_path: Path, monkeypatch) -> None:
    blobs = ArrowBlobStore(str(tmp_path))
    first, second = table([1.0, None], ["a", "b"]), table([3.0], ["c"])
    names = [put_digests(blobs, "lab", [table_digests(t, SCHEMA, KEY)]) for t in (first, second)]
    asked = table([1.0, None, 3.0, 4.0, 5.0], ["p", "q", "r", "c", "s"])
    digests = table_digests(asked, SCHEMA, KEY)
    for large in (1, 2**20):  # looked up where they lie, or joined first
        monkeypatch.setattr(module, "_LARGE", large)
        assert seen(digests, blobs, "lab", names).tolist() == [True, True, True, True, False]
    assert not seen(digests, blobs, "lab", []).any()
    assert put_digests(blobs, "lab", [digests[:0]]) == ""


def test_digests_of_a_table_do_not_depend_on_how_many_are_made_at_once(monkeypatch) -> None:
    rows = table([float(i) for i in range(100)], [str(i) for i in range(100)])
    whole = table_digests(rows, SCHEMA, KEY)
    monkeypatch.setattr(module, "_AT_ONCE", 7)
    assert (table_digests(rows, SCHEMA, KEY) == whole).all()
    assert (whole[:, 0] == shorten(row_digests(rows, ["x", "s"], KEY))).all()
    assert (whole[:, 1] == shorten(group_digests(rows["group_id"].to_pylist(), KEY))).all()
    assert table_digests(rows[:0], SCHEMA, KEY).shape == (0, 2)


def test_many_rows_take_little_memory(tmp_path: Path) -> None:
    blobs = ArrowBlobStore(str(tmp_path))
    rng = np.random.default_rng(0)
    held = np.frombuffer(rng.bytes(16 * 2_000_000), dtype="S16")  # a million rows and their groups
    name = put_digests(blobs, "lab", [held.reshape(-1, 2)])
    asked = held[:2000].reshape(-1, 2)
    tracemalloc.start()
    assert seen(asked, blobs, "lab", [name]).all()
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_cells_that_alternatives_disagree_on_are_left_empty() -> None:
    records = pa.table(
        {
            "row_id": [1, 1, 2],
            "group_id": ["a", "a", "b"],
            "x": [1.0, 1.0, 3.0],
            "s": ["u", "v", "w"],
            "flag": [True, False, True],
        }
    )
    schema = {"features": [["x", "numeric"], ["s", "categorical"], ["flag", "numeric"]]}
    assert settled_cells(records, schema).to_pylist() == [
        {"group_id": "a", "x": 1.0, "s": None, "flag": None},
        {"group_id": "b", "x": 3.0, "s": "w", "flag": True},
    ]
    assert settled_cells(records[:0], schema).num_rows == 0
