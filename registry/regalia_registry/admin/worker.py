"""`reg worker`: a worker of its own, beside `reg serve --no-worker` or another worker."""

import importlib.util
import os
import threading
from pathlib import Path

from regalia.core.errors import ConfigurationError
from regalia.places import data_folder
from regalia_registry.adapters.board import Board
from regalia_registry.adapters.sql.migrate import check
from regalia_registry.admin.exposing import expose
from regalia_registry.admin.listening import listen
from regalia_registry.admin.supervisor import PRIVATE
from regalia_registry.admin.work import work
from regalia_registry.domain.series import FIXED
from regalia_registry.http.metrics import Page
from regalia_registry.settings import load_settings


def worker(*, data: Path | None) -> int:
    """Do the operations of a data folder's registry until a signal; returns the exit status.

    Raises:
        ConfigurationError: Nothing was served from the folder yet, a setting is wrong, or a library is not installed.
    """
    folder = (data or data_folder(os.environ)).absolute()
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigurationError("a worker needs pyarrow", hint="pip install 'regalia[server,snapshots]'")
    if not folder.is_dir():
        raise ConfigurationError(f'"{folder}" is no data folder', hint="reg serve makes one at its first start")
    settings = load_settings(data=folder)
    check(settings.database_url)
    os.umask(PRIVATE)
    board = Board.private()
    if settings.metrics_port:
        listening = listen(settings.metrics_host, settings.metrics_port, option="REGALIA_SERVER_METRICS_PORT")
        expose(listening, Page(FIXED, board.stripes, None).registry())
    work(settings, board.tally(0), threading.Event())
    return 0
