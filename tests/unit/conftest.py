"""Fixtures of the tests that need no Ray."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import House

from easeml_ray.messages import Principal, Role
from easeml_ray.runtime import local


@pytest.fixture
def ann() -> Principal:
    return Principal("lab", Role.TENANT, "ann")


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """All nine components, their work scripted; at the end the log is replayed."""
    made = House()
    monkeypatch.setattr(local, "work_of", made.work_of)
    yield made
    made.check_replay()
