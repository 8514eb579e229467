"""Binding a port, in words where that can't be."""

import errno
import socket
import time

from regalia.core.errors import ConfigurationError

_BACKLOG = 2048
_PREDECESSOR_S = 2.0
_NO_ADDRESS = "choose an address of this machine"
_HINTS = {
    errno.EADDRINUSE: "another program has it: stop that one, or choose another with {option}",
    errno.EACCES: "ports below 1024 need rights: choose another with {option}",
}


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
