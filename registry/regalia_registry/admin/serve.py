"""`reg serve`: one machine's registry, from an empty folder to answering."""

import http.client
import importlib.util
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import regalia
from regalia.core.errors import ConfigurationError
from regalia.places import data_folder
from regalia_registry.adapters.board import make_memory
from regalia_registry.admin.folder import make_admin_token, make_own_keys, opened
from regalia_registry.admin.inheriting import Descriptors
from regalia_registry.admin.listening import deafen, listen
from regalia_registry.admin.supervisor import PRIVATE, Command, Supervisor

_ENDING_S = 3.0  # behind what the web processes may take: the second that they linger, and their end
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 # compared, not bound


@dataclass(frozen=True, slots=True)
class _Started:
    host: str
    port: int
    workers: int
    metrics_host: str
    metrics_port: int
    drain_s: int
    grace_s: int


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
        has_worker = worker and importlib.util.find_spec("pyarrow") is not None
        with ExitStack() as stack:
            listening = stack.enter_context(listen(started.host, started.port, option="--port (0: any free one)"))
            metrics = None
            if started.metrics_port:
                found = listen(started.metrics_host, started.metrics_port, option="the setting metrics_port")
                metrics = stack.enter_context(found)
            return _supervise(folder, started, listening, metrics, has_worker=has_worker)


def _supervise(
    folder: Path, started: _Started, listening: socket.socket, metrics: socket.socket | None, *, has_worker: bool
) -> int:
    workers = started.workers
    host, port = listening.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    counts = make_memory(folder, processes=workers + has_worker)
    telling = None if metrics is None else metrics.fileno()

    def process(module: str, place: int, descriptors: Descriptors) -> Command:
        run = [sys.executable, "-m", f"regalia_registry.admin.{module}"]
        return Command([*run, str(folder), str(place), str(descriptors)], descriptors.inherited())

    def web(place: int, alive_fd: int) -> Command:
        return process("web", place, Descriptors(alive_fd, counts, listening.fileno(), telling))

    def work(alive_fd: int) -> Command:
        return process("work", workers, Descriptors(alive_fd, counts))

    def on_ready() -> None:
        processes = f"{workers} web process{'es' if workers > 1 else ''}{' and a worker' if has_worker else ''}"
        _tell(f"regalia {regalia.__version__} serves {url} from {folder} with {processes}; Ctrl-C stops it")

    def on_drained() -> None:
        if started.drain_s:
            deafen(listening)  # before the web processes close it: see _Draining
        listening.close()

    commands: list[Callable[[int], Command]] = [
        *(partial(web, place) for place in range(workers)),
        *([work] if has_worker else []),
    ]
    supervisor = Supervisor(
        commands,
        _tell,
        on_drained=on_drained,
        drain_s=started.drain_s,
        patience_s=started.grace_s + _ENDING_S,
    )
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


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
