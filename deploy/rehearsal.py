"""`make rehearsal`: the demo's whole story over PostgreSQL, S3, two replicas, a worker and a proxy, on this machine.

PostgreSQL and S3 are those of the tests' wheels, the proxy is the nginx of this machine with the configuration beside
this file. Each replica and the worker has a data folder of its own, as on hosts of their own.
"""

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from regalia.core.errors import RegaliaError
from regalia_cli import output
from regalia_cli.demo.stage import Stage, embedded_postgres, free_port
from regalia_cli.demo.story import say, tell
from tests.servers import postgres, proxy, seaweed
from tests.support.registries import give_host

_HOSTS = ("replica-1", "replica-2", "worker")


class Scaled(Stage):
    """A registry on several hosts; `stack` ends what it starts besides its own processes.

    Its knowledge base lives where the worker is: `local` is the worker's.
    """

    def __init__(self, home: Path, stack: ExitStack) -> None:
        """Start the servers that outlive the registry's processes."""
        super().__init__(home)
        self._stack = stack
        self._ports = free_port(), free_port()
        self._is_proxied = False
        for name in ("postgresql", "s3", "proxy"):
            (home / name).mkdir()
        catalogs = postgres.Catalogs(stack.enter_context(postgres.running(home / "postgresql")))
        bucket = stack.enter_context(seaweed.running(home / "s3"))
        self.local = embedded_postgres(home / _HOSTS[-1])
        self.environment |= {
            **bucket.environment,
            "REGALIA_SERVER_DATABASE": catalogs.make(),
            "REGALIA_SERVER_BLOBS": bucket.url("registry"),
            "KB_URL": f"postgresql://regalia@/local?host={self.local / 'run'}",
        }

    @property
    def serving(self) -> str:
        """What starts it, in short."""
        return "reg serve --no-worker (two of them, behind nginx) & reg worker"

    def start(self) -> None:
        """Start both replicas, the worker, and once the proxy."""
        for name in _HOSTS:
            if not (self.home / name).exists():
                give_host(self.home / name, of=self.home / ".local/share/regalia")
        for name, port in zip(_HOSTS, self._ports, strict=False):
            self.spawn("serve", "--no-worker", "--port", str(port), "--data", str(self.home / name))
        for port in self._ports:
            self.await_serving(f"http://127.0.0.1:{port}")
        self.spawn("worker", "--data", str(self.home / _HOSTS[-1]))
        if not self._is_proxied:
            self._stack.enter_context(proxy.proxied(self.home / "proxy", self._ports, self.port))
            self._is_proxied = True
        self.await_serving(self.url)


def main() -> int:
    """Tell the story; gives the exit status."""
    started = time.monotonic()
    with ExitStack() as stack:
        making = tempfile.TemporaryDirectory(prefix="regalia-rehearsal-", ignore_cleanup_errors=True)
        stage = Scaled(Path(stack.enter_context(making)), stack)
        stack.callback(stage.clear)
        try:
            tell(stage)
        except RegaliaError as error:
            output.tell(f"error: {error.message}\n{error.hint}")
            return 1
    say(f"That took {time.monotonic() - started:.0f} s, over two replicas, a worker, PostgreSQL, S3 and a proxy.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
