"""Binding a port, in words where that can't be, and letting go of it so that nobody who has connected is cut."""

import ctypes
import errno
import socket
import struct
import sys
import time
from contextlib import suppress

from regalia.core.errors import ConfigurationError

_BACKLOG = 2048
_PREDECESSOR_S = 2.0
_NO_ADDRESS = "choose an address of this machine"
_HINTS = {
    errno.EADDRINUSE: "another program has it: stop that one, or choose another with {option}",
    errno.EACCES: "ports below 1024 need rights: choose another with {option}",
}
_ATTACH_FILTER = 26  # SO_ATTACH_FILTER of Linux
_INSTRUCTION = struct.Struct("=HBBI")  # a classic BPF instruction: code, jump if true, jump if false, operand
_FLAGS_AT, _SYN, _SYN_OR_ACK = 13, 0x02, 0x12
_NOTHING, _ALL = 0, 0xFFFFFFFF
_PROGRAM = (
    (0x30, 0, 0, _FLAGS_AT),  # load the byte of the TCP header's flags
    (0x54, 0, 0, _SYN_OR_ACK),  # keep these two
    (0x15, 0, 1, _SYN),  # the first packet of a connection has the one and not the other
    (0x06, 0, 0, _NOTHING),
    (0x06, 0, 0, _ALL),
)


def listen(host: str, port: int, *, option: str) -> socket.socket:
    """Bind the port; a predecessor that was killed a moment ago may have it for a moment more.

    Args:
        host: An address of this machine.
        port: The port, or 0 for any free one.
        option: Where another port can be chosen, for the hint.

    Raises:
        ConfigurationError: It is taken, or not to be had.
    """
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
                hint=_HINTS.get(error.errno or 0, _NO_ADDRESS).format(option=option),
            ) from error
        return listening


def deafen(listening: socket.socket) -> None:
    """Let nobody begin to connect any more, for every process that has this socket.

    Linux answers a connection before any process accepts it, and resets those that wait when the socket is closed: what
    a client sent on one is lost. After this call none is added to them, so that all are accepted before the port is
    closed. A client that tries meanwhile tries again after a second, and is then refused. Elsewhere nothing happens.
    """
    if sys.platform != "linux":
        return
    program = b"".join(_INSTRUCTION.pack(*instruction) for instruction in _PROGRAM)
    held = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("@HP", len(_PROGRAM), ctypes.addressof(held))
    with suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, described)
