"""Ease.ML: from raw data to a guarded, answering model, with every uncertainty on the bill."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
