"""Where state survives: an append-only log of events and content-addressed blobs.

See :mod:`easeml_ray.store.base` for the contract that every backend keeps.
"""

from __future__ import annotations

from easeml_ray.store.base import BlobStore, EventStore

__all__ = ["BlobStore", "EventStore", "open_blob_store", "open_event_store", "open_stores"]


def open_event_store(url: str) -> EventStore:
    """Open the log of events at a URL; its tables are made when they are not there.

    ``memory://`` (gone with the process), ``sqlite:////absolute/file.db`` or
    ``postgresql+psycopg://user@host/database``. InvalidArgument for any other, SchemaTooNew or SchemaTooOld
    if another easeml_ray has written the store.
    """
    # Backends are imported on demand: SQLAlchemy alone doubles the import time.
    if url == "memory://":
        from easeml_ray.store.memory import MemoryEventStore

        return MemoryEventStore()
    from easeml_ray.store.sql import SqlEventStore

    return SqlEventStore(url)


def open_blob_store(uri: str) -> BlobStore:
    """Open the blobs at a folder or a URI; see :class:`easeml_ray.store.blobs.ArrowBlobStore`."""
    from easeml_ray.store.blobs import ArrowBlobStore

    return ArrowBlobStore(uri)


def open_stores(state_url: str, blobs_uri: str) -> tuple[EventStore, BlobStore]:
    """Open both stores of a system.

    Parameters
    ----------
    state_url : str
        As for :func:`open_event_store`.
    blobs_uri : str
        A local folder, or a URI that :mod:`pyarrow.fs` knows (``s3://``, ``gs://``, …).

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     events, blobs = open_stores("memory://", folder)
    ...     events.incarnate("registry"), blobs.get_json("ann", blobs.put_json("ann", [1, 2]))
    (1, [1, 2])
    """
    return open_event_store(state_url), open_blob_store(blobs_uri)
