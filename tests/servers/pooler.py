"""A real PgBouncer, which gives each transaction whatever connection to the server is free."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres
from tests.servers.process import Program, end, free_port

_READY_S = 60.0
_SETTINGS = """\
[databases]
* = host={sockets} user=regalia

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 6
max_client_conn = 200
"""


def require() -> str:
    """Find it, or skip: it is in no wheel, and not every machine may install it."""
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip("no PgBouncer: apt-get install pgbouncer")
    return found


@contextmanager
def pooled(folder: Path, server: EmbeddedPostgres) -> Iterator[int]:
    """Run it before a server, whose user it is; gives the port at which all of its databases are."""
    port = free_port()
    settings = folder / "pgbouncer.ini"
    settings.write_text(_SETTINGS.format(sockets=conninfo_to_dict(server.url)["host"], port=port))
    user = ["-u", server.folder.owner()] if os.geteuid() == 0 else []
    command = [require(), *user, str(settings)]
    program = Program("PgBouncer", command, {}, folder / "pgbouncer.log")

    def is_ready() -> bool:
        try:
            psycopg.connect(f"postgresql://regalia@127.0.0.1:{port}/local").close()
        except psycopg.OperationalError:
            return False
        return True

    process = program.start(is_ready, within_s=_READY_S)
    try:
        yield port
    finally:
        end(process, signal.SIGINT)
