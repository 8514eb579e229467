"""The blob stores that contracts and races run on; a new one joins by one line in `STORES`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from regalia_registry.adapters.disk import DiskBlobs
from regalia_registry.adapters.memory.blobs import MemoryBlobs
from regalia_registry.ports.blobs import BlobStore
from tests.servers.seaweed import Seaweed

MakeBlobs = Callable[[Path, pytest.FixtureRequest], BlobStore]  # in a folder, with whatever fixture it needs


def _s3(_folder: Path, request: pytest.FixtureRequest) -> BlobStore:
    server: Seaweed = request.getfixturevalue("seaweed")
    return server.open()


STORES: dict[str, MakeBlobs] = {
    "memory": lambda _folder, _request: MemoryBlobs(),
    "disk": lambda folder, _request: DiskBlobs(folder / "blobs"),
    "s3": _s3,
}
