"""What others install: the packages of extras, and members of a family by entry points.

A family is told by the name of its kind, ``"embedding"`` or ``"arm"``, in the messages.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from typing import Any

from easeml_ray.errors import EasemlError, InvalidArgument

__all__ = ["called", "installed", "made", "require"]


def installed(*modules: str) -> bool:
    """Return whether all top-level modules can be imported, without importing them."""
    return all(find_spec(module) is not None for module in modules)


def require(kind: str, name: str, extra: str, *modules: str) -> None:
    """Raise InvalidArgument with the command that installs an extra, unless its modules are there."""
    missing = [module for module in modules if not installed(module)]
    if missing:
        raise InvalidArgument(
            f"the {kind} {name!r} needs {', '.join(missing)}, which is not installed",
            hint=f"pip install 'easeml_ray[{extra}]'",
            argument=f"{kind}s",
        )


def called(kind: str, name: str, doing: str, function: Callable[..., Any], *args: Any) -> Any:
    """Call what somebody else wrote; what it raises becomes an InvalidArgument that names the member.

    Errors of easeml_ray and MemoryError pass as they are.
    """
    try:
        return function(*args)
    except (EasemlError, MemoryError):
        raise
    except Exception as error:
        raise InvalidArgument(
            f"the {kind} {name!r} fails when {doing}: {type(error).__name__}: {error}",
            hint=f"Correct it, or leave this {kind} out.",
            argument=f"{kind}s",
        ) from error


def made(kind: str, point: EntryPoint, protocol: type, members: str) -> Any:
    """Make the member that an entry point names; `members` tells what the protocol asks for."""
    factory = called(kind, point.name, f"being loaded from {point.value}", point.load)
    member = called(kind, point.name, "being made", factory)
    if not isinstance(member, protocol):
        raise InvalidArgument(
            f"the installed {kind} {point.name!r} makes a {type(member).__name__}, which is none",
            hint=f"It needs {members}.",
            argument=f"{kind}s",
        )
    return member
