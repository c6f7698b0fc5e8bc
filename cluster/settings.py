"""Where state lives and how the system is reached: flag, then environment, then file, then default."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from easeml_ray.errors import InvalidSpec

__all__ = ["DEFAULT_PORT", "Settings", "load"]

DEFAULT_PORT = 0
"""Any free port: several systems can run on one machine."""

FILE_NAME = "easeml.toml"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything about a system that is not in its store.

    Attributes
    ----------
    state : Path
        Folder of the event store, the blobs, the keys and the log files.
    store : str
        SQLAlchemy URL of the event store.
    blobs : str
        Folder or URI (s3://, gs://) of the blob store.
    port : int
        Port of the HTTP endpoint of a local system; 0 means any free one.
    url, token : str or None
        A running system and the bearer token for it; None: the local one of this state folder.
    ray_address : str or None
        Address of a Ray cluster's job server or head; None: the one of this machine.
    """

    state: Path
    store: str
    blobs: str
    port: int = DEFAULT_PORT
    url: str | None = None
    token: str | None = None
    ray_address: str | None = None


NAMES = tuple(field.name for field in fields(Settings))


def load(overrides: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings in force.

    Parameters
    ----------
    overrides : mapping, optional
        Values of flags by field name; None counts as not given.
    environ : mapping of str to str, optional
        Variables ``EASEML_<FIELD>``; those of the process by default.

    Returns
    -------
    Settings
        With every relative path made absolute.

    Raises
    ------
    InvalidSpec
        If ``easeml.toml`` does not parse or has an unknown key, or the port is no port.

    Examples
    --------
    >>> load({"state": "/srv/easeml"}, environ={"EASEML_PORT": "9000"}).port
    9000
    >>> load({"state": "/srv/easeml"}, environ={}).store
    'sqlite:////srv/easeml/easeml.db'
    """
    variables = os.environ if environ is None else environ
    flags = {name: value for name, value in (overrides or {}).items() if value is not None}
    named = {
        name: variables[f"EASEML_{name.upper()}"] for name in NAMES if variables.get(f"EASEML_{name.upper()}")
    }
    first = flags.get("state") or named.get("state") or _default_state()
    state = Path(first).expanduser().absolute()
    values: dict[str, Any] = {**_file(state / FILE_NAME), **named, **flags}
    return Settings(
        state=state,
        store=str(values.get("store") or f"sqlite:///{state / 'easeml.db'}"),
        blobs=str(values.get("blobs") or state / "blobs"),
        port=_port(values.get("port", DEFAULT_PORT)),
        url=_text(values.get("url")),
        token=_text(values.get("token")),
        ray_address=_text(values.get("ray_address")),
    )


def _default_state() -> str:
    # Only looked up when nothing names a folder.
    from platformdirs import user_data_dir

    return user_data_dir("easeml", appauthor=False)


def _file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSpec(
            f"{path} does not parse: {error}", hint="Write lines such as: port = 8642", field=FILE_NAME
        ) from error
    # The file stands inside the folder that it would have to name.
    unknown = sorted(set(values) - set(NAMES) | {"state"} & set(values))
    if unknown:
        raise InvalidSpec(
            f"{path} has the key {unknown[0]!r}, which is no setting there",
            hint=f"Settings: {', '.join(name for name in NAMES if name != 'state')}.",
            field=unknown[0],
        )
    return values


def _port(value: Any) -> int:
    try:
        port = int(value)
    except (TypeError, ValueError):
        port = -1
    if not 0 <= port <= 65535:
        raise InvalidSpec(
            f"{value!r} is no port",
            hint="Give a number from 1 to 65535, e.g. 8642, or 0 for any free one.",
            field="port",
        )
    return port


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)
