"""What of a class is recorded and rebuilt: an allow-list of its fields; nothing else of a schema reaches a server.

What reads text for vectors (`vectorizer`, `moduleConfig`) is never rebuilt: a stored base URL would be sent the key.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from regalia.core.errors import DocumentError
from regalia.core.strict_json import JsonObject, JsonValue
from regalia_registry.domain.snapshots.schema import KeyKind, Property

UNNAMED = "default"
KEY_PROPERTY = "regalia_key"

_KEY_TOLD = "the row's key: "
_KEYS = {f"{_KEY_TOLD}{kind}": kind for kind in (KeyKind.INTEGER, KeyKind.TEXT)}
_MAX_PROPERTIES = 1600
_MAX_DEPTH = 8
REFERENCE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,254}\Z")  # of a class or an alias, as people write it
_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]{0,230}\Z")
_SETTING = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,60}\Z")
_MAX_WORD = 60
_INDEXES = {"hnsw", "flat", "dynamic", "hfresh"}
_PROPERTY_SETTINGS = ("indexFilterable", "indexSearchable", "indexRangeFilters", "tokenization")
_INVERTED = ("bm25", "cleanupIntervalSeconds", "indexNullState", "indexPropertyLength", "stopwords")
_METRICS = {"cosine": "cosine", "l2-squared": "l2", "dot": "dot", "manhattan": "l1", "hamming": "hamming"}
_SCALARS = ("text", "int", "number", "boolean", "date", "uuid")
TYPES = {*_SCALARS, *(f"{one}[]" for one in _SCALARS), "geoCoordinates", "phoneNumber", "blob", "object", "object[]"}


@dataclass(frozen=True, slots=True)
class Nested:
    """A property, or one inside an object."""

    name: str
    type: str
    settings: JsonObject = field(default_factory=dict)
    told: str = ""
    children: tuple["Nested", ...] = ()

    def written(self) -> JsonObject:
        """Give it as the schema keeps it, and as a server takes it."""
        body: JsonObject = {"name": self.name, "dataType": [self.type], **self.settings}
        if self.told:
            body["description"] = self.told
        if self.children:
            body["nestedProperties"] = [child.written() for child in self.children]
        return body


@dataclass(frozen=True, slots=True)
class Space:
    """A named vector's index; `config` is its settings."""

    name: str
    index: str
    config: JsonObject

    @property
    def is_exact(self) -> bool:
        """Whether a filtered question finds every row that it has; hfresh does not, and a skipped index has none."""
        return self.index != "hfresh" and self.is_indexed

    @property
    def is_indexed(self) -> bool:
        """Whether there is an index."""
        return self.config.get("skip") is not True

    @property
    def metric(self) -> str:
        """Its metric, by our name."""
        return _METRICS.get(str(self.config.get("distance", "cosine")), "cosine")


@dataclass(frozen=True, slots=True)
class ClassBody:
    """A class as a snapshot records it; `is_unnamed` where its one vector has no name."""

    properties: tuple[Nested, ...]
    spaces: tuple[Space, ...]
    inverted: JsonObject
    is_unnamed: bool

    @property
    def key(self) -> tuple[Property, KeyKind]:
        """Where rows have their key: in the object's own id, or in a property of ours that holds another engine's."""
        for one in self.properties:
            if _is_key(one):
                return Property(KEY_PROPERTY, "text"), _KEYS[one.told]
        return Property("id", "uuid"), KeyKind.UUID

    @property
    def values(self) -> tuple[Nested, ...]:
        """The properties that are not the key."""
        return tuple(one for one in self.properties if not _is_key(one))

    def written(self) -> JsonObject:
        """Give the schema's `engine` part; the inverse of `parse_engine`."""
        return {
            "properties": [one.written() for one in self.properties],
            "vectors": {one.name: {"index": one.index, "config": one.config} for one in self.spaces},
            "inverted": self.inverted,
            "unnamed": self.is_unnamed,
        }

    def body(self, name: str, *, told: str) -> JsonObject:
        """Give what makes the class on a server; `told` becomes its description."""
        made: JsonObject = {
            "class": name,
            "description": told,
            "properties": [one.written() for one in self.properties],
            "invertedIndexConfig": {**self.inverted, "indexTimestamps": True},
        }
        if self.is_unnamed:
            [space] = self.spaces
            made |= {"vectorizer": "none", "vectorIndexType": space.index, "vectorIndexConfig": space.config}
        else:
            made["vectorConfig"] = {
                one.name: {"vectorizer": {"none": {}}, "vectorIndexType": one.index, "vectorIndexConfig": one.config}
                for one in self.spaces
            }
        return made


@dataclass(frozen=True, slots=True)
class Captured:
    """A class of a server in our grammar; where `refusals` holds anything, it can't be a snapshot."""

    body: ClassBody
    refusals: tuple[str, ...]
    fidelity: tuple[str, ...]


def _is_key(one: Nested) -> bool:
    return one.name == KEY_PROPERTY and one.type == "text" and one.told in _KEYS


def key_property(kind: KeyKind) -> Nested:
    """Give the property that holds keys which are no UUIDs."""
    settings: JsonObject = {"indexFilterable": True, "indexSearchable": False, "tokenization": "field"}
    return Nested(KEY_PROPERTY, "text", settings, f"{_KEY_TOLD}{kind}")


def capture(found: Mapping[str, Any]) -> Captured:
    """Read a class as a server describes it."""
    refusals: list[str] = []
    fidelity: list[str] = []
    if has_tenants(found):
        refusals.append("it has tenants: this version stores collections without")
    if found.get("moduleConfig"):
        fidelity.append("moduleConfig is not kept: what turns texts into vectors stays outside")
    if (found.get("objectTtlConfig") or {}).get("enabled"):
        fidelity.append("its objects' time to live is not kept")
    properties = _properties(found.get("properties") or [], refusals, fidelity)
    spaces, is_unnamed = _spaces(found, refusals, fidelity)
    inverted = {
        name: _settings(found["invertedIndexConfig"][name])
        for name in _INVERTED
        if (found.get("invertedIndexConfig") or {}).get(name) is not None
    }
    body = ClassBody(properties, spaces, inverted, is_unnamed)
    return Captured(body, tuple(refusals), tuple(dict.fromkeys(fidelity)))


def has_tenants(found: Mapping[str, Any]) -> bool:
    """Say whether a class keeps its rows apart by tenant."""
    return bool((found.get("multiTenancyConfig") or {}).get("enabled"))


def parse_engine(engine: JsonObject) -> ClassBody:
    """Read what `ClassBody.written` wrote: a stored schema, so every word of it is checked again.

    Raises:
        DocumentError: It is no class of this grammar.
    """
    refusals: list[str] = []
    try:
        properties = _properties(cast("list[Any]", engine["properties"]), refusals, [])
        spaces = tuple(
            Space(_name(name), _index(one["index"]), cast("JsonObject", _settings(one["config"])))
            for name, one in sorted(cast("dict[str, Any]", engine["vectors"]).items())
        )
        given = cast("dict[str, Any]", engine["inverted"])
        inverted = {name: _settings(value) for name, value in given.items() if name in _INVERTED}
        is_unnamed = engine["unnamed"] is True
    except (KeyError, TypeError, AttributeError) as error:
        raise DocumentError(f"a class's schema lacks {error}", hint="take the snapshot again") from error
    if refusals or (is_unnamed and len(spaces) != 1):
        raise DocumentError(f"a class can't be rebuilt: {'; '.join(refusals) or 'it has no one unnamed vector'}")
    return ClassBody(properties, spaces, inverted, is_unnamed)


def _properties(
    found: Sequence[Mapping[str, Any]], refusals: list[str], fidelity: list[str], depth: int = 0
) -> tuple[Nested, ...]:
    if len(found) > _MAX_PROPERTIES or depth > _MAX_DEPTH:
        raise DocumentError("a class has too many properties, or nests them too deep")
    kept = []
    for one in found:
        types = list(one["dataType"])
        name = _name(str(one["name"]))
        if len(types) != 1 or types[0] not in TYPES:
            refusals.append(
                f"the property {name} refers to {', '.join(map(str, types))}: references are not stored yet"
            )
            continue
        if one.get("moduleConfig"):
            fidelity.append("moduleConfig is not kept: what turns texts into vectors stays outside")
        children = _properties(one.get("nestedProperties") or [], refusals, fidelity, depth + 1)
        settings = {setting: _settings(one[setting]) for setting in _PROPERTY_SETTINGS if one.get(setting) is not None}
        told = str(one.get("description") or "")[:1024]
        kept.append(Nested(name, types[0], settings, told, children))
    return tuple(sorted(kept, key=lambda one: one.name))


def _spaces(found: Mapping[str, Any], refusals: list[str], fidelity: list[str]) -> tuple[tuple[Space, ...], bool]:
    named: dict[str, Any] = found.get("vectorConfig") or {}
    is_unnamed = not named
    if named and found.get("vectorIndexType"):
        refusals.append("it has an unnamed vector beside named ones: move its rows to a class with named ones")
    given = {UNNAMED: found} if is_unnamed else named
    spaces = []
    for name, one in sorted(given.items()):
        config = one.get("vectorIndexConfig") or {}
        if (config.get("multivector") or {}).get("enabled"):
            refusals.append(f"the vector {name} holds many vectors a row: dense ones are what this version stores")
            continue
        vectorizer = one.get("vectorizer") or "none"
        reader = next(iter(vectorizer), "none") if isinstance(vectorizer, dict) else str(vectorizer)
        if reader != "none":
            fidelity.append(f"the vectorizer {reader} of {name} is not kept: vectors come back as they are stored")
        spaces.append(Space(_name(name), _index(one.get("vectorIndexType")), cast("JsonObject", _settings(config))))
    return tuple(spaces), is_unnamed


def _name(name: str) -> str:
    if not _NAME.match(name):
        raise DocumentError(f"a class has the name {name[:60]!r}, which Weaviate has not")
    return name


def _index(name: object) -> str:
    if name not in _INDEXES:
        raise DocumentError(f"a vector's index is {str(name)[:40]!r}", hint=f"one of {', '.join(sorted(_INDEXES))}")
    return str(name)


def _settings(value: Any, depth: int = 0) -> JsonValue:
    """Take settings: numbers, words and objects of them; no text that could be an address."""
    if value is None or isinstance(value, bool | int | float):
        return cast("JsonValue", value)
    if isinstance(value, str) and len(value) <= _MAX_WORD and "://" not in value:
        return value
    if isinstance(value, list) and depth < _MAX_DEPTH:
        return [_settings(one, depth + 1) for one in value]
    if isinstance(value, dict) and depth < _MAX_DEPTH and all(_SETTING.match(name) for name in value):
        return {name: _settings(one, depth + 1) for name, one in value.items()}
    raise DocumentError(f"a class has the setting {str(value)[:60]!r}, which can't be rebuilt")
