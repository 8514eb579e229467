"""Tables that we make for collections of other families: key, vectors, and all properties as one text and its jsonb."""

from regalia.core.errors import UnsupportedError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.vectors.pgvector.grammar import Column, Index, Table
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from regalia_registry.domain.snapshots.translation import Hosted

KEY_COLUMNS = {KeyKind.UUID: "uuid", KeyKind.INTEGER: "bigint", KeyKind.TEXT: "text"}
MAX_IDENTIFIER = 63

_TABLE, _BOX, _JSON = "rows", "properties", "properties_json"
_OPCLASSES = {"cosine": "vector_cosine_ops", "l2": "vector_l2_ops", "dot": "vector_ip_ops", "l1": "vector_l1_ops"}
_UNINDEXED = "l2"  # what a search without an index means by <->
_MAX_DIMS = 16_000
_MAX_INDEXED = 2000


def hosted(schema: Schema) -> Hosted:
    """Say as which table a collection is held.

    Raises:
        UnsupportedError: A vector's size or a name is none that a table has.
    """
    if schema.family is Family.POSTGRESQL:
        return Hosted(schema)
    _require_columns(schema)
    spaces = tuple(VectorSpace(space.name, space.dims, _metric(space)) for space in schema.vectors)
    key = Property(schema.key.name, KEY_COLUMNS[schema.key_kind])
    table = Table(
        _TABLE,
        (
            Column(key.name, key.type, not_null=True),
            *(Column(space.name, f"vector({space.dims})") for space in spaces),
            Column(_BOX, "text", not_null=True),
            Column(_JSON, "jsonb", default="json", literal=_BOX),
        ),
        tuple(
            sorted(
                Index("hnsw", (space.name,), (_OPCLASSES[space.metric],))
                for space in spaces
                if space.dims <= _MAX_INDEXED
            )
        ),
    )
    fidelity = [
        f"{space.name}: {space.metric} as {made.metric}, without an index"
        for space, made in zip(schema.vectors, spaces, strict=True)
        if space.metric != made.metric
    ]
    if schema.properties:
        fidelity.append(f"all properties as JSON in the one text column {_BOX}")
    made = Schema(Family.POSTGRESQL, key, schema.key_kind, spaces, (Property(_BOX, "text"),), table.written())
    return Hosted(made, tuple(fidelity), box=_BOX)


def _metric(space: VectorSpace) -> str:
    is_indexed = space.metric in _OPCLASSES and space.dims <= _MAX_INDEXED
    return space.metric if is_indexed else _UNINDEXED


def _require_columns(schema: Schema) -> None:
    names = [schema.key.name, *(space.name for space in schema.vectors), _BOX, _JSON]
    wrong = [
        f'"{name[:MAX_IDENTIFIER]}"'
        for place, name in enumerate(names)
        if not 0 < len(name.encode("utf-8")) <= MAX_IDENTIFIER or "\0" in name or name in names[:place]
    ]
    wrong += [f'"{space.name}" of {space.dims} dimensions' for space in schema.vectors if space.dims > _MAX_DIMS]
    if wrong:
        raise UnsupportedError(
            f"a table can't have the columns {', '.join(wrong)}",
            hint="export it, and import it with other names: reg snapshot export",
        )
