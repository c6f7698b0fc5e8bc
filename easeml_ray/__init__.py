"""Ease.ML: from raw data to a guarded, answering model, with every uncertainty on the bill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from easeml_ray.client import Client

__all__ = ["Client", "__version__"]

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    # On demand: the client brings httpx along, which no component needs.
    if name == "Client":
        from easeml_ray.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
