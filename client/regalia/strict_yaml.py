"""YAML as every reader reads it: the subset in which YAML 1.1 and 1.2 agree; the rest is refused with its place.

Dates, times and words like `no` stay text. Values come out as JSON's, with the place of each key.
"""

import re
from collections.abc import Iterator

import yaml

from regalia.core.errors import SourceError
from regalia.core.strict_json import MAX_DEPTH, MAX_INTEGER, JsonObject, JsonValue
from regalia.core.values import field, frozen

MAX_BYTES = 1024 * 1024

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?\Z")
# A number to one edition of YAML, and a text or another number to the other.
_DISPUTED = re.compile(
    r"[-+]?(?:0[0-9_]+|0o[0-7]+|0b[01_]+|[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?|[0-9]+[eE][-+]?[0-9]+"
    r"|(?:[0-9]+\.[0-9]*|\.[0-9]+)[eE][0-9]+|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)
_WORDS: dict[str, JsonValue] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}

Path = tuple[str | int, ...]


@frozen
class Place:
    """A line and a column, both from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        """Spell it for an error."""
        return f"line {self.line}, column {self.column}"


@frozen
class Document:
    """A parsed document; `places` has the place of each value by its path."""

    value: JsonValue
    places: dict[Path, Place] = field(hash=False)

    def place(self, *path: str | int) -> str:
        """Name the place of a value, or of what holds it."""
        while path and path not in self.places:
            path = path[:-1]
        return str(self.places.get(path, Place(1, 1)))


def parse_object(body: bytes, *, what: str) -> tuple[JsonObject, Document]:
    """Parse a document whose top is a mapping.

    Raises:
        SourceError: It is not YAML, or outside of the subset; the message has line and column.
    """
    document = parse(body, what=what)
    if not isinstance(document.value, dict):
        raise SourceError(f"{what} is not a mapping of keys to values")
    return document.value, document


def parse(body: bytes, *, what: str) -> Document:
    """Parse any document under the rules of `parse_object`."""
    if len(body) > MAX_BYTES:
        raise SourceError(f"{what} has {len(body)} bytes, the cap is {MAX_BYTES}")
    text = decode(body, what=what)
    builder = _Builder(what)
    try:
        events = yaml.parse(text, Loader=_Loader)
        value = builder.document(events)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
        raise SourceError(f"{what} is not YAML{place}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:  # a character that YAML does not have
        raise SourceError(f"{what} is not YAML: {str(error).splitlines()[0]}") from error
    return Document(value, builder.places)


def decode(body: bytes, *, what: str) -> str:
    """Read UTF-8 without a byte-order mark."""
    if body.startswith(b"\xef\xbb\xbf"):
        raise SourceError(f"{what} starts with a byte-order mark", hint="save it as plain UTF-8")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{what} is not UTF-8 at byte {error.start}", hint="save it as plain UTF-8") from error


class _Builder:
    """Builds a value from parser events, which still know anchors, tags and places."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.places: dict[Path, Place] = {}

    def document(self, events: Iterator[yaml.Event]) -> JsonValue:
        value: JsonValue = None
        seen = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                seen += 1
                if seen > 1:
                    raise self._refused(event, "a second document starts", "one file holds one document")
            elif isinstance(event, yaml.StreamStartEvent | yaml.StreamEndEvent | yaml.DocumentEndEvent):
                continue
            else:
                value = self._node(event, events, ())
        return value

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], path: Path) -> JsonValue:
        self._check(event, path)
        self.places[path] = _place(event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, path)
        if isinstance(event, yaml.SequenceStartEvent):
            found: list[JsonValue] = []
            while not isinstance(child := next(events), yaml.SequenceEndEvent):
                found.append(self._node(child, events, (*path, len(found))))
            return found
        if not isinstance(event, yaml.ScalarEvent):  # the parser gives nothing else
            raise self._refused(event, "an alias stands here", "write the value out")
        return self._scalar(event)

    def _mapping(self, events: Iterator[yaml.Event], path: Path) -> JsonObject:
        found: JsonObject = {}
        while not isinstance(key := next(events), yaml.MappingEndEvent):
            self._check(key, path)
            name = self._scalar(key) if isinstance(key, yaml.ScalarEvent) else None
            if not isinstance(name, str):
                raise self._refused(key, "a key is no text", "quote it")
            if name == "<<" and isinstance(key, yaml.ScalarEvent) and not key.style:
                raise self._refused(key, "a merge key (<<) stands here", "write the keys out")
            if name in found:
                raise self._refused(key, f"the key {name[:80]!r} stands twice", "keep one")
            found[name] = self._node(next(events), events, (*path, name))
        return found

    def _check(self, event: yaml.Event, path: Path) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self._refused(event, "an anchor or alias stands here", "write the value out")
        if (tag := getattr(event, "tag", None)) is not None:
            raise self._refused(event, f"the tag {str(tag)[:80]!r} stands here", "leave it out")
        if len(path) >= MAX_DEPTH:
            raise self._refused(event, f"it is nested deeper than {MAX_DEPTH} levels", "flatten it")

    def _scalar(self, event: yaml.ScalarEvent) -> JsonValue:
        text = str(event.value)
        if "\x00" in text:
            raise self._refused(event, "a text holds U+0000", "leave it out")
        if event.style:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _DISPUTED.match(text):
            raise self._refused(
                event, f"{text[:80]!r} is a number in one YAML and another value in the next", "quote it"
            )
        if _INTEGER.match(text) or _HEX.match(text):
            number = int(text, 16) if text.startswith("0x") else self._integer(event, text)
            if abs(number) > MAX_INTEGER:
                raise self._refused(event, "an integer is beyond ±(2^53-1)", "quote it")
            return number
        return float(text) if _FLOAT.match(text) else text

    def _integer(self, event: yaml.Event, text: str) -> int:
        if len(text) > 20:  # before it is read: reading a long number takes long
            raise self._refused(event, "an integer is beyond ±(2^53-1)", "quote it")
        return int(text)

    def _refused(self, event: yaml.Event, problem: str, hint: str) -> SourceError:
        return SourceError(f"{self._what}, {_place(event)}: {problem}", hint=hint)


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    return Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)
