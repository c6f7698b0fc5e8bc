"""Labelling the rows of a purchase: some at a time, until each was asked for once."""

from __future__ import annotations

import pyarrow as pa

from easeml_ray.component.base import Bench, Job
from easeml_ray.component.data import VersionData
from easeml_ray.market.label_messages import CompleteLabels, LabelRows, WantLabels

__all__ = ["label_rows"]

_MOST_ASKED = 150  # rows of one round, whose questions and answers travel in one message each


def label_rows(job: Job, bench: Bench) -> WantLabels | CompleteLabels:
    """Keep the labels that came, and ask for the next ones; at the end, store the rows with labels."""
    body: LabelRows = job.body
    offer = body.offer
    labels: list[str | None] = bench.blobs.get_json(job.tenant, body.known) if body.known else []
    # Rows are asked for in their order, so that those answered before are a beginning of the table.
    labels += [one.label for one in sorted(body.fresh, key=lambda one: one.place)]
    data = VersionData(bench, job.tenant, body.command.version)
    if len(labels) < offer.rows:
        count = min(body.command.items, _MOST_ASKED, offer.rows - len(labels))
        known = bench.blobs.put_json(job.tenant, labels)
        return WantLabels(
            offer=offer.offer, known=known, first=len(labels), count=count, classes=data.classes.names
        )
    table = bench.blobs.get_table(job.tenant, offer.digest)
    table = table.append_column(data.label, pa.array(labels, pa.string()))
    table = table.filter(pa.array([label is not None for label in labels]))
    digest = bench.blobs.put_table(job.tenant, table)
    return CompleteLabels(offer=offer.offer, digest=digest, rows=table.num_rows)
