"""The fixtures: one system for all tests here, and a tenant whose project serves a model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from easeml_ray import Client
from tests.serve.house import TASK, House, open_house, table


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    opened, close = open_house(tmp_path_factory.mktemp("house"))
    yield opened
    close()


@pytest.fixture(scope="session")
def stars(house: House) -> Client:
    """The tenant whose project ``stars`` has its data and serves a model."""
    ann = house.new("ann")
    ann.create_project("stars", TASK)
    ann.upload("stars", table(), format="csv")
    house.clients["ann"] = ann
    return ann
