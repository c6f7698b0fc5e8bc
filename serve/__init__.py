"""HTTP: the control API and the prediction endpoint, each a FastAPI app on a running system."""

from __future__ import annotations

__all__: list[str] = []
