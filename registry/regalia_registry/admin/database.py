"""`reg admin migrate` and `reg admin check`: the registry's database, whether or not it is served."""

import os
from collections.abc import Sequence
from pathlib import Path

from regalia.places import data_folder
from regalia_registry.adapters.sql.migrate import examine, upgrade
from regalia_registry.settings import load_settings


def migrate(*, data: Path | None) -> None:
    """Run the migrations that the database of a data folder's settings lacks.

    Raises:
        ConfigurationError: It is of a later version, or can't be written or reached; nothing of it was changed.
    """
    upgrade(_url(data))


def check(*, data: Path | None) -> Sequence[tuple[str, str, str, str]]:
    """Look at the database of a data folder's settings.

    Returns:
        What was looked at, how it is (`ok`, `warning`, `failed`), what that means, and what to do.
    """
    return [(found.name, found.state, found.told, found.hint) for found in examine(_url(data))]


def _url(data: Path | None) -> str:
    return load_settings(data=(data or data_folder(os.environ)).absolute()).database_url
