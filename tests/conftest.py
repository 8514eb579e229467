"""What every room of the tests may ask for."""

from collections.abc import Iterator

import pytest

from tests.servers import postgres
from tests.servers.postgres import Catalogs


@pytest.fixture(scope="session")
def catalogs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogs]:
    with postgres.running(tmp_path_factory.mktemp("catalogs")) as server:
        made = Catalogs(server)
        made.execute("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")  # no test takes the machine's power
        yield made
