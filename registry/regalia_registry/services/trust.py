"""The trust root in the registry: taken in once, then one version at a time, never leaving a channel unverifiable."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from regalia.core.digest import Digest
from regalia.core.dsse import MAX_SIGNATURES, Envelope
from regalia.core.errors import (
    ConflictError,
    DocumentError,
    InvalidError,
    NotFoundError,
    TrustRootError,
    VerificationError,
)
from regalia.core.references import BundleReference
from regalia.core.statements import STATEMENT_PAYLOAD, ReleaseStatement
from regalia.core.trust import Root, TrustedRoot
from regalia.core.verification import verify_pointer, verify_release
from regalia.wire.answers import RootEntry, RootsStored, ServerKeys, SignedEntry
from regalia.wire.resolution import encode
from regalia_registry.domain.access import SYSTEM
from regalia_registry.domain.entries import Event
from regalia_registry.domain.records import StoredPointer, StoredRoot
from regalia_registry.ports.store import Transaction
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.holds import add_hold
from regalia_registry.services.steps.pointers import current_pointers
from regalia_registry.services.steps.records import record
from regalia_registry.services.steps.trust import current_root


@dataclass(frozen=True, slots=True)
class RootChange:
    """New roots in order, and stored envelopes that gained signatures.

    `compromised` takes the roots even where they leave channels unverifiable: their bundles are held.
    """

    roots: tuple[bytes, ...]
    envelopes: tuple[bytes, ...] = ()
    compromised: bool = False


def get_root(ports: Ports, *, name: str) -> RootEntry:
    """Get a root by version or by the digest of its payload; any token may."""
    with ports.store.read() as tx:
        if name.startswith("sha256:"):
            found = tx.roots.find_by_identity(Digest.parse(name))
        else:
            found = tx.roots.find(int(name)) if name.isdecimal() and len(name) < 10 else None
    if found is None:
        raise NotFoundError(f'there is no root "{name[:80]}"', hint="reg trust show")
    return RootEntry(found.version, str(found.identity), encode(found.envelope))


def server_keys(ports: Ports) -> ServerKeys:
    """Give the public halves of the registry's own keys, for the root that will name them."""
    freshness, log = ports.keys.public_keys()
    return ServerKeys(freshness=freshness.pem, log=log.pem)


def list_releases(ports: Ports, caller: Caller, *, after: str | None, limit: int) -> list[SignedEntry]:
    """List every release statement, so that a new key can sign it too; `after` is `NAMESPACE/NAME@DIGEST`."""
    caller.actor.require_admin()
    start = None if after is None else BundleReference.parse(after)
    if start is not None and start.digest is None:
        raise InvalidError(f'"after" is {after!r}, expected NAMESPACE/NAME@sha256:…')
    key = None if start is None or start.digest is None else (start.application, start.digest)
    with ports.store.read() as tx:
        found = tx.bundles.list_all(after=key, limit=limit)
    return [SignedEntry(str(BundleReference(one.application, digest=one.digest)), encode(one.release)) for one in found]


def list_pointers(ports: Ports, caller: Caller, *, after: str | None, limit: int) -> list[SignedEntry]:
    """List every channel's current pointer, so that a new key can sign it too; `after` is `NAMESPACE/NAME:CHANNEL`."""
    caller.actor.require_admin()
    start = None if after is None else BundleReference.parse(after)
    if start is not None and start.channel is None:
        raise InvalidError(f'"after" is {after!r}, expected NAMESPACE/NAME:CHANNEL')
    key = None if start is None or start.channel is None else (start.application, start.channel)
    with ports.store.read() as tx:
        found = tx.channels.list_all(after=key, limit=limit)
    return [
        SignedEntry(str(BundleReference(one.pointer.application, channel=one.pointer.channel)), encode(one.envelope))
        for one in found
    ]


def take_in_first_root(ports: Ports, body: bytes) -> None:
    """Take the root that lies in the data folder, if the registry has none."""
    with ports.store.read() as tx:
        if tx.roots.newest() is not None:
            return
    change_roots(ports, Caller(SYSTEM, ""), RootChange((body,)))


def change_roots(ports: Ports, caller: Caller, change: RootChange) -> RootsStored:
    """Store new roots and added signatures in one transaction.

    Raises:
        VerificationError: A root does not follow from the one in force.
        ConflictError: A pointer, its bundle or a fallback would no longer verify, and `compromised` is not said.
    """
    caller.actor.require_admin()
    with ports.store.write(caller.actor) as tx:
        before = None if tx.roots.newest() is None else current_root(tx).root
        root = _store_roots(tx, change.roots)
        added = sum(_add_signatures(tx, root, body) for body in change.envelopes)
        broken = list(_broken(tx, before, root))
        if broken and not change.compromised:
            raise ConflictError(
                f"the new root would break {len(broken)} channels, first {broken[0].reference}: {broken[0].reason}",
                hint="sign their documents with the new key first: reg trust rotate does; --compromised overrides",
            )
        held = sorted({str(bundle) for fault in broken for bundle in fault.bundles})
        for fault in broken:
            _hold(ports, caller, tx, fault)
        record(ports, caller, tx, Event("root.changed", f"root/{root.version}"))
        newest = tx.roots.newest()
    if newest is not None:
        ports.root_file.keep(newest.envelope)
    return RootsStored(root.version, added, tuple(held), tuple(fault.reference for fault in broken if fault.stops))


@dataclass(frozen=True, slots=True)
class _Fault:
    """A channel that a root leaves with documents below their threshold."""

    current: StoredPointer
    bundles: tuple[Digest, ...]
    reason: str
    stops: bool
    is_unsigned: bool

    def is_within(self, known: "_Fault") -> bool:
        """Say whether nothing more is broken than in a fault that was known."""
        return set(self.bundles) <= set(known.bundles) and (known.is_unsigned or not self.is_unsigned)

    @property
    def reference(self) -> str:
        return f"{self.current.pointer.application}:{self.current.pointer.channel}"


def _store_roots(tx: Transaction, bodies: Sequence[bytes]) -> Root:
    if tx.roots.newest() is None:
        if not bodies:
            raise DocumentError("no root was sent", hint="reg init NAMESPACE/NAME")
        current = TrustedRoot.bootstrap(bodies[0])
        if current.root.version != 1:
            raise TrustRootError(f"the first root has version {current.root.version}, expected 1", step="root")
        tx.roots.add(StoredRoot(1, current.identity, bodies[0]))
    else:
        current = current_root(tx)
    for body in bodies:
        following = current.step(body)
        if following.root.version > current.root.version:
            tx.roots.add(StoredRoot(following.root.version, following.identity, body))
        current = following
    return current.root


def _add_signatures(tx: Transaction, root: Root, body: bytes) -> int:
    """Merge an envelope's signatures into the stored one of the same payload."""
    sent = Envelope.parse(body, what="an envelope")
    pointer = tx.channels.find_pointer(sent.identity)
    if pointer is not None:
        merged = _merged(Envelope.parse(pointer.envelope, what="the pointer"), sent, root)
        tx.channels.add_signatures(sent.identity, envelope=bytes(merged))
        return 1
    if sent.payload_type != STATEMENT_PAYLOAD:
        raise NotFoundError(f"no stored document has the payload {sent.identity.short}")
    statement = ReleaseStatement.of(sent)
    bundle = tx.bundles.get_by_digest(statement.application, digest=statement.bundle)
    stored = Envelope.parse(bundle.release, what="the release statement")
    if stored.identity != sent.identity:
        raise VerificationError(f'the release statement of "{bundle.version}" is another one', step="release")
    merged = _merged(stored, sent, root)
    tx.bundles.add_signatures(bundle.application, digest=bundle.digest, release=bytes(merged))
    return 1


def _merged(stored: Envelope, sent: Envelope, root: Root) -> Envelope:
    """Add signatures; after many rotations those of keys that the root no longer names make room."""
    merged = stored.with_signatures(sent.signatures)
    if len(merged.signatures) <= MAX_SIGNATURES:
        return merged
    kept = tuple(one for one in merged.signatures if one.keyid in root.keys)
    return Envelope(merged.payload_type, merged.payload, kept[-MAX_SIGNATURES:])


def _broken(tx: Transaction, before: Root | None, root: Root) -> Iterator[_Fault]:
    """Walk all channels, and find what a root breaks that the one before did not."""
    for current in current_pointers(tx):
        fault = _fault_of(tx, root, current)
        known = None if fault is None or before is None else _fault_of(tx, before, current)
        if fault is not None and (known is None or not fault.is_within(known)):
            yield fault


def _fault_of(tx: Transaction, root: Root, current: StoredPointer) -> _Fault | None:
    pointer = current.pointer
    bundles, reasons, is_unsigned = [], [], False
    try:
        verify_pointer(current.envelope, root=root, application=pointer.application, channel=pointer.channel)
    except VerificationError as error:
        reasons.append(error.message)
        is_unsigned = True
    for digest in (pointer.bundle, *pointer.fallbacks):
        bundle = tx.bundles.get_by_digest(pointer.application, digest=digest)
        try:
            verify_release(bundle.release, root=root, application=pointer.application, bundle=digest)
        except VerificationError as error:
            bundles.append(digest)
            reasons.append(f"{bundle.version}: {error.message}")
    stops = is_unsigned or pointer.bundle in bundles
    return _Fault(current, tuple(bundles), reasons[0], stops, is_unsigned) if reasons else None


def _hold(ports: Ports, caller: Caller, tx: Transaction, fault: _Fault) -> None:
    application = fault.current.pointer.application
    for digest in fault.bundles:
        bundle = tx.bundles.get_by_digest(application, digest=digest)
        reason = "a key that signed it was compromised"
        add_hold(ports, caller, tx, application=application, bundle=digest, version=bundle.version, reason=reason)
