"""Resolving: the bytes that an agent starts from, rendered once a move and kept."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from regalia.core.bundle import BundleIndex
from regalia.core.digest import Digest
from regalia.core.dsse import Envelope, Signature, pae
from regalia.core.errors import UnavailableError
from regalia.core.manifest import Manifest
from regalia.core.names import Kind
from regalia.core.references import BundleReference
from regalia.core.statements import FRESHNESS_PAYLOAD, Freshness
from regalia.core.trust import Role, Root
from regalia.core.values import replace
from regalia.wire.resolution import MAX_INLINE, MAX_INLINE_LAYER, MAX_ROOTS, Resolution
from regalia_registry.domain.access import Actor, Right, hash_token
from regalia_registry.domain.records import StoredBundle, StoredPointer, Token
from regalia_registry.domain.refusals import no_entry
from regalia_registry.domain.series import FIXED, RESOLVES_KEPT
from regalia_registry.ports.store import Transaction
from regalia_registry.services.context import Ports
from regalia_registry.services.steps.inlining import SmallBlobs
from regalia_registry.services.steps.lookups import find_bundle, find_pointer
from regalia_registry.services.steps.trust import current_root

_FRESH_FOR = timedelta(hours=24)
_MAX_CACHED_BYTES = 64 * 1024 * 1024
_MAX_REMEMBERED = 10_000  # tokens that have asked, some 10 MB


@dataclass(frozen=True, slots=True)
class Question:
    """What an agent asks: which bundle, which root it has, which bundle it has."""

    reference: BundleReference
    root: int | None = None
    have: Digest | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """A rendered answer and the strong ETag of its bytes."""

    content: bytes
    etag: str

    @classmethod
    def of(cls, content: bytes) -> "Body":
        """Hash the bytes once."""
        return cls(content, f'"{hashlib.sha256(content).hexdigest()}"')


@dataclass(frozen=True, slots=True)
class _Basis:
    """What an answer is rendered from; while it stands, so do the bytes."""

    pointer: Digest | None
    bundle: Digest
    root: Digest
    root_version: int
    signatures: Digest
    hour: datetime

    def names_what(self, other: "_Basis") -> bool:
        """Say whether an answer is the same as another but for its freshness."""
        mine, others = (self.pointer, self.bundle, self.root), (other.pointer, other.bundle, other.root)
        return mine == others and self.signatures == other.signatures


@dataclass(frozen=True, slots=True)
class _Head:
    """A reference's basis, and the store's version at which it was read."""

    basis: _Basis
    version: int


@dataclass(frozen=True, slots=True)
class _Tokens:
    """The tokens that were asked for while the store had this version."""

    version: int
    known: dict[str, Token]


_Key = tuple[BundleReference, bool]


class Resolver:
    """Answers from memory while nothing that answers depend on was committed anywhere, which a look at the store tells.

    A reference has two bodies for the current root, with the bundle and without; an older root is answered on demand.
    """

    def __init__(self, ports: Ports) -> None:
        """Start empty."""
        self._ports = ports
        self._lock = Lock()
        self._heads: dict[BundleReference, _Head] = {}
        self._bodies: OrderedDict[_Key, tuple[_Basis, Body]] = OrderedDict()
        self._cached_bytes = 0
        self._tokens = _Tokens(-1, {})
        self._remembered: OrderedDict[str, Token] = OrderedDict()
        self._small = SmallBlobs(ports.blobs, ports.clock)

    def look(self) -> int:
        """Look, once a request, whether anything that answers depend on was committed anywhere.

        Raises:
            UnavailableError: The store does not tell.
        """
        return self._ports.store.version()

    def actor(self, token: str | None, *, seen: int) -> Actor:
        """Find who holds a token, as of a look of this request.

        Raises:
            UnauthenticatedError: There is none, or it is unknown, expired or revoked.
        """
        hashed = None if token is None else hash_token(token)
        if hashed is None:
            raise no_entry(is_sent=token is not None)
        tokens = self._tokens
        if tokens.version != seen:
            tokens = self._tokens = _Tokens(seen, {})
        found = tokens.known.get(hashed)
        if found is None:
            with self._ports.store.read() as tx:
                found = tx.access.find(hashed)
            self._remember(hashed, found)
            if found is None:
                raise no_entry(is_sent=token is not None)
            tokens.known[hashed] = found  # of that version, which may be over by now, and with it these
        if not found.is_valid(self._ports.clock.now()):
            raise no_entry(is_sent=token is not None)
        return found.actor()

    def resolve(self, actor: Actor, question: Question, *, seen: int) -> Body:
        """Answer a question, as of a look of this request; the bytes are those of the last time while nothing changed.

        Raises:
            NotFoundError: There is no such channel or bundle, or no right to see it.
            NotPlacedError: It is pinned, and a collection that its channel gave it is not there any more.
            UnavailableError: The registry has no root yet.
        """
        actor.require(Right.READ, on=question.reference.application.namespace)
        hour = self._hour()
        head = self._heads.get(question.reference)
        if head is not None and head.version == seen and head.basis.hour == hour:
            kept = self._find(question, head.basis)
            if kept is not None:
                return kept
        with self._ports.store.read() as tx:
            sources = _read(tx, question.reference, hour)
            self._heads[question.reference] = _Head(sources.basis, seen)
            kept = self._find(question, sources.basis)
            if kept is not None:
                return kept
            answer, inline = _documents(tx, question, sources)
        answer, is_whole = self._with_blobs(answer, inline)
        body = Body.of(self._finish(answer, sources).written())
        if is_whole and _has_root(question, sources.basis):
            self._keep(_key(question, sources.basis), sources.basis, body)
        return body

    def find_kept(self, token: str | None, question: Question) -> Body | None:
        """Find what was answered before, for while the store can't be read, or what is new can't be rendered.

        It names what the channel named when it was last read, for a token that was good when it was last read; its
        freshness is the one that was signed then, and a day later it is nothing.

        Raises:
            AccessError: The token gives no right to see it.
        """
        now = self._ports.clock.now()
        known = self._remembered.get((token and hash_token(token)) or "")
        head = self._heads.get(question.reference)
        if known is None or not known.is_valid(now) or head is None or not _has_root(question, head.basis):
            return None
        known.actor().require(Right.READ, on=question.reference.application.namespace)
        basis, body = self._bodies.get(_key(question, head.basis), (None, None))
        if basis is None or not basis.names_what(head.basis) or now - basis.hour >= _FRESH_FOR:
            return None
        self._ports.counts.add(FIXED.cell(RESOLVES_KEPT))
        return body

    def _remember(self, hashed: str, token: Token | None) -> None:
        with self._lock:
            self._remembered.pop(hashed, None)
            if token is not None:
                self._remembered[hashed] = token
                if len(self._remembered) > _MAX_REMEMBERED:
                    self._remembered.popitem(last=False)

    def _find(self, question: Question, basis: _Basis) -> Body | None:
        if not _has_root(question, basis):
            return None
        kept = self._bodies.get(_key(question, basis))
        return kept[1] if kept is not None and kept[0] == basis else None

    def _hour(self) -> datetime:
        return self._ports.clock.now().replace(minute=0, second=0, microsecond=0)

    def _with_blobs(self, answer: Resolution, inline: "_Inline") -> tuple[Resolution, bool]:
        """Add what is in the blob store, which is no work for a transaction; gives as well whether all of it came.

        Where the store is silent an agent that needs a blob asks for it, and one that has it is answered.
        """
        read = self._small.read([digest for digest, content in inline.items() if content is None])
        blobs = {digest: read.get(digest) if content is None else content for digest, content in inline.items()}
        there = {digest: content for digest, content in blobs.items() if content is not None}
        return replace(answer, blobs=there), len(there) == len(inline)

    def _finish(self, answer: Resolution, sources: "_Sources") -> Resolution:
        """Sign the freshness, which is no work for a transaction."""
        if sources.pointer is None or sources.is_pinned:
            return answer
        freshness = _freshness(sources.pointer, sources.root, sources.basis.hour)
        delegation = sources.root.delegation(Role.FRESHNESS, freshness.application, freshness.channel)
        signers = self._ports.keys.freshness_signers(delegation.keyids)
        if len(signers) < delegation.threshold:
            raise UnavailableError(
                "this registry does not hold the freshness key that the trust root names",
                hint="restore the data folder's keys, or see the page on a lost freshness key",
            )
        payload = freshness.payload()
        message = pae(FRESHNESS_PAYLOAD, payload)
        signatures = tuple(Signature(signer.keyid, signer.sign(message)) for signer in signers)
        return replace(answer, freshness=bytes(Envelope(FRESHNESS_PAYLOAD, payload, signatures)))

    def _keep(self, key: _Key, basis: _Basis, body: Body) -> None:
        with self._lock:
            replaced = self._bodies.pop(key, None)
            self._cached_bytes += len(body.content) - (0 if replaced is None else len(replaced[1].content))
            self._bodies[key] = basis, body
            while self._cached_bytes > _MAX_CACHED_BYTES:
                (reference, _), (_, dropped) = self._bodies.popitem(last=False)
                self._heads.pop(reference, None)
                self._cached_bytes -= len(dropped.content)


def _has_root(question: Question, basis: _Basis) -> bool:
    return question.root is None or question.root >= basis.root_version


def _key(question: Question, basis: _Basis) -> _Key:
    return question.reference, question.have == basis.bundle


@dataclass(frozen=True, slots=True)
class _Sources:
    pointer: StoredPointer | None
    bundle: StoredBundle
    root: Root
    basis: _Basis
    is_pinned: bool


def _read(tx: Transaction, reference: BundleReference, hour: datetime) -> _Sources:
    root = current_root(tx)
    pointer, named = None, reference
    if reference.channel is not None:
        pointer = find_pointer(tx, reference.application, reference.channel, pinned=reference.digest)
        named = BundleReference(reference.application, digest=pointer.pointer.bundle)
    bundle = find_bundle(tx, named)
    signed = bundle.release + (b"" if pointer is None else pointer.envelope)
    basis = _Basis(
        pointer=None if pointer is None else pointer.identity,
        bundle=bundle.digest,
        root=root.identity,
        root_version=root.root.version,
        signatures=Digest.of(signed),
        hour=hour,
    )
    return _Sources(pointer, bundle, root.root, basis, reference.is_pinned)


_Inline = dict[Digest, bytes | None]  # what an answer carries, in its order; None is in the blob store


def _documents(tx: Transaction, question: Question, sources: _Sources) -> tuple[Resolution, _Inline]:
    has_bundle = question.have == sources.bundle.digest
    known = sources.root.version if question.root is None else question.root
    answer = Resolution(
        release=sources.bundle.release,
        roots=tuple(root.envelope for root in tx.roots.after(known, limit=MAX_ROOTS)),
        pointer=None if sources.pointer is None else sources.pointer.envelope,
        index=None if has_bundle else sources.bundle.index,
    )
    return answer, {} if has_bundle else _inline(tx, sources.bundle)


def _inline(tx: Transaction, bundle: StoredBundle) -> _Inline:
    """Name manifests, configs and small layers in index order, until a megabyte is full."""
    index = BundleIndex.parse(bundle.index)
    namespace = index.application.namespace
    stored = tx.artifacts.find_all_by_digest(namespace, digests=[member.digest for member in index.members])
    found: _Inline = {}
    total = 0
    for member in index.members:
        manifest = Manifest.parse(stored[member.digest].manifest)
        layers = () if member.slot.kind is Kind.SNAPSHOT else manifest.layers  # an agent reads rows from its collection
        wanted = [manifest.config, *(layer for layer in layers if layer.size_bytes <= MAX_INLINE_LAYER)]
        sizes = {member.digest: len(manifest.body)} | {one.digest: one.size_bytes for one in wanted}
        for digest, size_bytes in sizes.items():
            if digest in found:
                continue
            total += size_bytes
            if total > MAX_INLINE:
                return found
            found[digest] = manifest.body if digest == member.digest else None
    return found


def _freshness(stored: StoredPointer, root: Root, hour: datetime) -> Freshness:
    """Say that a pointer is the newest; whoever says it in this hour says it in the same bytes."""
    pointer = stored.pointer
    issued_at = max(hour, pointer.issued_at)
    return Freshness(
        trust_domain=root.trust_domain,
        application=pointer.application,
        channel=pointer.channel,
        epoch=pointer.epoch,
        sequence=pointer.sequence,
        pointer=stored.identity,
        root_version=root.version,
        revocations_version=0,
        issued_at=issued_at,
        expires=issued_at + _FRESH_FOR,
    )
