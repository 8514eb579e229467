"""What a PostgreSQL of long ago says before the first query, over a real socket."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STARTUP_LENGTH = 4
_SSL_REQUEST = struct.pack(">I", 80877103)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body) + _STARTUP_LENGTH) + body


def _greet(listener: socket.socket, version: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        if connection.recv(1024)[4:8] == _SSL_REQUEST:
            connection.sendall(b"N")
            connection.recv(1024)
        said = (
            _message(b"R", struct.pack(">I", 0)),
            _message(b"S", b"server_version\x00" + version + b"\x00"),
            _message(b"S", b"client_encoding\x00UTF8\x00"),
            _message(b"K", struct.pack(">II", 1, 1)),
            _message(b"Z", b"I"),
        )
        connection.sendall(b"".join(said))
        connection.recv(1024)


@contextmanager
def greeting(version: str) -> Iterator[int]:
    """Let one client in on a free port, as this version."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_greet, args=(listener, version.encode()), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()
