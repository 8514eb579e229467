"""Servers that many rooms share, one of each a session."""

from collections.abc import Iterator

import pytest

from tests.servers.seaweed import Seaweed, running


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with running(tmp_path_factory.mktemp("seaweed")) as server:
        yield server
