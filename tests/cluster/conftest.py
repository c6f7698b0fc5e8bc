"""The fixture: a system in this process behind both HTTP applications, one a test file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serve.house import House, open_house


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, quick_probes: None) -> Iterator[House]:
    opened, close = open_house(tmp_path_factory.mktemp("house"))
    yield opened
    close()
