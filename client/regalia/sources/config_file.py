"""Configs: YAML, JSON or TOML, kept as they are and as the JSON tree that agents read; held to a JSON Schema."""

import tomllib
from datetime import date, datetime, time

from regalia import strict_yaml
from regalia.core.errors import InvalidError, SourceError
from regalia.core.kinds.config import MAX_TREE, TREE_TITLE, ConfigConfig
from regalia.core.names import Kind
from regalia.core.strict_json import JsonObject, JsonValue, parse, write
from regalia.sources.drafts import JSON, NO_VERSION, TEXT, Draft, Finding, Format, Read, Source
from regalia.sources.schemas import check_schema, faults_of


def _read(source: Source) -> Read:
    tree = _parse(source.body, source.suffix, source.what)
    schema = _schema(source)
    findings: list[Finding] = []
    if schema is not None:
        findings = [
            source.finding("schema", f"{where} breaks the schema: {rule}", hint="correct the file or its schema")
            for where, rule in faults_of(tree, schema)
        ]
    written = write(tree)
    if len(written) > MAX_TREE:
        raise SourceError(f"{source.what} has {len(written)} bytes as JSON, the cap is {MAX_TREE}")
    name = source.slot.name
    title = f"{name}{source.suffix}"
    if title == TREE_TITLE:
        raise SourceError(f'a config can\'t be named "tree" and be JSON: "{TREE_TITLE}" is what agents read')
    contents = {title: (TEXT, source.body), TREE_TITLE: (JSON, written)}
    draft = Draft(source.slot, ConfigConfig(name, NO_VERSION, schema), contents, source.what, has_version=False)
    return Read((draft,), tuple(findings))


def _parse(body: bytes, suffix: str, what: str) -> JsonValue:
    if suffix == ".json":
        return parse(body, what=what, max_bytes=MAX_TREE)
    if suffix == ".toml":
        try:
            return _plain(tomllib.loads(strict_yaml.decode(body, what=what)))
        except tomllib.TOMLDecodeError as error:
            raise SourceError(f"{what} is not TOML: {error}") from error
    return strict_yaml.parse(body, what=what).value


def _plain(value: object) -> JsonValue:
    """Turn TOML's values into JSON's: dates and times are text."""
    if isinstance(value, dict):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_plain(child) for child in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bool | int | float | str):
        return value
    raise SourceError(f"a TOML value is a {type(value).__name__}, which JSON has no form for")


def _schema(source: Source) -> JsonObject | None:
    named = source.entry.options.get("schema")
    if named is None:
        return None
    if not isinstance(named, str):
        raise SourceError(f"{source.what}: the schema is no path", hint="{file: …, schema: config/NAME.schema.json}")
    path = (source.folder / named).resolve()
    if not path.is_relative_to(source.folder.resolve()):
        raise SourceError(f"{named[:120]!r} leaves the project", hint="keep the schema in it")
    try:
        body = path.read_bytes()
    except OSError as error:
        raise SourceError(f'the schema "{named}" can\'t be read: {(error.strerror or "").lower()}') from error
    try:
        schema = _parse(body, path.suffix.lower(), named)
    except InvalidError as error:
        raise SourceError(error.message, hint=error.hint) from error
    if not isinstance(schema, dict):
        raise SourceError(f"{named} is no JSON Schema")
    check_schema(schema, what=named)
    return schema


FORMAT = Format(Kind.CONFIG, frozenset({".yaml", ".yml", ".json", ".toml"}), _read)
