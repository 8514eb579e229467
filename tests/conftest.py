"""Servers that many rooms share, one of each a session."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from regalia_registry.adapters.sql.postgresql import changes
from tests.servers import postgres
from tests.servers import seaweed as s3
from tests.servers.postgres import Catalogs
from tests.servers.seaweed import Seaweed

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if settings.get_current_profile_name() == "default":  # CI has one of its own, as patient, which repeats its examples
    settings.load_profile("patient")


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with s3.running(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture(scope="session")
def catalogs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogs]:
    with postgres.running(tmp_path_factory.mktemp("catalogs")) as server, pytest.MonkeyPatch.context() as patching:
        patching.setattr(changes, "_REOPEN_S", 30.0)  # no test's event loop waits, and this machine may be busy
        made = Catalogs(server)
        made.execute("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")  # no test takes the machine's power
        yield made
