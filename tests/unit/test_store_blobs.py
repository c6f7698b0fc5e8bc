"""The blob store on a local disk and on a file system without one."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from easeml_ray.errors import BlobCorrupt, BlobMissing, InvalidArgument, StoreError
from easeml_ray.store import BlobStore, open_blob_store, open_stores
from easeml_ray.store.blobs import ABANDONED_SECONDS

ROOT = Path(__file__).parents[2]
ABSENT = hashlib.sha256(b"absent").hexdigest()


@pytest.fixture(params=["folder", "file uri", "object store"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    place = {
        "folder": str(tmp_path / "b"),
        "file uri": f"file://{tmp_path}/b",
        "object store": "mock://bucket/b",
    }
    return open_blob_store(place[request.param])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 999], ids=["empty", "one", "many"])
def test_bytes_come_back_under_their_sha256(store: BlobStore, data: bytes) -> None:
    digest = store.put("ann", data)
    assert digest == hashlib.sha256(data).hexdigest()
    assert store.put("ann", pa.py_buffer(data)) == digest
    assert store.has("ann", digest)
    assert store.get("ann", digest).to_pybytes() == data


def test_a_tenant_sees_only_its_own_blobs(store: BlobStore) -> None:
    digest = store.put("ann", b"private")
    assert not store.has("bob", digest)
    with pytest.raises(BlobMissing) as caught:
        store.get("bob", digest)
    assert caught.value.digest == digest


def test_delete_removes_and_absence_is_no_error(store: BlobStore) -> None:
    digest = store.put("ann", b"to go")
    store.get("ann", digest)
    for _ in range(2):
        store.delete("ann", digest)
    assert not store.has("ann", digest)
    with pytest.raises(BlobMissing):
        store.get("ann", digest)
    store.delete("nobody", ABSENT)


def test_tables_come_back_with_their_types_and_nulls(store: BlobStore) -> None:
    table = pa.table(
        {
            "row_id": pa.array([1, 2, None], pa.int64()),
            "x": pa.array([0.5, None, float("nan")]),
            "name": pa.array(["a", "", None]),
            "flag": [True, None, False],
        },
        metadata={"from": "here"},
    )
    back = store.get_table("ann", store.put_table("ann", table))
    assert back.schema.equals(table.schema, check_metadata=True)
    assert str(back.to_pylist()) == str(table.to_pylist())


def test_equal_tables_have_one_digest_however_they_are_chunked(store: BlobStore) -> None:
    whole = pa.table({"x": list(range(10)), "s": [str(n) for n in range(10)]})
    cut = pa.concat_tables([whole.slice(0, 3), whole.slice(3)])
    assert store.put_table("ann", cut) == store.put_table("ann", whole)
    assert store.get_table("ann", store.put_table("ann", whole.slice(3, 2))).num_rows == 2
    empty = store.put_table("ann", whole.slice(0, 0))
    assert store.get_table("ann", empty).schema == whole.schema


def test_json_does_not_depend_on_the_order_of_keys(store: BlobStore) -> None:
    digest = store.put_json("ann", {"b": [1, None, "ä"], "a": 0.1})
    assert digest == store.put_json("ann", {"a": 0.1, "b": [1, None, "ä"]})
    assert store.get_json("ann", digest) == {"a": 0.1, "b": [1, None, "ä"]}
    with pytest.raises(InvalidArgument):
        store.put_json("ann", {"a": object()})


def test_a_blob_of_another_kind_is_refused(store: BlobStore) -> None:
    digest = store.put("ann", b"neither table nor JSON")
    with pytest.raises(StoreError, match="no table"):
        store.get_table("ann", digest)
    with pytest.raises(StoreError, match="no JSON value"):
        store.get_json("ann", digest)


@pytest.mark.parametrize("tenant", ["", ".", "..", ".incoming", "a/b", "/etc", "a\\b", "-x", "ä", "a" * 129])
def test_a_name_that_could_leave_the_store_is_refused(store: BlobStore, tenant: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        store.put(tenant, b"x")
    assert caught.value.argument == "tenant"


@pytest.mark.parametrize("digest", ["", "../secret", ABSENT.upper(), ABSENT + "\n", ABSENT[:-1]])
def test_what_is_no_digest_is_refused(store: BlobStore, digest: str) -> None:
    for use in (store.get, store.has, store.delete):
        with pytest.raises(InvalidArgument):
            use("ann", digest)


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="s3://"):
        open_blob_store("gopher://hole")


def test_another_process_reads_what_was_put(folder: Path) -> None:
    _, writer = open_stores("memory://", str(folder))
    digest = writer.put("ann", b"shared")
    assert open_blob_store(str(folder)).get("ann", digest).to_pybytes() == b"shared"
    assert (folder / "ann" / digest).read_bytes() == b"shared"


def test_altered_bytes_are_found_by_the_first_reader(folder: Path) -> None:
    digest = open_blob_store(str(folder)).put("ann", b"original")
    (folder / "ann" / digest).write_bytes(b"0riginal")
    for _ in range(2):
        with pytest.raises(BlobCorrupt) as caught:
            open_blob_store(str(folder)).get("ann", digest)
        assert caught.value.digest == digest


def test_a_truncated_blob_is_mended_by_putting_it_again(folder: Path) -> None:
    store = open_blob_store(str(folder))
    digest = store.put("ann", b"original")
    (folder / "ann" / digest).write_bytes(b"orig")
    store.put("ann", b"original")
    assert store.get("ann", digest).to_pybytes() == b"original"


def test_the_digest_is_computed_once_per_blob(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_blob_store(str(folder))
    digest = store.put("ann", b"large")
    store.get("ann", digest)
    monkeypatch.setattr("easeml_ray.store.blobs.hashlib", None)
    assert store.get("ann", digest).to_pybytes() == b"large"


def test_a_table_is_read_without_copies(folder: Path) -> None:
    store = open_blob_store(str(folder))
    table = pa.table({"x": np.arange(200_000.0), "s": ["text"] * 200_000})
    digest = store.put_table("ann", table)
    before = pa.total_allocated_bytes()
    back = store.get_table("ann", digest)
    assert pa.total_allocated_bytes() - before < 10_000
    assert back.equals(table)
    store.delete("ann", digest)  # an open map outlives the name
    assert back.column("x")[-1].as_py() == 199_999.0


def test_a_failed_write_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_blob_store(str(folder))

    def fail(descriptor: int) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="disk full"):
        patch.setattr(os, "fsync", fail)
        patch.setattr("easeml_ray.store.blobs._sync_folder", lambda folder: None)
        store.put("ann", b"data")
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_bytes_are_on_the_medium_before_they_have_a_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_blob_store(str(folder))
    store.put("ann", b"first")
    steps: list[str] = []
    sync, rename = os.fsync, Path.replace

    def note_sync(descriptor: int) -> None:
        steps.append("folder" if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir() else "file")
        sync(descriptor)

    def note_rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_rename)
    store.put("ann", b"second")
    assert steps == ["file", "rename", "folder"]
    store.put("ann", b"second")
    assert steps[3:] == ["folder"]


def test_what_a_killed_writer_left_is_swept_when_old(folder: Path) -> None:
    open_blob_store(str(folder))
    old, young = folder / ".incoming" / "old", folder / ".incoming" / "young"
    for path in (old, young):
        path.write_bytes(b"half of a")
    past = time.time() - 2 * ABANDONED_SECONDS
    os.utime(old, (past, past))
    open_blob_store(str(folder))
    assert not old.exists()
    assert young.exists()


WRITE_FOREVER = """
import sys
from easeml_ray.store import open_blob_store
store = open_blob_store(sys.argv[1])
for n in range(10**6):
    print(store.put("ann", str(n).encode() * 50_000), flush=True)
"""


def test_every_blob_is_whole_after_sigkill_in_the_middle_of_writing(folder: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOREVER, str(folder)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert writer.stdout is not None
    acked = [writer.stdout.readline().strip() for _ in range(20)]
    writer.send_signal(signal.SIGKILL)
    acked += writer.stdout.read().split()
    writer.wait(timeout=10)
    writer.stdout.close()
    store = open_blob_store(str(folder))
    present = {path.name for path in (folder / "ann").iterdir()}
    assert present >= {digest for digest in acked if len(digest) == 64}
    for digest in present:
        store.get("ann", digest)
