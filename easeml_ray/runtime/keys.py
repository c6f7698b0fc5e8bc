"""Secret keys as files that only their owner can read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

__all__ = ["new_key", "private_folder", "read_or_make_key"]


def new_key() -> bytes:
    """Return 32 random bytes."""
    return secrets.token_bytes(32)


def private_folder(path: Path) -> Path:
    """Make a folder if it is missing, and close it to everybody but its owner."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)
    return path


def read_or_make_key(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the key in a file; make it first, mode 0600, if there is none."""
    # Two processes that start at once agree: the file is linked into place, and who comes second reads the
    # first one's.
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()
