"""Sizes of test sets: the paper's table beside the best bound, and how long a size takes.

    python tests/benchmarks/gate_sizes.py --json

Figure 2 of Renggli et al. (SysML 2019) for F1 (one variable, threshold 0.8) and F2 (n - o > 0.02), by the
published bound and by ``best``; patterns 1 and 2 with their labels; milliseconds of a first call.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from easeml_ray.gate import parse, sample_size
from easeml_ray.gate.bounds.exact import exact

STEPS = 32


def figure() -> list[dict[str, Any]]:
    """Return the rows of the table."""
    rows = []
    for reliability in (0.99, 0.999, 0.9999, 0.99999):
        for epsilon in ("0.1", "0.05", "0.025", "0.01"):
            row: dict[str, Any] = {"reliability": reliability, "epsilon": epsilon}
            for name, expression in (("F1", "n > 0.8"), ("F2", "n - o > 0.02")):
                condition = parse(f"{expression} +/- {epsilon}")
                for adaptivity in ("none", "full"):
                    for bound in ("hoeffding", "best"):
                        plan = {"reliability": reliability, "steps": STEPS, "adaptivity": adaptivity}
                        size = sample_size(condition, **plan, bound=bound)  # type: ignore[arg-type]
                        row[f"{name} {adaptivity} {bound}"] = size.rows
            rows.append(row)
    return rows


def pattern() -> list[dict[str, Any]]:
    """Return rows and labels of n - o > 0.02 +/- 0.01 for models that differ on a tenth of the rows."""
    found = []
    for adaptivity in ("none", "bounded:1", "bounded:3", "full"):
        for bound in ("bennett", "best"):
            for text, given in (
                ("d < 0.1 +/- 0.01 /\\ n - o > 0.02 +/- 0.01", None),
                ("n - o > 0.02 +/- 0.01", 0.1),
            ):
                size = sample_size(
                    parse(text),
                    reliability=0.9999,
                    steps=STEPS,
                    adaptivity=adaptivity,
                    bound=bound,
                    discordance=given,
                )
                entry = {"condition": text, "adaptivity": adaptivity, "bound": bound}
                found.append(entry | {"rows": size.rows, "labels": size.labels, "total": size.total})
    return found


def seconds() -> dict[str, float]:
    """Return the longest first call of each kind over many conditions, in milliseconds."""
    texts = [
        f"{expression} +/- {epsilon}"
        for expression in (
            "n > 0.8",
            "n - o > 0.02",
            "n - o > -0.01",
            "n - 1.1 * o > 0",
            "d < 0.1",
            "n > 0.97",
        )
        for epsilon in ("0.1", "0.03", "0.01", "0.004", "0.001")
    ]
    sample_size(parse("n > 0.5 +/- 0.1"), reliability=0.99, steps=1, adaptivity="none", bound="exact")
    longest: dict[str, float] = {}
    for bound in ("hoeffding", "hoeffding_optimal", "bennett", "tilted", "exact", "best"):
        for text in texts:
            if bound == "bennett" and "n - o" not in text:
                continue
            for adaptivity in ("none", "full"):
                for steps in (32, 10_000):
                    exact.cache_clear()
                    known = 0.1 if bound in ("bennett", "tilted", "exact", "best") else None
                    plan = {"reliability": 0.9999, "steps": steps, "adaptivity": adaptivity, "bound": bound}
                    started = time.perf_counter()
                    sample_size(parse(text), **plan, discordance=known)  # type: ignore[arg-type]
                    longest[bound] = max(longest.get(bound, 0.0), 1000 * (time.perf_counter() - started))
    return longest


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = {"figure_2": figure(), "pattern_1_and_2": pattern(), "longest_ms": seconds()}
    if options.json:
        print(json.dumps(result))
        return
    for row in result["figure_2"]:  # type: ignore[union-attr]
        print(" ".join(str(value).rjust(8) for value in row.values()))  # type: ignore[union-attr]
    for row in result["pattern_1_and_2"]:  # type: ignore[union-attr]
        print(row)
    print(result["longest_ms"])


if __name__ == "__main__":
    main()
