"""Questions about stored snapshots and live collections: what is in one, how two differ, what is near."""

from collections.abc import Iterator, Mapping

from regalia.client import Client
from regalia.core import oci
from regalia.core.digest import Digest
from regalia.core.errors import DocumentError, InvalidNameError, NotFoundError
from regalia.core.fields import Fields
from regalia.core.names import ArtifactName, Kind
from regalia.core.oci import Descriptor
from regalia.core.references import ArtifactReference
from regalia.core.strict_json import JsonObject, JsonValue, parse_object
from regalia.core.values import frozen
from regalia.publishing import fetch_artifact
from regalia.wire.answers import ArtifactEntry, ArtifactNameEntry, OperationEntry, ProvenanceEntry

_CANARY = "dev.regalia.snapshot.canary"
_MAX_LAYER = 8 * 1024 * 1024
_MAX_SEGMENTS = 4096
_MAX_LINE = 64 * 1024


@frozen
class Near:
    """Near what rows are looked for: a vector, or the row of a key; `space` names the vector where there are several.

    `vector` is the question as numbers, made by the embedder of the rows; of the two, exactly one is given.
    """

    vector: tuple[float, ...] | None = None
    like: str | None = None
    space: str = ""
    limit: int = 10

    def written(self) -> JsonObject:
        """Give its JSON."""
        written: JsonObject = {"space": self.space, "limit": self.limit}
        if self.vector is not None:
            written["vector"] = list(self.vector)
        if self.like is not None:
            written["like"] = self.like
        return written


def list_names(client: Client, namespace: str) -> Iterator[ArtifactNameEntry]:
    """List a namespace's snapshots by name."""
    return client.registry.pages(ArtifactNameEntry, f"/v1/namespaces/{namespace}/artifacts", {"kind": "snapshot"})


def newest(client: Client, namespace: str, name: str) -> ArtifactEntry | None:
    """Find the highest version of a snapshot, if there is one."""
    artifact = ArtifactName(namespace, Kind.SNAPSHOT, name)
    return next(client.registry.pages(ArtifactEntry, _path(artifact), {"limit": 1}), None)


def find(client: Client, namespace: str, text: str) -> ArtifactReference:
    """Read `NAME`, or `NAME@` a version, range or digest, as an exact version that is there; a bare name is the newest.

    Raises:
        InvalidNameError: It names no snapshot.
        NotFoundError: There is no such version.
    """
    name, _, selector = text.partition("@")
    *before, name = name.split("/")
    if before[-1:] not in ([], [str(Kind.SNAPSHOT)]) or len(before) > 2:
        raise InvalidNameError(f"{text[:80]!r} is no snapshot", hint="write NAME, or NAME@VERSION")
    artifact = ArtifactName(before[0] if len(before) > 1 else namespace, Kind.SNAPSHOT, name)
    if selector:
        return ArtifactReference(artifact, fetch_artifact(client, ArtifactReference(artifact, selector)).config.version)
    found = newest(client, artifact.namespace, name)
    if found is None:
        raise NotFoundError(f'there is no snapshot "{name}" in "{artifact.namespace}"', hint="reg snapshot list")
    return ArtifactReference(artifact, found.version)


def describe(client: Client, reference: ArtifactReference) -> JsonObject:
    """Say what a stored version is made of: its config's fields, `schema`, and its `segments` with their bytes.

    Raises:
        DocumentError: Its parts are not those of a snapshot.
    """
    namespace = reference.artifact.namespace
    artifact = fetch_artifact(client, reference)
    layers = {layer.annotations.get(oci.TITLE, ""): layer for layer in artifact.manifest.layers}
    schema = _layer(client, namespace, layers, "schema.json")
    sizes = {layer.digest: layer.size_bytes for layer in artifact.manifest.layers}
    segments: list[JsonValue] = []
    for one in _layer(client, namespace, layers, "segments.json").children("segments", maximum=_MAX_SEGMENTS):
        files = [Digest.parse(one.text(part)) for part in ("keys", "rows")]
        segments.append(
            {
                "keys": str(files[0]),
                "rows": str(files[1]),
                "count": one.integer("count"),
                "live": one.integer("live"),
                "bytes": sum(sizes.get(digest, 0) for digest in files),
            }
        )
    described: JsonObject = {
        **artifact.config.written(),
        "reference": str(reference),
        "digest": str(artifact.digest),
        "bytes": sum(layer.size_bytes for layer in artifact.manifest.layers),
        "schema": {name: schema.raw[name] for name in ("family", "key", "properties") if schema.has(name)},
        "segments": segments,
        "canary": _canary(layers),
    }
    return described


def definition(client: Client, reference: ArtifactReference) -> str | None:
    """Fetch how its engine described the collection that was taken, in the engine's words; None where it has none.

    It is for people to read: it may say more than what is rebuilt, and nothing executes it.

    Raises:
        DocumentError: It is no text.
    """
    artifact = fetch_artifact(client, reference)
    layer = artifact.manifest.layer("definition")
    if layer is None:
        return None
    if layer.size_bytes > _MAX_LAYER:
        raise DocumentError(f"the definition has {layer.size_bytes} bytes, the cap is {_MAX_LAYER}")
    body = client.registry.blob(reference.artifact.namespace, layer.digest, size_bytes=layer.size_bytes)
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError("the definition is no text") from error


def provenance(client: Client, reference: ArtifactReference) -> ProvenanceEntry | None:
    """Get how a version came to be; None where the registry did not make it, or kept no record."""
    try:
        return client.registry.get(ProvenanceEntry, f"{_snapshot(reference)}/provenance")
    except NotFoundError:
        return None


def start_diff(client: Client, old: ArtifactReference, new: ArtifactReference, *, rows: bool = False) -> OperationEntry:
    """Ask what differs between two versions of one namespace; `rows` asks for the keys, and not only how many.

    Raises:
        InvalidNameError: They are of two namespaces.
    """
    if old.artifact.namespace != new.artifact.namespace:
        raise InvalidNameError(f'"{old}" and "{new}" are of two namespaces', hint="compare snapshots of one")
    body: JsonObject = {"name": new.artifact.name, "version": new.selector, "rows": rows}
    return client.registry.send(OperationEntry, "POST", f"{_snapshot(old)}/diff", body)


def start_query(client: Client, reference: ArtifactReference, near: Near) -> OperationEntry:
    """Ask for the nearest rows of a stored version; each row is compared, so that the answer is exact."""
    return client.registry.send(OperationEntry, "POST", f"{_snapshot(reference)}/query", near.written())


def start_search(client: Client, namespace: str, target: str, collection: str, near: Near) -> OperationEntry:
    """Ask for the nearest rows of a collection, by its engine's own index."""
    path = f"/v1/namespaces/{namespace}/targets/{target}/search"
    return client.registry.send(OperationEntry, "POST", path, {"collection": collection, **near.written()})


def start_retire(client: Client, namespace: str, target: str, collection: str) -> OperationEntry:
    """Ask for a collection that a load made to be dropped."""
    path = f"/v1/namespaces/{namespace}/targets/{target}/retire"
    return client.registry.send(OperationEntry, "POST", path, {"collection": collection})


def all_rows(client: Client, namespace: str, outcome: Mapping[str, object]) -> Iterator[JsonObject]:
    """Give every key of a diff's outcome, those beyond its page as they come from the registry.

    Raises:
        DigestError: What came was not what the outcome names.
    """
    fields = Fields(dict(outcome), "the diff")  # type: ignore[arg-type] # JSON of the registry's answer
    if not fields.has("all"):
        for row in fields.children("rows", maximum=_MAX_SEGMENTS):
            yield row.raw
        return
    stored = fields.child("all")
    digest, size_bytes = Digest.parse(stored.text("digest")), stored.integer("size")
    left = b""
    for part in client.registry.blob_parts(namespace, digest, size_bytes=size_bytes):
        *lines, left = (left + part).split(b"\n")
        for line in lines:
            yield parse_object(line, what="a line of the diff", max_bytes=_MAX_LINE)


def _canary(layers: Mapping[str, Descriptor]) -> JsonObject | None:
    """Read what is told of the canary beside it: by vector its questions, and what the source's own index found."""
    told = layers["canary.parquet"].annotations.get(_CANARY) if "canary.parquet" in layers else None
    if told is None:
        return None
    found: JsonObject = {}
    for name, one in parse_object(told.encode(), what=_CANARY, max_bytes=oci.MAX_ANNOTATION * 4).items():
        fields = Fields(one if isinstance(one, dict) else {}, _CANARY)
        recall = fields.raw.get("recall")
        found[name] = {
            "questions": fields.integer("questions"),
            "asked": fields.integer("asked"),
            "recall": recall if isinstance(recall, int | float) else None,
        }
    return found


def _layer(client: Client, namespace: str, layers: Mapping[str, Descriptor], title: str) -> Fields:
    layer = layers.get(title)
    if layer is None or layer.size_bytes > _MAX_LAYER:
        raise DocumentError(f'the snapshot has no layer "{title}"', hint="take it again")
    body = client.registry.blob(namespace, layer.digest, size_bytes=layer.size_bytes)
    return Fields(parse_object(body, what=f'the layer "{title}"', max_bytes=_MAX_LAYER), f'the layer "{title}"')


def _path(artifact: ArtifactName) -> str:
    return f"/v1/namespaces/{artifact.namespace}/artifacts/{artifact.kind}/{artifact.name}"


def _snapshot(reference: ArtifactReference) -> str:
    artifact = reference.artifact
    return f"/v1/namespaces/{artifact.namespace}/snapshots/{artifact.name}/{reference.selector}"
