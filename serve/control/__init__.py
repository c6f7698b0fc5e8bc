"""The control application: projects, data, beliefs, requests, money."""

from __future__ import annotations

from serve.control.app import build

__all__ = ["build"]
