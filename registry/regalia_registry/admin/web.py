"""One web process: serves the inherited socket until it is told to stop, or its supervisor is gone."""

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import uvicorn

from regalia_registry.admin.logs import configure_logs
from regalia_registry.bootstrap.web import web_app
from regalia_registry.settings import load_settings

_DRAIN_S = 8


def main(data: Path, socket_fd: int, alive_fd: int) -> None:
    """Serve; `alive_fd` is a pipe that closes when the supervisor dies, however it dies."""
    threading.Thread(target=_stop_without_supervisor, args=(alive_fd,), daemon=True).start()
    settings = load_settings(data=data)
    configure_logs(settings)
    config = uvicorn.Config(
        web_app(settings),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=_DRAIN_S,
        backlog=2048,
    )
    with socket.socket(fileno=socket_fd) as listening:
        uvicorn.Server(config).run(sockets=[listening])


def _stop_without_supervisor(alive_fd: int) -> None:
    os.read(alive_fd, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_DRAIN_S + 2)
    os._exit(1)  # the event loop hangs and nobody is left to kill it


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
