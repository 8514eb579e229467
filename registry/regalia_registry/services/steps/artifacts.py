"""Adding an artifact version with its record."""

from datetime import datetime

from regalia_registry.domain.entries import Event
from regalia_registry.domain.records import ArtifactVersion
from regalia_registry.ports.store import Transaction
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.claims import keep_linked
from regalia_registry.services.steps.records import record


def add_version(ports: Ports, caller: Caller, tx: Transaction, artifact: ArtifactVersion, *, now: datetime) -> bool:
    """Insert a version and say so in the log; False where it was there. `now` is the shared time.

    Raises:
        NotFoundError: A blob that it links was removed meanwhile.
        VersionConflictError: The version has other content, or the content another version.
    """
    keep_linked(tx, artifact, now=now)
    created = tx.artifacts.add(artifact)
    event = "artifact.pushed" if created else "artifact.unchanged"
    record(ports, caller, tx, Event(event, f"{artifact.artifact}@{artifact.version}", after=artifact.digest))
    return created
