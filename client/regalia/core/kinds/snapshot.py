"""Snapshots: what an agent may read about the content of one vector collection."""

from collections.abc import Mapping

from regalia.core import oci
from regalia.core.digest import Digest
from regalia.core.errors import DocumentError
from regalia.core.fields import Fields
from regalia.core.kinds.spec import KIB, Change, Config, Content, KindSpec, without_none
from regalia.core.names import Kind, check_segment, check_version
from regalia.core.strict_json import JsonObject, write
from regalia.core.values import frozen

_TOLD = "dev.regalia.snapshot."
CONTENT_ROOT, COUNT = f"{_TOLD}content_root", f"{_TOLD}count"  # annotations of a member's descriptor
_MAX_VECTORS = 64
_MAX_DIMS = 65_535
_MAX_REFERENCE = 512
_MAX_MANIFEST = 16 * KIB * KIB


@frozen
class VectorSpace:
    """One named vector of a collection."""

    name: str
    dims: int
    metric: str

    def written(self) -> JsonObject:
        """Give its JSON."""
        return {"name": self.name, "dims": self.dims, "metric": self.metric}


@frozen
class Embedding:
    """Which embedder made the vectors."""

    provider: str
    model: str
    revision: str

    @classmethod
    def parse(cls, fields: Fields) -> "Embedding":
        """Read what `written` wrote."""
        return cls(fields.text("provider"), fields.text("model"), fields.text("revision"))

    def __str__(self) -> str:
        """Spell it for people."""
        return f"{self.provider}/{self.model}@{self.revision}"

    def written(self) -> JsonObject:
        """Give its JSON."""
        return {"provider": self.provider, "model": self.model, "revision": self.revision}


@frozen
class DerivedFrom:
    """The snapshot from which the collection that was taken had been made."""

    reference: str
    content_root: Digest

    @classmethod
    def parse(cls, fields: Fields) -> "DerivedFrom":
        """Read what `written` wrote."""
        reference = fields.text("reference", max_characters=_MAX_REFERENCE)
        return cls(reference, Digest.parse(fields.text("content_root")))

    def written(self) -> JsonObject:
        """Give its JSON."""
        return {"reference": self.reference, "content_root": str(self.content_root)}


@frozen
class SnapshotConfig:
    """A snapshot: rows counted, their root, and the vectors' spaces."""

    name: str
    version: str
    count: int
    content_root: Digest
    schema_digest: Digest
    vectors: tuple[VectorSpace, ...]
    embedding: Embedding | None = None
    fidelity: str | None = None
    consistency: str | None = None
    derived_from: DerivedFrom | None = None

    def __post_init__(self) -> None:
        """Refuse what the grammar doesn't have."""
        check_segment(self.name, what="snapshot")
        check_version(self.version)

    @property
    def kind(self) -> Kind:
        """Which kind it is."""
        return Kind.SNAPSHOT

    @classmethod
    def parse(cls, fields: Fields) -> "SnapshotConfig":
        """Read the config."""
        embedding = fields.child("embedding") if fields.has("embedding") else None
        derived_from = fields.child("derived_from") if fields.has("derived_from") else None
        return cls(
            name=fields.text("name"),
            version=fields.text("version"),
            count=fields.integer("count"),
            content_root=Digest.parse(fields.text("content_root")),
            schema_digest=Digest.parse(fields.text("schema_digest")),
            vectors=tuple(
                VectorSpace(
                    space.text("name"), space.integer("dims", minimum=1, maximum=_MAX_DIMS), space.text("metric")
                )
                for space in fields.children("vectors", maximum=_MAX_VECTORS)
            ),
            embedding=None if embedding is None else Embedding.parse(embedding),
            fidelity=fields.optional("fidelity", fields.text),
            consistency=fields.optional("consistency", fields.text),
            derived_from=None if derived_from is None else DerivedFrom.parse(derived_from),
        )

    def written(self) -> JsonObject:
        """Give the config's JSON."""
        return without_none(
            name=self.name,
            version=self.version,
            count=self.count,
            content_root=str(self.content_root),
            schema_digest=str(self.schema_digest),
            vectors=[space.written() for space in self.vectors],
            embedding=None if self.embedding is None else self.embedding.written(),
            fidelity=self.fidelity,
            consistency=self.consistency,
            derived_from=None if self.derived_from is None else self.derived_from.written(),
        )


def compare(old: Content, new: Content) -> Change:
    """Say how the number of rows moved."""
    before, after = _snapshot(old), _snapshot(new)
    told = [f"{before.count:,} → {after.count:,} rows"]
    if before.embedding != after.embedding:
        told.append(f"embedder {_spelled(before.embedding)} → {_spelled(after.embedding)}")
    if before.vectors != after.vectors:
        told.append("other vectors")
    return Change(f"Updated {after.name} snapshot: {', '.join(told)}")


def annotate(config: Config) -> Mapping[str, str]:
    """Tell which rows they are, how many, of which vectors and by which embedder; what is too long is left out."""
    snapshot = _config(config)
    told = {
        "content_root": str(snapshot.content_root),
        "count": str(snapshot.count),
        "vectors": write([space.written() for space in snapshot.vectors]).decode(),
    }
    if snapshot.embedding is not None:
        told["embedding"] = write(snapshot.embedding.written()).decode()
    return {f"{_TOLD}{name}": text for name, text in told.items() if len(text) <= oci.MAX_ANNOTATION}


SPEC = KindSpec(Kind.SNAPSHOT, 16 * KIB, SnapshotConfig.parse, compare, max_manifest=_MAX_MANIFEST, annotate=annotate)


def _spelled(embedding: Embedding | None) -> str:
    return "none" if embedding is None else str(embedding)


def _snapshot(content: Content) -> SnapshotConfig:
    return _config(content.config)


def _config(config: Config) -> SnapshotConfig:
    if not isinstance(config, SnapshotConfig):
        raise DocumentError(f"a {config.kind} stands where a snapshot was expected")
    return config
