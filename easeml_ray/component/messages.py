"""What stands in the stream of every component alike."""

from __future__ import annotations

from typing import Any

from easeml_ray.messages import message

__all__ = ["WorkRejected"]


@message("component.WorkRejected")
class WorkRejected:
    """A piece of work ended with a typed error; stands in the stream of its component."""

    kind: str
    error: dict[str, Any]
