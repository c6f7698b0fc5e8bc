"""What one row costs at the prediction endpoint, by the number of numeric columns: CPU seconds.

The encoder's features of a table of one row (limits: 8 ms at 1,000 columns, and at most 2.3 times
as long for 2,000), and the table of one JSON record.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import pyarrow as pa  # noqa: E402

from easeml_ray.arms.model import table_of  # noqa: E402
from easeml_ray.embed import Encoder  # noqa: E402

COLUMNS = (1_000, 2_000)
CALLS = 20


def least(function: Callable[[], Any], repeats: int) -> float:
    """Return the least milliseconds of CPU of a call, over some rounds of CALLS calls."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        for _ in range(CALLS):
            function()
        taken.append((time.process_time() - began) / CALLS)
    return 1e3 * min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    found: dict[str, float] = {}
    for columns in COLUMNS:
        table = pa.table({f"column {i}": [1.0, 2.0, 4.0] for i in range(columns)})
        encoder = Encoder.fit(table, table.column_names)
        row = table.slice(1, 1)
        records = row.to_pylist()
        assert table_of(records, encoder).equals(row)
        assert (encoder.transform(row) == encoder.transform(table)[1:2]).all()
        found[f"transform_ms_{columns}"] = least(lambda e=encoder, r=row: e.transform(r), given.repeats)
        found[f"table_of_ms_{columns}"] = least(lambda e=encoder, r=records: table_of(r, e), given.repeats)
    small, large = COLUMNS
    for what in ("transform", "table_of"):
        found[f"{what}_ratio"] = found[f"{what}_ms_{large}"] / found[f"{what}_ms_{small}"]
    found = {name: round(value, 3) for name, value in found.items()}
    ok = found[f"transform_ms_{small}"] <= 8.0 and found["transform_ratio"] <= 2.3
    print(json.dumps(found | {"ok": ok}) if given.json else "\n".join(f"{k}: {v}" for k, v in found.items()))
    raise SystemExit(0 if ok else 1)


if __name__ == "__main__":
    main()
