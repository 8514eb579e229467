"""A real nginx with the configuration of `deploy/`, before registries on ports of this machine."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from regalia_cli.demo.stage import is_serving
from tests.servers.process import free_port

CONFIGURATION = Path("deploy/nginx.conf")
_READY_S = 60.0


def find() -> str | None:
    """Find nginx, where this machine has it."""
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


def require() -> str:
    """Find nginx, or skip: it is in no wheel, and not every machine may install it."""
    found = find()
    if found is None:
        pytest.skip("no nginx: apt-get install nginx-light")
    return found


@contextmanager
def proxied(folder: Path, ports: Sequence[int], port: int = 0) -> Iterator[int]:
    """Run it before registries on these two ports, which answer; gives its own port."""
    nginx, port = require(), port or free_port()
    written = CONFIGURATION.read_text()
    for number, upstream in enumerate(ports, start=1):
        written = written.replace(f"replica-{number}:7117", f"127.0.0.1:{upstream}")
    written = written.replace("listen 8080", f"listen 127.0.0.1:{port}").replace(" /tmp/", f" {folder}/")
    configuration = folder / "nginx.conf"
    configuration.write_text(f"daemon off;\n{written}")
    with (folder / "nginx.log").open("wb") as log:
        command = [nginx, "-e", "stderr", "-p", str(folder), "-c", str(configuration)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _READY_S
        while not is_serving(f"http://127.0.0.1:{port}"):
            assert process.poll() is None, (folder / "nginx.log").read_text()
            assert time.monotonic() < deadline, (folder / "nginx.log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()
