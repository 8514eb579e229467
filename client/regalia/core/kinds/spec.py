"""What every kind of artifact says about itself."""

from collections.abc import Callable, Mapping
from typing import Protocol

from regalia.core.fields import Fields
from regalia.core.names import Kind
from regalia.core.strict_json import JsonObject
from regalia.core.values import frozen

KIB = 1024
MAX_MANIFEST = 4 * KIB * KIB


class Config(Protocol):
    """The typed metadata of an artifact version; one class of values a kind."""

    @property
    def kind(self) -> Kind:
        """Which kind it is."""
        ...

    @property
    def name(self) -> str:
        """The artifact's name within its namespace."""
        ...

    @property
    def version(self) -> str:
        """Its SemVer version."""
        ...

    def written(self) -> JsonObject:
        """Give the config's JSON; absent fields are left out, never null."""
        ...


@frozen
class Content:
    """An artifact version as a diff reads it: its config, and the layers at hand by title."""

    config: Config
    files: Mapping[str, bytes]


@frozen
class Change:
    """What changed, in one sentence for the record and in lines for people; `restored` says it on the way back."""

    sentence: str
    lines: tuple[str, ...] = ()
    restored: str = ""


def nothing_told(_: Config) -> Mapping[str, str]:
    """Tell nothing of a config."""
    return {}


@frozen
class KindSpec:
    """One kind: its caps in bytes, how its config is read, and how two versions are compared.

    `annotate` gives what a bundle's descriptor tells of a config, so that one who has the index needs no more.
    """

    kind: Kind
    max_config: int
    parse_config: Callable[[Fields], Config]
    compare: Callable[[Content, Content], Change]
    max_manifest: int = MAX_MANIFEST
    annotate: Callable[[Config], Mapping[str, str]] = nothing_told

    @property
    def artifact_type(self) -> str:
        """The media type that says the kind."""
        return f"application/vnd.regalia.{self.kind}.v1+json"

    @property
    def config_type(self) -> str:
        """The media type of the config blob."""
        return f"application/vnd.regalia.{self.kind}.config.v1+json"


def without_none(**fields: object) -> JsonObject:
    """Leave absent fields out."""
    return {name: value for name, value in fields.items() if value is not None}  # type: ignore[misc] # JSON by the callers' types
