"""Two registries on one catalog and one blob store, each with a data folder of its own, as on two hosts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regalia_cli.demo.stage import FILES
from tests.support.registries import Home, home, replica


@contextmanager
def replicas(folder: Path, **settings: str) -> Iterator[tuple[Home, Home]]:
    """Start two without workers, with these settings, and a bundle in `prod`."""
    place = folder / "home"
    place.mkdir()
    with home(place, files=FILES) as one:
        data = place / ".local/share/regalia"
        one.more |= {f"REGALIA_SERVER_{name.upper()}": value for name, value in settings.items()}
        one.must("init", "acme/support-agent", "--registry", one.url)
        one.start("--no-worker")
        with replica(one) as other:
            other.more |= {
                "REGALIA_SERVER_DATABASE": f"sqlite:///{data / 'registry.db'}",
                "REGALIA_SERVER_BLOBS": f"file://{data / 'blobs'}",
            }
            other.start("--no-worker")
            one.must("bundle", "create", "1.0.0")
            one.must("promote", "1.0.0", "--to", "prod")
            yield one, other
