"""Pictures without traces: matplotlib with our settings alone, the same bytes for the same content.

Nothing is written to the home folder, and the drawing settings of the process are as before.
"""

from __future__ import annotations

import atexit
import io
import os
import shutil
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easeml_ray.errors import InvalidArgument

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FONT", "MEDIA_TYPES", "picture"]

MEDIA_TYPES = {"svg": "image/svg+xml", "png": "image/png"}
"""The kinds of pictures, and how HTTP calls them."""

DOTS = 150  # an inch, of a PNG
FONT = "DejaVu Sans"  # comes with matplotlib: the same picture on every machine

STYLE: Any = {
    "font.family": [FONT],
    "font.size": 9.0,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "svg.hashsalt": "easeml",
    "axes.spines.top": False,
    "axes.spines.right": False,
}

_lock = threading.Lock()


def picture(figure: Callable[[], Figure], kind: str, *, title: str, description: str) -> bytes:
    """Return a figure, made once the settings are ours, as the content of an ``"svg"`` or ``"png"`` file."""
    if kind not in MEDIA_TYPES:
        raise InvalidArgument(
            f"there is no picture of kind {kind!r}",
            hint=f"Choose {' or '.join(MEDIA_TYPES)}.",
            argument="kind",
        )
    # Settings and fonts of matplotlib belong to the whole process, and bear no second thread.
    with _lock, _style():
        drawn = figure()
        # Without a date and a version the same content is the same file.
        silent = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        content = io.BytesIO()
        told = {"Title": title, "Description": description}
        drawn.savefig(content, format=kind, dpi=DOTS, metadata={**told, **silent})
    return content.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    """Give matplotlib our settings, whatever the process or a person's file says, and take them back."""
    with _cache():
        import matplotlib
        import matplotlib.font_manager  # looks for its cache when it is imported
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


@contextmanager
def _cache() -> Iterator[None]:
    """Let matplotlib keep its list of fonts outside of the home folder, one folder a user."""
    # Making it takes seconds where there are many fonts. The variable is set while matplotlib is imported,
    # which remembers it; programs that this process starts do not inherit it.
    if "MPLCONFIGDIR" in os.environ or "matplotlib.font_manager" in sys.modules:
        # The caller has chosen.
        yield
        return
    os.environ["MPLCONFIGDIR"] = str(
        _own_folder(Path(tempfile.gettempdir()) / f"easeml-matplotlib-{os.getuid()}")
    )
    try:
        yield
    finally:
        del os.environ["MPLCONFIGDIR"]


def _own_folder(path: Path) -> Path:
    """Return the folder if only this user can write in it; else a fresh one that goes with the process."""
    # Anybody may have made a folder of that name, and matplotlib believes what stands in it.
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError:
        return _fresh_folder()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return path if ours else _fresh_folder()


def _fresh_folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="easeml-matplotlib-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
