"""A real PostgreSQL with pgvector, one a session: the wheel's, as the registry itself runs it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres, wheel_binaries


@contextmanager
def running(folder: Path, *, port: int = 0) -> Iterator[EmbeddedPostgres]:
    """Start a server whose data lies under this folder, and leave nothing of it."""
    server = EmbeddedPostgres(folder, wheel_binaries(), port=port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
