"""The trust root: which keys may sign what, and the walk from one version to the next."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Self

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.dsse import MAX_PAYLOAD, Envelope
from regalia.core.errors import EquivocationError, InvalidNameError, RegaliaError, SignatureError, TrustRootError
from regalia.core.fields import Fields
from regalia.core.keys import PublicKey
from regalia.core.names import ApplicationName, check_channel, check_namespace, check_segment
from regalia.core.strict_json import JsonObject, JsonValue, parse_object, write
from regalia.core.values import field, frozen

ROOT_PAYLOAD = "application/vnd.regalia.root.v1+json"
MAX_ROOT_STEPS = 256

_MAX_KEYS = 128
_MAX_DELEGATIONS = 100
_MAX_KEYS_OF_DELEGATION = 16
_MAX_PATTERNS = 100
_STEP = "root"


class Role(StrEnum):
    """What a key may sign."""

    RELEASE = "release"
    CHANNEL = "channel"
    RESTORE = "restore"
    FRESHNESS = "freshness"
    LOG = "log"
    ATTESTOR = "attestor"
    REVOKER = "revoker"


@frozen
class Delegation:
    """Keys that may sign for a role on some applications and channels; `role` may be one of a later edition."""

    role: str
    apps: tuple[str, ...]
    channels: tuple[str, ...]
    keyids: tuple[str, ...]
    threshold: int
    epoch: int

    def covers(self, application: ApplicationName | None, channel: str | None) -> bool:
        """Say whether it is about this application and channel; None asks for the role alone."""
        return (application is None or any(_app_matches(pattern, str(application)) for pattern in self.apps)) and (
            channel is None or "*" in self.channels or channel in self.channels
        )

    def hides(self, other: "Delegation") -> bool:
        """Say whether `other`, standing after this one, could never be reached."""
        return (
            self.role == other.role
            and all(any(_app_matches(mine, theirs) for mine in self.apps) for theirs in other.apps)
            and ("*" in self.channels or set(other.channels) <= set(self.channels))
        )


@frozen
class Root:
    """One version of the trust root. Frozen rules: no half-valid root exists."""

    trust_domain: str
    version: int
    expires: datetime
    keys: dict[str, PublicKey] = field(hash=False)
    root_keyids: tuple[str, ...]
    root_threshold: int
    delegations: tuple[Delegation, ...]

    def __post_init__(self) -> None:
        """Hold the loader's rules."""
        _check_names(self)
        _check_threshold("root", self.root_keyids, self.root_threshold, self)
        owners: dict[str, str] = dict.fromkeys(self.root_keyids, "root")
        for place, delegation in enumerate(self.delegations):
            _check_threshold(delegation.role, delegation.keyids, delegation.threshold, self)
            _check_patterns(delegation)
            for keyid in delegation.keyids:
                if owners.setdefault(keyid, delegation.role) != delegation.role:
                    raise _refused(f'the key {keyid[:12]} is in the roles "{owners[keyid]}" and "{delegation.role}"')
            for earlier in self.delegations[:place]:
                if earlier.hides(delegation):
                    raise _refused(f'a "{delegation.role}" delegation is wholly covered by an earlier one')

    def delegation(
        self, role: Role, application: ApplicationName | None = None, channel: str | None = None
    ) -> Delegation:
        """Get the first delegation that matches.

        Raises:
            SignatureError: There is none, so nobody may sign this.
        """
        for delegation in self.delegations:
            if delegation.role == role and delegation.covers(application, channel):
                return delegation
        place = f"{application or 'any application'}{f':{channel}' if channel else ''}"
        raise SignatureError(
            f'nobody may sign as "{role}" for {place}',
            hint="add a key for it: reg trust add-key",
            step=role,
        )

    def require(
        self, envelope: Envelope, role: Role, application: ApplicationName | None, channel: str | None
    ) -> Delegation:
        """Check that a role's threshold signed the envelope.

        Raises:
            SignatureError: It is short of signatures.
        """
        delegation = self.delegation(role, application, channel)
        envelope.require(self.keys, delegation.keyids, threshold=delegation.threshold, step=_DOCUMENTS[role])
        return delegation

    @classmethod
    def of(cls, envelope: Envelope) -> Self:
        """Read the root in an envelope and check that its own root threshold signed it.

        Raises:
            TrustRootError: A rule is broken.
            SignatureError: Its own keys did not sign it.
        """
        root = cls._parse(envelope)
        root.require_root_signatures(envelope)
        return root

    def require_root_signatures(self, envelope: Envelope) -> None:
        """Check that this root's root threshold signed the envelope."""
        envelope.require(self.keys, self.root_keyids, threshold=self.root_threshold, step=_STEP)

    @classmethod
    def _parse(cls, envelope: Envelope) -> Self:
        what = "the trust root"
        try:
            envelope.check_type(ROOT_PAYLOAD, what=what)
            fields = Fields(parse_object(envelope.payload, what=what, max_bytes=MAX_PAYLOAD), what)
            root_role = fields.child("roles").child("root")
            return cls(
                trust_domain=fields.text("trustDomain", max_characters=128),
                version=fields.integer("version", minimum=1),
                expires=fields.time("expires"),
                keys=_parse_keys(fields.child("keys")),
                root_keyids=root_role.texts("keyids", maximum=_MAX_KEYS_OF_DELEGATION),
                root_threshold=root_role.integer("threshold", minimum=1),
                delegations=tuple(map(_parse_delegation, fields.children("delegations", maximum=_MAX_DELEGATIONS))),
            )
        except TrustRootError:
            raise
        except RegaliaError as error:
            raise TrustRootError(error.message, hint=error.hint, step=_STEP) from error

    def payload(self) -> bytes:
        """Write what is signed; the inverse of `of`."""
        keys: JsonObject = {keyid: {"scheme": str(key.scheme), "public": key.pem} for keyid, key in self.keys.items()}
        delegations: list[JsonValue] = [
            {
                "role": delegation.role,
                "apps": list(delegation.apps),
                "channels": list(delegation.channels),
                "keyids": list(delegation.keyids),
                "threshold": delegation.threshold,
                "epoch": delegation.epoch,
            }
            for delegation in self.delegations
        ]
        return write(
            {
                "trustDomain": self.trust_domain,
                "version": self.version,
                "expires": times.write(self.expires),
                "keys": keys,
                "roles": {"root": {"keyids": list(self.root_keyids), "threshold": self.root_threshold}},
                "delegations": delegations,
            }
        )


@frozen
class TrustedRoot:
    """A verified root with the exact bytes that carry it."""

    root: Root
    envelope: bytes
    identity: Digest

    @classmethod
    def bootstrap(cls, body: bytes) -> Self:
        """Read a root that this machine was given, and check that it is signed by its own keys."""
        envelope = _parse_envelope(body)
        return cls(Root.of(envelope), body, envelope.identity)

    def walk(self, bodies: Sequence[bytes]) -> Self:
        """Follow newer roots one version at a time; known ones are passed over.

        Raises:
            TrustRootError: A step is skipped, malformed, or of another trust domain.
            SignatureError: A step is not signed by both its predecessor's threshold and its own.
            EquivocationError: This version exists with other content.
        """
        if len(bodies) > MAX_ROOT_STEPS:
            raise _refused(f"{len(bodies)} root steps at once, the cap is {MAX_ROOT_STEPS}")
        current = self
        for body in bodies:
            current = current.step(body)
        return current

    def step(self, body: bytes) -> Self:
        """Take one further version, or pass over this one or an older one."""
        envelope = _parse_envelope(body)
        candidate = Root.of(envelope)
        if candidate.trust_domain != self.root.trust_domain:
            raise _refused(f'the root is of "{candidate.trust_domain}", expected "{self.root.trust_domain}"')
        if candidate.version < self.root.version:
            return self
        if candidate.version == self.root.version:
            if envelope.identity != self.identity:
                raise EquivocationError(f"root version {candidate.version} exists with two contents", step=_STEP)
            return self
        if candidate.version != self.root.version + 1:
            raise _refused(f"root version {candidate.version} follows {self.root.version}: one is missing")
        self.root.require_root_signatures(envelope)
        return type(self)(candidate, body, envelope.identity)


_DOCUMENTS = {
    Role.RELEASE: "release",
    Role.CHANNEL: "pointer",
    Role.RESTORE: "pointer",
    Role.FRESHNESS: "freshness",
    Role.LOG: "checkpoint",
    Role.ATTESTOR: "attestation",
    Role.REVOKER: "revocations",
}


def _parse_envelope(body: bytes) -> Envelope:
    try:
        return Envelope.parse(body, what="the trust root")
    except RegaliaError as error:
        raise TrustRootError(error.message, hint=error.hint, step=_STEP) from error


def _parse_keys(fields: Fields) -> dict[str, PublicKey]:
    if len(fields.raw) > _MAX_KEYS:
        raise _refused(f"{len(fields.raw)} keys, the cap is {_MAX_KEYS}")
    found = {}
    for keyid in fields.raw:
        written = fields.child(keyid)
        key = PublicKey.parse(written.text("public"))
        written.exactly("scheme", str(key.scheme))
        if key.keyid != keyid:
            raise _refused(f"the key {key.keyid[:12]} stands under the id {keyid[:12]!r}")
        found[keyid] = key
    return found


def _parse_delegation(fields: Fields) -> Delegation:
    return Delegation(
        role=fields.text("role", max_characters=64),
        apps=fields.texts("apps", maximum=_MAX_PATTERNS),
        channels=fields.texts("channels", maximum=_MAX_PATTERNS),
        keyids=fields.texts("keyids", maximum=_MAX_KEYS_OF_DELEGATION),
        threshold=fields.integer("threshold", minimum=1),
        epoch=fields.integer("epoch", minimum=1),
    )


def _check_names(root: Root) -> None:
    check_segment(root.trust_domain, what="trust domain", max_characters=128)
    if len(root.keys) > _MAX_KEYS:
        raise _refused(f"{len(root.keys)} keys, the cap is {_MAX_KEYS}")
    if len(root.delegations) > _MAX_DELEGATIONS:
        raise _refused(f"{len(root.delegations)} delegations, the cap is {_MAX_DELEGATIONS}")


def _check_threshold(role: str, keyids: Sequence[str], threshold: int, root: Root) -> None:
    if len(keyids) > _MAX_KEYS_OF_DELEGATION:
        raise _refused(f'the role "{role}" has {len(keyids)} keys, the cap is {_MAX_KEYS_OF_DELEGATION}')
    if len(set(keyids)) != len(keyids):
        raise _refused(f'the role "{role}" names a key twice')
    if not 1 <= threshold <= len(keyids):
        raise _refused(f'the role "{role}" has the threshold {threshold} of {len(keyids)} keys')
    unknown = [keyid for keyid in keyids if keyid not in root.keys]
    if unknown:
        raise _refused(f'the role "{role}" names the key {unknown[0][:12]!r}, which the root does not hold')


def _check_patterns(delegation: Delegation) -> None:
    if not delegation.apps or not delegation.channels:
        raise _refused(f'a "{delegation.role}" delegation is about no application or no channel')
    if delegation.epoch < 1:
        raise _refused(f'a "{delegation.role}" delegation has the epoch {delegation.epoch}')
    for pattern in _but(delegation.apps, "*"):
        namespace, slash, name = pattern.partition("/")
        try:
            check_namespace(namespace)
            if name != "*":
                ApplicationName(namespace, name)
        except InvalidNameError as error:
            raise _refused(f"the pattern {pattern[:80]!r} is not *, NAMESPACE/* or NAMESPACE/NAME") from error
        if not slash:
            raise _refused(f"the pattern {pattern[:80]!r} is not *, NAMESPACE/* or NAMESPACE/NAME")
    for channel in _but(delegation.channels, "*"):
        try:
            check_channel(channel)
        except InvalidNameError as error:
            raise _refused(f"the channel {channel[:80]!r} is neither * nor a name") from error


def _but(patterns: Iterable[str], wild: str) -> list[str]:
    return [pattern for pattern in patterns if pattern != wild]


def _app_matches(pattern: str, text: str) -> bool:
    """Match an application, or a pattern that is no wider, against a pattern."""
    return pattern in {"*", text} or (pattern.endswith("/*") and text.startswith(pattern[:-1]))


def _refused(message: str) -> TrustRootError:
    return TrustRootError(message, hint="get the root from who keeps it; nothing of this one is used", step=_STEP)
