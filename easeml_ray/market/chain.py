"""The hash chain of purchases: each names the one before, so none can be changed unseen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

__all__ = ["GENESIS", "link", "verify"]

GENESIS = "0" * 64
"""What the first purchase of a project names as the one before."""


def link(previous: str, record: dict[str, Any]) -> str:
    """Return sha256 of the previous hash and a record in canonical JSON."""
    text = json.dumps({"previous": previous, "record": record}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def verify(records: Sequence[tuple[dict[str, Any], str, str]]) -> bool:
    """Tell whether (record, previous, hash) triples form one unbroken chain."""
    expected = GENESIS
    for record, previous, value in records:
        if previous != expected or link(previous, record) != value:
            return False
        expected = value
    return True
