"""``easeml market``: offers of rows, what they are worth, what was bought."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cluster import wording
from cluster.command.options import draw_options
from cluster.command.picture import picture_kind, save_picture
from cluster.command.table import table
from cluster.command.verb import Session, verb
from easeml_ray.errors import DeadlineExceeded

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Offers of rows, what they are worth, what was bought.")

_POLL_SECONDS = 0.3
_PATIENCE_SECONDS = 600.0

Project = Annotated[str, typer.Argument(help="Name of the project.")]


@app.command()
@verb
def offer(
    session: Session,
    project: Project,
    file: Annotated[Path, typer.Argument(help="The rows: CSV or Parquet.")],
    price_cents: Annotated[int, typer.Option(help="For the whole file.", min=0)],
    name: Annotated[str | None, typer.Option(help="Of the offer; the file's name by default.")] = None,
    seller: Annotated[str | None, typer.Option(help="Whose rows; not needed with a seller's token.")] = None,
    terms: Annotated[str, typer.Option(help="What the rows are and what may be done with them.")] = "",
    owner_column: Annotated[
        str | None, typer.Option(help="Column that names whom to pay for each row, if several own them.")
    ] = None,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Rows without the label column; people label them if bought.")
    ] = False,
    format: Annotated[str | None, typer.Option(help="csv or parquet; the bytes say it by default.")] = None,
) -> None:
    """Offer rows for a price, bought whole or not at all; held-out rows are refused."""
    session.show(
        session.client().offer(
            project,
            name or file.stem,
            seller,
            file,
            price_cents,
            terms,
            format,
            owner_column=owner_column,
            labelled=not unlabelled,
        ),
        lambda out, made: out.print(
            f"Offer {made['offer']} stands: {made['rows']} rows for {wording.money(price_cents)}."
        ),
    )


@app.command()
@verb
def show(
    session: Session,
    project: Project,
    picture: Annotated[
        Path | None, typer.Option(help="Write the curves as a picture, .svg or .png.", dir_okay=False)
    ] = None,
) -> None:
    """Show offers, what they are worth to the project, and purchases."""
    kind, client = picture_kind(picture), session.client()
    session.show(client.market(project), _draw)
    if picture is not None:
        save_picture(session, picture, client.market_picture(project, kind))


@app.command()
@verb
def audit(session: Session, project: Project) -> None:
    """Verify the chain of payments and compute again what was split; ends with 1 if anything differs."""
    client = session.client()
    client.audit(project)
    end = time.monotonic() + _PATIENCE_SECONDS
    while None in (found := client.market(project)["audit"])["purchases"].values():
        if time.monotonic() > end:
            raise DeadlineExceeded(
                f"the audit of {project} is not over after {_PATIENCE_SECONDS:.0f} s",
                hint="It goes on; ask again, or look: easeml status.",
                seconds=_PATIENCE_SECONDS,
            )
        time.sleep(_POLL_SECONDS)
    session.show(found, _draw_audit)
    if not (found["intact"] and all(one["agrees"] for one in found["purchases"].values())):
        raise typer.Exit(1)


def _draw_audit(out: Console, audit: dict[str, Any]) -> None:
    out.print(f"The chain of payments is {'unbroken' if audit['intact'] else 'BROKEN'}.")
    for offer, one in audit["purchases"].items():
        paid = ", ".join(f"{p['seller']} {wording.money(p['cents'])}" for p in one["payments"])
        what = "was paid as computed" if one["agrees"] else "DIFFERS; computed anew"
        out.print(f"{offer} {what}: {paid}", markup=False)


def _draw(out: Console, answer: dict[str, Any]) -> None:
    if not answer["offers"]:
        out.print(
            f"No offers yet: easeml market offer {answer['project']} FILE --price-cents 500 --seller NAME"
        )
        return
    out.print(
        table(
            ["offer", "seller", "rows", "price", "bought", "terms"],
            [
                [
                    o["offer"],
                    o["seller"],
                    o["rows"],
                    wording.money(o["price_cents"]),
                    _yes(o["bought"]),
                    o["terms"],
                ]
                for o in answer["offers"]
            ],
            right=(2, 3),
        )
    )
    if answer.get("options"):
        draw_options(out, answer["options"])
    _draw_plan(out, answer.get("plan"))
    for name, one in answer["labelling"].items():
        if not one["over"]:
            out.print(f"Rows of {name} are being labelled: {one['labelled']} so far.", markup=False)
    _draw_values(out, answer.get("values"))
    chain = "unbroken" if answer["chain_intact"] else "BROKEN"
    out.print(f"{len(answer['purchases'])} purchases; the chain of payments is {chain}")


def _draw_plan(out: Console, plan: dict[str, Any] | None) -> None:
    if not plan:
        return
    if plan["rule"] == "unaffordable":
        out.print(f"The budget of {wording.money(plan['budget_cents'])} is below the cheapest offer.")
    if not plan["chosen"]:
        return
    out.print(f"What {wording.money(plan['budget_cents'])} would buy:")
    out.print(
        table(
            ["then buy", "money spent", "expected accuracy", "90 % interval"],
            [
                [
                    offer,
                    wording.money(point["spent_cents"]),
                    f"{point['accuracy']:.3f}",
                    f"{point['interval'][0]:.3f} to {point['interval'][1]:.3f}",
                ]
                for offer, point in zip(["", *plan["chosen"]], plan["curve"], strict=True)
            ],
            right=(1, 2),
        )
    )


def _draw_values(out: Console, values: dict[str, Any] | None) -> None:
    if not values:
        return
    # The first share from a half on: where keeping the better half would lead.
    at = next(i for i, share in enumerate(values["kept"]) if share >= 0.5)
    out.print(
        f"Of version {values['number']}, {values['kept'][at]:.0%} of the rows give an accuracy of "
        f"{values['best'][at]:.3f} if they are the most valuable, {values['any'][at]:.3f} if drawn, "
        f"{values['worst'][at]:.3f} if the least valuable; all rows {values['best'][-1]:.3f}."
    )


def _yes(value: bool) -> str:
    return "yes" if value else ""
