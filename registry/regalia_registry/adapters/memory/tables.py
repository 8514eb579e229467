"""What the memory store keeps: a dict for each table, of values that never change."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Self, TypeVar

from regalia.core.digest import Digest
from regalia.core.names import ApplicationName, ArtifactName
from regalia.core.versions import Version
from regalia_registry.domain.agents import Agent
from regalia_registry.domain.entries import StoredEntry
from regalia_registry.domain.operations import Operation, OperationEvent, Target
from regalia_registry.domain.placing import ChannelPlacings, Collection
from regalia_registry.domain.provenance import Provenance
from regalia_registry.domain.records import ArtifactVersion, Hold, StoredBundle, StoredPointer, StoredRoot, Token

_UNASKED = frozenset({"blobs", "claims", "operations", "events", "agents"})


@dataclass(frozen=True, slots=True)
class Claim:
    """Until when a blob is kept, or which operation removes it."""

    until: datetime
    operation: str | None = None


@dataclass(slots=True)
class Tables:
    """All that is stored, by the keys that are unique."""

    artifacts: dict[tuple[ArtifactName, str], ArtifactVersion] = field(default_factory=dict)
    bundles: dict[tuple[ApplicationName, str], StoredBundle] = field(default_factory=dict)
    channels: dict[tuple[ApplicationName, str], Digest] = field(default_factory=dict)
    pointers: dict[Digest, StoredPointer] = field(default_factory=dict)
    holds: dict[tuple[ApplicationName, Digest], Hold] = field(default_factory=dict)
    roots: dict[int, StoredRoot] = field(default_factory=dict)
    blobs: dict[tuple[str, Digest], int] = field(default_factory=dict)
    claims: dict[Digest, Claim] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    entries: dict[str, StoredEntry] = field(default_factory=dict)
    deployments: dict[str, tuple[ApplicationName, str]] = field(default_factory=dict)
    refused: dict[Digest, str] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    events: dict[tuple[str, int], OperationEvent] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    collections: dict[str, Collection] = field(default_factory=dict)
    placings: dict[tuple[ApplicationName, str], ChannelPlacings] = field(default_factory=dict)
    agents: dict[tuple[ApplicationName, str, str], Agent] = field(default_factory=dict)
    provenance: dict[tuple[str, Digest], Provenance] = field(default_factory=dict)

    def copy(self) -> Self:
        """Copy the dicts; the values are shared, since they never change."""
        return type(self)(**{one.name: dict(getattr(self, one.name)) for one in fields(self)})

    def answers_as(self, other: Self) -> bool:
        """Say whether all that a resolve depends on, and more, is the same."""
        asked = [one.name for one in fields(self) if one.name not in _UNASKED]
        return all(getattr(self, name) == getattr(other, name) for name in asked)


Value = TypeVar("Value")
Key = TypeVar("Key", int, str, tuple[str, str], Version)


def page(
    values: Iterable[Value], *, key: Callable[[Value], Key], after: Key | None, limit: int, is_descending: bool = False
) -> Sequence[Value]:
    """Sort values by key and take a page of those behind `after`."""
    ordered = sorted(values, key=key, reverse=is_descending)
    if after is not None:
        ordered = [one for one in ordered if (key(one) < after if is_descending else after < key(one))]
    return ordered[:limit]
