"""The command ``easeml``: one file a verb."""

from __future__ import annotations

import typer

from cluster.command import (
    cleaning,
    data,
    demo,
    doctor,
    down,
    feasibility,
    gate,
    label,
    market,
    models,
    predict,
    requests,
    run,
    status,
    submit,
    tenant,
    up,
)
from cluster.command import next as next_
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
app.command()(demo.demo)
app.command()(run.run)
app.command()(up.up)
app.command()(down.down)
app.command()(status.status)
app.command()(doctor.doctor)
app.add_typer(data.app, name="data")
app.command()(feasibility.feasibility)
app.command("next")(next_.next_)
app.command()(cleaning.cleaning)
app.add_typer(market.app, name="market")
app.add_typer(requests.app, name="requests")
app.command()(label.label)
app.command()(models.models)
app.add_typer(gate.app, name="gate")
app.command()(predict.predict)
app.add_typer(tenant.app, name="tenant")
app.command()(submit.submit)


def main() -> None:
    """Run the command; the console script."""
    app()
