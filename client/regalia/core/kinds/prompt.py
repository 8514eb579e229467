"""Prompts: a text or a chat template, its engine and its variables."""

from collections.abc import Mapping
from difflib import unified_diff

from regalia.core.errors import DocumentError
from regalia.core.fields import Fields
from regalia.core.kinds.spec import KIB, Change, Content, KindSpec, without_none
from regalia.core.names import Kind, check_segment, check_version
from regalia.core.strict_json import JsonObject, JsonValue
from regalia.core.values import field, frozen

_MAX_TEMPLATE = KIB * KIB
_MAX_MESSAGES = 1000
_MAX_VARIABLES = 1000


@frozen
class Variable:
    """A name that a template uses; `schema` is a JSON Schema for its value."""

    name: str
    required: bool = True
    default: JsonValue = None
    schema: JsonObject | None = None

    def written(self) -> JsonObject:
        """Give the variable's JSON."""
        return without_none(name=self.name, required=self.required, default=self.default, schema=self.schema)


@frozen
class Message:
    """One turn of a chat prompt."""

    role: str
    content: str

    def written(self) -> JsonObject:
        """Give the message's JSON."""
        return {"role": self.role, "content": self.content}


@frozen
class PromptConfig:
    """A prompt: `template` of a text prompt, or `messages` of a chat prompt."""

    name: str
    version: str
    template_format: str
    template: str | None = None
    messages: tuple[Message, ...] = ()
    variables: tuple[Variable, ...] = ()
    response_format: JsonObject | None = field(default=None, hash=False)
    model: JsonObject | None = field(default=None, hash=False)
    metadata: JsonObject | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        """Refuse a prompt that is both or neither."""
        check_segment(self.name, what="prompt")
        check_version(self.version)
        if (self.template is None) == (not self.messages):
            raise DocumentError(f'the prompt "{self.name}" needs either a template or messages')
        names = [variable.name for variable in self.variables]
        if len(set(names)) != len(names):
            raise DocumentError(f'the prompt "{self.name}" declares a variable twice')

    @property
    def kind(self) -> Kind:
        """Which kind it is."""
        return Kind.PROMPT

    @property
    def is_chat(self) -> bool:
        """Say whether it has messages."""
        return self.template is None

    @property
    def templates(self) -> tuple[str, ...]:
        """Every template in it, in order."""
        return (self.template,) if self.template is not None else tuple(message.content for message in self.messages)

    @classmethod
    def parse(cls, fields: Fields) -> "PromptConfig":
        """Read the config."""
        is_chat = _parse_type(fields)
        messages = fields.children("messages", maximum=_MAX_MESSAGES) if is_chat else []
        variables = fields.children("variables", maximum=_MAX_VARIABLES) if fields.has("variables") else []
        return cls(
            name=fields.text("name"),
            version=fields.text("version"),
            template_format=fields.text("template_format", max_characters=32),
            template=None if is_chat else fields.text("template", max_characters=_MAX_TEMPLATE),
            messages=tuple(map(_parse_message, messages)),
            variables=tuple(map(_parse_variable, variables)),
            response_format=_optional_object(fields, "response_format"),
            model=_optional_object(fields, "model"),
            metadata=_optional_object(fields, "metadata"),
        )

    def written(self) -> JsonObject:
        """Give the config's JSON."""
        return without_none(
            name=self.name,
            version=self.version,
            type="chat" if self.is_chat else "text",
            template_format=self.template_format,
            template=self.template,
            messages=[message.written() for message in self.messages] if self.is_chat else None,
            variables=[variable.written() for variable in self.variables],
            response_format=self.response_format,
            model=self.model,
            metadata=self.metadata,
        )


def compare(old: Content, new: Content) -> Change:
    """Say what changed, the text as a unified diff."""
    before, after = _prompt(old), _prompt(new)
    if _readable(before) != _readable(after):
        lines = unified_diff(_readable(before), _readable(after), before.version, after.version, lineterm="", n=2)
        return Change(f"Updated {after.name} prompt template", tuple(lines))
    fields = _changed_fields(before.written(), after.written())
    return Change(f"Updated {after.name} prompt: {', '.join(fields) or 'its file'}")


SPEC = KindSpec(Kind.PROMPT, KIB * KIB, PromptConfig.parse, compare)


def _prompt(content: Content) -> PromptConfig:
    if not isinstance(content.config, PromptConfig):
        raise DocumentError(f"a {content.config.kind} stands where a prompt was expected")
    return content.config


def _readable(prompt: PromptConfig) -> list[str]:
    if prompt.template is not None:
        return prompt.template.splitlines()
    return [line for message in prompt.messages for line in (f"[{message.role}]", *message.content.splitlines())]


def _changed_fields(before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]) -> list[str]:
    names = sorted({*before, *after} - {"version"})
    return [name for name in names if before.get(name) != after.get(name)]


def _parse_type(fields: Fields) -> bool:
    kind = fields.text("type", max_characters=16)
    if kind not in {"text", "chat"}:
        raise DocumentError(f'"type" in {fields.what} is "{kind}", expected text or chat')
    return kind == "chat"


def _parse_message(fields: Fields) -> Message:
    return Message(fields.text("role", max_characters=32), fields.text("content", max_characters=_MAX_TEMPLATE))


def _parse_variable(fields: Fields) -> Variable:
    return Variable(
        name=fields.text("name", max_characters=128),
        required=fields.boolean("required"),
        default=fields.raw.get("default"),
        schema=_optional_object(fields, "schema"),
    )


def _optional_object(fields: Fields, name: str) -> JsonObject | None:
    return fields.child(name).raw if fields.has(name) else None
