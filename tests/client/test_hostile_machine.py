"""Any order of releases, lies, outages, clock turns and restarts: never a bundle that was not signed and pointed at."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from regalia._transport import Request, Response
from regalia.client import Client
from regalia.core.dsse import Envelope
from regalia.core.errors import RegaliaError
from regalia.core.statements import ChannelPointer
from regalia.core.values import replace
from regalia.testing import MemoryRegistry
from regalia.wire.resolution import Resolution
from tests.client.conftest import TurnedClock

PROD = "acme/support-agent:prod"


class HostileRegistry(RuleBasedStateMachine):
    """The registry signs honestly; what stands between may replay, mix, flip and withhold."""

    @initialize()
    def found(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.clock = TurnedClock()
        self.registry = MemoryRegistry(self.folder, clock=self.clock)
        self.signed: list[bytes] = []
        self.freshness: list[bytes] = []
        self.number = 0
        self.highest = (0, 0)
        self.lie = "none"
        self.choice = 0
        self.release()
        self.client = self.fresh_client()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    def fresh_client(self) -> Client:
        return Client(
            "http://registry.test",
            trust_root=self.registry.trust_root,
            state=self.folder / "state",
            transport=self,
            clock=self.clock,
            environment={},
        )

    @rule()
    def release(self) -> None:
        self.clock.turn(seconds=1)
        self.number += 1
        version = f"1.0.{self.number}"
        self.registry.release(version, prompts={"greeting": f"Hello {version}"}, channel="prod")
        self.signed.append(self.registry.pointers["prod"])
        self.freshness.append(self.registry.freshness(self.registry.pointers["prod"]))

    @rule()
    def renew_the_root(self) -> None:
        self.registry.renew_root()

    @rule(hours=st.integers(1, 60))
    def time_passes(self, hours: int) -> None:
        self.clock.turn(hours=hours)

    @rule()
    def restart(self) -> None:
        self.client = self.fresh_client()

    @rule(place=st.integers(0, 200))
    def a_bit_of_a_blob_flips(self, place: int) -> None:
        blobs = sorted(path for path in (self.folder / "state" / "blobs").rglob("*") if path.is_file())
        if blobs:
            path = blobs[place % len(blobs)]
            body = bytearray(path.read_bytes())
            body[place % len(body)] ^= 1
            path.write_bytes(body)

    @rule(
        lie=st.sampled_from(["none", "down", "replay", "mix", "old-freshness", "flip", "garbage", "other-index"]),
        choice=st.integers(0, 50),
    )
    def ask(self, lie: str, choice: int) -> None:
        self.lie, self.choice = lie, choice
        try:
            bundle = self.client.refresh(PROD)
        except RegaliaError:
            return
        assert bundle.pointer is not None
        named = [ChannelPointer.of(Envelope.parse(body, what="it")) for body in self.signed]
        assert bundle.pointer in named
        assert bundle.digest == str(bundle.pointer.bundle)
        assert bundle.prompt("greeting").template == f"Hello {bundle.version}"
        assert bundle.pointer.order >= self.highest
        self.highest = bundle.pointer.order

    @invariant()
    def honesty_is_always_enough(self) -> None:
        if not hasattr(self, "client"):
            return
        self.lie = "none"
        bundle = self.client.refresh(PROD)
        assert bundle.provenance == "fresh"
        assert bundle.version == f"1.0.{self.number}"
        assert bundle.pointer is not None
        self.highest = bundle.pointer.order

    def send(self, request: Request) -> Response:
        """Answer as the registry does, or as the lie of the moment has it."""
        self.registry.is_down = self.lie == "down"
        response = self.registry.send(request)
        if response.status != 200 or "/resolve" not in request.path:
            return response
        if self.lie == "garbage":
            return replace(response, body=response.body[: self.choice * 7])
        answer = Resolution.parse(response.body)
        old = self.choice % len(self.signed)
        if self.lie == "replay":
            answer = replace(answer, pointer=self.signed[old], freshness=self.freshness[old])
        elif self.lie == "mix":
            answer = replace(answer, pointer=self.signed[old])
        elif self.lie == "old-freshness":
            answer = replace(answer, freshness=self.freshness[old])
        elif self.lie == "flip":
            answer = replace(answer, blobs={digest: body[::-1] for digest, body in answer.blobs.items()})
        elif self.lie == "other-index":
            answer = replace(answer, index=self.registry.bundles[f"1.0.{old + 1}"].index.body)
        return replace(response, headers={}, body=answer.written())


HostileRegistry.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
test_no_order_of_events_gives_another_bundle = HostileRegistry.TestCase
