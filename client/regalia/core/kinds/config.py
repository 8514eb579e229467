"""Configs: a tree of settings, kept as the author wrote it and as the JSON that agents read."""

import json
from collections.abc import Iterator

from regalia.core.errors import DocumentError
from regalia.core.fields import Fields
from regalia.core.kinds.spec import KIB, Change, Content, KindSpec, without_none
from regalia.core.names import Kind, check_segment, check_version
from regalia.core.strict_json import JsonObject, JsonValue, parse
from regalia.core.values import field, frozen

TREE_TITLE = "tree.json"
MAX_TREE = 4 * KIB * KIB
_SHOWN = 8


@frozen
class ConfigConfig:
    """A config's metadata; `schema` is the JSON Schema that its tree was checked against."""

    name: str
    version: str
    schema: JsonObject | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        """Refuse what the grammar doesn't have."""
        check_segment(self.name, what="config")
        check_version(self.version)

    @property
    def kind(self) -> Kind:
        """Which kind it is."""
        return Kind.CONFIG

    @classmethod
    def parse(cls, fields: Fields) -> "ConfigConfig":
        """Read the config."""
        schema = fields.child("schema").raw if fields.has("schema") else None
        return cls(fields.text("name"), fields.text("version"), schema)

    def written(self) -> JsonObject:
        """Give the config's JSON."""
        return without_none(name=self.name, version=self.version, schema=self.schema)


def parse_tree(body: bytes) -> JsonValue:
    """Read `tree.json`; its digest was checked before."""
    return parse(body, what=f'"{TREE_TITLE}"', max_bytes=MAX_TREE)


def compare(old: Content, new: Content) -> Change:
    """Say which keys changed, were added or are gone."""
    before, after = _leaves_of(old), _leaves_of(new)
    lines = tuple(
        _line(path, before, after) for path in sorted({*before, *after}) if before.get(path) != after.get(path)
    )
    told = ", ".join(lines[:_SHOWN]) + (f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else "")
    return Change(f"Updated {new.config.name} config: {told or 'its file'}", lines)


SPEC = KindSpec(Kind.CONFIG, 64 * KIB, ConfigConfig.parse, compare)


def _leaves_of(content: Content) -> dict[str, str]:
    if not isinstance(content.config, ConfigConfig):
        raise DocumentError(f"a {content.config.kind} stands where a config was expected")
    body = content.files.get(TREE_TITLE)
    return {} if body is None else dict(_leaves("", parse_tree(body)))


def _leaves(path: str, value: JsonValue) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _leaves(f"{path}.{key}" if path else key, child)
    else:
        yield path or ".", json.dumps(value, ensure_ascii=False)


def _line(path: str, before: dict[str, str], after: dict[str, str]) -> str:
    if path not in before:
        return f"+{path} {_short(after[path])}"
    if path not in after:
        return f"-{path}"
    return f"{path} {_short(before[path])} → {_short(after[path])}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"
