"""Beginning a collection: its row is there before it is, under a name that was never used."""

import base64

from regalia.core.digest import Digest
from regalia_registry.domain.operations import Operation, Target
from regalia_registry.domain.placing import Collection
from regalia_registry.domain.plans import Member
from regalia_registry.ports.vectors import Provider
from regalia_registry.services.context import Ports

_SUFFIX_BYTES = 5


def begin_collection(
    ports: Ports,
    operation: Operation,
    target: Target,
    provider: Provider,
    member: Member,
    *,
    logical: str,
    schema: Digest,
) -> Collection:  # all that a row says of where it comes from
    """Choose a name for a collection of a snapshot, and give the row that is to be stored before anything is made."""
    suffix = base64.b32encode(ports.ids.secret(_SUFFIX_BYTES)).decode("ascii").lower()
    return Collection(
        id=ports.ids.new(),
        namespace=operation.namespace,
        target=target.name,
        provider=target.provider,
        logical=logical,
        name=provider.physical_name(logical, suffix),
        snapshot=member.digest,
        content_root=member.content_root,
        schema_digest=schema,
        rows=member.rows,
        operation=operation.id,
        made_at=ports.shared_now(),
    )
