"""One worker process: does operations until it is told to stop, or its supervisor is gone."""

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from regalia_registry.admin.logs import configure_logs
from regalia_registry.bootstrap.worker import make_worker
from regalia_registry.settings import load_settings


def main(data: Path, alive_fd: int) -> None:
    """Work; `alive_fd` is a pipe that closes when the supervisor dies, however it dies."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    threading.Thread(target=_stop_without_supervisor, args=(alive_fd, stopping), daemon=True).start()
    settings = load_settings(data=data)
    configure_logs(settings)
    make_worker(settings, stopping).run()


def _stop_without_supervisor(alive_fd: int, stopping: threading.Event) -> None:
    os.read(alive_fd, 1)
    stopping.set()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
