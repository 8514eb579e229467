"""A worker, or a web process, that kills or stops itself at an edge of a move: `python -m tests.support.dying`.

It takes what it is, its data folder, the step, the edge, the signal, and a web process its port. It logs, and dies,
through the logger that every process has: nothing in it is another than in production.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import structlog
import uvicorn
from structlog.typing import EventDict, Processor, WrappedLogger

from regalia_registry.admin.logs import configure_logs
from regalia_registry.bootstrap.web import make_web
from regalia_registry.bootstrap.worker import make_worker
from regalia_registry.settings import Settings, load_settings

EDGES = {"before": "step begun", "after": "step ended"}


def killer(step: str, edge: str, number: signal.Signals) -> Processor:
    """Make a processor that ends its process the first time at an edge: with SIGKILL, not even `finally` runs."""
    left = [number]

    def process(_logger: WrappedLogger, _method: str, told: EventDict) -> EventDict:
        if left and (told["event"], told.get("step")) == (EDGES[edge], step):
            os.kill(os.getpid(), left.pop())
        return told

    return process


def work(settings: Settings, _port: int) -> None:
    """Work."""
    make_worker(settings, threading.Event()).run()


def web(settings: Settings, port: int) -> None:
    """Serve."""
    uvicorn.run(make_web(settings).app, port=port, lifespan="off", log_config=None, access_log=False)


def main(what: str, data: str, step: str, edge: str, number: str, port: str) -> None:
    """Configure the logs as always, and what dies by them."""
    settings = load_settings(data=Path(data))
    configure_logs(settings)
    processors = structlog.get_config()["processors"]
    structlog.configure(processors=[killer(step, edge, signal.Signals[number]), *processors])
    running: dict[str, Callable[[Settings, int], None]] = {"worker": work, "web": web}
    running[what](settings, int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
