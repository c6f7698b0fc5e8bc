"""Cleaner's work: which labels to have confirmed, which cells to have filled in."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easeml_ray.cleaning.actions import advise
from easeml_ray.cleaning.cells import cell_gain
from easeml_ray.cleaning.cpclean import CPClean
from easeml_ray.cleaning.gain import RelabelEvidence, RowEvidence, to_gain
from easeml_ray.cleaning.messages import Belief, Propose, ProposeRepairs, Suggest
from easeml_ray.cleaning.pointwise import entropy
from easeml_ray.cleaning.spread import spread_information
from easeml_ray.component.base import Bench, Job, Perform
from easeml_ray.component.data import VersionData
from easeml_ray.doubts.labels import estimate_noise, label_beliefs, suspicious
from easeml_ray.doubts.witnesses import Hearing, hear
from easeml_ray.items import Cell, Label, item_key
from easeml_ray.messages import Option, Pillar
from easeml_ray.uncertain import UncertainTable

__all__ = ["WORK", "propose_repairs"]

_DOUBTFUL = 0.2  # rows whose label is wrong with less probability are not asked for
_NEIGHBOURS = 10
_MOST_BYTES = 25_000  # of one option's items; two options and their columns fit into a message
_POINTS_BYTES = 20  # of an item's part of the gain, which is known last
_K = 3  # of the CPClean vote

T = TypeVar("T", Label, Cell)


def propose_repairs(job: Job, bench: Bench) -> Suggest:
    """Rank labels and cells, and say what confirming the best of them is worth."""
    body: ProposeRepairs = job.body
    version = body.command.version
    data = VersionData(bench, job.tenant, version)
    answered: set[str] = set()
    if version.answered:
        answered = set(bench.blobs.get_json(job.tenant, version.answered))
    done = answered | set(body.skipped)
    labels, relabel = _relabel_option(job, data, body, answered, done)
    clean, belief = _cell_option(bench, data, body, done, labels)
    options = tuple(option for option in (relabel, clean) if option is not None)
    return Suggest(number=version.number, options=options, belief=belief)


# -- labels -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Labels:
    """What is believed of the labels: the noise they came with, and what is left of it."""

    source_noise: float
    noise: float


def _relabel_option(
    job: Job, data: VersionData, body: ProposeRepairs, answered: set[str], done: set[str]
) -> tuple[_Labels, Option | None]:
    command, version = body.command, data.version
    train, development = data.train, data.development
    X = np.concatenate([train.X, development.X])
    y = np.concatenate([train.y, development.y])
    k = min(_NEIGHBOURS, len(y) - 1)
    pillars = [Pillar.TRAIN] * len(train.y) + [Pillar.DEVELOPMENT] * len(development.y)
    row_ids = np.concatenate([train.row_ids, development.row_ids])
    keys = [item_key(pillar, row, None) for pillar, row in zip(pillars, row_ids.tolist(), strict=True)]
    known = np.array([key in answered for key in keys])
    heard = hear(X, y, version.n_classes, k=k, seed=job.seed)
    source = body.noise
    if source is None:
        source = estimate_noise(X, y, version.n_classes, k=k, hearing=heard)
    beliefs = _beliefs(X, y, k, source, known, heard)
    own = np.where(known, 1.0, beliefs[np.arange(len(y)), y])
    # rho (1 - 1/C) of the labels are wrong in the uniform convention.
    left = float((1 - own).mean()) / (1 - 1 / version.n_classes)
    labels = _Labels(source, min(left, 1.0))
    order = [int(i) for i in suspicious(beliefs, y) if keys[i] not in done and 1 - own[i] >= _DOUBTFUL][
        : command.items
    ]
    if not order:
        return labels, None
    classes = data.classes.names
    items = _fitting(
        [
            Label(
                pillar=pillars[i].value,
                row_id=int(row_ids[i]),
                given=classes[y[i]],
                likely=classes[int(beliefs[i].argmax())],
                doubt=round(float(1 - own[i]), 4),
                bits=round(_entropy(beliefs[i]), 4),
            )
            for i in order
        ]
    )
    order = order[: len(items)]
    evidence = RelabelEvidence(own[order], len(y), version.n_classes, labels.noise, command.error)
    return labels, Option(
        id=f"relabel:v{version.number}",
        kind="RELABEL",
        title=f"Which class are these rows really? Their labels look wrong ({len(items)} rows).",
        gain=to_gain(evidence, current=command.accuracy, target=command.target_accuracy),
        cost_cents=command.price_label * len(items),
        items=tuple(items),
        choices=classes,
        method=(
            f"label beliefs from witnesses that did not see the label ({heard}), "
            f"label noise {labels.noise:.3f} left of {source:.3f} (uniform)"
        ),
    )


def _beliefs(
    X: NDArray[np.float64],
    y: NDArray[np.int64],
    k: int,
    source: float,
    known: NDArray[np.bool_],
    heard: Hearing,
) -> NDArray[np.float64]:
    """Return label beliefs when people answered for some labels: those around a row are then cleaner."""
    # Answered rows were the most doubtful ones, so that what is left around a row is found by iterating from
    # the source's noise: beliefs say how many of the others are wrong.
    around, n_classes = source, heard.shares.shape[1]
    for _ in range(3):
        beliefs = label_beliefs(X, y, n_classes, k=k, noise=source, neighbour_noise=around, hearing=heard)
        own = np.where(known, 1.0, beliefs[np.arange(len(y)), y])
        around = min(float((1 - own).mean()) / (1 - 1 / n_classes), source)
        if not known.any():
            break
    return beliefs


def _fitting(items: list[T]) -> list[T]:
    """Return as many of the items, best first, as a message can carry."""
    size, count = 0, 0
    for item in items:
        size += len(json.dumps(asdict(item))) + _POINTS_BYTES
        if size > _MOST_BYTES:
            break
        count += 1
    return items[:count]


def _entropy(probabilities: NDArray[np.float64]) -> float:
    positive = probabilities[probabilities > 0]
    return float(-(positive * np.log2(positive)).sum())


# -- cells --------------------------------------------------------------------------------


def _cell_option(
    bench: Bench, data: VersionData, body: ProposeRepairs, done: set[str], labels: _Labels
) -> tuple[Option | None, Belief]:
    command, version = body.command, data.version
    if version.uncertain_rows == 0 and not body.continued:
        return None, Belief(
            uncertain_rows=0,
            source_noise=labels.source_noise,
            noise=labels.noise,
            lower=None,
            upper=None,
            expected=None,
            potential=None,
            certain_fraction=None,
            entropy=0.0,
        )
    records = bench.table(version.train)
    # A version that never had a doubt has no probabilities.
    doubted = "probability" in records.column_names
    table = UncertainTable(records) if doubted else UncertainTable.certain(records)
    development = data.development
    clean = CPClean(
        data.encoder.transform(table.table),
        table.row_ptr,
        data.classes.encode(table.table[data.label]),
        development.X,
        development.y,
        k=_K,
        n_classes=version.n_classes,
        prior=np.asarray(table.table["probability"]),
    )
    believed = clean.belief(seed=0)
    # Where every cell is known there is nothing to advise: the belief ends the curve.
    advice = advise(believed, command.target_accuracy) if version.uncertain_rows else None
    belief = Belief(
        uncertain_rows=version.uncertain_rows,
        source_noise=labels.source_noise,
        noise=labels.noise,
        lower=believed.lower,
        upper=believed.upper,
        expected=believed.expected,
        potential=believed.potential,
        certain_fraction=clean.certain_fraction,
        entropy=table.entropy(),
        default=believed.default,
        sd=believed.sd,
        certain_correct=believed.n_certain_correct,
        certain_wrong=believed.n_certain_wrong,
        uncertain_points=believed.n_uncertain,
        probability=advice.probability if advice else None,
        action=advice.action if advice else None,
        certified=advice.certified if advice else False,
        reason=advice.reason if advice else "",
    )
    items, information = _asked_cells(bench, data, clean, table, command, done)
    if not items:
        return None, belief
    rows = {item.row_id for item in items}
    # All there is to tell: rows tell more together than the sum of what each tells alone.
    whole = float(entropy(clean.label_probabilities).sum()) / clean.n_points
    evidence = RowEvidence(believed, min(information, whole), whole)
    gain = to_gain(evidence, current=command.accuracy, target=command.target_accuracy)
    share = gain.mean / max(sum(item.information for item in items), 1e-12)
    return Option(
        id=f"clean:v{version.number}",
        kind="CLEAN_CELL",
        title=f"What are the true values of these cells? ({len(items)} cells of {len(rows)} rows)",
        gain=gain,
        cost_cents=command.price_cell * len(items),
        items=tuple(replace(item, points=round(100 * share * item.information, 4)) for item in items),
        method=f"information gain of certain predictions ({_K} neighbours, exact; together by joint draws)",
    ), belief


def _asked_cells(
    bench: Bench, data: VersionData, clean: CPClean, table: UncertainTable, command: Propose, done: set[str]
) -> tuple[list[Cell], float]:
    """Return the cells to ask for, row after row, and what they tell together, mean over points."""
    features = [name for name, _ in data.schema["features"]]
    open_cells = {int(row): _cells(table, int(row), features) for row in clean.uncertain_rows}
    askable = {row: [cell for cell in cells if cell.key not in done] for row, cells in open_cells.items()}
    excluded = [row for row, cells in askable.items() if not cells]
    with bench.executor() as executor:
        alone = spread_information(clean, executor)
    if len(excluded) == len(open_cells):
        return [], 0.0
    batch = clean.suggest(command.items, excluded=excluded, alone=alone)
    names = {cell.column for row in batch.rows for cell in askable[int(row)]}
    told = {
        name: cell_gain(clean, _comparable(table.table[name].to_pylist())) * clean.n_points
        for name in features
        if name in names
    }
    wanted: list[Cell] = []
    for row in batch.rows:
        cells = [replace(c, information=round(float(told[c.column][row]), 6)) for c in askable[int(row)]]
        wanted += sorted(cells, key=lambda cell: -cell.information)
    items = _fitting(wanted[: command.items])
    asked = Counter(item.row_id for item in items)
    information = 0.0
    for row, bits in zip(batch.rows, batch.bits, strict=True):
        cells = open_cells[int(row)]
        # A row that is asked for in part tells in part, to a first approximation in proportion.
        information += float(bits) * asked[cells[0].row_id] / len(cells)
    return items, information


def _comparable(values: list[Any]) -> NDArray[np.int64]:
    """Return a number for each distinct value, of whatever type they are."""
    numbers: dict[Any, int] = {}
    # NaN differs from itself, and is one value here.
    keys = ("NaN" if value != value else (type(value), value) for value in values)
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _cells(table: UncertainTable, row: int, features: list[str]) -> list[Cell]:
    """Return the cells in which a row's alternatives differ."""
    alternatives = table.table.slice(table.row_ptr[row], table.row_ptr[row + 1] - table.row_ptr[row])
    weights = alternatives["probability"].to_pylist()
    row_id = alternatives["row_id"][0].as_py()
    cells = []
    for name in features:
        mass: dict[Any, float] = defaultdict(float)
        for value, weight in zip(alternatives[name].to_pylist(), weights, strict=True):
            mass[value] += weight
        if len(mass) < 2:
            continue
        numeric = not pa.types.is_string(alternatives.schema.field(name).type)
        cells.append(
            Cell(
                pillar=Pillar.TRAIN.value,
                row_id=row_id,
                column=name,
                answer="number" if numeric else "text",
                candidates=tuple((value, round(weight, 4)) for value, weight in mass.items()),
                bits=round(_entropy(np.array(list(mass.values()))), 4),
            )
        )
    return cells


WORK: dict[type, Perform] = {ProposeRepairs: propose_repairs}
