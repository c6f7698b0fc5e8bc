"""``easeml doctor``: whether this machine and this installation can run the system."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from cluster import wording
from cluster.command.table import table
from cluster.command.verb import Session, verb
from cluster.settings import Settings

__all__ = ["Check", "checks", "doctor", "own_packages"]

_PACKAGES = ("easeml_ray", "actors", "serve", "cluster")
_LIBRARIES = (
    "ray",
    "torch",
    "numpy",
    "scikit-learn",
    "pyarrow",
    "pydantic",
    "sqlalchemy",
    "fastapi",
    "cryptography",
)
_MEMORY = 4 * 2**30  # bytes that the demonstration needs, with room
_DISK = 2 * 2**30


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str
    hint: str = ""


@verb
def doctor(session: Session) -> None:
    """Check versions, packages, state folder, port, Ray, memory and disk; exit code 1 if one is wrong."""
    found = list(checks(session.settings))
    session.show({"ok": all(c.ok for c in found), "checks": [asdict(c) for c in found]}, _draw)
    if not all(check.ok for check in found):
        raise typer.Exit(1)


def checks(settings: Settings) -> Iterator[Check]:
    """Yield every check."""
    yield _python()
    yield from _libraries()
    yield from own_packages()
    yield _folder(settings.state)
    yield from _endpoint(settings)
    yield _ray()
    yield _memory()
    yield _disk(settings.state)


def _python() -> Check:
    text = ".".join(map(str, sys.version_info[:3]))
    return Check("Python", sys.version_info >= (3, 11), text, "Use Python 3.11 or newer.")


def _libraries() -> Iterator[Check]:
    for name in _LIBRARIES:
        try:
            yield Check(name, True, version(name))
        except PackageNotFoundError:
            yield Check(name, False, "not installed", f"pip install {name}")


def own_packages() -> Iterator[Check]:
    """Check that the four package names lead to this installation and to no namesake.

    ``serve`` and ``cluster`` are common names: a folder on the path may stand before ours.
    """
    home = Path(__file__).resolve().parents[2]
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        ours = origin is not None and origin.parent.parent == home
        hint = f"Another {name} stands before ours on the path: leave that folder, or rename it."
        yield Check(f"package {name}", ours, str(origin.parent if origin else "not found"), hint)


def _folder(state: Path) -> Check:
    # What does not exist yet is made in the nearest folder that does.
    existing = next(folder for folder in (state, *state.parents) if folder.exists())
    writable = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    return Check("state folder", writable, str(state), "Choose another: --state or EASEML_STATE.")


def _endpoint(settings: Settings) -> Iterator[Check]:
    import socket

    from cluster import local

    running = local.status(settings.state) if settings.state.is_dir() else {"running": False}
    if running["running"]:
        yield Check("endpoint", True, f"runs at {running['url']}")
        yield Check("driver", running["driver"], "lives" if running["driver"] else "gone", wording.NO_DRIVER)
        return
    if settings.port == 0:
        yield Check("port", True, "any free one")
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", settings.port))
        except OSError:
            hint = "Choose another: EASEML_PORT, or 0 for any free one."
            yield Check("port", False, f"{settings.port} is taken", hint)
            return
    yield Check("port", True, f"{settings.port} is free")


def _ray() -> Check:
    try:
        import ray
    except Exception as error:  # a broken installation fails in many ways
        return Check(
            "Ray imports",
            False,
            f"{type(error).__name__}: {error}",
            "Install it anew: pip install 'ray[default,tune,serve]'",
        )
    return Check("Ray imports", True, str(ray.__version__))


def _memory() -> Check:
    import psutil

    free = int(psutil.virtual_memory().available)
    return Check(
        "free memory", free >= _MEMORY, f"{free / 2**30:.1f} GiB", f"{_MEMORY / 2**30:.0f} GiB are needed."
    )


def _disk(state: Path) -> Check:
    existing = next(folder for folder in (state, *state.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    return Check(
        "free disk", free >= _DISK, f"{free / 2**30:.1f} GiB", f"{_DISK / 2**30:.0f} GiB are needed."
    )


def _draw(out: Console, answer: dict[str, Any]) -> None:
    rows = [
        ["ok" if c["ok"] else "WRONG", c["what"], c["found"], "" if c["ok"] else c["hint"]]
        for c in answer["checks"]
    ]
    out.print(table(["", "what", "found", "what to do"], rows))
    out.print("All is well." if answer["ok"] else "Something is wrong: see above.")
