"""DataRegistry's work: uploads to pillars, repairs to alternatives, answers to versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from easeml_ray.augment import alternatives
from easeml_ray.component.base import Bench, Job, Perform
from easeml_ray.component.data import VersionData
from easeml_ray.errors import Conflict
from easeml_ray.ingest import Digests
from easeml_ray.items import item_key
from easeml_ray.messages import DataVersion, Pillar
from easeml_ray.registry.digests import put_digests, seen, settled_cells, table_digests
from easeml_ray.registry.manifest import make_version
from easeml_ray.registry.messages import (
    AddVersion,
    Arrival,
    Correction,
    KeepVersion,
    RepairAlternatives,
    ReviseVersion,
)
from easeml_ray.registry.released import released, to_train
from easeml_ray.uncertain import UncertainTable

__all__ = ["WORK", "repair_alternatives", "revise_version"]


def repair_alternatives(job: Job, bench: Bench) -> AddVersion | KeepVersion:
    """Complete each incomplete train row once per repair strategy; keep a complete version."""
    body: RepairAlternatives = job.body
    version = body.version
    schema = VersionData(bench, job.tenant, version).schema
    names = [name for name, _ in schema["features"]]
    table = bench.table(version.train)
    if not any(table[name].null_count for name in names):
        return KeepVersion(number=version.number)
    certain = "probability" not in table.column_names
    repaired = alternatives(table, names, schema["label"]) if certain else _repair_rest(table, schema)
    return _added(job, bench, version, repaired, bench.table(version.development), schema, "augmentation")


def _repair_rest(table: pa.Table, schema: dict[str, Any]) -> pa.Table:
    """Repair rows that joined an uncertain table; those that have alternatives keep them."""
    names = [name for name, _ in schema["features"]]
    missing = np.zeros(table.num_rows, dtype=bool)
    for name in names:
        missing |= table[name].is_null().to_numpy()
    whole = table.filter(pa.array(~missing))
    fresh = table.filter(pa.array(missing)).drop_columns(["probability"])
    # Strategies learn from all rows, so they see the complete ones too.
    seen = UncertainTable(whole).most_probable()
    seen = seen.drop_columns(["probability"]) if "probability" in seen.column_names else seen
    both = pa.concat_tables([seen.select(fresh.column_names), fresh])
    repaired = alternatives(both, names, schema["label"])
    wanted = pc.is_in(repaired["row_id"], value_set=fresh["row_id"].combine_chunks())
    return pa.concat_tables([whole, repaired.filter(wanted).select(whole.column_names)])


def _added(
    job: Job,
    bench: Bench,
    base: DataVersion,
    train: pa.Table,
    development: pa.Table,
    schema: dict[str, Any],
    reason: str,
    *,
    answered: list[str] | None = None,
    added: int = 0,
    refused: int = 0,
    held_out: str = "",
    arrivals: tuple[Arrival, ...] = (),
    came: str = "",
) -> AddVersion:
    known = bench.blobs.get_json(job.tenant, base.answered) if base.answered else []
    version, train_parts, development_parts = make_version(
        bench.blobs,
        job.tenant,
        project=base.project,
        number=base.number + 1,
        parent=base.number,
        train=train,
        development=development,
        schema=schema,
        answered=[*known, *(answered or [])],
    )
    counts = {
        "added": float(added),
        "refused": float(refused),
        "corrected": float(len(answered or [])),
        "entropy_bits": UncertainTable(train).entropy() if "probability" in train.column_names else 0.0,
    }
    return AddVersion(
        version=version,
        train=train_parts,
        development=development_parts,
        reason=reason,
        counts=counts,
        held_out=held_out,
        arrivals=arrivals,
        known=came,
    )


def revise_version(job: Job, bench: Bench) -> AddVersion:
    """Apply answers, purchases and released rows to a version."""
    body: ReviseVersion = job.body
    base = body.version
    schema = VersionData(bench, job.tenant, base).schema
    train, development = bench.table(base.train), bench.table(base.development)
    train = _corrected(train, Pillar.TRAIN, body.command.corrections, schema)
    development = _corrected(development, Pillar.DEVELOPMENT, body.command.corrections, schema)
    key = bench.data_key()
    came = [_as_corrected(train, body.command.corrections, schema, key)]
    next_id, refused, arrivals = body.next_row_id, 0, []
    for rows, bought, joining in _arrived(job, bench, schema):
        digests = table_digests(rows, schema, key)
        # A row that a test set or development came to hold meanwhile must not be learnt from.
        held = seen(digests, bench.blobs, job.tenant, body.held_out)
        refused += int(held.sum())
        came.append(digests[~held])
        rows, joining = rows.filter(pa.array(~held)), joining[~held]
        if bought and rows.num_rows:
            places = bench.blobs.put_json(job.tenant, np.flatnonzero(~held).tolist()) if held.any() else ""
            arrivals.append(Arrival(digest=bought, first=next_id, rows=rows.num_rows, places=places))
        train, next_id = _append(train, rows.filter(pa.array(joining)), next_id, schema)
        development, next_id = _append(development, rows.filter(pa.array(~joining)), next_id, schema)
    grown = [table_digests(development, schema, key)] if next_id > body.next_row_id else []
    return _added(
        job,
        bench,
        base,
        train,
        development,
        schema,
        body.command.reason,
        answered=[item_key(c.pillar, c.row_id, c.column) for c in body.command.corrections],
        added=next_id - body.next_row_id,
        refused=refused,
        held_out=put_digests(bench.blobs, job.tenant, grown),
        arrivals=tuple(arrivals),
        came=put_digests(bench.blobs, job.tenant, came),
    )


def _arrived(
    job: Job, bench: Bench, schema: dict[str, Any]
) -> Iterator[tuple[pa.Table, str, NDArray[np.bool_]]]:
    """Yield the tables that came: the rows, the name if they were bought, and which of them join train."""
    body: ReviseVersion = job.body
    for digest in body.command.purchases:
        rows = bench.blobs.get_table(job.tenant, digest)
        yield rows, digest, np.ones(rows.num_rows, dtype=bool)
    for digest in body.absorbed:
        rows = released(bench.blobs.get_table(job.tenant, digest), schema)
        whole = digest in body.train_only
        yield rows, "", np.ones(rows.num_rows, dtype=bool) if whole else to_train(rows, schema)


def _corrected(
    table: pa.Table, pillar: Pillar, corrections: tuple[Correction, ...], schema: dict[str, Any]
) -> pa.Table:
    mine = [c for c in corrections if c.pillar == pillar.value]
    labels = {c.row_id: str(c.value) for c in mine if c.column is None}
    cells = [c for c in mine if c.column is not None]
    if labels:
        table = _relabelled(table, labels, schema["label"])
    if not cells:
        return table
    if "probability" not in table.column_names:
        raise Conflict(
            f"the {pillar.value} pillar has no uncertain cells",
            hint="Cells are cleaned in rows that have alternatives.",
        )
    uncertain = UncertainTable(table)
    for cell in cells:
        uncertain = uncertain.condition_cell(cell.row_id, str(cell.column), cell.value)
    return uncertain.table


def _as_corrected(
    train: pa.Table, corrections: tuple[Correction, ...], schema: dict[str, Any], key: bytes
) -> Digests:
    """Return the digests of the rows whose cells were corrected, with and without what was filled in."""
    ids = sorted({c.row_id for c in corrections if c.pillar == Pillar.TRAIN and c.column is not None})
    rows = train.filter(pc.is_in(train["row_id"], value_set=pa.array(ids, pa.int64())))
    forms = [rows, settled_cells(rows, schema)]
    return np.concatenate([table_digests(form, schema, key) for form in forms])


def _relabelled(table: pa.Table, labels: dict[int, str], label: str) -> pa.Table:
    ids = table["row_id"].to_pylist()
    values = table[label].to_pylist()
    known = set(ids)
    lost = sorted(set(labels) - known)
    if lost:
        raise Conflict(
            f"rows {lost[:5]} are not in the pillar any more",
            hint="The answer belongs to an older version; ask again.",
        )
    new = [labels.get(row_id, value) for row_id, value in zip(ids, values, strict=True)]
    column = table.column_names.index(label)
    return table.set_column(column, label, pa.array(new, table.schema.field(label).type))


def _append(table: pa.Table, rows: pa.Table, next_id: int, schema: dict[str, Any]) -> tuple[pa.Table, int]:
    """Append rows under fresh row ids, each with one certain alternative."""
    if rows.num_rows == 0:
        return table, next_id
    made: dict[str, Any] = defaultdict(lambda: pa.nulls(rows.num_rows))
    made["row_id"] = pa.array(np.arange(next_id, next_id + rows.num_rows, dtype=np.int64))
    made["parent_id"] = pa.nulls(rows.num_rows, pa.int64())
    made["probability"] = pa.array(np.ones(rows.num_rows))
    for name in ["group_id", *(n for n, _ in schema["features"]), schema["label"]]:
        made[name] = rows[name].cast(table.schema.field(name).type)
    fresh = pa.table({name: made[name] for name in table.column_names}, schema=table.schema)
    return pa.concat_tables([table, fresh]), next_id + rows.num_rows


WORK: dict[type, Perform] = {RepairAlternatives: repair_alternatives, ReviseVersion: revise_version}
