"""Migrated databases for tests that run on each of both."""

from pathlib import Path

import pytest

from regalia_registry.adapters.sql.migrate import upgrade
from tests.servers.postgres import Catalogs


def migrated(request: pytest.FixtureRequest, folder: Path) -> str:
    """Give the URL of one without rows, of the kind that the fixture's parameter names."""
    if request.param == "postgresql":
        catalogs: Catalogs = request.getfixturevalue("catalogs")
        return catalogs.migrated()
    made = f"sqlite:///{folder / 'registry.db'}"
    upgrade(made)
    return made
