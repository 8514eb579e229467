"""Garbage of a real registry: an admin sees what would go, and lets it go; nobody else does."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from regalia import operations
from regalia.client import Client
from regalia.core.errors import ForbiddenError
from regalia_cli.demo.stage import FILES
from tests.support.registries import Home, home

ORPHAN = b"of a push that never came to its manifest"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with home(tmp_path_factory.mktemp("home"), files=FILES) as made:
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start()
        yield made
        made.stop()
        assert "Traceback" not in (made.folder / "registry.log").read_text()


@pytest.fixture
def orphan(served: Home) -> Path:
    name = hashlib.sha256(ORPHAN).hexdigest()
    path = served.folder / ".local/share/regalia/blobs/sha256" / name[:2] / name
    path.write_bytes(ORPHAN)
    return path


def test_a_plan_names_what_would_go_and_leaves_it(served: Home, orphan: Path) -> None:
    told = served.must("gc", "--dry-run")
    outcome = json.loads(served.must("gc", "--dry-run", "--json"))

    assert told == f"files that no version links  would go: 1, {len(ORPHAN)} bytes\n"
    assert outcome == {
        "plan": True,
        "going": [],
        "kept": [],
        "odd": [],
        "blobs": {"count": 1, "bytes": len(ORPHAN)},
    }
    assert orphan.exists()


def test_what_nothing_links_goes_and_what_was_pushed_stays(served: Home, orphan: Path) -> None:
    served.must("push")

    told = served.must("gc", "--yes")

    assert told == f"files that no version links  went: 1, {len(ORPHAN)} bytes\n"
    assert not orphan.exists()
    assert "unchanged" in served.must("push")


def test_an_admin_of_one_namespace_alone_is_refused(served: Home) -> None:
    token = served.must("token", "create", "--name", "ci", "--right", "admin", "--namespace", "acme").strip()

    client = Client(environment={**served.environment, "REGALIA_TOKEN": token}, folder=served.project)

    with pytest.raises(ForbiddenError, match="admin on all namespaces"):
        operations.start_garbage(client, plan=True)
