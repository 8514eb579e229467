"""Adopting a collection in use: it becomes a channel's live one, where it is, with all that is in it."""

from dataclasses import dataclass

from regalia.core.fields import Fields
from regalia.core.names import Slot
from regalia.core.statements import Move
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.operations import OperationKind
from regalia_registry.domain.placing import check_logical
from regalia_registry.domain.plans import MoveWish
from regalia_registry.domain.texts import check_text


@dataclass(frozen=True, slots=True)
class AdoptWish:
    """Which collection of a target a channel is to serve in a slot; `move` binds the channel's bundle anew."""

    move: MoveWish
    slot: Slot
    target: str
    collection: str

    def __post_init__(self) -> None:
        """Refuse what no engine calls a collection."""
        check_text(self.collection, what="a collection's name")
        check_logical(self.logical)

    @property
    def kind(self) -> OperationKind:
        """What it is as an operation."""
        return OperationKind.ADOPT

    @property
    def logical(self) -> str:
        """How the collection's new name begins."""
        return self.slot.name.replace("-", "_").replace(".", "_")

    @property
    def alias(self) -> str:
        """The name that its application says: it leads to the collection from then on."""
        return self.collection.removeprefix("public.")

    @classmethod
    def parse(cls, request: JsonObject) -> "AdoptWish":
        """Read what `written` wrote."""
        fields = Fields(request, "the operation")
        adopts = fields.child("adopts")
        return cls(MoveWish.parse(request), Slot.parse(adopts.text("slot")), adopts.text("target"), adopts.text("name"))

    def written(self) -> JsonObject:
        """Give it as the journal keeps it."""
        adopts: JsonObject = {"slot": str(self.slot), "target": self.target, "name": self.collection}
        return {**self.move.written(), "move": str(Move.REBIND), "adopts": adopts}
