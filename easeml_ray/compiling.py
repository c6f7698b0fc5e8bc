"""Where compiled code is kept: beside its source, or where NUMBA_CACHE_DIR says, never in HOME."""

from __future__ import annotations

import os

__all__ = ["may_keep"]


def may_keep(file: str) -> bool:
    """Tell whether code compiled from a module's ``__file__`` can be kept beside it."""
    # Elsewhere the compiler would keep it in the user's home; then it is compiled anew in every process.
    folder = os.path.dirname(os.path.abspath(file))
    kept = os.path.join(folder, "__pycache__")
    beside = os.access(kept if os.path.isdir(kept) else folder, os.W_OK)
    return beside or bool(os.environ.get("NUMBA_CACHE_DIR"))
