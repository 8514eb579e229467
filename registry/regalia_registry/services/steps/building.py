"""Building a collection for a channel: a table of steps, each of which may be begun again by the next worker."""

from collections.abc import Callable
from dataclasses import dataclass

from regalia.core.errors import ConflictError
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.placing import Collection
from regalia_registry.ports.serving import Standing
from regalia_registry.ports.vectors import Provider
from regalia_registry.services.context import Bench, Ports
from regalia_registry.services.steps.canaries import Held, check_canary
from regalia_registry.services.steps.filling import Filling, Planned
from regalia_registry.services.steps.proving import prove
from regalia_registry.services.steps.sealing import seals_of
from regalia_registry.services.steps.snapshots import OpenedSnapshot


class Building:
    """One collection on its way from nothing to sealed and proved; its mark is its id."""

    def __init__(
        self, ports: Ports, bench: Bench, snapshot: OpenedSnapshot, provider: Provider, collection: Collection
    ) -> None:
        """Do nothing yet.

        Raises:
            UnsupportedError: The engine can't hold the snapshot, or nothing can be served from it.
        """
        self._ports = ports
        self._snapshot = snapshot
        self._provider = provider
        self._seals = seals_of(provider)
        self._name, self._mark = collection.name, collection.id
        self._filling = Filling(ports, bench, snapshot, provider, Planned(self._name, self._mark))
        self._bench = bench

    @property
    def table(self) -> str | None:
        """The table in it, where its name is that of a schema."""
        found = self._filling.hosted.schema.engine.get("table")
        return found if isinstance(found, str) else None

    def run(self, journal: JsonObject | None) -> Standing:
        """Go through all steps; `journal` is what the worker before kept of this collection. Gives how it stands.

        Raises:
            ConflictError: What came out is not what went in.
            DigestError: Its rows are others than the snapshot's.
        """
        for step in STEPS:
            step.run(self, journal)
        return self._seals.standing(self._name, mark=self._mark)

    def create(self, journal: JsonObject | None) -> None:
        """Make the empty collection."""
        self._bench.tell({"step": "creating", "collection": self._name})
        self._filling.create(journal)

    def load(self, _: JsonObject | None) -> None:
        """Load its rows."""
        self._filling.load()

    def index(self, _: JsonObject | None) -> None:
        """Index them."""
        self._filling.index()

    def seal(self, _: JsonObject | None) -> None:
        """Seal it, so that what is proved is what stays."""
        self._bench.tell({"step": "sealing"})
        self._seals.seal(self._name, mark=self._mark)

    def verify(self, _: JsonObject | None) -> None:
        """Prove it."""
        lost = prove(self._provider, self._name, self._filling.filled(), self._bench)
        if lost:
            raise ConflictError(
                f'{lost} rows of "{self._name}" are stored and can\'t be found by a search',
                hint="it is made again, under another name",
            )
        held = Held(self._name, self._filling.hosted.schema)
        told = check_canary(self._ports, self._bench, self._snapshot, self._provider, held)
        if told["warnings"]:
            self._bench.tell({"step": "warned", "warnings": told["warnings"]})


@dataclass(frozen=True, slots=True)
class Step:
    """A step of building. A worker may be killed before, in and after it: `replay` is what the next one does then.

    `undo` is what an operation that is given up leaves of it.
    """

    name: str
    run: Callable[[Building, JsonObject | None], None]
    replay: str
    undo: str


STEPS = (
    Step("create", Building.create, "it is there with our mark: go on", "dropped"),
    Step("load", Building.load, "from the target's cursor, or the journal's", "dropped"),
    Step("index", Building.index, "what is whole stays, the rest is built", "dropped"),
    Step("seal", Building.seal, "said again", "dropped"),
    Step("verify", Building.verify, "read again", "kept, warm, once it is proved"),
)
