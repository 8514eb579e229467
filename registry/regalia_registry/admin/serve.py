"""`reg serve`: one machine's registry, from an empty folder to answering."""

import fcntl
import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import regalia
from regalia.core.errors import ConfigurationError
from regalia.core.keys import Scheme, SigningKey
from regalia.places import (
    ADMIN_TOKEN_FILE,
    ADMIN_TOKEN_HASH_FILE,
    data_folder,
    server_keys_folder,
    write_private,
)
from regalia_registry.admin.supervisor import Supervisor
from regalia_registry.domain.access import hash_token, make_token

_NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb", "fuse.sshfs", "9p", "afs", "ceph", "glusterfs")


def serve(*, host: str | None, port: int | None, workers: int | None, data: Path | None) -> int:
    """Run the registry of a data folder until a signal; returns the exit status.

    Raises:
        ConfigurationError: The folder is in use, on a network file system, or a setting is wrong.
    """
    folder = (data or data_folder(os.environ)).absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_network(folder)
    lock = _lock(folder)
    try:
        _make_day_one(folder)
        settings = _prepare(folder, host, port, workers)
        with _listen(str(settings["host"]), int(settings["port"])) as listening:
            return _supervise(folder, listening, int(settings["workers"]))
    finally:
        os.close(lock)


def _supervise(folder: Path, listening: socket.socket, workers: int) -> int:
    host, port = listening.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def command(alive_fd: int) -> list[str]:
        web = [sys.executable, "-m", "regalia_registry.admin.web"]
        return [*web, str(folder), str(listening.fileno()), str(alive_fd)]

    def ready() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1" if host in {"0.0.0.0", "::"} else host, port, timeout=1)  # noqa: S104 # compared, not bound
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/healthz", headers={"Host": "127.0.0.1"})
            return connection.getresponse().status == 200
        return False

    def on_ready() -> None:
        _tell(f"regalia {regalia.__version__} serves {url} from {folder} with {workers} web processes; Ctrl-C stops it")

    return Supervisor(command, workers, (listening.fileno(),), _tell).run(ready=ready, on_ready=on_ready)


def _prepare(folder: Path, host: str | None, port: int | None, workers: int | None) -> dict[str, str | int]:
    """Migrate in a process of its own, so that this one stays small."""
    given = [str(folder), host or "", "" if port is None else str(port), "" if workers is None else str(workers)]
    finished = subprocess.run(  # noqa: S603 # our own command
        [sys.executable, "-m", "regalia_registry.admin.prepare", *given],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    told = json.loads(
        finished.stdout or b'{"error": "the data folder can\'t be prepared; see the lines above", "hint": ""}'
    )
    if "error" in told:
        raise ConfigurationError(told["error"], hint=told["hint"])
    settings: dict[str, str | int] = told
    return settings


def _make_day_one(folder: Path) -> None:
    """In an empty data folder: the registry's own keys, and an admin token."""
    keys = server_keys_folder(folder)
    for role in ("freshness", "log"):
        path = keys / f"{role}.pem"
        if not path.exists():
            write_private(path, SigningKey.generate(Scheme.ED25519).pem())
    if not (folder / ADMIN_TOKEN_HASH_FILE).exists():
        token = make_token(secrets.token_bytes(32))
        write_private(folder / ADMIN_TOKEN_FILE, token.encode("ascii") + b"\n")
        write_private(folder / ADMIN_TOKEN_HASH_FILE, (hash_token(token) or "").encode("ascii"))
        _tell(f"an admin token lies in {folder / ADMIN_TOKEN_FILE}: reg login --token-file it")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"{host}:{port} can't be listened on: {error.strerror}",
            hint="another program has it: stop that one, or choose another with --port",
        ) from error
    return listening


def _lock(folder: Path) -> int:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise ConfigurationError(
            f'"{folder}" is served already, by process {owner}',
            hint="stop that one, or choose another folder with --data",
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode("ascii"))
    return descriptor


def _refuse_network(folder: Path) -> None:
    """Refuse what SQLite's write-ahead log does not work on."""
    mounts = Path("/proc/mounts")
    if not mounts.is_file():
        return
    best, kind = "", ""
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _, mount, found, *_ = line.split(" ")
        place = mount.replace("\\040", " ")
        if folder.is_relative_to(place) and len(place) >= len(best):
            best, kind = place, found
    if kind.startswith(_NETWORK_FILE_SYSTEMS):
        raise ConfigurationError(
            f'"{folder}" is on a network file system ({kind}), where the database would lose writes',
            hint="choose a local folder with --data",
        )


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
