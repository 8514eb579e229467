"""What all prompt formats share: from parsed fields and templates to a config, with what is wrong in them."""

from collections.abc import Iterable

from regalia import strict_yaml
from regalia.core import templates
from regalia.core.errors import InvalidError, RegaliaError, SourceError
from regalia.core.kinds.prompt import Message, PromptConfig, Variable
from regalia.core.names import check_version
from regalia.core.strict_json import JsonObject, JsonValue
from regalia.core.values import frozen
from regalia.sources.drafts import NO_VERSION, TEXT, Draft, Finding, Read, Source
from regalia.sources.schemas import check_schema

_KNOWN = frozenset(
    {
        "version",
        "prompt_id",
        "template",
        "messages",
        "template_format",
        "variables",
        "metadata",
        "response_format",
        "model",
        "description",
    }
)
_ROLES = ("system", "developer", "user", "assistant", "tool")


@frozen
class Fields:
    """The fields of a prompt as its author wrote them, and how to name their places."""

    values: JsonObject
    document: strict_yaml.Document | None = None

    def place(self, *path: str | int) -> str:
        """Name a place, where one is known."""
        return "" if self.document is None else self.document.place(*path)


def read_prompt(source: Source, fields: Fields, *, template_format: str) -> Read:
    """Make a prompt of an author's fields.

    Args:
        source: The file.
        fields: What stands in it, `template` or `messages` included.
        template_format: The engine where the fields name none.

    Raises:
        InvalidError: It can't be a prompt.
    """
    engine = fields.values.get("template_format", source.entry.options.get("template_format", template_format))
    if not isinstance(engine, str):
        raise _wrong(source, fields, "template_format", f"one of {', '.join(templates.FORMATS)}")
    version = _version(source, fields)
    template, messages = _text(source, fields)
    texts = [template] if template is not None else [message.content for message in messages]
    for text in texts:
        _check_template(source, engine, text)
    used = tuple(dict.fromkeys(name for text in texts for name in templates.variables_of(engine, text)))
    given = fields.values.get("variables", source.entry.options.get("variables"))
    declared = _declared(source, fields, given)
    config = PromptConfig(
        name=source.slot.name,
        version=version or NO_VERSION,
        template_format=engine,
        template=template,
        messages=messages,
        variables=declared if declared is not None else tuple(map(Variable, used)),
        response_format=_object(source, fields, "response_format"),
        model=_object(source, fields, "model"),
        metadata=_metadata(source, fields),
    )
    title = f"{source.slot.name}{source.suffix}"
    draft = Draft(source.slot, config, {title: (TEXT, source.body)}, source.what, has_version=version is not None)
    return Read((draft,), (*_findings(source, fields, engine, texts), *_unmatched(source, used, declared)))


def _version(source: Source, fields: Fields) -> str | None:
    version = fields.values.get("version")
    if version is None:
        return None
    if not isinstance(version, str):
        raise SourceError(
            f"{source.what}, {fields.place('version')}: the version is a number to YAML",
            hint='quote it: version: "2.3.1"',
        )
    return check_version(version)


def _text(source: Source, fields: Fields) -> tuple[str | None, tuple[Message, ...]]:
    template, messages = fields.values.get("template"), fields.values.get("messages")
    if (template is None) == (messages is None):
        raise SourceError(f"{source.what} needs either a template or messages", hint="template: | …")
    if template is not None:
        if not isinstance(template, str):
            raise _wrong(source, fields, "template", "write it as a block: template: |")
        return template, ()
    if not isinstance(messages, list) or not messages:
        raise _wrong(source, fields, "messages", "a list of {role, content}")
    return None, tuple(_message(source, fields, place, message) for place, message in enumerate(messages))


def _message(source: Source, fields: Fields, place: int, message: JsonValue) -> Message:
    role = message.get("role") if isinstance(message, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(role, str) or not isinstance(content, str):
        raise SourceError(
            f"{source.what}, {fields.place('messages', place)}: a message has a role and a content, both text",
            hint="- {role: user, content: …}",
        )
    if set(message) != {"role", "content"}:
        raise SourceError(
            f"{source.what}, {fields.place('messages', place)}: a message has more than role and content",
            hint="images, tools and names in messages are not read by this version",
        )
    if role not in _ROLES:
        raise SourceError(
            f'{source.what}, {fields.place("messages", place)}: "{role[:40]}" is no role',
            hint=f"roles are {', '.join(_ROLES)}",
        )
    return Message(role, content)


def _check_template(source: Source, engine: str, text: str) -> None:
    try:
        templates.check(engine, text)
    except InvalidError as error:
        raise SourceError(f"{source.what}: {error.message}", hint=error.hint) from error
    except RegaliaError as error:  # the engine is not installed, or of a later edition
        raise SourceError(f"{source.what}: {error.message}", hint=error.hint) from error


def _declared(source: Source, fields: Fields, given: JsonValue) -> tuple[Variable, ...] | None:
    """Read declared variables: names, or {name, required, default, schema}, or a mapping of names to those."""
    if given is None:
        return None
    if isinstance(given, dict):
        given = [{"name": name, **(one if isinstance(one, dict) else {})} for name, one in given.items()]
    if not isinstance(given, list):
        raise _wrong(source, fields, "variables", "a list of names")
    return tuple(_variable(source, fields, one) for one in given)


def _variable(source: Source, fields: Fields, given: JsonValue) -> Variable:
    if isinstance(given, str):
        return Variable(given)
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise _wrong(source, fields, "variables", "each is a name, or {name, required, default, schema}")
    schema, default = given.get("schema"), given.get("default")
    if not isinstance(schema, dict | None):
        raise _wrong(source, fields, "variables", "a variable's schema is a JSON Schema")
    if schema is not None:
        check_schema(schema, what=f"{source.what}: the schema of {given['name']}")
    return Variable(
        str(given["name"]),
        required=bool(given.get("required", default is None)),
        default=default,
        schema=schema,
    )


def _object(source: Source, fields: Fields, name: str) -> JsonObject | None:
    value = fields.values.get(name)
    if not isinstance(value, dict | None):
        raise _wrong(source, fields, name, "a mapping")
    if name == "response_format" and value is not None:
        check_schema(value, what=f"{source.what}: response_format")
    return value


def _metadata(source: Source, fields: Fields) -> JsonObject | None:
    """Keep what the author noted, with the fields that are notes: `prompt_id`, `description`."""
    metadata = _object(source, fields, "metadata") or {}
    notes = {name: fields.values[name] for name in ("prompt_id", "description") if fields.values.get(name) is not None}
    return {**notes, **metadata} or None


def _findings(source: Source, fields: Fields, engine: str, texts: Iterable[str]) -> list[Finding]:
    found = [
        source.finding("braces", warning, is_error=False)
        for text in texts
        for warning in templates.warnings_of(engine, text)
    ]
    unknown = [name for name in fields.values if name not in _KNOWN]
    found += [
        source.finding(
            "unknown-key",
            f'the key "{name[:80]}" is kept in the file, and means nothing here',
            place=fields.place(name),
            is_error=False,
        )
        for name in unknown
    ]
    return found


def _unmatched(source: Source, used: tuple[str, ...], declared: tuple[Variable, ...] | None) -> list[Finding]:
    """Hold used and declared variables against each other, where any are declared."""
    if declared is None:
        return []
    names = {variable.name for variable in declared}
    found = [
        source.finding("undeclared-variable", f'"{name}" is used, and not declared', hint="add it to variables")
        for name in used
        if not _is_covered(name, names)
    ]
    reached = {*used, *(name.partition(".")[0] for name in used)}
    found += [
        source.finding("unused-variable", f'"{name}" is declared, and not used', hint="use it, or leave it out")
        for name in sorted(names - reached)
    ]
    return found


def _is_covered(name: str, declared: Iterable[str]) -> bool:
    return name in declared or name.partition(".")[0] in declared


def _wrong(source: Source, fields: Fields, name: str, expected: str) -> SourceError:
    place = fields.place(name)
    return SourceError(f'{source.what}{f", {place}" if place else ""}: "{name}" is wrong', hint=f"expected: {expected}")
