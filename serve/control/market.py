"""The market: offers of sellers, their values, purchases."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from easeml_ray.errors import Forbidden, InvalidArgument, NotReady
from easeml_ray.market.messages import Audit, ShowMarket
from easeml_ray.market.picture import draw
from easeml_ray.messages import Role
from easeml_ray.pictures import MEDIA_TYPES
from easeml_ray.process.messages import ShowProject
from serve.auth import CommandId, Grant, Running, on_project
from serve.bodies import read_upload
from serve.control.data import FILE, Format

__all__ = ["router"]

router = APIRouter(prefix="/v1/projects/{project}/market", tags=["market"])

_Granted = Annotated[Grant, Depends(on_project(Role.TENANT, Role.SELLER))]
_Bought = Annotated[Grant, Depends(on_project(Role.TENANT))]


@router.get("")
async def show_market(system: Running, grant: _Granted) -> dict[str, Any]:
    """Show offers, what they are worth, and purchases; a seller sees its own, their worth in half points.

    `plan` is what the budget would buy, with the expected accuracy against money; `values` tells what
    accuracy the best, the worst and any rows of train give, and which rows these are.
    """
    if grant.caller.role is not Role.SELLER:
        return await system.read("market", grant.project, ShowMarket())
    shown = await system.read("market", grant.project, ShowMarket(seller=grant.caller.actor))
    return {key: value for key, value in shown.items() if key not in ("options", "plan", "values")}


@router.get(
    "/picture",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}, "description": "The picture."}},
)
async def draw_market(
    system: Running,
    grant: _Bought,
    kind: Annotated[Literal["svg", "png"], Query(description="vectors or pixels")] = "svg",
) -> Response:
    """Draw expected accuracy against money, and what rows of high and low value bring."""
    shown = await system.read("market", grant.project, ShowMarket())
    plan, values = shown["plan"], shown["values"]
    if not plan and not values:
        raise NotReady(
            f"nothing was valued in {grant.project}",
            hint="Rows and offers are valued when data is to be improved.",
        )
    project = await system.read("process", grant.project, ShowProject())
    content = await asyncio.to_thread(
        draw,
        plan["curve"] if plan else (),
        budget_cents=plan["budget_cents"] if plan else None,
        target=project["target_accuracy"],
        retained=values,
        kind=kind,
    )
    return Response(content, media_type=MEDIA_TYPES[kind])


@router.post("/offers", status_code=201, openapi_extra=FILE)
async def offer(
    request: Request,
    system: Running,
    grant: _Granted,
    command_id: CommandId,
    offer: Annotated[str, Query(min_length=1, max_length=100, description="name of the offer")],
    price_cents: Annotated[int, Query(ge=0, le=10**12)],
    seller: Annotated[str | None, Query(min_length=1, max_length=100)] = None,
    terms: Annotated[str, Query(max_length=2000)] = "",
    owner_column: Annotated[
        str | None, Query(min_length=1, description="column that names whom to pay for each row")
    ] = None,
    labelled: Annotated[
        bool, Query(description="false: rows without the label column, labelled after the purchase")
    ] = True,
    format_: Format = None,
) -> dict[str, Any]:
    """Offer rows for a price, bought whole or not at all; held-out rows are refused.

    With an `owner_column` the price is split among the owners by what their rows are worth together
    (the seller game), never by row.
    """
    who = _seller(grant, seller)
    data = await read_upload(request, request.app.state.upload_bytes)
    return await system.offer(
        grant.project,
        grant.principal,
        data,
        offer=offer,
        seller=who,
        price_cents=price_cents,
        terms=terms,
        owner_column=owner_column,
        labelled=labelled,
        format=format_,
        command_id=command_id,
    )


@router.post("/audit", status_code=202)
async def audit(system: Running, grant: _Bought, command_id: CommandId) -> dict[str, Any]:
    """Verify the chain of payments and compute again what was split; `GET` shows the outcome."""
    return await system.handle("market", grant.project, grant.principal, Audit(), command_id=command_id)


def _seller(grant: Grant, seller: str | None) -> str:
    if grant.caller.role is not Role.SELLER:
        if seller is None:
            raise InvalidArgument(
                "whose offer it is was not said", hint="Give seller=NAME.", argument="seller"
            )
        return seller
    if seller not in (None, grant.caller.actor):
        raise Forbidden(
            f"{grant.caller.actor} may not offer in the name of {seller}",
            hint="Leave seller out: an offer is made in the name that your token carries.",
        )
    return grant.caller.actor
