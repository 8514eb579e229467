"""SIGKILL in the middle of pushes and promotes: what was acknowledged is there, and nothing is half there.

`REGALIA_KILLS` says how often; the suite takes a sample, the whole is 200.
"""

import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from regalia import administration
from regalia.client import Client
from regalia.core.errors import RegaliaError
from regalia.wire.answers import ArtifactEntry, AuditEntry
from tests.support import releases
from tests.support.registries import home
from tests.support.releases import APPLICATION, CHANNEL

KILLS = int(os.environ.get("REGALIA_KILLS", "6"))


@dataclass
class Work:
    """What a client did, and what the registry acknowledged of it."""

    client: Client
    pushed: dict[str, str] = field(default_factory=dict)
    moved: list[int] = field(default_factory=list)
    refused: int = 0
    is_over: bool = False

    def run(self) -> None:
        number = 0
        while not self.is_over:
            number += 1
            try:
                self._release(f"1.0.{number}")
            except RegaliaError:
                self.refused += 1

    def _release(self, version: str) -> None:
        one = releases.push(self.client, version)
        self.pushed[version] = one.digest
        releases.release(self.client, one)
        self.moved.append(releases.promote(self.client, version).pointer.sequence)


def test_a_worker_whose_supervisor_is_killed_keeps_no_port(tmp_path: Path) -> None:
    with home(tmp_path) as made:
        made.start()
        [worker] = made.workers()
        os.kill(worker, signal.SIGSTOP)
        try:
            made.kill()
            made.start("--no-worker")
        finally:
            os.kill(worker, signal.SIGCONT)


def test_what_was_acknowledged_survives_every_kill(tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 # when to kill guards nothing
    with home(tmp_path) as made:
        made.must("init", str(APPLICATION), "--registry", made.url)
        made.start(workers=2)
        client = Client(environment=made.environment, folder=made.project)
        work = Work(client)
        worker = threading.Thread(target=work.run)
        worker.start()
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, 0.5))
            for victim in (*made.web_processes(), *made.workers()):
                os.kill(victim, signal.SIGKILL)
            made.kill()
            made.start(workers=2)
        work.is_over = True
        worker.join()

        entries = {
            one.version: one.digest
            for one in client.registry.pages(ArtifactEntry, "/v1/namespaces/acme/artifacts/prompt/greeting")
        }
        history = [one.sequence for one in administration.history(client, CHANNEL)]
        events = list(client.registry.pages(AuditEntry, "/v1/audit"))
        bundles = [one.version for one in administration.list_bundles(client, APPLICATION)]
        latest = client.refresh(str(CHANNEL))

    assert work.moved, "nothing was ever acknowledged"
    assert {version: entries.get(version) for version in work.pushed} == work.pushed
    assert set(work.moved) <= set(history)
    assert history == sorted(set(history), reverse=True)
    assert len([one for one in events if one.event == "channel.moved"]) == len(history)
    assert len([one for one in events if one.event == "artifact.pushed"]) == len(entries)
    assert len([one for one in events if one.event == "bundle.released"]) == len(bundles)
    assert latest.prompt("greeting").template == f"Hello {latest.version}"
