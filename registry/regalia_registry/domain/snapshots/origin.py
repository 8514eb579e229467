"""Which snapshot a collection was made from: carried by what can carry it, and named by the next snapshot of it."""

from dataclasses import dataclass

from regalia.core.digest import Digest
from regalia.core.fields import Fields
from regalia.core.kinds.snapshot import DerivedFrom
from regalia.core.strict_json import JsonObject

_MAX_FIDELITY = 4096


@dataclass(frozen=True, slots=True)
class Origin:
    """A snapshot, and what of it is not the same in the collection that was made from it."""

    snapshot: DerivedFrom
    fidelity: tuple[str, ...] = ()

    @classmethod
    def of(cls, reference: str, content_root: Digest, fidelity: tuple[str, ...] = ()) -> "Origin":
        """Name a snapshot by its reference and its root."""
        return cls(DerivedFrom(reference, content_root), fidelity)

    @classmethod
    def parse(cls, fields: Fields) -> "Origin":
        """Read what `written` wrote."""
        return cls(DerivedFrom.parse(fields), fields.texts("fidelity", maximum=_MAX_FIDELITY))

    def written(self) -> JsonObject:
        """Give its JSON."""
        return {**self.snapshot.written(), "fidelity": list(self.fidelity)}
