"""One web process: serves the inherited socket until it is told to stop, or its supervisor is gone."""

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import structlog
import uvicorn

from regalia.core.errors import RegaliaError
from regalia_registry.adapters.board import Board
from regalia_registry.admin.exposing import expose
from regalia_registry.admin.inheriting import Descriptors
from regalia_registry.admin.logs import configure_logs
from regalia_registry.bootstrap.web import make_web
from regalia_registry.services.sightings import Sightings
from regalia_registry.settings import load_settings

_DRAIN_S = 8
_NOTE_EVERY_S = 3.0

log = structlog.get_logger("regalia.web")


def main(data: Path, place: int, descriptors: Descriptors) -> None:
    """Serve, as the process of this place among those of the supervisor."""
    threading.Thread(target=_stop_without_supervisor, args=(descriptors.alive,), daemon=True).start()
    settings = load_settings(data=data)
    configure_logs(settings)
    web = make_web(settings, Board.inherited(descriptors.counts), place)
    app = web.app
    if descriptors.metrics is not None:
        expose(socket.socket(fileno=descriptors.metrics), web.page.registry())
    threading.Thread(target=_note_agents, args=(app.sightings,), name="sightings", daemon=True).start()
    config = uvicorn.Config(
        app,
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
    with socket.socket(fileno=descriptors.service) as listening:
        uvicorn.Server(config).run(sockets=[listening])


def _note_agents(sightings: Sightings) -> None:
    is_told = False
    while True:
        time.sleep(_NOTE_EVERY_S)
        try:
            sightings.flush()
            is_told = False
        except RegaliaError as error:  # agents are answered all the same, and tell it again
            if not is_told:
                log.warning("agents are not noted", why=error.message)
            is_told = True


def _stop_without_supervisor(alive_fd: int) -> None:
    os.read(alive_fd, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_DRAIN_S + 2)
    os._exit(1)  # the event loop hangs and nobody is left to kill it


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Descriptors.parse(sys.argv[3]))
