"""`reg serve`: one machine's registry, from an empty folder to answering."""

import errno
import http.client
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import regalia
from regalia.core.errors import ConfigurationError
from regalia.places import data_folder
from regalia_registry.admin.folder import make_admin_token, make_own_keys, opened
from regalia_registry.admin.supervisor import PRIVATE, Supervisor

_BACKLOG = 2048
_PREDECESSOR_S = 2.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 # compared, not bound
_HINTS = {
    errno.EADDRINUSE: "another program has it: stop that one, or choose another with --port (0: any free one)",
    errno.EACCES: "ports below 1024 need rights: choose another with --port",
}


@dataclass(frozen=True, slots=True)
class _Started:
    host: str
    port: int
    workers: int


def serve(*, host: str | None, port: int | None, workers: int | None, data: Path | None, worker: bool = True) -> int:
    """Run the registry of a data folder until a signal; returns the exit status.

    Args:
        host: The address to listen on, or None for the setting's.
        port: The port, or None for the setting's.
        workers: How many web processes, or None for the setting's.
        data: The data folder, or None for the user's own.
        worker: Whether a worker for operations runs beside the web processes, where its libraries are installed.

    Raises:
        ConfigurationError: The folder is in use or on a network file system, the port is taken, a setting is wrong.
    """
    folder = (data or data_folder(os.environ)).absolute()
    with opened(folder):
        make_own_keys(folder)
        token_file = make_admin_token(folder)
        if token_file is not None:
            _tell(f"an admin token lies in {token_file}; use it with: reg login --token-file {token_file}")
        started = _prepare(folder, host, port, workers)
        with _listen(started.host, started.port) as listening:
            has_worker = worker and importlib.util.find_spec("pyarrow") is not None
            return _supervise(folder, listening, started.workers, has_worker=has_worker)


def _supervise(folder: Path, listening: socket.socket, workers: int, *, has_worker: bool) -> int:
    host, port = listening.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def web(alive_fd: int) -> list[str]:
        command = [sys.executable, "-m", "regalia_registry.admin.web"]
        return [*command, str(folder), str(listening.fileno()), str(alive_fd)]

    def work(alive_fd: int) -> list[str]:
        return [sys.executable, "-m", "regalia_registry.admin.work", str(folder), str(alive_fd)]

    def on_ready() -> None:
        processes = f"{workers} web process{'es' if workers > 1 else ''}{' and a worker' if has_worker else ''}"
        _tell(f"regalia {regalia.__version__} serves {url} from {folder} with {processes}; Ctrl-C stops it")

    commands = [*[web] * workers, *([work] if has_worker else [])]
    supervisor = Supervisor(commands, (listening.fileno(),), _tell)
    return supervisor.run(ready=lambda: _answers(_EVERYWHERE.get(host, host), port), on_ready=on_ready)


def _answers(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=1)
    with suppress(OSError, http.client.HTTPException):
        try:
            connection.request("GET", "/healthz", headers={"Host": "127.0.0.1"})
            return connection.getresponse().status == 200
        finally:
            connection.close()
    return False


def _prepare(folder: Path, host: str | None, port: int | None, workers: int | None) -> _Started:
    """Migrate in a process of its own, so that this one stays small."""
    given = [str(folder), host or "", "" if port is None else str(port), "" if workers is None else str(workers)]
    finished = subprocess.run(  # noqa: S603 # our own command
        [sys.executable, "-m", "regalia_registry.admin.prepare", *given],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        umask=PRIVATE,
        check=False,
    )
    if not finished.stdout:
        raise ConfigurationError(f'"{folder}" can\'t be prepared', hint="the lines above say why")
    told = json.loads(finished.stdout)
    if "error" in told:
        raise ConfigurationError(told["error"], hint=told["hint"])
    return _Started(**told)


def _listen(host: str, port: int) -> socket.socket:
    """Bind the port; a predecessor that was killed a moment ago may have it for a moment more."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline = time.monotonic() + _PREDECESSOR_S
    while True:
        try:
            listening.bind((host, port))
            listening.listen(_BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            listening.close()
            raise ConfigurationError(
                f"{host}:{port} can't be listened on: {(error.strerror or str(error)).lower()}",
                hint=_HINTS.get(error.errno or 0, "choose an address of this machine with --host"),
            ) from error
        return listening


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
