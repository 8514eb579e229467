"""Bundles: the OCI image index that pins exact artifact digests in named slots."""

from collections.abc import Iterable
from typing import Self

from regalia.core import oci
from regalia.core.digest import Digest
from regalia.core.errors import DocumentError
from regalia.core.fields import Fields
from regalia.core.kinds import KINDS, Config
from regalia.core.manifest import Artifact, Manifest
from regalia.core.names import ApplicationName, Slot, check_version
from regalia.core.oci import Descriptor
from regalia.core.strict_json import JsonObject, parse_object, write
from regalia.core.values import frozen

BUNDLE_TYPE = "application/vnd.regalia.bundle.v1+json"
MAX_INDEX = 512 * 1024
MAX_MEMBERS = 1000

_PLATFORM: JsonObject = {"architecture": "unknown", "os": "unknown"}


@frozen
class Member:
    """One slot and the manifest that it pins."""

    slot: Slot
    descriptor: Descriptor

    @classmethod
    def of(cls, slot: Slot, artifact: Artifact) -> Self:
        """Pin an artifact; its kind must be the slot's."""
        spec, manifest = KINDS[slot.kind], artifact.manifest
        if manifest.kind is not slot.kind:
            raise DocumentError(f'the slot "{slot}" can\'t hold a {manifest.kind}')
        annotations = {**spec.annotate(artifact.config), oci.SLOT: str(slot)}
        descriptor = Descriptor(oci.MANIFEST_TYPE, manifest.digest, len(manifest.body), annotations, spec.artifact_type)
        return cls(slot, descriptor)

    @property
    def digest(self) -> Digest:
        """The artifact's digest."""
        return self.descriptor.digest

    def check(self, manifest: Manifest) -> None:
        """Refuse a manifest of another kind or size than the member says."""
        if manifest.kind is not self.slot.kind or len(manifest.body) != self.descriptor.size_bytes:
            raise DocumentError(f'the member "{self.slot}" is another manifest than its descriptor says')

    def check_told(self, config: Config) -> None:
        """Refuse a descriptor that tells of the config what it does not say; telling nothing is no lie."""
        for name, text in KINDS[self.slot.kind].annotate(config).items():
            told = self.descriptor.annotations.get(name, text)
            if told != text:
                raise DocumentError(
                    f'the member "{self.slot}" tells {name} {told[:80]!r}, its config says {text[:80]!r}'
                )


@frozen
class BundleIndex:
    """A bundle: application, version and members sorted by slot; `body` is its exact bytes."""

    application: ApplicationName
    version: str
    members: tuple[Member, ...]
    body: bytes

    @classmethod
    def build(cls, application: ApplicationName, version: str, members: Iterable[Member]) -> Self:
        """Write the index of a bundle."""
        ordered = sorted(members, key=lambda member: str(member.slot))
        annotations: JsonObject = {oci.TITLE: str(application), oci.VERSION: check_version(version)}
        document: JsonObject = {
            "schemaVersion": 2,
            "mediaType": oci.INDEX_TYPE,
            "artifactType": BUNDLE_TYPE,
            "manifests": [{**member.descriptor.written(), "platform": _PLATFORM} for member in ordered],
            "annotations": annotations,
        }
        return cls.parse(write(document))

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read an index; the inverse of its `body`.

        Raises:
            DocumentError: It is no bundle: nested, empty, unsorted, a slot twice, or a member of the wrong kind.
            TooLargeError: It is over the caps.
        """
        what = "the bundle index"
        fields = Fields(parse_object(body, what=what, max_bytes=MAX_INDEX), what)
        oci.check_document_type(fields, media_type=oci.INDEX_TYPE)
        fields.exactly("artifactType", BUNDLE_TYPE)
        members = tuple(map(_parse_member, fields.children("manifests", maximum=MAX_MEMBERS)))
        if not members:
            raise DocumentError("the bundle index has no member")
        slots = [str(member.slot) for member in members]
        if sorted(set(slots)) != slots:
            raise DocumentError("the bundle index is not sorted by slot, each once")
        annotations = fields.child("annotations")
        application = ApplicationName.parse(annotations.text(oci.TITLE))
        return cls(application, check_version(annotations.text(oci.VERSION)), members, body)

    @property
    def digest(self) -> Digest:
        """The bundle's identity."""
        return Digest.of(self.body)

    def member(self, slot: Slot) -> Member | None:
        """Find the member in a slot."""
        return next((member for member in self.members if member.slot == slot), None)


def _parse_member(fields: Fields) -> Member:
    descriptor = Descriptor.parse(fields)
    if descriptor.media_type != oci.MANIFEST_TYPE:
        raise DocumentError(f"{fields.what} is {descriptor.media_type!r}: a bundle is flat and holds manifests only")
    slot = Slot.parse(descriptor.annotations.get(oci.SLOT, ""))
    if descriptor.artifact_type != KINDS[slot.kind].artifact_type:
        raise DocumentError(f'the slot "{slot}" can\'t hold {str(descriptor.artifact_type)[:120]!r}')
    platform = fields.child("platform")
    if platform.raw != _PLATFORM:
        raise DocumentError(f'"platform" in {fields.what} is not unknown/unknown')
    return Member(slot, descriptor)
