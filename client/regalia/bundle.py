"""A resolved bundle: the verified content of a release, the same for as long as it is held."""

import copy
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from regalia.core import oci, rendering
from regalia.core.digest import Digest
from regalia.core.errors import NotFoundError, NotPlacedError
from regalia.core.kinds.code import CodeConfig
from regalia.core.kinds.config import TREE_TITLE, ConfigConfig, parse_tree
from regalia.core.kinds.model import ModelConfig
from regalia.core.kinds.prompt import PromptConfig, Variable
from regalia.core.manifest import Artifact
from regalia.core.names import Kind, Slot
from regalia.core.oci import Descriptor
from regalia.core.statements import ChannelPointer, Place
from regalia.core.strict_json import JsonObject, JsonValue
from regalia.core.values import field, frozen

ReadLayer = Callable[[Descriptor], bytes]


class Provenance(StrEnum):
    """Where a bundle came from.

    `fresh`: the registry answered. `disk`: it didn't, and nothing has expired. `stale`: something has.
    """

    FRESH = "fresh"
    DISK = "disk"
    STALE = "stale"


@frozen
class Origin:
    """How a bundle was come by; `confirmed_at` is when the registry last named it."""

    provenance: Provenance
    confirmed_at: datetime
    warnings: tuple[str, ...] = ()


@frozen
class Prompt:
    """A prompt of a bundle."""

    config: PromptConfig
    digest: str

    @property
    def version(self) -> str:
        """The artifact's version."""
        return self.config.version

    @property
    def template(self) -> str | None:
        """The template as text; None for a chat prompt."""
        return self.config.template

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What `render` and `messages` take."""
        return self.config.variables

    @property
    def metadata(self) -> JsonObject:
        """What the author noted; a fresh copy."""
        return copy.deepcopy(self.config.metadata or {})

    def render(self, **variables: object) -> str:
        """Put values into a text prompt; a value is never interpreted.

        Raises:
            RenderError: A variable is missing or unknown, or it is a chat prompt.
        """
        return rendering.render(self.config, variables)

    def messages(self, **variables: object) -> list[dict[str, str]]:
        """Render as `{"role", "content"}` messages, as chat APIs take them; a text prompt is one of the user.

        Raises:
            RenderError: A variable is missing or unknown.
        """
        return rendering.messages(self.config, variables)


@frozen
class Bundle:
    """A verified bundle: what it pins can't change while it is held, so one session reads one release.

    Two are equal where their digests are.
    """

    application: str
    version: str
    digest: str
    channel: str | None
    origin: Origin
    pointer: ChannelPointer | None = field(repr=False)
    _artifacts: Mapping[Slot, Artifact] = field(repr=False)
    _read_layer: ReadLayer = field(repr=False)

    @property
    def provenance(self) -> Provenance:
        """Where it came from: `fresh`, `disk` or `stale`."""
        return self.origin.provenance

    @property
    def age(self) -> timedelta:
        """How long ago the registry last named it."""
        return max(timedelta(), datetime.now(UTC) - self.origin.confirmed_at)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong on the way here without stopping it."""
        return self.origin.warnings

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of its members, sorted."""
        return tuple(map(str, self._artifacts))

    @property
    def members(self) -> Mapping[Slot, Artifact]:
        """Its verified artifacts by slot."""
        return self._artifacts

    def prompt(self, name: str) -> Prompt:
        """Get the prompt in `prompts/<name>`.

        Raises:
            NotFoundError: There is none.
        """
        artifact = self._get(Kind.PROMPT, name)
        assert isinstance(artifact.config, PromptConfig)  # noqa: S101 # the slot's kind was checked
        return Prompt(artifact.config, str(artifact.digest))

    def model(self, name: str) -> ModelConfig:
        """Get the model in `models/<name>`.

        Raises:
            NotFoundError: There is none.
        """
        config = self._get(Kind.MODEL, name).config
        assert isinstance(config, ModelConfig)  # noqa: S101 # the slot's kind was checked
        return config

    def config(self, name: str) -> JsonValue:
        """Get the tree of the config in `config/<name>`, as a copy of your own.

        Raises:
            NotFoundError: There is none.
        """
        artifact = self._get(Kind.CONFIG, name)
        assert isinstance(artifact.config, ConfigConfig)  # noqa: S101 # the slot's kind was checked
        return parse_tree(artifact.content.files[TREE_TITLE])

    def code(self, name: str) -> CodeConfig:
        """Get the code pin in `code/<name>`.

        Raises:
            NotFoundError: There is none.
        """
        config = self._get(Kind.CODE, name).config
        assert isinstance(config, CodeConfig)  # noqa: S101 # the slot's kind was checked
        return config

    def collection(self, name: str) -> Place:
        """Say where the collection of `snapshots/<name>` lives.

        Raises:
            NotFoundError: The bundle pins no such snapshot.
            NotPlacedError: It does, and the channel places it nowhere.
        """
        slot = self._get(Kind.SNAPSHOT, name) and Slot(Kind.SNAPSHOT, name)
        for place in () if self.pointer is None else self.pointer.collections:
            if place.slot == slot:
                return place
        told = f'"{self.channel}" places it nowhere' if self.channel else "a bundle without a channel has no places"
        raise NotPlacedError(f'the collection "{slot}" is not placed: {told}', hint="resolve a channel that places it")

    def artifact(self, slot: str) -> Artifact:
        """Get the verified artifact in a slot.

        Raises:
            NotFoundError: There is none.
        """
        parsed = Slot.parse(slot)
        return self._get(parsed.kind, parsed.name)

    def files(self, slot: str) -> dict[str, bytes]:
        """Read the files of a slot by name: the author's bytes, and what was derived from them.

        Raises:
            NotFoundError: There is no such slot.
            VerificationError: A file can't be had as it was released.
        """
        layers = [layer for layer in self.artifact(slot).manifest.layers if layer.media_type != oci.EMPTY_TYPE]
        return {layer.title: self._read_layer(layer) for layer in layers}

    def _get(self, kind: Kind, name: str) -> Artifact:
        slot = Slot(kind, name)
        found = self._artifacts.get(slot)
        if found is None:
            there = [str(other) for other in self._artifacts if other.kind is kind]
            raise NotFoundError(
                f'the bundle {self.application}@{self.version} has no "{slot}"',
                hint=f"it has {', '.join(there[:20]) or 'no ' + kind.folder}",
            )
        return found

    def __eq__(self, other: object) -> bool:
        """Compare by digest: equal digests are equal bundles."""
        return isinstance(other, Bundle) and self.digest == other.digest

    def __hash__(self) -> int:
        """Hash by digest."""
        return hash(Digest.parse(self.digest))
