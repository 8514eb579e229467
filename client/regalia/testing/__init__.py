"""A registry in memory for your own tests: throwaway keys, real signatures, the real client; no server, no network.

def test_my_agent(regalia_registry):
    regalia_registry.release("1.0.0", prompts={"greeting": "Hello {name}"}, channel="prod")
    bundle = regalia_registry.client().resolve("acme/support-agent:prod")
    assert bundle.prompt("greeting").render(name="Ann") == "Hello Ann"
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from regalia._transport import Request, Response
from regalia.client import Client
from regalia.core import templates, times
from regalia.core.bundle import BundleIndex, Member
from regalia.core.digest import Digest
from regalia.core.dsse import Envelope
from regalia.core.errors import UnavailableError
from regalia.core.keys import Scheme
from regalia.core.kinds.config import TREE_TITLE, ConfigConfig
from regalia.core.kinds.model import ModelConfig
from regalia.core.kinds.prompt import PromptConfig, Variable
from regalia.core.manifest import Artifact
from regalia.core.names import ApplicationName, Kind, Slot
from regalia.core.signing import SigningKey
from regalia.core.statements import (
    FRESHNESS_PAYLOAD,
    STATEMENT_PAYLOAD,
    ChannelPointer,
    Freshness,
    Move,
    ReleaseStatement,
)
from regalia.core.strict_json import JsonValue, write
from regalia.core.trust import ROOT_PAYLOAD, Delegation, Role, Root
from regalia.core.values import field, frozen, replace
from regalia.resolving import Clock
from regalia.wire.resolution import Resolution, encode

_LIFE = timedelta(days=90)
_FRESH_FOR = timedelta(hours=24)


@frozen
class Released:
    """A bundle of a `MemoryRegistry`."""

    index: BundleIndex
    release: bytes
    blobs: Mapping[Digest, bytes] = field(repr=False)


class MemoryRegistry:
    """Releases bundles and answers clients, as a registry does. `is_down` makes it answer nothing."""

    def __init__(self, folder: Path, *, application: str = "acme/support-agent", clock: Clock | None = None) -> None:
        """Make throwaway keys and a trust root; the root's file and the clients' state lie in `folder`."""
        self.application = ApplicationName.parse(application)
        self.folder = folder
        self.clock: Clock = clock or (lambda: datetime.now(UTC))
        self.keys = {role: SigningKey.generate(Scheme.P256) for role in ("root", "release", "channel")}
        self.keys |= {role: SigningKey.generate(Scheme.ED25519) for role in ("freshness", "log")}
        self.is_down = False
        self.requests: list[Request] = []
        self.root = self._first_root()
        self.roots = [self.sign_root(self.root, "root")]
        self.pointers: dict[str, bytes] = {}
        self.history: dict[str, list[bytes]] = {}
        self.bundles: dict[str, Released] = {}
        self.blobs: dict[Digest, bytes] = {}
        self.trust_root = folder / "regalia.root.json"
        self.trust_root.write_bytes(self.roots[0])

    def client(
        self, *, state: str | Path | None = None, on_stale: str | None = None, min_pointer: str | None = None
    ) -> Client:
        """Make a client of this registry; clients share one state folder unless another is given."""
        return Client(
            "http://registry.test",
            trust_root=self.trust_root,
            state=state or self.folder / "state",
            on_stale=on_stale,
            min_pointer=min_pointer,
            transport=self,
            clock=self.clock,
            environment={},
            folder=self.folder,
        )

    def release(
        self,
        version: str,
        *,
        prompts: Mapping[str, str] | None = None,
        models: Mapping[str, tuple[str, str]] | None = None,
        configs: Mapping[str, JsonValue] | None = None,
        channel: str | None = None,
    ) -> Released:
        """Release a bundle, and point a channel at it where one is named.

        Args:
            version: The bundle's version, and its artifacts'.
            prompts: Name → f-string template.
            models: Use case → (model, revision).
            configs: Name → tree.
            channel: What to promote it to.
        """
        artifacts = {
            **{Slot(Kind.PROMPT, name): _prompt(name, version, text) for name, text in (prompts or {}).items()},
            **{Slot(Kind.MODEL, name): _model(name, version, *named) for name, named in (models or {}).items()},
            **{Slot(Kind.CONFIG, name): _config(name, version, tree) for name, tree in (configs or {}).items()},
        }
        members = [Member.of(slot, artifact) for slot, artifact in artifacts.items()]
        index = BundleIndex.build(self.application, version, members)
        statement = ReleaseStatement(
            self.root.trust_domain, self.application, version, index.digest, times.whole_second(self.clock())
        )
        envelope = Envelope.sign(STATEMENT_PAYLOAD, statement.payload(), [self.keys["release"]])
        blobs = {artifact.digest: artifact.manifest.body for artifact in artifacts.values()}
        for artifact in artifacts.values():
            blobs.update(artifact.blobs)
        self.blobs.update(blobs)
        self.bundles[version] = Released(index, bytes(envelope), blobs)
        if channel is not None:
            self.promote(version, channel)
        return self.bundles[version]

    def promote(self, version: str, channel: str) -> bytes:
        """Point a channel at a released bundle; gives the pointer's envelope."""
        self.pointers[channel] = self.sign_pointer(self.next_pointer(version, channel))
        self.history.setdefault(channel, []).append(self.pointers[channel])
        return self.pointers[channel]

    def next_pointer(self, version: str, channel: str) -> ChannelPointer:
        """Build the pointer that would come next."""
        now = times.whole_second(self.clock())
        previous = self.pointers.get(channel)
        before = None if previous is None else Envelope.parse(previous, what="the pointer")
        sequence = int(now.timestamp())
        if before is not None:
            sequence = max(sequence, ChannelPointer.of(before).sequence + 1)
        return ChannelPointer(
            trust_domain=self.root.trust_domain,
            application=self.application,
            channel=channel,
            epoch=self.root.delegation(Role.CHANNEL, self.application, channel).epoch,
            sequence=sequence,
            bundle=self.bundles[version].index.digest,
            move=Move.PROMOTE,
            reason="",
            issued_at=now,
            expires=now + _LIFE,
            previous=None if before is None else before.identity,
        )

    def sign_pointer(self, pointer: ChannelPointer, *, role: str = "channel") -> bytes:
        """Sign a pointer; another role than `channel` makes one that no client takes."""
        return bytes(Envelope.sign(STATEMENT_PAYLOAD, pointer.payload(), [self.keys[role]]))

    def sign_root(self, root: Root, *roles: str) -> bytes:
        """Sign a root."""
        return bytes(Envelope.sign(ROOT_PAYLOAD, root.payload(), [self.keys[role] for role in roles]))

    def renew_root(self) -> None:
        """Publish the next version of the root, with the same keys."""
        self.root = replace(self.root, version=self.root.version + 1)
        self.roots.append(self.sign_root(self.root, "root"))

    def send(self, request: Request) -> Response:
        """Answer a request; this is the transport of its clients."""
        self.requests.append(request)
        if self.is_down:
            raise UnavailableError("the registry is down", hint="is_down = False brings it back")
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self._answer(parts.path.split("/")[2:], query)
        if body is None:
            return _problem(404, "not_found", f"there is nothing at {parts.path}")
        etag = f'"{Digest.of(body).hex}"'
        if request.headers.get("If-None-Match") == etag:
            return Response(304, {"etag": etag}, b"")
        return Response(200, {"etag": etag}, body)

    def resolution(
        self, pointer: bytes | None, released: Released, query: Mapping[str, str], *, is_pinned: bool = False
    ) -> Resolution:
        """Build a resolve answer; tests of hostile registries alter it."""
        known = int(query.get("root", "1"))
        has_bundle = query.get("have") == str(released.index.digest)
        return Resolution(
            release=released.release,
            roots=tuple(self.roots[known : known + 8]),
            pointer=pointer,
            freshness=None if pointer is None or is_pinned else self.freshness(pointer),
            index=None if has_bundle else released.index.body,
            blobs={} if has_bundle else released.blobs,
        )

    def freshness(self, pointer: bytes) -> bytes:
        """Sign that a pointer is the newest."""
        envelope = Envelope.parse(pointer, what="the pointer")
        named = ChannelPointer.of(envelope)
        hour = self.clock().replace(minute=0, second=0, microsecond=0)
        issued_at = max(hour, named.issued_at)
        fresh = Freshness(
            trust_domain=named.trust_domain,
            application=named.application,
            channel=named.channel,
            epoch=named.epoch,
            sequence=named.sequence,
            pointer=envelope.identity,
            root_version=self.root.version,
            revocations_version=0,
            issued_at=issued_at,
            expires=issued_at + _FRESH_FOR,
        )
        return bytes(Envelope.sign(FRESHNESS_PAYLOAD, fresh.payload(), [self.keys["freshness"]]))

    def _answer(self, path: list[str], query: Mapping[str, str]) -> bytes | None:
        match path:
            case ["apps", namespace, name, "channels", channel, "resolve"] if channel in self.pointers:
                pointer = self.pointers[channel]
                digest = ChannelPointer.of(Envelope.parse(pointer, what="the pointer")).bundle
                released = self._find(str(digest)) if f"{namespace}/{name}" == str(self.application) else None
                return None if released is None else self.resolution(pointer, released, query).written()
            case ["apps", namespace, name, "channels", pinned, "resolve"] if "@" in pinned:
                channel, _, named = pinned.partition("@")
                released = self._find(named) if f"{namespace}/{name}" == str(self.application) else None
                return None if released is None else self._pinned(channel, released, query)
            case ["apps", namespace, name, "bundles", selector, "resolve"]:
                released = self._find(selector) if f"{namespace}/{name}" == str(self.application) else None
                return None if released is None else self.resolution(None, released, query).written()
            case ["namespaces", self.application.namespace, "manifests" | "blobs", digest]:
                return self.blobs.get(Digest.parse(digest))
            case ["trust", "roots", named]:
                return self._root_entry(named)
        return None

    def _find(self, selector: str) -> Released | None:
        found = self.bundles.get(selector)
        return found or next((one for one in self.bundles.values() if str(one.index.digest) == selector), None)

    def _pinned(self, channel: str, released: Released, query: Mapping[str, str]) -> bytes | None:
        """Answer with the newest pointer of a channel that named a bundle."""
        for pointer in reversed(self.history.get(channel, [])):
            if ChannelPointer.of(Envelope.parse(pointer, what="the pointer")).bundle == released.index.digest:
                return self.resolution(pointer, released, query, is_pinned=True).written()
        return None

    def _root_entry(self, named: str) -> bytes | None:
        for version, body in enumerate(self.roots, start=1):
            digest = str(Envelope.parse(body, what="the trust root").identity)
            if named in {str(version), digest}:
                return write({"version": version, "digest": digest, "envelope": encode(body)})
        return None

    def _first_root(self) -> Root:
        publics = {role: key.public for role, key in self.keys.items()}
        return Root(
            trust_domain=f"{self.application.namespace}-00000000",
            version=1,
            expires=times.whole_second(self.clock()) + timedelta(days=3650),
            keys={key.keyid: key for key in publics.values()},
            root_keyids=(publics["root"].keyid,),
            root_threshold=1,
            delegations=tuple(
                Delegation(role, ("*",), ("*",), (publics[role].keyid,), threshold=1, epoch=1)
                for role in (Role.RELEASE, Role.CHANNEL, Role.FRESHNESS, Role.LOG)
            ),
        )


def _prompt(name: str, version: str, template: str) -> Artifact:
    variables = tuple(map(Variable, templates.variables_of("fstring", template)))
    config = PromptConfig(name, version, "fstring", template=template, variables=variables)
    return Artifact.build(config, {f"{name}.txt": ("text/plain", template.encode())})


def _model(name: str, version: str, model: str, revision: str) -> Artifact:
    config = ModelConfig(name, version, model, revision=revision, use_case=name)
    entry = write({"name": model, "version": revision, "use_case": name})
    return Artifact.build(config, {f"{name}.json": ("application/json", entry)})


def _config(name: str, version: str, tree: JsonValue) -> Artifact:
    written = write(tree)
    contents = {f"{name}.json": ("text/plain", written), TREE_TITLE: ("application/json", written)}
    return Artifact.build(ConfigConfig(name, version), contents)


def _problem(status: int, code: str, detail: str) -> Response:
    body = write({"status": status, "code": code, "detail": detail, "hint": "", "request_id": "memory"})
    return Response(status, {"content-type": "application/problem+json"}, body)
