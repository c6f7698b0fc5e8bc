"""How numbers are said on screen: one place, so that every command says them alike."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["FROM_ENVIRONMENT", "NO_DRIVER", "belief", "condition", "curl", "from_file", "gain", "money"]


NO_DRIVER = (
    "The process that started the actors is gone. All goes on, but each task needs a new process: "
    "easeml down, then easeml up."
)


def money(cents: float) -> str:
    """Return an amount in cents.

    Examples
    --------
    >>> money(12345.6), money(7), money(0.031)
    ('12,346 cents', '7 cents', '0.03 cents')
    """
    digits = 0 if cents >= 10 or float(cents).is_integer() else 2
    return f"{cents:,.{digits}f} cents"


def gain(value: Mapping[str, float]) -> str:
    """Return an expected gain in accuracy points with its interval.

    Examples
    --------
    >>> gain({"mean": 0.0287, "lower": 0.0, "upper": 0.0614})
    '+2.9 points [+0.0, +6.1]'
    """
    mean, lower, upper = (100 * value[name] for name in ("mean", "lower", "upper"))
    return f"{mean:+.1f} points [{lower:+.1f}, {upper:+.1f}]"


def belief(value: Mapping[str, Any]) -> str:
    """Return one belief about feasibility in a line.

    Examples
    --------
    >>> belief({"decision": "FEASIBLE", "target_accuracy": 0.9, "ber_estimate": 0.055,
    ...         "ber_interval": [0.015, 0.151], "belief": 0.97})
    'FEASIBLE for target 0.9: Bayes error about 0.055, 90 % in [0.015, 0.151]; belief 0.97'
    """
    low, high = value["ber_interval"]
    return (
        f"{value['decision']} for target {value['target_accuracy']:g}: Bayes error about "
        f"{value['ber_estimate']:.3f}, 90 % in [{low:.3f}, {high:.3f}]; belief {value['belief']:.2f}"
    )


def condition(text: str, *, reliability: float, steps: int, rows: int, mode: str = "fp-free") -> str:
    """Return what a condition asks of a model, and what a PASS then says.

    Examples
    --------
    >>> text = condition("n > 0.80 +/- 0.08", reliability=0.95, steps=4, rows=351)
    >>> text[:80]
    'to pass, a model must get more than 88 % of the 351 sealed rows right; its true '
    """
    from easeml_ray.gate import Clause, parse

    def asks_for_accuracy(clause: Clause) -> bool:
        return clause.coefficients == {"n": 1} and clause.comparison == ">" and clause.subset is None

    guarantee = f"with probability {reliability:g}" + (
        f" for all {steps} verdicts together" if steps > 1 else ""
    )
    parts = parse(text).parts
    clause = parts[0]
    # Only the commonest condition is put in words.
    if mode != "fp-free" or len(parts) > 1 or not isinstance(clause, Clause) or not asks_for_accuracy(clause):
        return f"judged on {rows:,} sealed rows, {guarantee}"
    threshold, needed = float(clause.threshold), float(clause.threshold + clause.epsilon)
    return (
        f"to pass, a model must get more than {100 * needed:g} % of the {rows:,} sealed rows right; "
        f"its true accuracy is then above {100 * threshold:g} %, {guarantee}"
    )


FROM_ENVIRONMENT = "$EASEML_TOKEN"
"""Shell text for a token that the caller holds."""


def from_file(path: Path) -> str:
    """Return shell text that reads a token from its file, so that it never stands on screen."""
    return f"$(cat {shlex.quote(str(path))})"


def curl(url: str, project: str, row: Mapping[str, Any], token: str) -> str:
    """Return a command that asks the endpoint about one row.

    Examples
    --------
    >>> print(curl("http://127.0.0.1:8000", "stars", {"size": 1.5}, FROM_ENVIRONMENT))  # doctest: +ELLIPSIS
    curl -s http://127.0.0.1:8000/v2/models/stars/predict ... -d '{"rows": [{"size": 1.5}]}'
    """
    body = shlex.quote(json.dumps({"rows": [dict(row)]}))
    return (
        f'curl -s {url}/v2/models/{project}/predict -H "Authorization: Bearer {token}" '
        f"-H 'Content-Type: application/json' -d {body}"
    )
