"""Two registries on one catalog and one blob store, each with a data folder of its own, as on two hosts."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regalia_cli.demo.stage import FILES
from tests.support.registries import Home, home

SHARED = ("keys", "root.json", "admin-token.sha256")


@contextmanager
def replicas(folder: Path, **settings: str) -> Iterator[tuple[Home, Home]]:
    """Start two without workers, with these settings, and a bundle in `prod`."""
    first, second = folder / "first", folder / "second"
    first.mkdir()
    second.mkdir()
    with home(first, files=FILES) as one, home(second) as other:
        data = first / ".local/share/regalia"
        common = {f"REGALIA_SERVER_{name.upper()}": value for name, value in settings.items()}
        one.more |= common
        one.must("init", "acme/support-agent", "--registry", one.url)
        one.start("--no-worker")
        others = second / ".local/share/regalia"
        others.mkdir(parents=True)
        for name in SHARED:
            place = data / name
            (shutil.copytree if place.is_dir() else shutil.copy)(place, others / name)
        other.more |= common | {
            "REGALIA_SERVER_DATABASE": f"sqlite:///{data / 'registry.db'}",
            "REGALIA_SERVER_BLOBS": f"file://{data / 'blobs'}",
        }
        other.start("--no-worker")
        one.must("bundle", "create", "1.0.0")
        one.must("promote", "1.0.0", "--to", "prod")
        yield one, other
