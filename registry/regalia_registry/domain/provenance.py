"""How a snapshot's version came to be: what the registry itself saw, with no address and no credential."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from regalia.core import times
from regalia.core.fields import Fields
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.operations import Operation
from regalia_registry.domain.texts import readable


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which operation made a version, out of what, when, and as which version of us.

    `target` is None where the rows came from no target; `source` is the collection then too: a file's digest, or the
    reference of another version. `engine` is what answered, empty where nothing did.
    """

    operation: str
    kind: str
    target: str | None
    source: str
    provider: str
    engine: str
    consistency: str
    started: datetime
    finished: datetime
    writer: str

    @classmethod
    def parse(cls, body: JsonObject) -> Self:
        """Read what `written` wrote."""
        fields = Fields(body, "the provenance")
        return cls(
            operation=fields.text("operation"),
            kind=fields.text("kind"),
            target=fields.optional("target", fields.text),
            source=fields.text("source"),
            provider=fields.text("provider"),
            engine=fields.text("engine"),
            consistency=fields.text("consistency"),
            started=times.parse(fields.text("started"), what="started"),
            finished=times.parse(fields.text("finished"), what="finished"),
            writer=fields.text("writer"),
        )

    def written(self) -> JsonObject:
        """Give its JSON."""
        written: JsonObject = {
            "operation": self.operation,
            "kind": self.kind,
            "source": self.source,
            "provider": self.provider,
            "engine": self.engine,
            "consistency": self.consistency,
            "started": times.write(self.started),
            "finished": times.write(self.finished),
            "writer": self.writer,
        }
        if self.target is not None:
            written["target"] = self.target
        return readable(written)


@dataclass(frozen=True, slots=True)
class Making:
    """An operation that makes a version: who answers, and since when; what it reads is told by its request."""

    operation: Operation
    provider: str
    engine: str
    started: datetime
    writer: str

    def ended(self, finished: datetime, *, consistency: str, source: str = "") -> Provenance:
        """Say how the version came to be; `source` is told where the request does not say it."""
        request = self.operation.request
        target, told = request.get("target"), request.get("collection") or request.get("file")
        return Provenance(
            operation=self.operation.id,
            kind=str(self.operation.kind),
            target=None if target is None else str(target),
            source=source or str(told or ""),
            provider=self.provider,
            engine=self.engine,
            consistency=consistency,
            started=times.whole_second(self.started),
            finished=times.whole_second(finished),
            writer=self.writer,
        )
