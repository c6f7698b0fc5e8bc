"""The command ``easeml``: one file a verb."""

from __future__ import annotations

import typer

from cluster.command import data, market, requests, tenant
from cluster.command.cleaning import cleaning
from cluster.command.demo import demo
from cluster.command.doctor import doctor
from cluster.command.down import down
from cluster.command.feasibility import feasibility
from cluster.command.gate import gate
from cluster.command.label import label
from cluster.command.models import models
from cluster.command.next import next_
from cluster.command.predict import predict
from cluster.command.run import run
from cluster.command.status import status
from cluster.command.submit import submit
from cluster.command.up import up
from cluster.command.verb import JsonFlag, Session, StateFlag, TokenFlag, UrlFlag

__all__ = ["app", "main"]

app = typer.Typer(
    name="easeml",
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


# The order of the help page: begin, look, act, answer, use, run.
app.command()(demo)
app.command()(run)
app.command()(up)
app.command()(down)
app.command()(status)
app.command()(doctor)
app.add_typer(data.app, name="data")
app.command()(feasibility)
app.command("next")(next_)
app.command()(cleaning)
app.add_typer(market.app, name="market")
app.add_typer(requests.app, name="requests")
app.command()(label)
app.command()(models)
app.command()(gate)
app.command()(predict)
app.add_typer(tenant.app, name="tenant")
app.command()(submit)


def main() -> None:
    """Run the command; the console script."""
    app()
