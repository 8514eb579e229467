"""A server that speaks PostgreSQL's first words, and means something else: over a real socket, for one client."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_LENGTH_BYTES = 4
_SSL_REQUEST = struct.pack(">I", 80877103)


@dataclass
class Odd:
    """What it says once it is spoken to, and what it has heard since."""

    said: bytes
    port: int = 0
    heard: list[bytes] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            if connection.recv(1024)[4:8] == _SSL_REQUEST:
                connection.sendall(b"N")
                connection.recv(1024)
            connection.sendall(self.said)
            self.heard.append(connection.recv(1024))


def greeting(version: str) -> Odd:
    """Let everybody in, as this version."""
    words = {"server_version": version, "client_encoding": "UTF8"}
    said = [_message(b"S", f"{name}\0{value}\0".encode()) for name, value in words.items()]
    admitted = _message(b"R", struct.pack(">I", 0))
    return Odd(b"".join([admitted, *said, _message(b"K", struct.pack(">II", 1, 1)), _message(b"Z", b"I")]))


def asking_for_a_password() -> Odd:
    """Ask for the password in clear."""
    return Odd(_message(b"R", struct.pack(">I", 3)))


def refusing(words: str) -> Odd:
    """Let nobody in, with these words."""
    return Odd(_message(b"E", b"SFATAL\0VFATAL\0C28000\0M" + words.encode() + b"\0\0"))


@contextmanager
def listening(odd: Odd) -> Iterator[Odd]:
    """Wait for one client on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        odd.port = listener.getsockname()[1]
        thread = threading.Thread(target=odd.serve, args=(listener,), daemon=True)
        thread.start()
        yield odd
        thread.join()


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body) + _LENGTH_BYTES) + body
