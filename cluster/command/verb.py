"""What every verb of ``easeml`` shares: its options, its session, how answers and errors look."""

from __future__ import annotations

import functools
import inspect
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from rich.console import Console
from rich.markup import escape

from cluster.settings import Settings, load
from easeml_ray.errors import EasemlError, NotReady

if TYPE_CHECKING:
    from cluster.local import Endpoint
    from easeml_ray.client import Client

__all__ = ["DEMO", "JsonFlag", "Session", "StateFlag", "TokenFlag", "UrlFlag", "verb"]

DEMO = "demo"
"""The demonstration's own state folder stands in that of the settings."""

UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h: a fault of the program
INTERRUPTED = 130

_PANEL = "Options of every verb"
JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print the raw answer as JSON.", rich_help_panel=_PANEL)
]
StateFlag = Annotated[Path | None, typer.Option(help="State folder [EASEML_STATE].", rich_help_panel=_PANEL)]
UrlFlag = Annotated[str | None, typer.Option(help="A running system [EASEML_URL].", rich_help_panel=_PANEL)]
TokenFlag = Annotated[
    str | None, typer.Option(help="Bearer token for it [EASEML_TOKEN].", rich_help_panel=_PANEL)
]

_SHARED: dict[str, tuple[Any, Any]] = {
    "as_json": (JsonFlag, False),
    "state": (StateFlag, None),
    "url": (UrlFlag, None),
    "token": (TokenFlag, None),
}


class Session:
    """One call of ``easeml``: what was asked for, and where answers go.

    Parameters
    ----------
    as_json : bool
        Print raw answers instead of tables.
    overrides : dict
        Flags that win over environment and file.
    """

    def __init__(self, as_json: bool = False, **overrides: Any) -> None:
        self.as_json = as_json
        self.overrides = {name: value for name, value in overrides.items() if value is not None}
        self.out = Console(highlight=False, emoji=False)
        self.err = Console(stderr=True, highlight=False, emoji=False)

    @functools.cached_property
    def settings(self) -> Settings:
        """The settings in force."""
        return load(self.overrides)

    def also(self, as_json: bool, **overrides: Any) -> Session:
        """Return a session with further flags, which win over the ones given before."""
        given = {name: value for name, value in overrides.items() if value is not None}
        return Session(self.as_json or as_json, **{**self.overrides, **given})

    def running(self) -> tuple[Path, Endpoint] | None:
        """Return the local system of the state folder and that folder, else the demonstration's."""
        from cluster import local

        for folder in (self.settings.state, self.settings.state / DEMO):
            # Looking for a system makes no folder.
            found = local.endpoint(folder) if folder.is_dir() else None
            if found is not None:
                return folder, found
        return None

    def client(self) -> Client:
        """Return a client of the system that is named, or of the local one.

        Raises
        ------
        NotReady
            No system is named and none runs here.
        """
        from easeml_ray.client import Client

        if self.settings.url is not None:
            return Client(self.settings.url, self.settings.token)
        found = self.running()
        if found is None:
            raise NotReady(
                f"no system runs over {self.settings.state}",
                hint="Start one: easeml up. Or name one: --url and --token.",
            )
        return Client(found[1].url, self.settings.token or found[1].token)

    def show(self, answer: Any, render: Callable[[Console, Any], None]) -> None:
        """Print an answer: as it is, or as ``render`` draws it."""
        if self.as_json:
            print(json.dumps(answer, indent=2, default=str))
        else:
            render(self.out, answer)

    def prompt(self, text: str) -> str | None:
        """Ask the person at the terminal; None when the input has ended."""
        try:
            return self.err.input(f"{text}> ").strip()
        except EOFError:
            return None

    def say(self, text: Any) -> None:
        """Tell a person something on the way; with ``--json`` it stays out of the answer's stream."""
        (self.err if self.as_json else self.out).print(text)

    def fail(self, error: Exception) -> int:
        """Say on the error stream what went wrong and what to do; return the exit code."""
        known = isinstance(error, EasemlError)
        code = error.exit_code if isinstance(error, EasemlError) else UNEXPECTED
        message, hint, kind, fields = _told(error)
        if self.as_json:
            problem = {"kind": kind, "detail": message, "hint": hint, "fields": fields, "exit_code": code}
            print(json.dumps(problem, indent=2, default=str), file=sys.stderr)
            return code
        # Waiting for people or for a start is the normal way, not a fault.
        word = "Waiting" if isinstance(error, NotReady) else "Error" if known else "Unexpected"
        self.err.print(f"[red]{word}: {escape(message)}[/red]", soft_wrap=True)
        if hint:
            self.err.print(f"Hint: {escape(hint)}", soft_wrap=True)
        return code


def verb(function: Callable[..., None]) -> Callable[..., None]:
    """Make a function a verb: give it the shared options, a session first, and an exit code.

    Parameters
    ----------
    function : callable
        Takes a :class:`Session` and then its own arguments.
    """
    hints = get_type_hints(function, include_extras=True)
    own = [
        parameter.replace(annotation=hints[parameter.name])
        for parameter in list(inspect.signature(function).parameters.values())[1:]
    ]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in _SHARED.items()
    ]
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)

    @functools.wraps(function)
    def run(ctx: typer.Context, **given: Any) -> None:
        flags = {name: given.pop(name) for name in _SHARED}
        session = ctx.obj.also(**flags) if ctx.obj else Session(**flags)
        _guarded(session, functools.partial(function, session, **given))

    signature = inspect.Signature([context, *own, *shared])
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {name: p.annotation for name, p in signature.parameters.items()}
    return run


def _guarded(session: Session, call: Callable[[], None]) -> None:
    try:
        call()
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        session.err.print("Interrupted; what the system has begun goes on.")
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        if os.environ.get("EASEML_DEBUG") == "1":
            raise
        raise typer.Exit(session.fail(error)) from None


def _told(error: Exception) -> tuple[str, str, str, dict[str, Any]]:
    """Return message, hint, kind and fields of any error."""
    if isinstance(error, EasemlError):
        return error.message, error.hint, type(error).__name__, error.fields
    first = (str(error).splitlines() or [""])[0]
    kind = type(error).__name__
    return f"{kind}: {first}", "EASEML_DEBUG=1 shows where it happened; please report it.", kind, {}
