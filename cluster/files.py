"""A person's own files: how they are read, parted as the system parts them, and written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easeml_ray.errors import InvalidArgument, UnreadableFile

if TYPE_CHECKING:
    from easeml_ray.ingest import Prepared

__all__ = ["contents", "parted", "write_whole"]


def contents(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    UnreadableFile
        There is none, or it may not be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFile(
            f"{path} cannot be read: {error.strerror}", hint="Give the path of a file."
        ) from error


def parted(project: str, data: bytes, task: Mapping[str, Any]) -> Prepared:
    """Check a file and part its rows into pillars, as a system parts those of a project of this name.

    Raises
    ------
    InvalidSpec, InvalidTable
        The task or the file cannot be used.
    """
    from easeml_ray.ingest import prepare
    from easeml_ray.messages import Pillar
    from easeml_ray.process.task import parse_task

    spec = parse_task(dict(task))
    return prepare(
        data,
        format=None,
        label=spec.label,
        id_column=spec.id_column,
        group_column=spec.group_column,
        shares={Pillar(pillar): share for pillar, share in spec.shares.model_dump().items()},
        salt=f"{project}:{spec.seed}".encode(),
    )


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all; one of that name is replaced.

    Raises
    ------
    InvalidArgument
        It cannot be written there.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            draft.write_bytes(data)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidArgument(
            f"{path} cannot be written: {error.strerror}",
            hint="Name a file in a folder that exists.",
            argument="path",
        ) from error
