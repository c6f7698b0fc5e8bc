"""The labels of purchases that came without any: what is known of them, and what may be told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from easeml_ray.errors import Conflict, NotFound
from easeml_ray.market.label_messages import (
    CompleteLabels,
    Labelled,
    LabellingStarted,
    LabelPurchase,
    LabelRows,
    LabelsLearnt,
    LabelsWanted,
    LearnLabels,
    WantLabels,
)
from easeml_ray.market.messages import MakeOffer
from easeml_ray.messages import Decision, LedgerLine

__all__ = ["Labelling", "judge_labels", "take_labels"]


@dataclass(slots=True)
class Labelling:
    """One purchase that came without labels.

    known : blob of the labels that came before the round that is asked for, empty at first; asked,
    given : rows that were asked for so far, and those of them that got a label; over : all were asked for.
    """

    command: LabelPurchase
    known: str = ""
    asked: int = 0
    given: int = 0
    over: bool = False


def judge_labels(
    project: str,
    bought: MakeOffer | None,
    labelling: Labelling | None,
    command: LabelPurchase | WantLabels | LearnLabels | CompleteLabels,
) -> Decision:
    """Judge what is told of the labels of an offer; ``bought`` is None where it was not."""
    if bought is None or bought.labelled:
        raise NotFound(
            f"no offer {command.offer} without labels was bought in {project}",
            hint="Rows are labelled after they were bought.",
            what="purchase",
            name=command.offer,
        )
    over = labelling is not None and labelling.over
    if over or (labelling is not None) == isinstance(command, LabelPurchase):
        raise Conflict(
            f"labelling of offer {command.offer} has {'begun' if labelling else 'not begun'}"
            f"{' and ended' if over else ''}",
            hint="A purchase is labelled once.",
        )
    match command:
        case LabelPurchase():
            return Decision((LabellingStarted(command=command),))
        case WantLabels():
            return Decision((LabelsWanted(command=command, digest=bought.digest),))
        case LearnLabels():
            return Decision((LabelsLearnt(command=command, ledger=_ledger(command)),))
        case CompleteLabels():
            return Decision((Labelled(command=command),))


def take_labels(
    labelling: dict[str, Labelling],
    offers: Mapping[str, MakeOffer],
    event: LabellingStarted | LabelsWanted | LabelsLearnt | Labelled,
) -> LabelRows | None:
    """Take in an event about labels; return the work that is due because of it."""
    match event:
        case LabellingStarted(command=command):
            labelling[command.offer] = Labelling(command)
            return LabelRows(command=command, offer=offers[command.offer], known="", fresh=())
        case LabelsWanted(command=wanted):
            labelling[wanted.offer].known = wanted.known
        case LabelsLearnt(command=LearnLabels(offer=name, labels=labels)):
            one = labelling[name]
            one.asked += len(labels)
            one.given += sum(placed.label is not None for placed in labels)
            return LabelRows(command=one.command, offer=offers[name], known=one.known, fresh=labels)
        case Labelled(command=completed):
            labelling[completed.offer].over = True
    return None


def _ledger(learnt: LearnLabels) -> LedgerLine:
    labels = learnt.labels
    return LedgerLine(
        variable=f"labels of offer {learnt.offer}",
        entropy_before=0.0,
        entropy_after=0.0,
        cost_cents=sum(one.cost_cents for one in labels),
        evidence=f"rows {labels[0].place} to {labels[-1].place}" if labels else "",
        count=len(labels),
    )
