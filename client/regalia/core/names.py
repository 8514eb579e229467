"""Names: namespaces, applications, artifacts, slots, channels, and the references people write."""

import re
from enum import StrEnum
from typing import Self

from regalia.core.errors import InvalidNameError, InvalidVersionError
from regalia.core.values import frozen

_SEGMENT = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*\Z")
# SemVer 2.0.0 without build metadata, which has no order.
_VERSION = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?\Z"
)
_MAX_SEGMENT = 64
_MAX_CHANNEL = 32
_MAX_SLOT = 64
_MAX_VERSION = 128
_MAX_NUMBER = 2**53 - 1


class Kind(StrEnum):
    """What an artifact is."""

    PROMPT = "prompt"
    MODEL = "model"
    SNAPSHOT = "snapshot"
    CONFIG = "config"
    CODE = "code"

    @property
    def folder(self) -> str:
        """The first part of its slots."""
        return _FOLDERS[self]

    @classmethod
    def of_folder(cls, folder: str) -> Self:
        """Find the kind whose slots start with `folder`."""
        for kind in cls:
            if kind.folder == folder:
                return kind
        raise InvalidNameError(
            f"{folder[:80]!r} starts no slot", hint=f"slots start with {', '.join(_FOLDERS.values())}"
        )


_FOLDERS = {
    Kind.PROMPT: "prompts",
    Kind.MODEL: "models",
    Kind.SNAPSHOT: "snapshots",
    Kind.CONFIG: "config",
    Kind.CODE: "code",
}
_RESERVED = frozenset(_FOLDERS) | frozenset(_FOLDERS.values()) | {"configs", "codes"}


def check_segment(text: str, *, what: str, max_characters: int = _MAX_SEGMENT) -> str:
    """Give the text back if it is one segment of a name.

    Raises:
        InvalidNameError: It is not; the message calls it `what`.
    """
    if len(text) > max_characters:
        raise InvalidNameError(f"{what} {text[:80]!r} has {len(text)} characters, at most {max_characters} are allowed")
    if not _SEGMENT.match(text):
        raise InvalidNameError(
            f"{what} {text[:80]!r} is not a name",
            hint='lower-case letters and digits, joined by single ".", "_" or "-": customer_support',
        )
    return text


def check_namespace(text: str) -> str:
    """Give the text back if it can be a namespace: a segment that is no kind."""
    if text in _RESERVED:
        raise InvalidNameError(f'"{text}" is a kind and can\'t be a namespace')
    return check_segment(text, what="namespace")


def check_channel(text: str) -> str:
    """Give the text back if it can be a channel."""
    return check_segment(text, what="channel", max_characters=_MAX_CHANNEL)


def check_version(text: str) -> str:
    """Give the text back if it is SemVer 2.0.0 without build metadata.

    Raises:
        InvalidVersionError: It is not.
    """
    matched = _VERSION.match(text) if len(text) <= _MAX_VERSION else None
    if matched is None:
        raise InvalidVersionError(
            f"{text[:80]!r} is no version", hint="a version is SemVer, without v and build: 2.3.1, 2.4.0-rc.1"
        )
    numbers = [part for part in (*matched.group(1, 2, 3), *(matched.group(4) or "").split(".")) if part.isdigit()]
    if any(int(number) > _MAX_NUMBER for number in numbers):
        raise InvalidVersionError(f'"{text[:80]}" has a number beyond 2^53-1')
    return text


@frozen(order=True)
class ApplicationName:
    """What is released: `namespace/name`."""

    namespace: str
    name: str

    def __post_init__(self) -> None:
        """Refuse what the grammar doesn't have."""
        check_namespace(self.namespace)
        check_segment(self.name, what="application")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `namespace/name`; the inverse of `str`."""
        namespace, slash, name = text.partition("/")
        if not slash:
            raise InvalidNameError(
                f"{text[:80]!r} is no application", hint="an application is NAMESPACE/NAME: acme/support-agent"
            )
        return cls(namespace, name)

    def __str__(self) -> str:
        """Spell it as in documents."""
        return f"{self.namespace}/{self.name}"


@frozen(order=True)
class Slot:
    """The named place of a member in a bundle: `prompts/customer_support`."""

    kind: Kind
    name: str

    def __post_init__(self) -> None:
        """Refuse what the grammar doesn't have."""
        check_segment(self.name, what="slot", max_characters=_MAX_SLOT)
        if len(str(self)) > _MAX_SLOT:
            raise InvalidNameError(f'slot "{self}" has {len(str(self))} characters, at most {_MAX_SLOT} are allowed')

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `folder/name`; the inverse of `str`."""
        folder, slash, name = text.partition("/")
        if not slash:
            raise InvalidNameError(f"{text[:80]!r} is no slot", hint="a slot is FOLDER/NAME: prompts/customer_support")
        return cls(Kind.of_folder(folder), name)

    def __str__(self) -> str:
        """Spell it as in documents."""
        return f"{self.kind.folder}/{self.name}"


@frozen(order=True)
class ArtifactName:
    """A named thing of a namespace, without its version: `acme/prompt/customer_support`."""

    namespace: str
    kind: Kind
    name: str

    def __post_init__(self) -> None:
        """Refuse what the grammar doesn't have."""
        check_namespace(self.namespace)
        check_segment(self.name, what="artifact")

    def __str__(self) -> str:
        """Spell it as in references."""
        return f"{self.namespace}/{self.kind}/{self.name}"
