"""Building a collection for a channel: steps of a move's course, each of which the next worker may begin again."""

from collections.abc import Callable
from functools import partial

from regalia.core.errors import ConflictError
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.placing import Collection
from regalia_registry.ports.serving import Standing
from regalia_registry.ports.vectors import Provider
from regalia_registry.services.context import Bench, Ports
from regalia_registry.services.steps.canaries import Held, check_canary
from regalia_registry.services.steps.course import CREATE, INDEX, LOAD, SEAL, VERIFY, Step, crossing
from regalia_registry.services.steps.filling import Filling, Planned
from regalia_registry.services.steps.proving import prove
from regalia_registry.services.steps.sealing import seals_of
from regalia_registry.services.steps.snapshots import OpenedSnapshot

_TOLD = {CREATE: "creating", SEAL: "sealing"}


class Building:
    """One collection on its way from nothing to sealed and proved; its mark is the collection's."""

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
        self._name, self._mark = collection.name, collection.mark
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
        run: dict[Step, Callable[[], None]] = {
            CREATE: partial(self._filling.create, journal),
            LOAD: self._filling.load,
            INDEX: self._filling.index,
            SEAL: partial(self._seals.seal, self._name, mark=self._mark),
            VERIFY: self._verify,
        }
        for step, act in run.items():
            if step in _TOLD:  # the others tell how far they are
                self._bench.tell({"step": _TOLD[step], "collection": self._name})
            with crossing(step, self._bench.holder.operation):
                act()
        return self._seals.standing(self._name, mark=self._mark)

    def _verify(self) -> None:
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
