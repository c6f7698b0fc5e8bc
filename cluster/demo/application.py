"""What one application of the demonstration consists of."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from easeml_ray.annotators import Annotator
from easeml_ray.ingest import split
from easeml_ray.messages import Pillar
from easeml_ray.process.task import parse_task

__all__ = ["Application", "SellerOffer", "csv_bytes", "pillars"]


@dataclass(frozen=True, slots=True)
class SellerOffer:
    """Rows that a seller offers; ``terms`` says what they are."""

    offer: str
    seller: str
    data: bytes
    rows: int
    price_cents: int
    terms: str


@dataclass(frozen=True, slots=True)
class Application:
    """One tenant's project, its data, and the program that stands in for its people.

    Attributes
    ----------
    tenant, project : str
        Names.
    story : str
        One sentence: what the data are and what was done to them.
    task : dict
        The task specification.
    upload : bytes
        The CSV file that is uploaded.
    rows : int
        Its rows.
    offers : tuple of SellerOffer
        What can be bought.
    annotator : Annotator
        Answers the requests.
    stream : tuple of dict
        Rows that come to the endpoint later, without labels.
    """

    tenant: str
    project: str
    story: str
    task: dict[str, Any]
    upload: bytes
    rows: int
    offers: tuple[SellerOffer, ...]
    annotator: Annotator
    stream: tuple[dict[str, Any], ...]


def pillars(project: str, task: dict[str, Any], groups: Sequence[str]) -> dict[Pillar, NDArray[np.int64]]:
    """Return which rows of an upload the system will put into which pillar.

    The split is by keyed hash of the row's group, so that it is known beforehand, and what is
    spoilt on purpose can stay out of the stable test set.

    Parameters
    ----------
    project : str
        Name of the project: part of the key.
    task : dict
        With ``shares`` and ``seed``.
    groups : sequence of str of shape (n_rows,)
        The group of each row, here its id.

    Examples
    --------
    >>> task = {"label": "y", "target_accuracy": 0.9}
    >>> {p.value: len(rows) for p, rows in pillars("p", task, [str(n) for n in range(100)]).items()}
    {'train': 60, 'development': 20, 'stable': 20}
    """
    spec = parse_task(task)
    shares = {Pillar(name): share for name, share in spec.shares.model_dump().items()}
    parts = split(groups, shares, salt=f"{project}:{spec.seed}".encode())
    return {pillar: parts.positions(pillar) for pillar in shares}


def csv_bytes(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> bytes:
    r"""Return a CSV file; None is an empty cell, floats keep every digit.

    Examples
    --------
    >>> csv_bytes(["size", "sold"], [[0.1, "no"], [None, "yes"]])
    b'size,sold\n0.1,no\n,yes\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue().encode()
