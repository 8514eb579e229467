"""The whole service on a full disk or a database that can only be read: no to writing, in words; reading goes on."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from regalia import publishing
from regalia.client import Client
from regalia.core.errors import StorageFullError, UnavailableError
from regalia.core.kinds.prompt import PromptConfig
from regalia.core.names import Kind, Slot
from regalia.sources import Draft
from regalia_cli.demo.stage import FILES
from tests.support.registries import Home, home

PROD = "acme/support-agent:prod"


@contextmanager
def released(folder: Path, *, data: Path | None = None) -> Iterator[Home]:
    with home(folder, files=FILES) as made:
        made.more |= {} if data is None else {"REGALIA_DATA": str(data)}
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start(workers=2)
        made.must("bundle", "create", "1.0.0")
        made.must("promote", "1.0.0", "--to", "prod")
        yield made


def client_of(made: Home) -> Client:
    return Client(environment=made.environment, folder=made.project)


def draft(size_bytes: int) -> Draft:
    body = os.urandom(size_bytes // 2).hex()
    config = PromptConfig("large", "1.0.0", "none", template="large")
    content = {"large.txt": ("text/plain", body.encode())}
    return Draft(Slot(Kind.PROMPT, "large"), config, content, origin="large.txt", has_version=True)


def test_a_database_that_can_only_be_read_is_served_and_changes_are_refused(tmp_path: Path) -> None:
    with released(tmp_path) as made:
        made.stop()
        database = tmp_path / ".local/share/regalia/registry.db"
        made.more["REGALIA_SERVER_DATABASE"] = f"sqlite:///file:{database}?mode=ro&uri=true"
        made.start(workers=2)

        assert client_of(made).refresh(PROD).provenance == "fresh"
        assert "1.0.0" in made.must("history", PROD)
        with pytest.raises(UnavailableError, match="read-only") as refused:
            publishing.push(client_of(made), "acme", [draft(1000)])
        assert "reading goes on" in refused.value.hint

        made.stop()
        del made.more["REGALIA_SERVER_DATABASE"]
        made.start(workers=2)
        assert publishing.push(client_of(made), "acme", [draft(1000)])[0].created


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_refuses_a_push_in_words_keeps_nothing_of_it_and_goes_on_reading(tmp_path: Path) -> None:
    data = tmp_path / "small"
    data.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(data)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this sandbox mounts nothing")
    try:
        (tmp_path / "home").mkdir()
        with released(tmp_path / "home", data=data) as made:
            before = made.must("bundle", "list")
            with pytest.raises(StorageFullError) as refused:
                publishing.push(client_of(made), "acme", [draft(8_000_000)])

            assert "make room" in refused.value.hint
            assert client_of(made).refresh(PROD).provenance == "fresh"
            assert made.must("bundle", "list") == before
            assert list((data / "blobs" / "incoming").iterdir()) == []
            assert publishing.push(client_of(made), "acme", [draft(1000)])[0].created
    finally:
        subprocess.run(["umount", "--lazy", str(data)], check=True)
