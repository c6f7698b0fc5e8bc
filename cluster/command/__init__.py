"""The command ``easeml``: one file a verb."""

from __future__ import annotations

import typer

from cluster.command.status import status
from cluster.command.verb import JsonFlag, Session, StateFlag, TokenFlag, UrlFlag

__all__ = ["app", "main"]

app = typer.Typer(
    name="easeml",
    help="Ease.ML: from raw data to a guarded, answering model, with every uncertainty on the bill.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback()
def easeml(
    ctx: typer.Context,
    as_json: JsonFlag = False,
    state: StateFlag = None,
    url: UrlFlag = None,
    token: TokenFlag = None,
) -> None:
    """Ease.ML: from raw data to a guarded, answering model, with every uncertainty on the bill."""
    ctx.obj = Session(as_json, state=state, url=url, token=token)


app.command()(status)


def main() -> None:
    """Run the command; the console script."""
    app()
