"""The prediction application: the deployed models behind the Open Inference Protocol."""

from __future__ import annotations

from serve.prediction.app import build

__all__ = ["build"]
