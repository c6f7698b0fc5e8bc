"""Immutable, content-addressed bytes on a local disk or on any file system of pyarrow.

A blob stands at ``<root>/<tenant>/<sha256>``. On a local disk a blob under way stands in
``<root>/.incoming`` until it is whole and on the medium; what a killed process left there is
swept at the next opening, for it may hold rows that must not stay in clear.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
import uuid
from collections import OrderedDict
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.fs as pafs

from easeml_ray.errors import BlobCorrupt, BlobMissing, InvalidArgument, StoreError

__all__ = ["ABANDONED_SECONDS", "ArrowBlobStore"]

ABANDONED_SECONDS = 3600.0
"""Age at which an unfinished write counts as left by a killed process, in seconds."""

_VERIFIED_LIMIT = 4096  # digests that are remembered as checked
_TENANT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class _Medium(Protocol):
    """Where the bytes lie; paths are relative to the root."""

    def size(self, path: str) -> int | None: ...
    def write(self, path: str, data: pa.Buffer) -> None: ...
    def settle(self, path: str) -> None: ...
    def read(self, path: str) -> pa.Buffer: ...
    def delete(self, path: str) -> None: ...


class _LocalMedium:
    """A folder of this machine: fsync before rename, memory maps on read."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / ".incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._settled: set[Path] = set()  # folders whose own name is known to be on the medium
        _sync_folder(root.parent)
        self._sweep()

    def _sweep(self) -> None:
        oldest = time.time() - ABANDONED_SECONDS
        for path in self._incoming.iterdir():
            try:
                if path.stat().st_mtime < oldest:
                    path.unlink()
            except FileNotFoundError:  # another process swept it
                continue

    def size(self, path: str) -> int | None:
        try:
            return (self._root / path).stat().st_size
        except FileNotFoundError:
            return None

    def write(self, path: str, data: pa.Buffer) -> None:
        target = self._root / path
        target.parent.mkdir(exist_ok=True)
        temporary = self._incoming / uuid.uuid4().hex
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def settle(self, path: str) -> None:
        # Also for a blob that was there: its writer may not have come this far.
        folder = (self._root / path).parent
        _sync_folder(folder)
        if folder not in self._settled:
            _sync_folder(self._root)
            self._settled.add(folder)

    def read(self, path: str) -> pa.Buffer:
        target = self._root / path
        if target.stat().st_size == 0:  # nothing to map
            return pa.py_buffer(b"")
        with pa.memory_map(str(target)) as file:
            return file.read_buffer()

    def delete(self, path: str) -> None:
        target = self._root / path
        try:
            target.unlink()
        except FileNotFoundError:
            return
        _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _RemoteMedium:
    """An object store, where a closed upload is atomic and durable by itself."""

    def __init__(self, system: pafs.FileSystem, root: str) -> None:
        self._system = system
        self._root = root.rstrip("/")

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}"

    def size(self, path: str) -> int | None:
        info = self._system.get_file_info(self._path(path))
        return info.size if info.type == pafs.FileType.File else None

    def write(self, path: str, data: pa.Buffer) -> None:
        target = self._path(path)
        if self._system.type_name not in ("s3", "gcs"):  # those have no folders
            self._system.create_dir(target.rpartition("/")[0], recursive=True)
        with self._system.open_output_stream(target) as stream:
            stream.write(data)

    def settle(self, path: str) -> None:
        return

    def read(self, path: str) -> pa.Buffer:
        with self._system.open_input_file(self._path(path)) as file:
            return file.read_buffer()

    def delete(self, path: str) -> None:
        try:
            self._system.delete_file(self._path(path))
        except FileNotFoundError:
            return


def _open_medium(uri: str) -> _Medium:
    if "://" not in uri:
        return _LocalMedium(Path(uri).absolute())
    try:
        system, root = pafs.FileSystem.from_uri(uri)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidArgument(
            f"no place for blobs at {uri!r}: {error}",
            hint="Use a local folder, or a URI with s3:// or gs://.",
            argument="uri",
        ) from error
    if isinstance(system, pafs.LocalFileSystem):
        return _LocalMedium(Path(root))
    return _RemoteMedium(system, root)


class ArrowBlobStore:
    """A :class:`~easeml_ray.store.base.BlobStore` on the file systems of pyarrow."""

    def __init__(self, uri: str) -> None:
        self._medium = _open_medium(uri)
        self._lock = threading.Lock()
        self._verified: OrderedDict[str, None] = OrderedDict()  # paths, least recent first

    def put(self, tenant: str, data: bytes | pa.Buffer) -> str:
        """Store bytes and return their sha256 in hex."""
        buffer = data if isinstance(data, pa.Buffer) else pa.py_buffer(data)
        digest = hashlib.sha256(buffer).hexdigest()
        path = _path(tenant, digest)
        # By size and not by presence: a broken upload to an object store is then mended.
        if self._medium.size(path) != buffer.size:
            self._medium.write(path, buffer)
        self._medium.settle(path)
        return digest

    def get(self, tenant: str, digest: str) -> pa.Buffer:
        """Return the bytes; memory-mapped where the medium allows."""
        path = _path(tenant, digest)
        try:
            buffer = self._medium.read(path)
        except FileNotFoundError:
            raise BlobMissing(
                f"no blob {digest} of tenant {tenant!r}",
                hint="Was it deleted, or does the blob URI name another place than when it was written?",
                digest=digest,
            ) from None
        if not self._is_verified(path):
            if hashlib.sha256(buffer).hexdigest() != digest:
                raise BlobCorrupt(
                    f"the bytes of blob {digest} of tenant {tenant!r} have another digest",
                    hint="Restore the file from a copy; the medium may be failing.",
                    digest=digest,
                )
            self._remember(path)
        return buffer

    def has(self, tenant: str, digest: str) -> bool:
        """Tell whether a blob is there."""
        return self._medium.size(_path(tenant, digest)) is not None

    def delete(self, tenant: str, digest: str) -> None:
        """Remove a blob; one that is absent is no error."""
        path = _path(tenant, digest)
        self._medium.delete(path)
        with self._lock:
            self._verified.pop(path, None)

    def put_table(self, tenant: str, table: pa.Table) -> str:
        """Store a table as one Arrow IPC file and return its digest."""
        # Chunks are combined first, so that equal columns give equal bytes however they were cut.
        sink = pa.BufferOutputStream()
        whole = table.combine_chunks()
        # Uncompressed: only then can a reader use the mapped bytes as they lie.
        with pa.ipc.new_file(sink, whole.schema) as writer:
            writer.write_table(whole)
        return self.put(tenant, sink.getvalue())

    def get_table(self, tenant: str, digest: str) -> pa.Table:
        """Return a table; zero copies from a local disk."""
        buffer = self.get(tenant, digest)
        try:
            return pa.ipc.open_file(pa.BufferReader(buffer)).read_all()
        except pa.ArrowInvalid as error:
            raise _not_a("table", digest, error) from error

    def put_json(self, tenant: str, value: Any) -> str:
        """Store a JSON value (sorted keys) and return its digest."""
        try:
            text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            raise InvalidArgument(
                f"this value is no JSON: {error}",
                hint="Give dicts with text keys, lists, text, numbers, booleans and None.",
                argument="value",
            ) from error
        return self.put(tenant, text.encode())

    def get_json(self, tenant: str, digest: str) -> Any:
        """Return a JSON value."""
        try:
            return json.loads(self.get(tenant, digest).to_pybytes())
        except ValueError as error:
            raise _not_a("JSON value", digest, error) from error

    def _is_verified(self, path: str) -> bool:
        with self._lock:
            known = path in self._verified
            if known:
                self._verified.move_to_end(path)
            return known

    def _remember(self, path: str) -> None:
        with self._lock:
            self._verified[path] = None
            while len(self._verified) > _VERIFIED_LIMIT:
                self._verified.popitem(last=False)


def _path(tenant: str, digest: str) -> str:
    if not _TENANT.fullmatch(tenant):
        raise InvalidArgument(
            f"{tenant!r} is no name of a tenant",
            hint="Use letters, digits, '_', '-' and '.', not a '.' or '-' first; 128 at most.",
            argument="tenant",
        )
    if not _DIGEST.fullmatch(digest):
        raise InvalidArgument(
            f"{digest!r} is no sha256", hint="Give 64 lower-case hex digits.", argument="digest"
        )
    return f"{tenant}/{digest}"


def _not_a(what: str, digest: str, error: Exception) -> StoreError:
    return StoreError(f"blob {digest} is no {what}: {error}", hint="Is this the digest of something else?")
