"""Records to store: whole, valid, and as short as a test can say them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

from regalia.core.digest import Digest
from regalia.core.dsse import Envelope, Signature
from regalia.core.names import ApplicationName, ArtifactName, Kind, Slot
from regalia.core.statements import STATEMENT_PAYLOAD, ChannelPointer, Move
from regalia_registry.domain.access import Actor, Grant, Right
from regalia_registry.domain.entries import DeploymentRecord, Entry, Event
from regalia_registry.domain.placing import Collection, Mode, Placing
from regalia_registry.domain.records import ArtifactVersion, Hold, StoredBundle, StoredPointer, StoredRoot, Token
from regalia_registry.ports.store import Store, Transaction

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
APPLICATION = ApplicationName("acme", "support-agent")
PROMPT = ArtifactName("acme", Kind.PROMPT, "customer_support")
ACTOR = Actor("actor-1", "jane", (Grant("acme", frozenset({Right.ADMIN})),))

_numbers = count(1)


def digest(text: str) -> Digest:
    return Digest.of(text.encode())


def artifact(version: str, content: str = "", *, name: ArtifactName = PROMPT) -> ArtifactVersion:
    """Make a version whose content is its version's own, or the given one."""
    manifest = f"{content or version}, as {version}".encode()
    return ArtifactVersion(
        artifact=name,
        version=version,
        digest=Digest.of(manifest),
        fingerprint=digest(content or version),
        manifest=manifest,
        pushed_at=NOW,
    )


def bundle(version: str, content: str = "", *, application: ApplicationName = APPLICATION) -> StoredBundle:
    index = f"{application}@{version}: {content}".encode()
    return StoredBundle(
        application=application,
        version=version,
        digest=Digest.of(index),
        index=index,
        release=b"signed once",
        issued_at=NOW,
        stored_at=NOW + timedelta(seconds=1),
        git_commit="c0ffee",
    )


def pointer(
    sequence: int,
    *,
    named: str = "2.3.1",
    previous: StoredPointer | None = None,
    channel: str = "prod",
    application: ApplicationName = APPLICATION,
    epoch: int = 1,
) -> StoredPointer:
    statement = ChannelPointer(
        trust_domain="acme-7f3a9c2e",
        application=application,
        channel=channel,
        epoch=epoch,
        sequence=sequence,
        bundle=bundle(named, application=application).digest,
        move=Move.PROMOTE,
        reason="",
        issued_at=NOW,
        expires=NOW + timedelta(days=90),
        previous=None if previous is None else previous.identity,
    )
    envelope = Envelope(STATEMENT_PAYLOAD, statement.payload(), (Signature("aa", b"first"),))
    return StoredPointer(envelope.identity, statement, bytes(envelope), named, NOW)


def hold(version: str, *, held_at: datetime = NOW, application: ApplicationName = APPLICATION) -> Hold:
    return Hold(
        application=application,
        bundle=bundle(version, application=application).digest,
        version=version,
        reason="INC-42",
        held_at=held_at,
        held_by=ACTOR.id,
    )


def root(version: int, content: str = "") -> StoredRoot:
    envelope = f"root {version} {content}".encode()
    return StoredRoot(version, Digest.of(envelope), envelope)


def collection(number: int) -> Collection:
    """Make one that is being built, of the content "kb"."""
    return Collection(
        id=f"c-{number:04}",
        namespace="acme",
        target="local",
        provider="embedded",
        logical="kb",
        name=f"kb_{number:08}",
        snapshot=digest("snapshot of kb"),
        content_root=digest("kb"),
        schema_digest=digest("schema"),
        rows=100,
        operation="op-1",
        made_at=NOW,
    )


def placing(
    name: str,
    *,
    target: str = "local",
    logical: str = "",
    mode: Mode = Mode.FROZEN,
    alias: str | None = None,
    standby: bool = False,
) -> Placing:
    """Place the slot of this name."""
    return Placing(Slot(Kind.SNAPSHOT, name), target, logical or name, mode, alias, standby)


def token(number: int, *, secret: str = "", expires_at: datetime | None = None) -> Token:
    return Token(
        id=f"token-{number:04}",
        name=f"ci {number}",
        secret_sha256=digest(secret or str(number)).hex,
        grants=(Grant("acme", frozenset({Right.READ, Right.PUBLISH})), Grant("*", frozenset({Right.READ}))),
        created_at=NOW,
        expires_at=expires_at,
    )


def entry(name: str = "something.happened", *, actor: Actor = ACTOR, record: DeploymentRecord | None = None) -> Entry:
    """Make an entry with the next id."""
    return Entry(
        id=f"00000000-0000-7000-8000-{next(_numbers):012}",
        time=NOW,
        actor=actor.id,
        request="request-1",
        salt=b"salt",
        event=Event(name, str(APPLICATION), texts={"name": "Jane"}, record=record),
    )


def deployment(
    channel: str = "prod", *, application: ApplicationName = APPLICATION, success: bool = True
) -> DeploymentRecord:
    return DeploymentRecord(
        application=application,
        environment=channel,
        version="2.3.1",
        bundle=digest("2.3.1"),
        move=Move.PROMOTE,
        reason="a better prompt",
        sequence=1,
        changes=("Updated customer_support prompt template",),
        rollback_plan=(digest("2.3.0"),),
        success=success,
        git_sha="c0ffee",
        approval_ticket="CHG-7",
        approver="joe@company.com",
    )


@contextmanager
def changing(store: Store) -> Iterator[Transaction]:
    """Open a write that records its entry when it is left."""
    with store.write(ACTOR) as tx:
        yield tx
        tx.audit.record(entry())


def move(store: Store, moved: StoredPointer, *, expected: StoredPointer | None) -> StoredPointer:
    with changing(store) as tx:
        tx.channels.move(moved, expected=None if expected is None else expected.identity)
    return moved


def append_pointers(store: Store, *, times: int, writer: str) -> None:
    """Read the current pointer and put the next one in its place, each time in one transaction."""
    for _ in range(times):
        with store.write(ACTOR) as tx:
            current = tx.channels.find(APPLICATION, "prod")
            sequence = 1 if current is None else current.pointer.sequence + 1
            following = pointer(sequence, previous=current, named=f"1.0.{sequence}")
            tx.channels.move(following, expected=None if current is None else current.identity)
            tx.audit.record(Entry(f"{writer}-{sequence}", NOW, ACTOR.id, "", b"", Event("channel.moved", writer)))
