"""Manifests: one artifact version, as the OCI image manifest whose digest is its name."""

from collections.abc import Mapping
from typing import Self

from regalia.core import oci
from regalia.core.digest import Digest
from regalia.core.errors import DocumentError, TooLargeError
from regalia.core.fields import Fields
from regalia.core.kinds import KINDS, Config, Content, KindSpec
from regalia.core.names import Kind
from regalia.core.oci import Descriptor
from regalia.core.strict_json import JsonObject, parse_object, write
from regalia.core.values import frozen

MAX_ANY_MANIFEST = 16 * 1024 * 1024
MAX_BLOB = 1024 * 1024 * 1024

_ANY_VERSION = "0.0.0"


@frozen
class Manifest:
    """A parsed manifest; `body` is the exact bytes it was read from, or will be stored as."""

    kind: Kind
    config: Descriptor
    layers: tuple[Descriptor, ...]
    body: bytes

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a manifest of one of our kinds.

        Raises:
            DocumentError: It is no such manifest.
            TooLargeError: It is over the cap of its kind.
        """
        what = "the manifest"
        fields = Fields(parse_object(body, what=what, max_bytes=MAX_ANY_MANIFEST), what)
        oci.check_document_type(fields, media_type=oci.MANIFEST_TYPE)
        spec = _spec_of(fields.text("artifactType", max_characters=255))
        if len(body) > spec.max_manifest:
            raise TooLargeError(f"{what} has {len(body)} bytes, the cap of a {spec.kind} is {spec.max_manifest}")
        config = Descriptor.parse(fields.child("config"))
        if config.media_type != spec.config_type:
            raise DocumentError(f"the config has the type {config.media_type!r}, expected {spec.config_type!r}")
        layers = tuple(map(Descriptor.parse, fields.children("layers", maximum=10_000)))
        titles = [layer.title for layer in layers if layer.media_type != oci.EMPTY_TYPE]
        if len({title.casefold() for title in titles}) != len(titles):
            raise DocumentError("two layers have the same title")
        return cls(spec.kind, config, layers, body)

    @classmethod
    def build(cls, config: Config, layers: tuple[Descriptor, ...]) -> Self:
        """Write the manifest of an artifact.

        Raises:
            DocumentError: Two layers have titles that are one file on some systems.
        """
        spec = KINDS[config.kind]
        described = Descriptor.of(write_config(config), spec.config_type)
        return cls.parse(_write(spec, described, layers))

    @property
    def digest(self) -> Digest:
        """What the artifact version is called."""
        return Digest.of(self.body)

    @property
    def descriptors(self) -> tuple[Descriptor, ...]:
        """Config and layers, in that order."""
        return (self.config, *self.layers)

    def layer(self, title: str) -> Descriptor | None:
        """Find a layer by its file name."""
        return next((layer for layer in self.layers if layer.annotations.get(oci.TITLE) == title), None)


@frozen
class Artifact:
    """A manifest with its config and the blobs that are at hand."""

    manifest: Manifest
    config: Config
    blobs: Mapping[Digest, bytes]

    @classmethod
    def build(cls, config: Config, contents: Mapping[str, tuple[str, bytes]]) -> Self:
        """Make an artifact from its config and its layers: title → (media type, bytes), in order."""
        layers = tuple(
            Descriptor.of(content, media_type, **{oci.TITLE: oci.check_file_name(title)})
            for title, (media_type, content) in contents.items()
        )
        bodies = [write_config(config), *(content for _, content in contents.values())]
        if not layers:
            layers, bodies = (Descriptor.of(oci.EMPTY_BLOB, oci.EMPTY_TYPE),), [*bodies, oci.EMPTY_BLOB]
        return cls(Manifest.build(config, layers), config, {Digest.of(content): content for content in bodies})

    @classmethod
    def of(cls, manifest: Manifest, blobs: Mapping[Digest, bytes]) -> Self:
        """Read an artifact from verified bytes; layers may be absent, the config may not."""
        return cls(manifest, parse_config(manifest, blobs[manifest.config.digest]), blobs)

    @property
    def digest(self) -> Digest:
        """What the artifact version is called."""
        return self.manifest.digest

    @property
    def content(self) -> Content:
        """The artifact as a diff reads it."""
        titled = {layer.annotations.get(oci.TITLE, ""): layer.digest for layer in self.manifest.layers}
        return Content(
            self.config, {title: self.blobs[digest] for title, digest in titled.items() if digest in self.blobs}
        )


def parse_config(manifest: Manifest, body: bytes) -> Config:
    """Read the config of a manifest; its digest was checked before.

    Raises:
        DocumentError: It is not this kind's config.
    """
    spec, what = KINDS[manifest.kind], f"the {manifest.kind} config"
    return spec.parse_config(Fields(parse_object(body, what=what, max_bytes=spec.max_config), what))


def write_config(config: Config) -> bytes:
    """Write a config as its blob."""
    return write(config.written())


def fingerprint(manifest: Manifest, config: JsonObject) -> Digest:
    """Digest the manifest as if its version were 0.0.0: equal for equal content under any version.

    Args:
        manifest: The manifest.
        config: Its config as parsed, so that fields of a later edition count too.
    """
    spec = KINDS[manifest.kind]
    described = Descriptor.of(write({**config, "version": _ANY_VERSION}), spec.config_type)
    return Digest.of(_write(spec, described, manifest.layers))


def _write(spec: KindSpec, config: Descriptor, layers: tuple[Descriptor, ...]) -> bytes:
    return write(
        {
            "schemaVersion": 2,
            "mediaType": oci.MANIFEST_TYPE,
            "artifactType": spec.artifact_type,
            "config": config.written(),
            "layers": [layer.written() for layer in layers],
        }
    )


def _spec_of(artifact_type: str) -> KindSpec:
    for spec in KINDS.values():
        if spec.artifact_type == artifact_type:
            return spec
    raise DocumentError(
        f"the manifest has the artifactType {artifact_type[:120]!r}, which is no kind of this version",
        hint=f"known kinds: {', '.join(KINDS)}",
    )
