"""A client against a registry that lies: never another bundle, never backwards."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from regalia._transport import Request, Response
from regalia.client import Client
from regalia.core.dsse import Envelope
from regalia.core.errors import EquivocationError, ExpiredError, RegaliaError, RollbackError, VerificationError
from regalia.core.statements import ChannelPointer
from regalia.core.values import replace
from regalia.testing import MemoryRegistry
from regalia.wire.resolution import Resolution
from tests.client.conftest import PROMPTS, TurnedClock

PROD = "acme/support-agent:prod"

Alter = Callable[[Resolution], Resolution]


@dataclass
class Lying:
    """A transport between client and registry that alters resolve answers."""

    registry: MemoryRegistry
    alter: Alter

    def send(self, request: Request) -> Response:
        response = self.registry.send(request)
        if response.status != 200 or "/resolve" not in request.path:
            return response
        return replace(response, body=self.alter(Resolution.parse(response.body)).written())


def client_of(registry: MemoryRegistry, alter: Alter, *, state: Path | None = None) -> Client:
    return Client(
        "http://registry.test",
        trust_root=registry.trust_root,
        state=state or registry.folder / "state",
        transport=Lying(registry, alter),
        clock=registry.clock,
        environment={},
    )


def signed_by(registry: MemoryRegistry, role: str) -> Alter:
    pointer = registry.next_pointer("2.3.0", "prod")

    def alter(answer: Resolution) -> Resolution:
        return replace(answer, pointer=registry.sign_pointer(pointer, role=role))

    return alter


def of_another_channel(registry: MemoryRegistry) -> Alter:
    staging = registry.promote("2.3.0", "staging")
    return lambda answer: replace(answer, pointer=staging, freshness=registry.freshness(staging))


def expired(registry: MemoryRegistry) -> Alter:
    pointer = registry.next_pointer("2.3.0", "prod")
    old = registry.sign_pointer(
        replace(pointer, issued_at=pointer.issued_at.replace(year=2020), expires=pointer.issued_at.replace(year=2021))
    )
    return lambda answer: replace(answer, pointer=old, freshness=registry.freshness(old))


def with_flipped_blob(registry: MemoryRegistry) -> Alter:  # noqa: ARG001 # the signature of the table
    def alter(answer: Resolution) -> Resolution:
        return replace(answer, blobs={digest: flipped(body) for digest, body in answer.blobs.items()})

    return alter


def with_another_release(registry: MemoryRegistry) -> Alter:
    other = registry.release("9.9.9", prompts={"other": "x"})
    return lambda answer: replace(answer, release=other.release)


def with_another_index(registry: MemoryRegistry) -> Alter:
    other = registry.release("9.9.9", prompts={"other": "x"})
    return lambda answer: replace(answer, index=other.index.body)


def with_freshness_of_another(registry: MemoryRegistry) -> Alter:
    staging = registry.promote("2.3.0", "staging")
    return lambda answer: replace(answer, freshness=registry.freshness(staging))


def without_freshness(registry: MemoryRegistry) -> Alter:  # noqa: ARG001 # the signature of the table
    return lambda answer: replace(answer, freshness=None)


def with_a_root_signed_by_the_channel_key(registry: MemoryRegistry) -> Alter:
    stolen = registry.sign_root(replace(registry.root, version=2), "channel")
    return lambda answer: replace(answer, roots=(stolen,))


def flipped(body: bytes) -> bytes:
    altered = bytearray(body)
    altered[len(altered) // 2] ^= 1
    return bytes(altered)


LIES: dict[str, tuple[Callable[[MemoryRegistry], Alter], type[RegaliaError], str]] = {
    "signed-by-the-release-key": (lambda registry: signed_by(registry, "release"), VerificationError, "pointer"),
    "signed-by-the-freshness-key": (lambda registry: signed_by(registry, "freshness"), VerificationError, "pointer"),
    "stagings-pointer": (of_another_channel, VerificationError, "pointer"),
    "flipped-blob": (with_flipped_blob, VerificationError, "members"),
    "another-release": (with_another_release, VerificationError, "release"),
    "another-index": (with_another_index, VerificationError, "bundle"),
    "freshness-of-another": (with_freshness_of_another, VerificationError, "freshness"),
    "no-freshness": (without_freshness, VerificationError, "freshness"),
    "stolen-root": (with_a_root_signed_by_the_channel_key, VerificationError, "root"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_client_without_state_refuses_a_lie_and_names_the_step(registry: MemoryRegistry, lie: str) -> None:
    make, error, step = LIES[lie]

    with pytest.raises(error) as caught:
        client_of(registry, make(registry)).resolve(PROD)

    assert getattr(caught.value, "step", "") == step


@pytest.mark.parametrize("lie", LIES)
def test_a_client_with_state_goes_on_with_what_it_trusted_and_warns(
    registry: MemoryRegistry, clock: TurnedClock, lie: str
) -> None:
    registry.client().resolve(PROD)
    clock.turn(minutes=1)
    alter = LIES[lie][0](registry)
    registry.release("2.3.1", prompts=PROMPTS, channel="prod")

    bundle = client_of(registry, alter).resolve(PROD)

    assert (bundle.version, bundle.provenance) in {("2.3.0", "disk"), ("2.3.1", "fresh")}
    assert bundle.provenance == "fresh" or bundle.warnings


def test_an_expired_pointer_is_expired_and_not_forged(registry: MemoryRegistry) -> None:
    with pytest.raises(ExpiredError) as caught:
        client_of(registry, expired(registry)).resolve(PROD)

    assert caught.value.document in {"pointer", "freshness"}


def test_an_older_pointer_is_not_adopted_and_counted(registry: MemoryRegistry, clock: TurnedClock) -> None:
    older = registry.pointers["prod"]
    clock.turn(minutes=1)
    registry.release("2.3.1", prompts=PROMPTS, channel="prod")
    registry.client().resolve(PROD)
    registry.pointers["prod"] = older
    client = registry.client()

    bundle = client.refresh(PROD)

    assert (bundle.version, bundle.provenance) == ("2.3.1", "disk")
    assert client.behind == 2


def test_an_older_pointer_is_a_rollback_where_nothing_remembered_is_usable(
    registry: MemoryRegistry, clock: TurnedClock
) -> None:
    older = registry.pointers["prod"]
    clock.turn(minutes=1)
    registry.release("2.3.1", prompts=PROMPTS, channel="prod")
    registry.client().resolve(PROD)
    registry.pointers["prod"] = older
    for blob in (registry.folder / "state" / "blobs").rglob("*"):
        if blob.is_file():
            blob.unlink()

    with pytest.raises(RollbackError):
        registry.client().resolve(PROD)


def test_two_pointers_with_one_sequence_are_always_an_error(registry: MemoryRegistry) -> None:
    registry.client().resolve(PROD)
    registry.release("2.3.1", prompts=PROMPTS)
    named = ChannelPointer.of(_envelope(registry.pointers["prod"]))
    twin = replace(named, bundle=registry.bundles["2.3.1"].index.digest)
    registry.pointers["prod"] = registry.sign_pointer(twin)

    with pytest.raises(EquivocationError):
        registry.client().resolve(PROD)


def test_a_floor_refuses_an_older_pointer_without_state(registry: MemoryRegistry) -> None:
    named = ChannelPointer.of(_envelope(registry.pointers["prod"]))

    with pytest.raises(RollbackError):
        registry.client(min_pointer=f"1.{named.sequence + 1}").resolve(PROD)


def test_every_flipped_bit_of_the_cache_is_noticed(registry: MemoryRegistry) -> None:
    registry.client().resolve(PROD)
    registry.is_down = True
    files = [path for path in (registry.folder / "state").rglob("*") if path.is_file() and path.name != "lock"]

    for path in files:
        kept = path.read_bytes()
        path.write_bytes(flipped(kept))
        try:
            bundle = registry.client().resolve(PROD)
            assert bundle.version == "2.3.0"
            assert bundle.prompt("customer_support").template == PROMPTS["customer_support"]
        except RegaliaError:
            pass
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(kept)

    assert len(files) > 5
    assert registry.client().resolve(PROD).version == "2.3.0"


def test_a_broken_cache_is_mended_by_the_registry(registry: MemoryRegistry) -> None:
    registry.client().resolve(PROD)
    for path in (registry.folder / "state" / "blobs").rglob("*"):
        if path.is_file():
            path.write_bytes(flipped(path.read_bytes()))

    assert registry.client().resolve(PROD).provenance == "fresh"
    registry.is_down = True
    assert registry.client().resolve(PROD).provenance == "disk"


def _envelope(body: bytes) -> Envelope:
    return Envelope.parse(body, what="the pointer")
