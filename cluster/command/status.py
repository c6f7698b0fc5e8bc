"""``easeml status``: what runs here, and where projects stand."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from cluster import wording
from cluster.command.table import table
from cluster.command.verb import Session, verb
from easeml_ray.errors import NotReady

__all__ = ["status"]


@verb
def status(
    session: Session,
    project: Annotated[str | None, typer.Argument(help="A project; all of them if left out.")] = None,
) -> None:
    """Show what runs here and where projects stand; for one project also its bill."""
    if project is not None:
        client = session.client()
        answer = {**client.project(project), "bill": client.ledger(project)}
        session.show(answer, _draw_project)
        return
    system = _system(session)
    if not system["running"]:
        raise NotReady(
            f"no system runs over {session.settings.state}",
            hint="Start one: easeml up. What was done before is kept and goes on then.",
        )
    session.show({**system, "projects": session.client().projects()}, _draw_all)


def _system(session: Session) -> dict[str, Any]:
    if session.settings.url is not None:
        return {"running": True, "url": session.settings.url, **session.client().ready()}
    from cluster import local

    found = session.running()
    return local.status(found[0]) if found else {"running": False}


def _draw_all(out: Console, answer: dict[str, Any]) -> None:
    where = f" over {answer['state']}" if "state" in answer else ""
    out.print(f"A system runs at {answer['url']}{where}.", soft_wrap=True)
    if "memory_bytes" in answer:
        out.print(f"{answer['processes']} processes, {answer['memory_bytes'] / 2**30:.1f} GiB of memory")
    if not answer.get("driver", True):
        out.print(wording.NO_DRIVER, soft_wrap=True)
    if not answer["projects"]:
        out.print("No projects yet: easeml run FILE --label COLUMN --target 0.9")
        return
    out.print(
        table(
            ["project", "tenant", "phase", "v", "decision", "waits for", "deployed"],
            [
                [
                    shown["project"],
                    shown["tenant"],
                    _phase(shown),
                    shown["version"],
                    shown["decision"],
                    waits_for(shown),
                    (shown["deployed"] or "")[:12],
                ]
                for shown in answer["projects"]
            ],
        )
    )


def _phase(shown: dict[str, Any]) -> str:
    return str(shown["phase"]) if shown["control"] == "RUNNING" else f"{shown['phase']} ({shown['control']})"


def waits_for(shown: dict[str, Any]) -> str:
    """Return what a project waits for people to do."""
    return ", ".join(f"{batch['open']} x {batch['kind']}" for batch in shown["waiting_for"])


def _draw_project(out: Console, answer: dict[str, Any]) -> None:
    out.print(f"[bold]{answer['project']}[/bold] of {answer['tenant']}: {_phase(answer)}")
    out.print(f"because: {answer['because']}", markup=False)
    if answer["ber_interval"]:
        low, high = answer["ber_interval"]
        out.print(
            f"{answer['decision']} for target {answer['target_accuracy']:g}: "
            f"Bayes error in {low:.3f} .. {high:.3f} (90 %), data version {answer['version']}"
        )
    if answer["waiting_for"]:
        out.print(f"waits for people: {waits_for(answer)}   (easeml label {answer['project']})")
    if answer["training"]:
        out.print(f"{answer['training']} models are in training")
    out.print(f"deployed: {(answer['deployed'] or 'nothing yet')[:12]}")
    if answer["problem"]:
        out.print(f"[red]last problem: {answer['problem']['message']}[/red]")
    draw_bill(out, answer["bill"])


def draw_bill(out: Console, bill: dict[str, Any]) -> None:
    """Draw what was spent and what uncertainty that removed."""
    rows = [
        [line["what"], line["count"], wording.money(line["cost_cents"]), f"{line['removed_bits']:.1f}"]
        for line in bill["lines"]
    ]
    rows.append(["total", "", wording.money(bill["total_cents"]), f"{bill['removed_bits']:.1f}"])
    out.print(table(["bill", "count", "cost", "bits removed"], rows, right=(1, 2, 3)))
