"""Pinned references: one bundle, placed where a channel placed it, whatever became of the channel."""

from pathlib import Path

import pytest

from regalia import Client, EquivocationError, NotFoundError, VerificationError
from regalia._transport import Request, Response
from regalia.core.values import replace
from regalia.testing import MemoryRegistry
from regalia.wire.resolution import Resolution
from tests.client.conftest import PROMPTS, TurnedClock

PROD = "acme/support-agent:prod"


def pin(registry: MemoryRegistry, version: str) -> str:
    return f"{PROD}@{registry.bundles[version].index.digest}"


class Swapping:
    """A registry that answers a pinned question with another pointer."""

    def __init__(self, registry: MemoryRegistry, pointer: bytes) -> None:
        self.registry = registry
        self.pointer = pointer

    def send(self, request: Request) -> Response:
        response = self.registry.send(request)
        answer = replace(Resolution.parse(response.body), pointer=self.pointer)
        return replace(response, body=answer.written())


def test_a_pinned_bundle_stays_where_its_channel_moves_on(registry: MemoryRegistry) -> None:
    registry.release("2.3.1", prompts=PROMPTS, channel="prod")

    bundle = registry.client().resolve(pin(registry, "2.3.0"))

    assert (bundle.version, bundle.channel, bundle.provenance) == ("2.3.0", "prod", "fresh")
    assert bundle.pointer is not None
    assert str(bundle.pointer.bundle) == bundle.digest


def test_a_pin_takes_the_newest_pointer_that_named_it(registry: MemoryRegistry) -> None:
    registry.release("2.3.1", prompts=PROMPTS, channel="prod")
    registry.promote("2.3.0", "prod")
    newest = registry.next_pointer("2.3.1", "prod").sequence - 1
    registry.promote("2.3.1", "prod")

    bundle = registry.client().resolve(pin(registry, "2.3.0"))

    assert bundle.pointer is not None
    assert bundle.pointer.sequence == newest


def test_what_is_remembered_of_the_channel_is_not_touched_by_a_pin(registry: MemoryRegistry, tmp_path: Path) -> None:
    registry.release("2.3.1", prompts=PROMPTS, channel="prod")
    registry.client().resolve(PROD)
    remembered = (tmp_path / "state/channels/acme/support-agent/prod.json").read_bytes()

    registry.client(min_pointer="2.1").resolve(pin(registry, "2.3.0"))

    assert (tmp_path / "state/channels/acme/support-agent/prod.json").read_bytes() == remembered
    assert registry.client().resolve(PROD).version == "2.3.1"


def test_the_pointer_of_a_pin_does_not_expire(registry: MemoryRegistry, clock: TurnedClock) -> None:
    client = registry.client(on_stale="strict")
    client.resolve(pin(registry, "2.3.0"))
    clock.turn(days=120)

    assert client.resolve(pin(registry, "2.3.0")).provenance == "fresh"
    registry.is_down = True
    assert registry.client(on_stale="strict").resolve(pin(registry, "2.3.0")).provenance == "disk"


def test_a_pin_is_not_taken_with_a_pointer_to_another_bundle(registry: MemoryRegistry, tmp_path: Path) -> None:
    registry.release("2.3.1", prompts=PROMPTS, channel="prod")
    transport = Swapping(registry, registry.pointers["prod"])
    client = Client(trust_root=registry.trust_root, state=tmp_path, transport=transport, environment={})

    with pytest.raises(VerificationError, match="another bundle") as caught:
        client.resolve(pin(registry, "2.3.0"))

    assert caught.value.step == "pointer"


def test_a_pin_that_a_release_key_placed_is_not_taken(registry: MemoryRegistry, tmp_path: Path) -> None:
    forged = registry.sign_pointer(registry.next_pointer("2.3.0", "prod"), role="release")
    client = Client(
        trust_root=registry.trust_root, state=tmp_path, transport=Swapping(registry, forged), environment={}
    )

    with pytest.raises(VerificationError) as caught:
        client.resolve(pin(registry, "2.3.0"))

    assert caught.value.step == "pointer"
    assert not isinstance(caught.value, EquivocationError)


def test_a_bundle_that_the_channel_never_named_can_not_be_pinned_there(registry: MemoryRegistry) -> None:
    registry.release("2.4.0", prompts=PROMPTS, channel="staging")

    with pytest.raises(NotFoundError):
        registry.client().resolve(pin(registry, "2.4.0"))
