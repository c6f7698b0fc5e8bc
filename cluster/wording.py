"""How numbers are said on screen: one place, so that every command says them alike."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

__all__ = ["belief", "condition", "curl", "gain", "money", "state_option"]


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
    >>> belief({"decision": "FEASIBLE", "target_accuracy": 0.9, "ber_lower": 0.055,
    ...         "ber_interval": [0.015, 0.151], "belief": 0.97})
    'FEASIBLE for target 0.9: Bayes error about 0.055, 90 % in [0.015, 0.151]; belief 0.97'
    """
    low, high = value["ber_interval"]
    return (
        f"{value['decision']} for target {value['target_accuracy']:g}: Bayes error about "
        f"{value['ber_lower']:.3f}, 90 % in [{low:.3f}, {high:.3f}]; belief {value['belief']:.2f}"
    )


def condition(text: str, *, reliability: float, steps: int, rows: int, mode: str = "fp-free") -> str:
    """Return what a condition asks of a model, and what a PASS then says.

    Examples
    --------
    >>> text = condition("n > 0.80 +/- 0.08", reliability=0.95, steps=4, rows=351)
    >>> text[:80]
    'to pass, a model must get more than 88 % of the 351 sealed rows right; its true '
    """
    from easeml_ray.gate import parse

    guarantee = f"with probability {reliability:g} for all {steps} verdicts together"
    clauses = parse(text).clauses
    clause = clauses[0]
    if len(clauses) > 1 or clause.coefficients != {"n": 1} or clause.comparison != ">" or mode != "fp-free":
        return f"judged on {rows:,} sealed rows, {guarantee}"
    threshold, needed = float(clause.threshold), float(clause.threshold + clause.epsilon)
    return (
        f"to pass, a model must get more than {100 * needed:g} % of the {rows:,} sealed rows right; "
        f"its true accuracy is then above {100 * threshold:g} %, {guarantee}"
    )


def curl(url: str, project: str, row: Mapping[str, Any], token_file: str) -> str:
    """Return a command that asks the endpoint; the token is read from its file, not shown."""
    body = shlex.quote(json.dumps({"rows": [dict(row)]}))
    header = f'-H "Authorization: Bearer $(cat {shlex.quote(token_file)})"'
    return f"curl -s {url}/v2/models/{project}/predict {header} -H 'Content-Type: application/json' -d {body}"


def state_option(state: Any, default: Any) -> str:
    """Return `` --state FOLDER`` where a command needs it to find the system, else nothing."""
    return "" if str(state) == str(default) else f" --state {shlex.quote(str(state))}"
