"""Completing a bundle: every blob of every member, from the answer, the cache or the registry, hashed before use."""

from collections.abc import Iterable, Mapping

from regalia.cache import Cache
from regalia.calls import Registry
from regalia.core import oci
from regalia.core.bundle import BundleIndex, Member
from regalia.core.digest import Digest
from regalia.core.errors import InvalidError, VerificationError
from regalia.core.kinds import KINDS
from regalia.core.kinds.config import TREE_TITLE
from regalia.core.manifest import Artifact, Manifest
from regalia.core.names import Kind, Slot
from regalia.core.oci import Descriptor

_STEP = "members"


class Gatherer:
    """Fetches what a bundle needs, into the cache; without a registry it takes what is cached."""

    def __init__(self, cache: Cache, registry: Registry | None, inline: Mapping[Digest, bytes]) -> None:
        """Take blobs that came along with an answer; none of them is believed."""
        self._cache = cache
        self._registry = registry
        self._inline = inline

    def artifacts(self, index: BundleIndex) -> dict[Slot, Artifact]:
        """Get all members, verified, with all their blobs in the cache.

        Raises:
            VerificationError: A blob is absent, or not what its descriptor says; `step` is "members".
        """
        return {member.slot: self._artifact(index.application.namespace, member) for member in index.members}

    def layer(self, namespace: str, descriptor: Descriptor) -> bytes:
        """Get one layer's bytes."""
        return self._blob(namespace, descriptor)

    def _artifact(self, namespace: str, member: Member) -> Artifact:
        try:
            manifest = Manifest.parse(self._manifest(namespace, member))
            member.check(manifest)
            if manifest.config.size_bytes > KINDS[member.slot.kind].max_config:
                raise VerificationError(f'the config of "{member.slot}" is over its cap', step=_STEP)
            parsed = [manifest.config, *_parsed_layers(manifest)]
            blobs = {descriptor.digest: self._blob(namespace, descriptor) for descriptor in parsed}
            artifact = Artifact.of(manifest, blobs)
        except InvalidError as error:
            raise VerificationError(f'"{member.slot}": {error.message}', hint=error.hint, step=_STEP) from error
        self._complete(namespace, manifest)
        return artifact

    def _manifest(self, namespace: str, member: Member) -> bytes:
        digest, size_bytes = member.digest, member.descriptor.size_bytes
        found = self._at_hand(digest, size_bytes)
        if found is None:
            found = self._require_registry(digest).manifest(namespace, digest)
            self._cache.keep_blob(digest, found)
        return found

    def _blob(self, namespace: str, descriptor: Descriptor) -> bytes:
        found = self._at_hand(descriptor.digest, descriptor.size_bytes)
        if found is None:
            registry = self._require_registry(descriptor.digest)
            found = registry.blob(namespace, descriptor.digest, size_bytes=descriptor.size_bytes)
            self._check_size(found, descriptor)
            self._cache.keep_blob(descriptor.digest, found)
        return found

    def _complete(self, namespace: str, manifest: Manifest) -> None:
        """See to it that the other layers are cached: they are hashed when somebody reads them."""
        if manifest.kind is Kind.SNAPSHOT:
            return
        for layer in manifest.layers:
            if not self._cache.has_blob(layer.digest, size_bytes=layer.size_bytes):
                self._blob(namespace, layer)

    def _at_hand(self, digest: Digest, size_bytes: int) -> bytes | None:
        found = self._cache.blob(digest, size_bytes=size_bytes)
        if found is None and digest in self._inline:
            found = self._inline[digest]
            digest.check(found, what="a blob of the answer", step=_STEP)
            if len(found) != size_bytes:
                raise VerificationError(f"{digest.short} has {len(found)} bytes, not {size_bytes}", step=_STEP)
            self._cache.keep_blob(digest, found)
        return found

    def _check_size(self, body: bytes, descriptor: Descriptor) -> None:
        if len(body) != descriptor.size_bytes:
            raise VerificationError(
                f"{descriptor.digest.short} has {len(body)} bytes, its descriptor says {descriptor.size_bytes}",
                step=_STEP,
            )

    def _require_registry(self, digest: Digest) -> Registry:
        if self._registry is None:
            raise VerificationError(
                f"the cache does not have {digest.short} as it was released",
                hint="it is fetched again as soon as the registry answers",
                step=_STEP,
            )
        return self._registry


def _parsed_layers(manifest: Manifest) -> Iterable[Descriptor]:
    """Name the layers that an agent reads parsed."""
    tree = manifest.layer(TREE_TITLE) if manifest.kind is Kind.CONFIG else None
    if manifest.kind is Kind.CONFIG and tree is None:
        raise VerificationError(f'a config has no layer "{TREE_TITLE}"', step=_STEP)
    return [layer for layer in [tree] if layer is not None and layer.media_type != oci.EMPTY_TYPE]
