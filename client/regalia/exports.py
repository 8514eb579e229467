"""A bundle as an OCI image layout, folder or tar, with its envelopes inside; and back, verified whole."""

import io
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from regalia.client import Client
from regalia.core import oci
from regalia.core.bundle import MAX_INDEX, BundleIndex
from regalia.core.digest import Digest
from regalia.core.dsse import MEDIA_TYPE as ENVELOPE_TYPE
from regalia.core.dsse import Envelope
from regalia.core.errors import ConflictError, DigestError, InvalidError, NotFoundError
from regalia.core.fields import Fields
from regalia.core.manifest import MAX_ANY_MANIFEST, Manifest
from regalia.core.oci import Descriptor
from regalia.core.statements import ReleaseStatement
from regalia.core.strict_json import JsonObject, parse_object, write
from regalia.core.verification import verify_index, verify_release
from regalia.publishing import put_bundle, put_manifest, send_blobs
from regalia.rotation import newest_root
from regalia.wire.answers import BundleEntry

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_MAX_ENTRIES = 10_000
_MAX_TOTAL = 4 * 1024 * 1024 * 1024
_RELEASE_TYPE = "application/vnd.regalia.release.v1+json"
_ROOT_TYPE = "application/vnd.regalia.root.v1+json"


@dataclass(slots=True)
class _Layout:
    """An image layout in the making."""

    blobs: dict[Digest, bytes] = field(default_factory=dict)
    manifests: list[JsonObject] = field(default_factory=list)

    def add(self, body: bytes) -> Digest:
        digest = Digest.of(body)
        self.blobs[digest] = body
        return digest

    def files(self) -> Iterator[tuple[str, bytes]]:
        yield "oci-layout", _LAYOUT
        yield "index.json", write({"schemaVersion": 2, "mediaType": oci.INDEX_TYPE, "manifests": list(self.manifests)})
        for digest, body in sorted(self.blobs.items()):
            yield f"blobs/sha256/{digest.hex}", body


def export(client: Client, reference: str, destination: Path) -> BundleIndex:
    """Write a verified bundle with its release statement and the roots 1 … N; a name ending in `.tar` makes one file.

    Raises:
        ConflictError: The destination exists.
    """
    if destination.exists():
        raise ConflictError(f'"{destination}" exists', hint="choose another name; nothing is overwritten")
    bundle = client.refresh(reference)
    resolver = client.resolver
    digest = Digest.parse(bundle.digest)
    documents = resolver.documents(client.parse(reference))
    index = BundleIndex.parse(documents.index)
    layout = _Layout()
    layout.add(index.body)
    described = Descriptor(oci.INDEX_TYPE, digest, len(index.body), {oci.REF_NAME: index.version})
    layout.manifests.append(described.written())
    for member in index.members:
        artifact = bundle.members[member.slot]
        layout.add(artifact.manifest.body)
        for descriptor in artifact.manifest.descriptors:
            layout.add(resolver.blob(index.application.namespace, descriptor))
    _add_envelope(layout, documents.release, _RELEASE_TYPE, f"{index.version}-release", subject=described)
    for version in range(1, newest_root(client).root.version + 1):
        root = client.registry.find_root(version)
        if root is None:
            raise NotFoundError(f"the registry has no root version {version}", hint="reg trust show")
        _add_envelope(layout, root, _ROOT_TYPE, f"root-{version}", subject=None)
    _write(layout, destination)
    return index


def take_in(client: Client, source: Path) -> BundleEntry:
    """Verify an exported bundle under this registry's trust root, and push and release it here.

    Raises:
        InvalidError: It is no export.
        VerificationError: Something in it does not verify, or is of another trust domain.
    """
    files = _read_tar(source) if source.is_file() else _read_folder(source)
    index_body, release = _find_documents(files)
    root = newest_root(client).root
    statement = ReleaseStatement.of(Envelope.parse(release, what="the release statement"))
    digest = Digest.of(index_body)
    verified = verify_release(release, root=root, application=statement.application, bundle=digest)
    index = verify_index(index_body, release=verified.statement)
    namespace = index.application.namespace
    for member in index.members:
        manifest = Manifest.parse(_blob(files, member.digest, member.descriptor.size_bytes))
        member.check(manifest)
        blobs = {one.digest: _blob(files, one.digest, one.size_bytes) for one in manifest.descriptors}
        send_blobs(client, namespace, blobs)
        put_manifest(client, namespace, manifest)
    return put_bundle(client, index, release)


def _add_envelope(layout: _Layout, body: bytes, kind: str, name: str, *, subject: Descriptor | None) -> None:
    """Wrap an envelope as an artifact of one layer."""
    layer = Descriptor(ENVELOPE_TYPE, layout.add(body), len(body))
    config = Descriptor(oci.EMPTY_TYPE, layout.add(oci.EMPTY_BLOB), len(oci.EMPTY_BLOB))
    manifest: JsonObject = {
        "schemaVersion": 2,
        "mediaType": oci.MANIFEST_TYPE,
        "artifactType": kind,
        "config": config.written(),
        "layers": [layer.written()],
    }
    if subject is not None:
        manifest["subject"] = Descriptor(subject.media_type, subject.digest, subject.size_bytes).written()
    written = write(manifest)
    described = Descriptor(oci.MANIFEST_TYPE, layout.add(written), len(written), {oci.REF_NAME: name}, kind)
    layout.manifests.append(described.written())


def _write(layout: _Layout, destination: Path) -> None:
    """Write beside the destination and rename: whole, or not at all."""
    beside = destination.with_name(f".{destination.name}.{os.urandom(4).hex()}")
    try:
        if destination.suffix == ".tar":
            with tarfile.open(beside, "w") as archive:
                for name, body in layout.files():
                    entry = tarfile.TarInfo(name)
                    entry.size, entry.mode = len(body), 0o644
                    archive.addfile(entry, io.BytesIO(body))
        else:
            for name, body in layout.files():
                path = beside / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(body)
        beside.rename(destination)
    finally:
        if beside.is_dir():
            shutil.rmtree(beside)
        beside.unlink(missing_ok=True)


def _read_folder(folder: Path) -> Mapping[str, bytes]:
    if not (folder / "oci-layout").is_file():
        raise NotFoundError(f'"{folder}" is no OCI image layout', hint="reg export makes one")
    found: dict[str, bytes] = {}
    paths = [folder / "index.json", *(folder / "blobs" / "sha256").glob("*")]
    if len(paths) > _MAX_ENTRIES or sum(path.stat().st_size for path in paths if path.is_file()) > _MAX_TOTAL:
        raise InvalidError(f'"{folder}" is larger than any export')
    for path in paths:
        if path.is_file() and not path.is_symlink():
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def _read_tar(file: Path) -> Mapping[str, bytes]:
    """Read plain files into memory by name; nothing is unpacked, so no name can leave a folder."""
    found: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(file, "r:") as archive:
            for entry in archive:
                total += entry.size
                if len(found) > _MAX_ENTRIES or total > _MAX_TOTAL:
                    raise InvalidError(f'"{file}" is larger than any export')
                stream = archive.extractfile(entry) if entry.isreg() else None
                if stream is not None:
                    found[entry.name.removeprefix("./")] = stream.read()
    except (tarfile.TarError, OSError) as error:
        raise InvalidError(f'"{file}" is no tar: {error}', hint="reg export makes one") from error
    return found


def _find_documents(files: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    """Find the bundle's index and its release statement, by what the layout's index lists."""
    what = "index.json"
    if what not in files:
        raise InvalidError("the export has no index.json", hint="reg export makes one")
    fields = Fields(parse_object(files[what], what=what, max_bytes=MAX_ANY_MANIFEST), what)
    listed = [Descriptor.parse(one) for one in fields.children("manifests", maximum=_MAX_ENTRIES)]
    indexes = [one for one in listed if one.media_type == oci.INDEX_TYPE]
    releases = [one for one in listed if one.artifact_type == _RELEASE_TYPE]
    if len(indexes) != 1 or len(releases) != 1:
        raise InvalidError(f"the export has {len(indexes)} bundles and {len(releases)} releases, expected one of each")
    if indexes[0].size_bytes > MAX_INDEX:
        raise InvalidError("the export's bundle is larger than any")
    body = _blob(files, releases[0].digest, releases[0].size_bytes)
    manifest = Fields(parse_object(body, what="the release's manifest", max_bytes=MAX_INDEX), "the release's manifest")
    layer = Descriptor.parse(manifest.children("layers", maximum=1)[0])
    index = _blob(files, indexes[0].digest, indexes[0].size_bytes)
    return index, _blob(files, layer.digest, layer.size_bytes)


def _blob(files: Mapping[str, bytes], digest: Digest, size_bytes: int) -> bytes:
    body = files.get(f"blobs/sha256/{digest.hex}")
    if body is None:
        raise NotFoundError(f"the export lacks {digest.short}", hint="export it again")
    digest.check(body, what="a blob of the export")
    if len(body) != size_bytes:
        raise DigestError(f"{digest.short} has {len(body)} bytes, its descriptor says {size_bytes}")
    return body
