"""Servers that many rooms share, one of each a session."""

from collections.abc import Iterator

import pytest

from tests.servers import postgres
from tests.servers import seaweed as s3
from tests.servers.postgres import Catalogs
from tests.servers.seaweed import Seaweed


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with s3.running(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture(scope="session")
def catalogs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogs]:
    with postgres.running(tmp_path_factory.mktemp("catalogs")) as server:
        made = Catalogs(server)
        made.execute("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")  # no test takes the machine's power
        yield made
