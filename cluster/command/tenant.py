"""``easeml tenant``: who may use the system."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cluster.command.table import table
from cluster.command.verb import Session, verb

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Tenants and their tokens (admins only).")


@app.command()
@verb
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens.")],
    role: Annotated[str, typer.Option(help="tenant, annotator, seller or admin.")] = "tenant",
    actor: Annotated[str | None, typer.Option(help="The person or program behind the token.")] = None,
) -> None:
    """Make a tenant, or another token of one; the token is shown once and never again."""
    made = session.client().create_tenant(name, role, actor=actor)
    session.show(
        made,
        lambda out, answer: out.print(
            f"{answer['role']} {answer['actor']} of {answer['tenant']}; the token, shown only now:\n"
            f"{answer['token']}",
            soft_wrap=True,
            markup=False,
        ),
    )


@app.command("list")
@verb
def list_(session: Session) -> None:
    """List the tenants, with how many tokens of which role each has."""

    def rows(answer: dict[str, Any]) -> list[list[Any]]:
        return [
            [t["tenant"], ", ".join(f"{count} {role}" for role, count in t["tokens"].items())]
            for t in answer["tenants"]
        ]

    session.show(
        {"tenants": session.client().tenants()},
        lambda out, answer: out.print(table(["tenant", "tokens"], rows(answer))),
    )
