"""Fixtures of the tests that need no Ray."""

from __future__ import annotations

import pytest

from easeml_ray.messages import Principal, Role


@pytest.fixture
def ann() -> Principal:
    return Principal("lab", Role.TENANT, "ann")
