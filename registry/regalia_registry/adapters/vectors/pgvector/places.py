"""Where the embedded PostgreSQL lies, and how agents reach it. Loads no driver: a web process tells it too."""

import hashlib
import os
from pathlib import Path

OWNER, READER, DATABASE = "regalia", "regalia_reader", "local"
DEFAULT_PORT = 5432  # names the socket where nothing listens on a port
ROOTS_FOLDER = Path("/var/lib/regalia-postgres")
PASSWORD_FILE = "reader-password"  # noqa: S105 # a file's name
_FOLDER = "postgres"


def embedded_folder(data: Path) -> Path:
    """Give the folder of the embedded PostgreSQL in a registry's data folder."""
    return data / _FOLDER


def cluster_folder(folder: Path) -> Path:
    """Give where the server's own files lie: in the folder, but for root, as whom PostgreSQL does not run."""
    if os.geteuid() != 0:
        return folder
    return ROOTS_FOLDER / hashlib.sha256(bytes(folder.absolute())).hexdigest()[:16]


def sockets_folder(folder: Path) -> Path:
    """Give where its socket is, which only the user that runs it reaches."""
    return cluster_folder(folder) / "run"


def socket_url(folder: Path, *, user: str, database: str = DATABASE, port: int = 0) -> str:
    """Spell how a user of this machine connects through the socket."""
    which = f"&port={port}" if port not in {0, DEFAULT_PORT} else ""
    return f"postgresql://{user}@/{database}?host={sockets_folder(folder)}{which}"


def agents_url(folder: Path, *, port: int) -> str:
    """Spell how agents connect: through the port where there is one, else through the socket."""
    if port:
        return f"postgresql://{READER}@127.0.0.1:{port}/{DATABASE}"
    return socket_url(folder, user=READER)
