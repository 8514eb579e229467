"""Naming the collections that operations make."""

import base64
from hashlib import sha256

from regalia_registry.domain.operations import LoadWish
from regalia_registry.ports.vectors import Provider

_SUFFIX_BYTES = 5


def collection_of(provider: Provider, wish: LoadWish, operation_id: str) -> str:
    """Name the collection that a load makes: its logical name, and eight characters that are this operation's alone."""
    suffix = base64.b32encode(sha256(operation_id.encode()).digest()[:_SUFFIX_BYTES]).decode("ascii").lower()
    return provider.physical_name(wish.logical, suffix)
