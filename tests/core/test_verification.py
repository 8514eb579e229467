"""Client verification: the order of pointers, floors, clocks, expiry, and bundles against what was released."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.bundle import BundleIndex, Member
from regalia.core.digest import Digest
from regalia.core.dsse import Envelope
from regalia.core.errors import ClockError, DigestError, EquivocationError, RollbackError, VerificationError
from regalia.core.keys import Scheme
from regalia.core.kinds.prompt import PromptConfig
from regalia.core.kinds.snapshot import SnapshotConfig
from regalia.core.manifest import Artifact
from regalia.core.names import ApplicationName, Kind, Slot
from regalia.core.signing import SigningKey
from regalia.core.statements import ChannelPointer, Freshness, Move, Place, ReleaseStatement
from regalia.core.trust import Delegation, Root
from regalia.core.values import replace
from regalia.core.verification import (
    Age,
    VerifiedPointer,
    check_floor,
    compare,
    expiry_of,
    trusted_now,
    verify_freshness,
    verify_index,
    verify_places,
    verify_pointer,
    verify_release,
)

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
AGENT = ApplicationName("acme", "agent")
OWNER, RELEASE, CHANNEL, FRESH = (SigningKey.generate(Scheme.ED25519) for _ in range(4))
ROOT = Root(
    "acme-1",
    1,
    NOW + timedelta(days=3650),
    {key.keyid: key.public for key in (OWNER, RELEASE, CHANNEL, FRESH)},
    (OWNER.keyid,),
    1,
    tuple(
        Delegation(role, ("*",), ("*",), (key.keyid,), 1, 1)
        for role, key in (("release", RELEASE), ("channel", CHANNEL), ("freshness", FRESH))
    ),
)
PROMPT = Artifact.build(PromptConfig("greeting", "1.0.0", "none", template="hello"), {})
KB = Artifact.build(SnapshotConfig("kb", "1.0.0", 3, Digest.of(b"rows"), Digest.of(b"schema"), ()), {})
INDEX = BundleIndex.build(
    AGENT,
    "2.3.1",
    [
        Member.of(Slot(Kind.PROMPT, "greeting"), PROMPT),
        Member.of(Slot(Kind.SNAPSHOT, "kb"), KB),
    ],
)
STATEMENT = ReleaseStatement("acme-1", AGENT, "2.3.1", INDEX.digest, NOW)
POINTER = ChannelPointer(
    "acme-1", AGENT, "prod", 1, 7, INDEX.digest, Move.PROMOTE, "CHG-7", NOW, NOW + timedelta(days=90)
)
PLACE = Place(Slot(Kind.SNAPSHOT, "kb"), KB.digest, "files", "local", "kb_1")


def verified(pointer: ChannelPointer) -> VerifiedPointer:
    body = bytes(Envelope.sign("application/vnd.in-toto+json", pointer.payload(), [CHANNEL]))
    return verify_pointer(body, root=ROOT, application=AGENT, channel="prod")


def fresh(pointer: ChannelPointer) -> Freshness:
    identity = Digest.of(pointer.payload())
    return Freshness("acme-1", AGENT, "prod", pointer.epoch, pointer.sequence, identity, 1, 0, NOW, NOW + timedelta(1))


def test_a_whole_chain_verifies() -> None:
    release = bytes(Envelope.sign("application/vnd.in-toto+json", STATEMENT.payload(), [RELEASE]))
    freshness = bytes(Envelope.sign("application/vnd.regalia.freshness.v1+json", fresh(POINTER).payload(), [FRESH]))

    pointer = verified(POINTER)
    newest = verify_freshness(freshness, root=ROOT, pointer=pointer)
    released = verify_release(release, root=ROOT, application=AGENT, bundle=pointer.pointer.bundle)
    index = verify_index(INDEX.body, release=released.statement)

    assert (pointer.pointer, newest, released.statement, index) == (POINTER, fresh(POINTER), STATEMENT, INDEX)


@given(*[st.integers(1, 3)] * 4)
def test_pointers_compare_by_epoch_then_sequence(epoch: int, sequence: int, other_epoch: int, other: int) -> None:
    one = VerifiedPointer(replace(POINTER, epoch=epoch, sequence=sequence), Digest.of(b"same"), b"")
    two = VerifiedPointer(replace(POINTER, epoch=other_epoch, sequence=other), Digest.of(b"same"), b"")

    ages = {compare(one, two.seen): (epoch, sequence), compare(two, one.seen): (other_epoch, other)}

    assert ages.get(Age.NEWER, max(ages.values())) == max((epoch, sequence), (other_epoch, other))
    assert (Age.SAME in ages) == ((epoch, sequence) == (other_epoch, other))


def test_the_first_pointer_seen_is_newer_than_none() -> None:
    assert compare(verified(POINTER), None) is Age.NEWER


def test_two_contents_of_one_sequence_are_equivocation_whatever_they_name() -> None:
    with pytest.raises(EquivocationError, match=r"1\.7") as caught:
        compare(verified(replace(POINTER, reason="other")), verified(POINTER).seen)

    assert caught.value.step == "pointer"


def test_a_floor_admits_itself_and_nothing_below() -> None:
    check_floor(POINTER, None)
    check_floor(POINTER, (1, 7))
    check_floor(POINTER, (0, 99))
    for floor in ((1, 8), (2, 0)):
        with pytest.raises(RollbackError, match=r"1\.7"):
            check_floor(POINTER, floor)


def test_the_clock_never_runs_behind_what_was_trusted() -> None:
    assert trusted_now(NOW, newest_issued=NOW - timedelta(days=9)) == NOW
    assert trusted_now(NOW, newest_issued=NOW + timedelta(hours=24)) == NOW + timedelta(hours=24)
    with pytest.raises(ClockError):
        trusted_now(NOW, newest_issued=NOW + timedelta(hours=24, seconds=1))


def test_what_ends_first_is_named_with_what_renews_it() -> None:
    whole = expiry_of(ROOT, POINTER, fresh(POINTER))
    without = expiry_of(ROOT, POINTER, None)

    assert (whole.document, whole.expired_at) == ("freshness", NOW + timedelta(days=1, minutes=5))
    assert (without.document, without.hint) == ("pointer", "renew it: reg channel renew acme/agent:prod")
    assert expiry_of(ROOT, None, None).document == "root"


def test_another_bundles_index_is_refused_by_its_digest() -> None:
    with pytest.raises(DigestError) as caught:
        verify_index(INDEX.body + b" ", release=STATEMENT)

    assert caught.value.step == "bundle"


@pytest.mark.parametrize(
    "changes",
    [{"version": "2.3.0"}, {"application": ApplicationName("acme", "billing")}],
    ids=["version", "application"],
)
def test_an_index_under_another_name_than_was_released_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(VerificationError, match="the bundle names"):
        verify_index(INDEX.body, release=replace(STATEMENT, **changes))


def test_a_released_index_that_is_no_bundle_is_refused_with_its_step() -> None:
    body = PROMPT.manifest.body

    with pytest.raises(VerificationError) as caught:
        verify_index(body, release=replace(STATEMENT, bundle=Digest.of(body)))

    assert caught.value.step == "bundle"


def test_places_are_all_of_the_snapshots_or_none() -> None:
    verify_places(POINTER, INDEX)
    verify_places(replace(POINTER, collections=(PLACE,)), INDEX)
    other = replace(PLACE, slot=Slot(Kind.SNAPSHOT, "more"))

    for collections in ((other,), (PLACE, other), (replace(PLACE, snapshot=Digest.of(b"")),)):
        with pytest.raises(VerificationError, match="collections"):
            verify_places(replace(POINTER, collections=collections), INDEX)
