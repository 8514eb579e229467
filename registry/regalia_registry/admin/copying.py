"""`reg admin copy`: a registry's catalog and blobs in another database and store, proved to be the same."""

import os
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import cast

from regalia.core.errors import ConfigurationError, NotFoundError
from regalia.places import data_folder
from regalia_registry.adapters.sql.copying import copy_catalog
from regalia_registry.adapters.sql.migrate import check, upgrade
from regalia_registry.admin.folder import opened
from regalia_registry.bootstrap.ports import make_ports
from regalia_registry.ports.blobs import BlobStore
from regalia_registry.settings import Settings, load_settings


def copy(*, data: Path | None, database: str, blobs: str) -> Iterator[str]:
    """Copy what a data folder's settings name, and say what is done; a copy that broke off is gone on with.

    Blobs go first, so that the new catalog never names one that is not there. Keys and the data folder stay.

    Args:
        data: The data folder, or None for the user's own; nobody serves it meanwhile.
        database: The URL of an empty database, or of one that was begun to be filled; empty leaves the catalog.
        blobs: The URL of a blob store; empty leaves the blobs.

    Raises:
        ConfigurationError: The folder is served, or a URL or a database is unusable.
        ConflictError: The new database holds something else.
    """
    folder = (data or data_folder(os.environ)).absolute()
    if not folder.is_dir():
        raise ConfigurationError(f'"{folder}" is no data folder', hint="name the registry's own with --data")
    with opened(folder):
        settings = load_settings(data=folder)
        check(settings.database_url)
        if blobs:
            yield f"{_copy_blobs(settings, blobs)} blobs are there, and were hashed on their way"
        if database:
            upgrade(database)
            for table in copy_catalog(settings.database_url, database):
                yield f"{table.name}: {table.rows} rows, the same in both"


def _copy_blobs(settings: Settings, url: str) -> int:
    source, target = make_ports(settings), make_ports(settings.model_copy(update={"blobs": url}))
    try:
        return _copy_all(source.blobs, target.blobs)
    finally:
        source.store.close()
        target.store.close()


def _copy_all(source: BlobStore, target: BlobStore) -> int:
    count = 0
    for digest in source.list():
        size_bytes = source.stat(digest=digest)
        if size_bytes is None:
            raise NotFoundError(f"the blob {digest.short} went while it was copied", hint="serve nothing meanwhile")
        if target.stat(digest=digest) != size_bytes:
            with source.open(digest=digest) as content:
                target.put(digest=digest, source=cast("BufferedIOBase", content), size_bytes=size_bytes)
        count += 1
    return count
